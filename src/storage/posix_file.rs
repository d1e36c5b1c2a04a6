//! A file of the real file system.

use std::io::IoSlice;
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    fadvise, fallocate, fcntl_setfl, fdatasync, flock, fstatfs, ftruncate, Advice, FallocateFlags,
    FileType, FlockOperation, OFlags,
};
use rustix::io::{pread, pwrite, pwritev2, Errno, ReadWriteFlags};

use super::calls::{read_full, read_pages, retry, write_all, write_pages};
use super::descriptors::Descriptor;
use super::mapping::{may_be_mapped, Mapping};
use super::pages::{Pages, PAGE};
use super::special;
use super::stat::Stat;
use super::traits::{write_zeros, File, FileStatus};
use crate::error::{Cause, Error, Result};

/// No page of a file in memory is larger.
const LARGEST_PAGE: u64 = 2 * 1024 * 1024;

/// What failed, and where.
pub fn failed(operation: &str, path: &Path, errno: Errno) -> Error {
    Error::io(format_args!("{operation} {}", path.display()), &errno.into())
}

/// Whether this kind of write is not known here: to the kernel (`RWF_DONTCACHE` before Linux 6.14),
/// to the filesystem, or to a sandbox that forbids the call.
fn is_refused(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM)
}

#[derive(Debug)]
pub struct PosixFile {
    fd: Descriptor,
    path: PathBuf,
    /// Device and inode, as it was opened.
    inode: (u64, u64),
    /// Whether writes go past the page cache (`O_DIRECT`).
    direct: AtomicBool,
}

impl PosixFile {
    /// A file that was just opened. Refuses anything else that has one of our names: a pipe, a
    /// device, a directory.
    pub fn new(fd: Descriptor, path: PathBuf) -> Result<Self> {
        let status = Stat::of(&fd).map_err(|errno| failed("stat", &path, errno))?;
        let errno = match status.file_type() {
            FileType::RegularFile => {
                let inode = status.file().inode;
                return Ok(PosixFile { fd, path, inode, direct: AtomicBool::new(false) });
            }
            FileType::Directory => Errno::ISDIR,
            _ => Errno::NXIO,
        };
        let message = format!("{}: not a regular file", path.display());
        Err(Error::with_errno(Cause::Io, message, errno.raw_os_error()))
    }

    fn fail(&self, operation: &str, errno: Errno) -> Error {
        failed(operation, &self.name_now(), errno)
    }

    fn status(&self) -> Result<FileStatus> {
        let status = Stat::of(&self.fd).map_err(|errno| self.fail("stat", errno))?;
        Ok(status.file())
    }

    /// Its path: files are made under temporary names.
    fn name_now(&self) -> PathBuf {
        let own = self.path.with_extension("");
        let is_temporary = self.path.extension().is_some_and(|end| end == "tmp");
        if is_temporary && !self.path.exists() && own.exists() {
            return own;
        }
        self.path.clone()
    }

    /// Fails if the descriptor leads to another file: an engine that closes descriptors that are
    /// not its own, as daemons do, gets their numbers for its own files. Nothing is written into
    /// those, and no sync of one counts. Costs 0.1 µs.
    fn check_own(&self) -> Result<()> {
        if self.inode()? == self.inode {
            return Ok(());
        }
        let path = self.name_now();
        let path = path.display();
        let message = format!("the descriptor of {path} was closed, and is another file's now");
        Err(Error::new(Cause::Io, message))
    }

    /// The error that this lock file is somebody else's.
    pub fn locked_by_another(&self) -> Error {
        // What the file says may be the number that the process has in its own container.
        let (dev, ino) = self.inode;
        let owner = match (special::lock_owner(dev, ino), self.owner_in_content()) {
            (Some(pid), _) => format!("process {pid}"),
            (None, Ok(Some(pid))) => format!(
                "process {pid}, as the file says; this system does not name it: perhaps it is in \
                 another container"
            ),
            (None, Ok(None)) => "a process that is not known: the file does not name it".to_owned(),
            (None, Err(error)) => return error,
        };
        let message = format!("{}: open for writing in {owner}", self.path.display());
        Error::new(Cause::Locked, message)
    }

    /// The process id on the first line of a lock file.
    fn owner_in_content(&self) -> Result<Option<u32>> {
        let mut bytes = [0; 32];
        let read = self.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(&bytes[..read]);
        Ok(text.lines().next().and_then(|line| line.trim().parse().ok()))
    }

