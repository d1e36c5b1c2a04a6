//! The real file system, through `rustix`: system calls without `unsafe`.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    fallocate, fdatasync, flock, fstat, fstatfs, fsync, mkdir, openat, renameat, statat, unlinkat,
    AtFlags, Dir, FallocateFlags, FileType, FlockOperation, Mode, OFlags, CWD,
};
use rustix::io::{pread, pwrite, pwritev2, Errno, ReadWriteFlags};

use super::calls::{read_full, retry, write_all};
use super::descriptors::Descriptor;
use super::mapping::Mapping;
use super::traits::{
    write_zeros, Directory, DirectoryStatus, File, FileStatus, Links, Open, Storage,
};
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

fn failed(operation: &str, path: &Path, errno: Errno) -> Error {
    Error::io(format_args!("{operation} {}", path.display()), &errno.into())
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
            }))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("open directory", path, errno)),
        }
    }

    fn create_directories(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.create_directories(parent)?;
        }
        match mkdir(path, Mode::from_raw_mode(0o750)) {
            Ok(()) => {}
            Err(Errno::EXIST) if path.is_dir() => {}
            Err(errno) => return Err(failed("create directory", path, errno)),
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = self.open_directory(parent.unwrap_or(Path::new(".")), Links::Follow)?;
        parent.map_or(Ok(()), |parent| parent.sync())
    }

    fn create_directory(&self, path: &Path, mode: u32) -> Result<()> {
        mkdir(path, Mode::from_raw_mode(mode)).map_err(|e| failed("create directory", path, e))
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        unlinkat(CWD, path, AtFlags::REMOVEDIR).map_err(|e| failed("remove directory", path, e))
    }

    fn boot_id(&self) -> Result<String> {
        const PATH: &str = "/proc/sys/kernel/random/boot_id";
        let text = std::fs::read_to_string(PATH)
            .map_err(|error| Error::io(format_args!("read {PATH}"), &error))?;
        Ok(text.trim().to_owned())
    }

    fn random(&self) -> Result<u128> {
        const PATH: &str = "/dev/urandom";
        let mut bytes = [0; 16];
        std::fs::File::open(PATH)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
            .map_err(|error| Error::io(format_args!("read {PATH}"), &error))?;
        Ok(u128::from_ne_bytes(bytes))
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
}

impl PosixDirectory {
    fn open_with(&self, name: &str, flags: OFlags, mode: u32) -> rustix::io::Result<PosixFile> {
        debug_assert!(is_component(name));
        // Without NONBLOCK a pipe planted under one of our names would block the open.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = Descriptor::open(self.close_in_children, || {
            retry(|| openat(&self.fd, name, flags, Mode::from_raw_mode(mode)))
        })?;
        Ok(PosixFile { fd, path: self.path_of(name) })
    }
}

