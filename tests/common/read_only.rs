//! The real storage under a reader: whatever would write fails the test, and a meddler sees, delays
//! or fails what is read.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use flashstrike_wal::error::Result;
use flashstrike_wal::storage::{
    Directory, DirectoryLock, DirectoryStatus, File, FileStatus, Links, Mapping, Open,
    PosixStorage, Storage,
};

/// What happens to a reader's files.
pub trait Meddler: Debug + Send + Sync + 'static {
    /// Whether it meddles with files of this directory.
    fn is_in(&self, _directory: &Path) -> bool {
        true
    }

    /// Whether it meddles with the file of this name.
    fn is_about(&self, name: &str) -> bool;

    /// Such a file was opened just now.
    fn opened(&self, _directory: &dyn Directory, _name: &str) {}

    /// Such a file is read.
    fn read_at(&self, file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Whether a reader may lock and map such files.
    fn may_hold(&self) -> bool {
        true
    }

    /// Such a file is mapped.
    fn map(&self, file: &dyn File, size: u64) -> Result<Mapping> {
        file.map(size, false)
    }
}

/// The real storage, with a meddler.
#[derive(Debug)]
pub struct ReadOnly<M>(PosixStorage, Arc<M>);

impl<M: Meddler> ReadOnly<M> {
    pub fn under(meddler: &Arc<M>) -> Arc<dyn Storage> {
        Arc::new(ReadOnly(PosixStorage::for_reading(), Arc::clone(meddler)))
    }
}

#[derive(Debug)]
struct ReadOnlyDirectory<M>(Arc<dyn Directory>, Arc<M>);

#[derive(Debug)]
struct ReadOnlyFile<M>(Arc<dyn File>, Arc<M>);

impl<M: Meddler> Storage for ReadOnly<M> {
    fn open_directory(&self, path: &Path, links: Links) -> Result<Option<Arc<dyn Directory>>> {
        let opened = self.0.open_directory(path, links)?;
        if !self.1.is_in(path) {
            return Ok(opened);
        }
        Ok(opened.map(|d| Arc::new(ReadOnlyDirectory(d, Arc::clone(&self.1))) as Arc<_>))
    }
    fn ensure_directory(&self, path: &Path) -> Result<()> {
        panic!("a reader made {path:?}")
    }
    fn create_directory(&self, path: &Path, _mode: u32) -> Result<()> {
        panic!("a reader made {path:?}")
    }
    fn remove_directory(&self, path: &Path) -> Result<()> {
        panic!("a reader removed {path:?}")
    }
    fn boot_id(&self) -> Result<String> {
        self.0.boot_id()
    }
    fn random(&self) -> Result<u128> {
        self.0.random()
    }
    fn user(&self) -> u32 {
        self.0.user()
    }
}

impl<M: Meddler> Directory for ReadOnlyDirectory<M> {
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>> {
        assert_eq!(how, Open::Read, "a reader writes nothing");
        let Some(file) = self.0.open(name, how)? else { return Ok(None) };
        if !self.1.is_about(name) {
            return Ok(Some(file));
        }
        self.1.opened(&*self.0, name);
        Ok(Some(Arc::new(ReadOnlyFile(file, Arc::clone(&self.1)))))
    }
    fn rename(&self, from: &str, _to: &str) -> Result<()> {
        panic!("a reader renamed {from}")
    }
    fn remove(&self, name: &str) -> Result<bool> {
        panic!("a reader removed {name}")
    }
    fn sync(&self) -> Result<()> {
        panic!("a reader synced a directory")
    }
    fn status(&self) -> Result<DirectoryStatus> {
        self.0.status()
    }
    fn status_of(&self, name: &str) -> Result<Option<FileStatus>> {
        self.0.status_of(name)
    }
    fn try_lock(&self) -> Result<DirectoryLock> {
        panic!("a reader locked a directory")
    }
    fn unlock(&self) {}
    fn lock_owner(&self) -> Option<u32> {
        None
    }
    fn lock(&self, name: &str) -> Result<Arc<dyn File>> {
        panic!("a reader locked {name}")
    }
}

impl<M: Meddler> File for ReadOnlyFile<M> {
    fn size(&self) -> Result<u64> {
        self.0.size()
    }
    fn links(&self) -> Result<u64> {
        self.0.links()
    }
    fn inode(&self) -> Result<(u64, u64)> {
        self.0.inode()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.1.read_at(&*self.0, buffer, offset)
    }
    fn write_at(&self, _bytes: &[u8], _offset: u64) -> Result<()> {
        panic!("a reader wrote")
    }
    fn allocate(&self, _size: u64) -> Result<()> {
        panic!("a reader allocated")
    }
    fn sync(&self) -> Result<()> {
        panic!("a reader synced")
    }
    fn try_lock_exclusive(&self) -> Result<bool> {
        panic!("a reader took an exclusive lock")
    }
    fn try_lock_shared(&self) -> Result<bool> {
        assert!(self.1.may_hold(), "a reader locked an active file");
        self.0.try_lock_shared()
    }
    fn unlock(&self) -> Result<()> {
        assert!(self.1.may_hold(), "a reader locked an active file");
        self.0.unlock()
    }
    fn map(&self, size: u64, writable: bool) -> Result<Mapping> {
        assert!(self.1.may_hold(), "only followers map active files");
        assert!(!writable, "a reader maps for reading");
        self.1.map(&*self.0, size)
    }
}
