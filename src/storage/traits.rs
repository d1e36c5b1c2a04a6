//! The traits, and what can be done on any storage.

use std::fmt::Debug;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mapping::Mapping;
use super::pages::Pages;
use crate::error::Result;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
    /// New, mode 0640: an error if the name is taken.
    Create,
}

/// What to do with a symbolic link at the end of a directory's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Follow it.
    Follow,
    /// An error: in a shared directory anybody may have made it.
    Refuse,
}

/// Who owns a directory and who else may write there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryStatus {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Owner.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Hard links: 0 when the directory was removed.
    pub links: u64,
    /// Filesystem magic number, as in `statfs(2)`.
    pub filesystem: u64,
    /// Bytes of the filesystem that this user may still use.
    pub available: u64,
    /// Bytes of the filesystem.
    pub total: u64,
}

/// What a name in a directory leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// Device and inode.
    pub inode: (u64, u64),
    /// Hard links.
    pub links: u64,
    /// Size in bytes.
    pub size: u64,
}

/// What came of the attempt to lock a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryLock {
    /// It is ours.
    Taken,
    /// Somebody else has it.
    Held,
    /// This filesystem cannot lock a directory.
    Unsupported,
}

/// The file system.
pub trait Storage: Debug + Send + Sync {
    /// Opens a directory. `None` when there is no such name.
    fn open_directory(&self, path: &Path, links: Links) -> Result<Option<Arc<dyn Directory>>>;
    /// Makes a directory, with mode 0750 narrowed by umask, if it does not exist. A missing parent
    /// is [`Cause::NotFound`](crate::error::Cause::NotFound): the path may be mistyped.
    fn ensure_directory(&self, path: &Path) -> Result<()>;
    /// Makes one new directory with this mode: an error if the name is taken.
    fn create_directory(&self, path: &Path, mode: u32) -> Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> Result<()>;
    /// The kernel's boot id.
    fn boot_id(&self) -> Result<String>;
    /// 128 random bits.
    fn random(&self) -> Result<u128>;
    /// The effective user id.
    fn user(&self) -> u32;
}

