//! The real file system, through `rustix`: system calls without `unsafe`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use rustix::fs::{
    flock, fstatfs, fsync, mkdir, openat, renameat, unlinkat, AtFlags, Dir, DirEntry, FileType,
    FlockOperation, Mode, OFlags, CWD,
};
use rustix::io::Errno;

use super::calls::retry;
use super::descriptors::Descriptor;
use super::posix_file::{failed, PosixFile};
use super::special;
use super::standard::open_above_standard;
use super::stat::Stat;
use super::traits::{Directory, DirectoryLock, DirectoryStatus, File, FileStatus};
use super::traits::{Links, Open, Storage};
use crate::error::{Cause, Error, Result};

/// The real file system.
#[derive(Debug, Clone, Copy)]
pub struct PosixStorage {
    close_in_children: bool,
}

impl PosixStorage {
    /// For a log open for writing: its descriptors are closed in forked children.
    pub fn for_writing() -> Self {
        PosixStorage { close_in_children: true }
    }

    /// For readers: a forked child may go on reading.
    pub fn for_reading() -> Self {
        PosixStorage { close_in_children: false }
    }
}

/// A link where none is followed.
fn is_a_link(path: &Path) -> Error {
    let message = format!("{}: is a symbolic link; links are not followed here", path.display());
    Error::with_errno(Cause::Io, message, Errno::LOOP.raw_os_error())
}

/// Why a directory could not be made.
fn not_made(path: &Path, parent: &Path, errno: Errno) -> Error {
    let at = path.display();
    let (cause, message) = match errno {
        Errno::NOENT => {
            let parent = parent.display();
            (Cause::NotFound, format!("{at}: its parent {parent} does not exist, and is not made"))
        }
        Errno::EXIST if path.is_symlink() => {
            (Cause::NotFound, format!("{at}: is a symbolic link that leads nowhere"))
        }
        Errno::EXIST => {
            let message = format!("{at}: not a directory");
            return Error::with_errno(Cause::Io, message, Errno::NOTDIR.raw_os_error());
        }
        errno => return failed("create directory", path, errno),
    };
    Error::with_errno(cause, message, Errno::NOENT.raw_os_error())
}

/// Whether a name leads to an entry of the directory itself, and nowhere else.
fn is_component(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != "." && name != ".."
}

impl Storage for PosixStorage {
    fn open_directory(&self, path: &Path, links: Links) -> Result<Option<Arc<dyn Directory>>> {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, links == Links::Refuse);
        let opened = Descriptor::open(self.close_in_children, || {
            retry(|| openat(CWD, path, flags, Mode::empty()))
        });
        match opened {
            Ok(fd) => Ok(Some(Arc::new(PosixDirectory {
                fd,
                path: path.to_owned(),
                close_in_children: self.close_in_children,
                locked: AtomicBool::new(false),
            }))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) if links == Links::Refuse && path.is_symlink() => {
                Err(is_a_link(path))
            }
            Err(errno) => Err(failed("open directory", path, errno)),
        }
    }

    fn ensure_directory(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        match mkdir(path, Mode::from_raw_mode(0o750)) {
            Ok(()) => {}
            Err(Errno::EXIST) if path.is_dir() => {}
            Err(errno) => return Err(not_made(path, parent, errno)),
        }
        let parent = self.open_directory(parent, Links::Follow)?;
        parent.map_or(Ok(()), |parent| parent.sync())
    }

    fn create_directory(&self, path: &Path, mode: u32) -> Result<()> {
        mkdir(path, Mode::from_raw_mode(mode)).map_err(|e| failed("create directory", path, e))
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        unlinkat(CWD, path, AtFlags::REMOVEDIR).map_err(|e| failed("remove directory", path, e))
    }

    fn boot_id(&self) -> Result<String> {
        special::boot_id()
    }

    fn random(&self) -> Result<u128> {
        special::random()
    }

    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

#[derive(Debug)]
struct PosixDirectory {
    fd: Descriptor,
    path: PathBuf,
    close_in_children: bool,
    locked: AtomicBool,
}

impl Drop for PosixDirectory {
    /// A lock outlives the descriptor in a program that is just being started. A number that leads
    /// to something else now, because the program has closed ours, is not ours to close.
    fn drop(&mut self) {
        let is_directory = |status: Stat| status.file_type() == FileType::Directory;
        if self.fd.is_own() && !Stat::of(&self.fd).is_ok_and(is_directory) {
            self.fd.forget();
        } else {
            self.unlock();
        }
    }
}

impl PosixDirectory {
    fn open_with(&self, name: &str, flags: OFlags, mode: u32) -> rustix::io::Result<Descriptor> {
        debug_assert!(is_component(name));
        // Without NONBLOCK a pipe planted under one of our names would block the open.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open = || retry(|| openat(&self.fd, name, flags, Mode::from_raw_mode(mode)));
        match flags.contains(OFlags::EXCL) {
            true => Descriptor::create(self.close_in_children, open),
            false => Descriptor::open(self.close_in_children, open),
        }
    }