impl Directory for PosixDirectory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> Result<Vec<String>> {
        let fail = |errno| failed("list", &self.path, errno);
        let mut names = Vec::new();
        for entry in retry(|| Dir::read_from(&self.fd)).map_err(fail)? {
            if let Ok(name) = entry.map_err(fail)?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>> {
        let flags = match how {
            Open::Read => OFlags::RDONLY,
            Open::Write => OFlags::RDWR,
            Open::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        match self.open_with(name, flags, 0o640) {
            Ok(file) => file.check_regular().map(|()| Some(Arc::new(file) as Arc<dyn File>)),
            Err(Errno::NOENT) => Ok(None),
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
        let stat = fstat(&self.fd).map_err(|errno| failed("stat", &self.path, errno))?;
        let statfs = fstatfs(&self.fd).map_err(|errno| failed("statfs", &self.path, errno))?;
        Ok(DirectoryStatus {
            dev: stat.st_dev,
            ino: stat.st_ino,
            uid: stat.st_uid,
            mode: stat.st_mode & 0o7777,
            links: stat.st_nlink as u64,
            filesystem: statfs.f_type as u64,
            // A filesystem without a size, such as ramfs, counts no blocks.
            available: match statfs.f_blocks {
                0 => u64::MAX,
                _ => statfs.f_bavail * statfs.f_bsize as u64,
            },
        })
    }

    fn status_of(&self, name: &str) -> Result<Option<FileStatus>> {
        debug_assert!(is_component(name));
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileStatus {
                inode: (stat.st_dev, stat.st_ino),
                // On other processors than this it is a u32.
                #[allow(clippy::unnecessary_cast)]
                links: stat.st_nlink as u64,
                size: stat.st_size as u64,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("stat", &self.path_of(name), errno)),
        }
    }

    fn lock(&self, name: &str) -> Result<Arc<dyn File>> {
        let flags = OFlags::RDWR | OFlags::CREATE;
        let path = self.path_of(name);
        let file = self.open_with(name, flags, 0o600).map_err(|e| failed("open", &path, e))?;
        file.check_regular()?;
        if !file.try_lock_exclusive()? {
            let owner = match file.lock_owner()? {
                Some(pid) => format!("process {pid}"),
                None => "a process that is not known: the file does not name it".to_owned(),
            };
            let message = format!("{}: open for writing in {owner}", path.display());
            return Err(Error::new(Cause::Locked, message));
        }
        // Padded, so that a shorter process id overwrites all of a longer one.
        let owner = format!("{:<10}\n", std::process::id());
        debug_assert_eq!(owner.len(), 11);
        file.write_at(owner.as_bytes(), 0)?;
        Ok(Arc::new(file))
    }
}

#[derive(Debug)]
struct PosixFile {
    fd: Descriptor,
    path: PathBuf,
}

impl PosixFile {
    fn fail(&self, operation: &str, errno: Errno) -> Error {
        failed(operation, &self.path, errno)
    }

    /// Refuses anything else that has one of our names: a pipe, a device, a directory.
    fn check_regular(&self) -> Result<()> {
        let stat = fstat(&self.fd).map_err(|errno| self.fail("stat", errno))?;
        let errno = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return Ok(()),
            FileType::Directory => Errno::ISDIR,
            _ => Errno::NXIO,
        };
        let message = format!("{}: not a regular file", self.path.display());
        Err(Error::with_errno(Cause::Io, message, errno.raw_os_error()))
    }

    /// The process id on the first line of a lock file.
    fn lock_owner(&self) -> Result<Option<u32>> {
        let mut bytes = [0; 32];
        let read = self.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(&bytes[..read]);
        Ok(text.lines().next().and_then(|line| line.trim().parse().ok()))
    }

    fn try_flock(&self, operation: FlockOperation) -> Result<bool> {
        match retry(|| flock(&self.fd, operation)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(self.fail("lock", errno)),
        }
    }
}

impl File for PosixFile {
    fn size(&self) -> Result<u64> {
        let stat = fstat(&self.fd).map_err(|errno| self.fail("stat", errno))?;
        Ok(stat.st_size as u64)
    }

    fn inode(&self) -> Result<(u64, u64)> {
        let stat = fstat(&self.fd).map_err(|errno| self.fail("stat", errno))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        read_full(buffer, offset, |buffer, at| pread(&self.fd, buffer, at))
            .map_err(|errno| self.fail("read", errno))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        write_all(bytes, offset, |bytes, at| pwrite(&self.fd, bytes, at))
            .map_err(|errno| self.fail("write", errno))
    }

    fn write_at_and_start_writeback(&self, bytes: &[u8], offset: u64) -> Result<()> {
        // The flag starts write-back, and drops pages that the write itself has brought into the
        // cache. A segment's pages are there already, since all of it was written, and stay.
        let writeback = ReadWriteFlags::from_bits_retain(libc::RWF_DONTCACHE as u32);
        let written = write_all(bytes, offset, |bytes, at| {
            pwritev2(&self.fd, &[IoSlice::new(bytes)], at, writeback)
        });
        match written {
            // Linux before 6.14, a filesystem without it, or a sandbox that forbids the call.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => self.write_at(bytes, offset),
            written => written.map_err(|errno| self.fail("write", errno)),
        }
    }

    fn allocate(&self, size: u64) -> Result<()> {
        match retry(|| fallocate(&self.fd, FallocateFlags::empty(), 0, size)) {
            // ramfs, vfat, ext3: writing allocates there too.
            Err(Errno::OPNOTSUPP) => write_zeros(self, self.size()?, size),
            allocated => allocated.map_err(|errno| self.fail("allocate", errno)),
        }
    }

    fn sync(&self) -> Result<()> {
        // Never repeated: the kernel reports a failed write-back once and then forgets it.
        fdatasync(&self.fd).map_err(|errno| self.fail("fdatasync", errno))
    }

    fn try_lock_exclusive(&self) -> Result<bool> {
        self.try_flock(FlockOperation::NonBlockingLockExclusive)
    }

    fn try_lock_shared(&self) -> Result<bool> {
        self.try_flock(FlockOperation::NonBlockingLockShared)
    }

    fn unlock(&self) -> Result<()> {
        self.try_flock(FlockOperation::Unlock).map(|_| ())
    }

    fn map(&self, size: u64, writable: bool) -> Result<Mapping> {
        Mapping::new(self.fd.as_fd(), size, writable)
            .map_err(|error| Error::io(format_args!("map {}", self.path.display()), &error))
    }
}