/// An open directory. Names are single components; links are never followed.
pub trait Directory: Debug + Send + Sync {
    /// The path it was opened by.
    fn path(&self) -> &Path;
    /// The names in it, in no order, without those that are not UTF-8: they are not ours.
    fn list(&self) -> Result<Vec<String>>;
    /// The names in it that are symbolic links, as far as the filesystem tells with the names.
    fn links(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// Opens a file. `None` when there is no such name.
    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>>;
    /// Renames a file, replacing a file that has the new name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file; `false` when there was none.
    fn remove(&self, name: &str) -> Result<bool>;
    /// Makes the names in it durable.
    fn sync(&self) -> Result<()>;
    /// Its owner, mode and filesystem.
    fn status(&self) -> Result<DirectoryStatus>;
    /// What a name leads to, without opening it. `None` when there is no such name.
    fn status_of(&self, name: &str) -> Result<Option<FileStatus>>;
    /// The user who owns what a name leads to, links not followed. `None` when there is no such
    /// name, or it is not known.
    fn owner_of(&self, _name: &str) -> Result<Option<u32>> {
        Ok(None)
    }
    /// Locks the directory itself, by whatever path others reach it, unless somebody else has. The
    /// lock is this handle's, and given back when the handle is dropped.
    fn try_lock(&self) -> Result<DirectoryLock>;
    /// Gives the lock back.
    fn unlock(&self);
    /// The process that the system names as the owner of that lock.
    fn lock_owner(&self) -> Option<u32>;
    /// Takes the directory's lock file `name` (mode 0600) and writes the process id into it. What
    /// is locked is what the name leads to. `Err(Cause::Locked)` names the owner.
    fn lock(&self, name: &str) -> Result<Arc<dyn File>>;

    /// The path of a file in it, for messages.
    fn path_of(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// An open file.
pub trait File: Debug + Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> Result<u64>;
    /// How many names it has.
    fn links(&self) -> Result<u64>;
    /// Device and inode.
    fn inode(&self) -> Result<(u64, u64)>;
    /// Reads at `offset` until `buffer` is full or the file ends; returns the bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;
    /// Writes whole pages past the page cache. Once this has returned `true` they are on stable
    /// storage, as if [`File::sync`] had been called for them. `false`: this filesystem cannot do
    /// that, and nothing was written. The file stays as long as it was, so the last page must end
    /// within it. Nobody else uses this handle meanwhile.
    fn write_durably(&self, _pages: &Pages, _bytes: Range<usize>, _offset: u64) -> Result<bool> {
        Ok(false)
    }
    /// Writes whole pages past the page cache where the filesystem can: what is then left for
    /// [`File::sync`] is little. They are as durable as if [`File::write_at`] had written them.
    fn write_pages(&self, pages: &Pages, bytes: Range<usize>, offset: u64) -> Result<()> {
        self.write_at(&pages[bytes], offset)
    }
    /// Reads the first `len` bytes of `pages`, whole pages, at a whole page of the file: past the
    /// page cache where the filesystem can, and nothing ahead. Returns the bytes read: fewer only
    /// at the end of the file.
    fn read_pages(&self, pages: &mut Pages, len: usize, offset: u64) -> Result<usize> {
        self.read_at(&mut pages[..len], offset)
    }
    /// Reads of this handle ask the disk for no more than they read. A read ahead of megabytes
    /// would stand before the writes of others.
    fn read_nothing_ahead(&self) {}
    /// Writes all of `bytes` at `offset`, and lets the disk begin with them without waiting. This
    /// is only a hint: nothing is durable before [`File::sync`].
    fn write_and_begin(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.write_at(bytes, offset)
    }
    /// Allocates space for `size` bytes and makes the file at least that long.
    fn allocate(&self, size: u64) -> Result<()>;
    /// Makes all of the file a hole: its memory comes back although readers have it open or mapped,
    /// and they read zeros. Only for a file that has no name any more. Does nothing where that is
    /// not possible.
    fn give_back_memory(&self) {}
    /// `fdatasync`.
    fn sync(&self) -> Result<()>;
    /// Takes an exclusive lock unless somebody else holds one.
    fn try_lock_exclusive(&self) -> Result<bool>;
    /// Takes a shared lock unless somebody holds it exclusively.
    fn try_lock_shared(&self) -> Result<bool>;
    /// Gives the lock back.
    fn unlock(&self) -> Result<()>;
    /// Maps the first `size` bytes, for reading or, with every page present, also for writing.
    fn map(&self, size: u64, writable: bool) -> Result<Mapping>;
}

/// Reads the first `limit` bytes of a small file. `None` when there is no such name.
pub fn read_small(directory: &dyn Directory, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let Some(file) = directory.open(name, Open::Read)? else {
        return Ok(None);
    };
    let mut bytes = vec![0; limit];
    let read = file.read_at(&mut bytes, 0)?;
    debug_assert!(read <= limit);
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Bytes of a folio: when a file was written in such chunks, the kernel caches and writes it in
/// them. With single pages the persister writes a fifth slower. Larger folios are not faster, and a
/// kernel before 6.6 may write a whole one for one event.
const FOLIO: u64 = 64 * 1024;

/// Fills a part of a file with zeros, folio by folio.
pub fn write_zeros(file: &dyn File, from: u64, to: u64) -> Result<()> {
    static ZEROS: [u8; FOLIO as usize] = [0; FOLIO as usize];
    let mut offset = from;
    while offset < to {
        let len = (to - offset).min(FOLIO - offset % FOLIO);
        debug_assert!(len > 0 && (offset % FOLIO + len) <= FOLIO, "no write spans two folios");
        file.write_at(&ZEROS[..len as usize], offset)?;
        offset += len;
    }
    Ok(())
}