    fn list_if(&self, is_wanted: impl Fn(&DirEntry) -> bool) -> Result<Vec<String>> {
        let fail = |errno| failed("list", &self.path, errno);
        let mut names = Vec::new();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = open_above_standard(|| retry(|| openat(&self.fd, ".", flags, Mode::empty())));
        for entry in listed.and_then(Dir::new).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if let (true, Ok(name)) = (is_wanted(&entry), entry.file_name().to_str()) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether the name is still that of an open file.
    fn leads_to(&self, name: &str, file: &PosixFile) -> Result<bool> {
        match Stat::of_name(&self.fd, name) {
            Ok(status) => Ok(status.file().inode == file.inode()?),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed("stat", &self.path_of(name), errno)),
        }
    }
}

impl Directory for PosixDirectory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> Result<Vec<String>> {
        self.list_if(|_| true)
    }

    fn links(&self) -> Result<Vec<String>> {
        self.list_if(|entry| entry.file_type() == FileType::Symlink)
    }

    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>> {
        let flags = match how {
            Open::Read => OFlags::RDONLY,
            Open::Write => OFlags::RDWR,
            Open::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        match self.open_with(name, flags, 0o640) {
            Ok(fd) => Ok(Some(Arc::new(PosixFile::new(fd, self.path_of(name))?))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(is_a_link(&self.path_of(name))),
            Err(errno) => Err(failed("open", &self.path_of(name), errno)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        debug_assert!(is_component(from) && is_component(to));
        renameat(&self.fd, from, &self.fd, to).map_err(|errno| {
            let what = format!("rename {} to {to}", self.path_of(from).display());
            Error::io(what, &errno.into())
        })
    }

    fn remove(&self, name: &str) -> Result<bool> {
        debug_assert!(is_component(name));
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed("remove", &self.path_of(name), errno)),
        }
    }

    fn sync(&self) -> Result<()> {
        retry(|| fsync(&self.fd)).map_err(|errno| failed("fsync directory", &self.path, errno))
    }

    fn status(&self) -> Result<DirectoryStatus> {
        let status = Stat::of(&self.fd).map_err(|errno| failed("stat", &self.path, errno))?;
        let statfs = fstatfs(&self.fd).map_err(|errno| failed("statfs", &self.path, errno))?;
        Ok(DirectoryStatus {
            dev: status.dev(),
            ino: status.ino(),
            uid: status.uid(),
            mode: status.permissions(),
            links: status.file().links,
            filesystem: statfs.f_type as u64,
            // A filesystem without a size, such as ramfs, counts no blocks.
            available: match statfs.f_blocks {
                0 => u64::MAX,
                _ => statfs.f_bavail * statfs.f_bsize as u64,
            },
            total: match statfs.f_blocks {
                0 => u64::MAX,
                blocks => blocks * statfs.f_bsize as u64,
            },
        })
    }

    fn status_of(&self, name: &str) -> Result<Option<FileStatus>> {
        debug_assert!(is_component(name));
        match Stat::of_name(&self.fd, name) {
            Ok(status) => Ok(Some(status.file())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("stat", &self.path_of(name), errno)),
        }
    }

    fn owner_of(&self, name: &str) -> Result<Option<u32>> {
        debug_assert!(is_component(name));
        match Stat::of_name(&self.fd, name) {
            Ok(status) => Ok(Some(status.uid())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("stat", &self.path_of(name), errno)),
        }
    }

    fn try_lock(&self) -> Result<DirectoryLock> {
        match retry(|| flock(&self.fd, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {
                self.locked.store(true, Ordering::Relaxed);
                Ok(DirectoryLock::Taken)
            }
            Err(Errno::WOULDBLOCK) => Ok(DirectoryLock::Held),
            // NFS asks for a descriptor that can be written; others know no such locks.
            Err(
                Errno::BADF
                | Errno::INVAL
                | Errno::ISDIR
                | Errno::NOLCK
                | Errno::NOSYS
                | Errno::OPNOTSUPP,
            ) => Ok(DirectoryLock::Unsupported),
            Err(errno) => Err(failed("lock directory", &self.path, errno)),
        }
    }

    fn unlock(&self) {
        // In a forked child the number may stand for another file.
        if self.locked.swap(false, Ordering::Relaxed) && self.fd.is_own() {
            let _ = retry(|| flock(&self.fd, FlockOperation::Unlock));
        }
    }

    fn lock_owner(&self) -> Option<u32> {
        let status = Stat::of(&self.fd).ok()?;
        special::lock_owner(status.dev(), status.ino())
    }

    fn lock(&self, name: &str) -> Result<Arc<dyn File>> {
        const ATTEMPTS: u32 = 100;
        let path = self.path_of(name);
        for _ in 0..ATTEMPTS {
            let flags = OFlags::RDWR | OFlags::CREATE;
            let fd = self.open_with(name, flags, 0o600).map_err(|errno| match errno {
                Errno::LOOP => is_a_link(&path),
                errno => failed("open", &path, errno),
            })?;
            let file = PosixFile::new(fd, path.clone())?;
            if !file.try_lock_exclusive()? {
                return Err(file.locked_by_another());
            }
            // It may have been removed or replaced before it was locked.
            if self.leads_to(name, &file)? {
                // Padded, so that a shorter process id overwrites all of a longer one.
                let owner = format!("{:<10}\n", std::process::id());
                debug_assert_eq!(owner.len(), 11);
                file.write_at(owner.as_bytes(), 0).inspect_err(|_| {
                    let _ = file.unlock();
                })?;
                return Ok(Arc::new(file));
            }
            file.unlock()?;
        }
        let message = format!("{}: replaced again and again", path.display());
        Err(Error::new(Cause::Io, message))
    }
}