    /// Sets how the next reads and writes are done.
    fn past_the_cache(&self, direct: bool) -> rustix::io::Result<()> {
        if self.direct.load(Ordering::Relaxed) != direct {
            let flags = if direct { OFlags::DIRECT } else { OFlags::empty() };
            fcntl_setfl(&self.fd, flags)?;
            self.direct.store(direct, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Before a read or write of any bytes.
    fn through_the_cache(&self) -> Result<()> {
        self.past_the_cache(false).map_err(|errno| self.fail("fcntl", errno))
    }

    /// Writes whole pages past the page cache. `false`: this filesystem cannot do that.
    fn write_direct(
        &self,
        pages: &Pages,
        bytes: Range<usize>,
        offset: u64,
        flags: ReadWriteFlags,
    ) -> Result<bool> {
        debug_assert!(bytes.start % PAGE == 0 && bytes.end % PAGE == 0);
        debug_assert!(offset % PAGE as u64 == 0);
        self.check_own()?;
        let written = self.past_the_cache(true).and_then(|()| {
            let write = |pages: &[u8], at| pwritev2(&self.fd, &[IoSlice::new(pages)], at, flags);
            write_pages(&pages[bytes], offset, write)
        });
        match written {
            // As after a sync: another file's bytes may have become durable.
            Ok(()) => self.check_own().map(|()| true),
            Err(errno) if is_refused(errno) => {
                self.past_the_cache(false).map_err(|errno| self.fail("fcntl", errno))?;
                Ok(false)
            }
            Err(errno) => Err(self.fail("write", errno)),
        }
    }

    fn try_flock(&self, operation: FlockOperation) -> Result<bool> {
        self.check_own()?;
        match retry(|| flock(&self.fd, operation)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(self.fail("lock", errno)),
        }
    }
}

impl Drop for PosixFile {
    /// A number that is another file's now is that file's to close.
    fn drop(&mut self) {
        if self.check_own().is_err() {
            self.fd.forget();
        }
    }
}

impl File for PosixFile {
    fn size(&self) -> Result<u64> {
        Ok(self.status()?.size)
    }

    fn links(&self) -> Result<u64> {
        Ok(self.status()?.links)
    }

    fn inode(&self) -> Result<(u64, u64)> {
        Ok(self.status()?.inode)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.through_the_cache()?;
        read_full(buffer, offset, |buffer, at| pread(&self.fd, buffer, at))
            .map_err(|errno| self.fail("read", errno))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.check_own()?;
        self.through_the_cache()?;
        write_all(bytes, offset, |bytes, at| pwrite(&self.fd, bytes, at))
            .map_err(|errno| self.fail("write", errno))
    }

    fn write_and_begin(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.check_own()?;
        self.through_the_cache()?;
        let flag = ReadWriteFlags::from_bits_retain(libc::RWF_DONTCACHE as u32);
        let written = write_all(bytes, offset, |bytes, at| {
            pwritev2(&self.fd, &[IoSlice::new(bytes)], at, flag)
        });
        match written {
            Err(errno) if is_refused(errno) => self.write_at(bytes, offset),
            written => written.map_err(|errno| self.fail("write", errno)),
        }
    }

    fn write_durably(&self, pages: &Pages, bytes: Range<usize>, offset: u64) -> Result<bool> {
        self.write_direct(pages, bytes, offset, ReadWriteFlags::DSYNC)
    }

    fn write_pages(&self, pages: &Pages, bytes: Range<usize>, offset: u64) -> Result<()> {
        match self.write_direct(pages, bytes.clone(), offset, ReadWriteFlags::empty())? {
            true => Ok(()),
            false => self.write_at(&pages[bytes], offset),
        }
    }

    fn read_pages(&self, pages: &mut Pages, len: usize, offset: u64) -> Result<usize> {
        debug_assert!(len % PAGE == 0 && offset % PAGE as u64 == 0);
        let read = self.past_the_cache(true).and_then(|()| {
            read_pages(&mut pages[..len], offset, |buffer, at| pread(&self.fd, buffer, at))
        });
        match read {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => self.read_at(&mut pages[..len], offset),
            Err(errno) => Err(self.fail("read", errno)),
            // A bad sector cuts a read short, too.
            Ok(read) if read < len && offset + (read as u64) < self.size()? => {
                Err(self.fail("read", Errno::IO))
            }
            Ok(read) => Ok(read),
        }
    }

    fn read_nothing_ahead(&self) {
        // Advice: where it is not taken, nothing is wrong.
        let _ = fadvise(&self.fd, 0, None, Advice::Random);
    }

    fn allocate(&self, size: u64) -> Result<()> {
        self.check_own()?;
        match retry(|| fallocate(&self.fd, FallocateFlags::empty(), 0, size)) {
            // ramfs, vfat, ext3: writing allocates there too.
            Err(Errno::OPNOTSUPP) => write_zeros(self, self.size()?, size),
            allocated => allocated.map_err(|errno| self.fail("allocate", errno)),
        }
    }

    fn give_back_memory(&self) {
        let Ok(size) = self.check_own().and_then(|()| self.size()) else { return };
        // Past the end, so that the last page goes too.
        let whole = size.next_multiple_of(LARGEST_PAGE);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let punched = retry(|| fallocate(&self.fd, hole, 0, whole));
        let is_mapped_nowhere =
            || fstatfs(&self.fd).is_ok_and(|status| !may_be_mapped(status.f_type as u64));
        if punched.is_err() && is_mapped_nowhere() {
            let _ = retry(|| ftruncate(&self.fd, 0));
        }
    }

    fn sync(&self) -> Result<()> {
        // Never repeated: the kernel reports a failed write-back once and then forgets it.
        fdatasync(&self.fd).map_err(|errno| self.fail("fdatasync", errno))?;
        self.check_own()
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
        let failed = |error| Error::io(format_args!("map {}", self.name_now().display()), &error);
        let mut mapping = Mapping::new(self.fd.as_fd(), size, writable).map_err(failed)?;
        // To touch what another file does not have would be a fault.
        self.check_own()?;
        if writable {
            mapping.make_present().map_err(failed)?;
        }
        Ok(mapping)
    }
}
