//! Files, directories and mappings behind a small trait, so that tests can put a faulty disk
//! under the whole recorder. `posix` is the real one; `simulated` forgets what was not synced.

pub mod descriptors;
mod mapping;
mod posix;
pub mod simulated;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;

pub use mapping::Mapping;
pub use posix::PosixStorage;

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
    /// Go where it points.
    Follow,
    /// An error: in a shared directory anybody may have put it there.
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
    /// Links: 0 when the directory was removed.
    pub links: u64,
    /// Filesystem magic number, as in `statfs(2)`.
    pub filesystem: u64,
    /// Bytes free on it for this user.
    pub available: u64,
}

/// The file system.
pub trait Storage: Debug + Send + Sync {
    /// Opens a directory. `None` when there is no such name.
    fn open_directory(&self, path: &Path, links: Links) -> Result<Option<Arc<dyn Directory>>>;
    /// Makes a directory and the ones above it that are missing, mode 0750 narrowed by umask.
    fn create_directories(&self, path: &Path) -> Result<()>;
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
    /// Where it was opened.
    fn path(&self) -> &Path;
    /// Names of what is in it, in no order. Names that are not UTF-8 are foreign and left out.
    fn list(&self) -> Result<Vec<String>>;
    /// Opens a file. `None` when there is no such name.
    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>>;
    /// Renames a file over whatever has the new name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file; `false` when there was none.
    fn remove(&self, name: &str) -> Result<bool>;
    /// Makes names durable.
    fn sync(&self) -> Result<()>;
    /// What it is.
    fn status(&self) -> Result<DirectoryStatus>;
    /// Takes the directory's lock file `name` (mode 0600) and writes the process id into it.
    /// `Err(Cause::Locked)` names the owner.
    fn lock(&self, name: &str) -> Result<Arc<dyn File>>;

    /// The path of a file in it, for messages.
    fn path_of(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// An open file.
pub trait File: Debug + Send + Sync {
    /// Bytes it has.
    fn size(&self) -> Result<u64>;
    /// Device and inode.
    fn inode(&self) -> Result<(u64, u64)>;
    /// Reads at `offset` until `buffer` is full or the file ends; returns the bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;
    /// The same, and the disk begins with what was written to the folio around it (64 KiB), which
    /// nobody waits for. A hint: what is on the disk is for [`File::sync`] to say.
    fn write_at_and_begin(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.write_at(bytes, offset)
    }
    /// Allocates space for `size` bytes and makes the file that long.
    fn allocate(&self, size: u64) -> Result<()>;
    /// `fdatasync`.
    fn sync(&self) -> Result<()>;
    /// Takes an exclusive lock unless somebody else holds one.
    fn try_lock_exclusive(&self) -> Result<bool>;
    /// Takes a shared lock unless somebody holds it exclusively.
    fn try_lock_shared(&self) -> Result<bool>;
    /// Gives the lock back.
    fn unlock(&self) -> Result<()>;
    /// Maps the first `size` bytes for reading, or for reading and writing with every page
    /// present.
    fn map(&self, size: u64, writable: bool) -> Result<Mapping>;
}

/// Reads a whole small file; `None` when there is no such name. More than `limit` bytes are cut.
pub fn read_small(directory: &dyn Directory, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let Some(file) = directory.open(name, Open::Read)? else {
        return Ok(None);
    };
    let mut bytes = vec![0; limit];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Replaces a small file so that after a power cut either the old or the new one is there, and the
/// new one once this has returned.
pub fn replace_small(directory: &dyn Directory, name: &str, bytes: &[u8]) -> Result<()> {
    put_in_place(directory, name, bytes)?;
    directory.sync()
}

/// The same, but for the sync of the directory, which decides when the new one is there for good.
pub fn put_in_place(directory: &dyn Directory, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.tmp");
    directory.remove(&temporary)?;
    let file = create(directory, &temporary)?;
    let written = file.write_at(bytes, 0).and_then(|()| file.sync());
    if let Err(error) = written.and_then(|()| directory.rename(&temporary, name)) {
        let _ = directory.remove(&temporary);
        return Err(error);
    }
    Ok(())
}

/// Makes a new file: an error if the name is taken.
pub fn create(directory: &dyn Directory, name: &str) -> Result<Arc<dyn File>> {
    directory.open(name, Open::Create)?.ok_or_else(|| {
        let message =
            format!("create {}: the directory is gone", directory.path_of(name).display());
        crate::error::Error::new(crate::error::Cause::Io, message)
    })
}

/// Bytes of a folio, the piece in which the kernel keeps a file in memory and writes it to the disk,
/// of a file that was written in such pieces. With single pages the persister writes a fifth
/// slower; larger ones are not faster, and a kernel before 6.6 may write a whole one for one event.
pub(crate) const FOLIO: u64 = 64 * 1024;

/// Fills a part of a file with zeros, folio by folio.
pub fn write_zeros(file: &dyn File, from: u64, to: u64) -> Result<()> {
    static ZEROS: [u8; FOLIO as usize] = [0; FOLIO as usize];
    let mut offset = from;
    while offset < to {
        let len = (to - offset).min(FOLIO - offset % FOLIO);
        file.write_at(&ZEROS[..len as usize], offset)?;
        offset += len;
    }
    Ok(())
}
