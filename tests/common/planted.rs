//! A storage with a bug, to be put under a recorder.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirEntryExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flashstrike_wal::directory::load_meta;
use flashstrike_wal::error::{Error, Result};
use flashstrike_wal::format::file_name::{self, FileName};
use flashstrike_wal::format::SEGMENT_HEADER_SIZE;
use flashstrike_wal::format::{MetaState, SegmentHeader};
use flashstrike_wal::storage::{
    Directory, DirectoryLock, DirectoryStatus, File, FileStatus, Links, Mapping, Open, Pages,
    PosixStorage, Storage,
};

pub use super::bugs::Bug;
use super::exchange::exchange;

/// Bytes of a page of a file.
const PAGE: usize = 4096;

/// Which write of events is skipped, counted from 1.
const SKIPPED_WRITE: u64 = 7;

/// A storage with a bug, or merely slow, for the segment files of one WAL directory.
#[derive(Debug)]
pub struct Planted {
    inner: Arc<dyn Storage>,
    wal: PathBuf,
    state: Arc<State>,
}

/// What is called with the path of a directory.
struct Hook(Box<dyn Fn(&Path) + Send + Sync>);

impl Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[derive(Debug)]
struct State {
    bug: Option<Bug>,
    /// After the names in a directory were listed.
    on_listing: Option<Hook>,
    /// After it was tried to lock the WAL directory.
    on_locking: Option<Hook>,
    /// The shortest time a sync takes: for that long, a failure finds data written but not synced.
    sync_time: Duration,
    /// Whether no direct writes are taken.
    only_through_the_cache: bool,
    event_writes: AtomicU64,
    /// What names led to when they were first looked at.
    seen: Mutex<BTreeMap<String, Option<FileStatus>>>,
    /// While the log is being recovered: its end according to meta.
    recovering_to: Mutex<Option<MetaState>>,
}

impl Planted {
    /// Like `inner`, except for the log in `wal`, which must be the path it is opened by.
    pub fn new(inner: Arc<dyn Storage>, bug: Bug, wal: &Path) -> Self {
        Self::slow(inner, Some(bug), Duration::ZERO, wal)
    }

    /// The real filesystem, with or without a bug for the log in `wal`.
    pub fn posix(bug: Option<Bug>, wal: &Path) -> Arc<dyn Storage> {
        let storage = Arc::new(PosixStorage::for_writing());
        match bug {
            Some(bug) => Arc::new(Planted::new(storage, bug, wal)),
            None => storage,
        }
    }

    /// The real filesystem with slow syncs, with or without a bug.
    pub fn slow(
        inner: Arc<dyn Storage>,
        bug: Option<Bug>,
        sync_time: Duration,
        wal: &Path,
    ) -> Self {
        let state = State {
            bug,
            on_listing: None,
            on_locking: None,
            sync_time,
            only_through_the_cache: false,
            event_writes: AtomicU64::new(0),
            seen: Mutex::default(),
            recovering_to: Mutex::new(None),
        };
        Planted { inner, wal: wal.to_owned(), state: Arc::new(state) }
    }

    /// The real filesystem, where something happens each time that names are listed.
    pub fn on_listing(wal: &Path, call: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        let storage = Arc::new(PosixStorage::for_writing());
        let mut planted = Self::slow(storage, None, Duration::ZERO, wal);
        let state = Arc::get_mut(&mut planted.state).expect("nothing was opened yet");
        state.on_listing = Some(Hook(Box::new(call)));
        planted
    }

    /// The real filesystem, where something happens each time that locking the log was tried.
    pub fn on_locking(wal: &Path, call: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        let storage = Arc::new(PosixStorage::for_writing());
        let mut planted = Self::slow(storage, None, Duration::ZERO, wal);
        let state = Arc::get_mut(&mut planted.state).expect("nothing was opened yet");
        state.on_locking = Some(Hook(Box::new(call)));
        planted
    }

    /// The same, on a filesystem that takes no writes past the page cache.
    pub fn through_the_cache(mut self) -> Self {
        let state = Arc::get_mut(&mut self.state).expect("nothing was opened yet");
        state.only_through_the_cache = true;
        self
    }
}

impl Storage for Planted {
    fn open_directory(&self, path: &Path, links: Links) -> Result<Option<Arc<dyn Directory>>> {
        let opened = self.inner.open_directory(path, links)?;
        // These bugs are in other directories too: the active one, whose lock would otherwise keep
        // others out, and that of the holds.
        let is_everywhere =
            matches!(self.state.bug, Some(Bug::LockOnNameOnly | Bug::DeletedWithoutLock));
        if path != self.wal && !is_everywhere && self.state.on_listing.is_none() {
            return Ok(opened);
        }
        Ok(opened.map(|inner| -> Arc<dyn Directory> {
            Arc::new(PlantedDirectory { inner, state: Arc::clone(&self.state) })
        }))
    }

    fn ensure_directory(&self, path: &Path) -> Result<()> {
        self.inner.ensure_directory(path)
    }

    fn create_directory(&self, path: &Path, mode: u32) -> Result<()> {
        self.inner.create_directory(path, mode)
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        self.inner.remove_directory(path)
    }

    fn boot_id(&self) -> Result<String> {
        self.inner.boot_id()
    }

    fn random(&self) -> Result<u128> {
        self.inner.random()
    }

    fn user(&self) -> u32 {
        self.inner.user()
    }
}

#[derive(Debug)]
struct PlantedDirectory {
    inner: Arc<dyn Directory>,
    state: Arc<State>,
}

impl PlantedDirectory {
    /// The name that a file really gets.
    fn real<'a>(&self, name: &'a str) -> &'a str {
        let is_early = self.state.bug == Some(Bug::SnapshotNamedEarly) && name.starts_with("SNAP.");
        match name.strip_suffix(file_name::TEMPORARY_SUFFIX) {
            Some(own) if is_early => own,
            _ => name,
        }
    }
}

impl Directory for PlantedDirectory {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> Result<Vec<String>> {
        let names = self.inner.list();
        if let Some(Hook(call)) = &self.state.on_listing {
            call(self.path());
        }
        names
    }

    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>> {
        let opened = self.inner.open(self.real(name), how)?;
        let is_twisted = match self.state.bug {
            Some(Bug::SnapshotNotSynced) => name.starts_with("SNAP."),
            Some(Bug::WatermarkAhead) => name == file_name::META,
            _ => false,
        };
        let index = segment_index(name).or(is_twisted.then_some(u32::MAX));
        let Some(index) = index else { return Ok(opened) };
        Ok(opened.map(|inner| -> Arc<dyn File> {
            let directory = self.path().to_owned();
            let state = Arc::clone(&self.state);
            Arc::new(PlantedFile { inner, directory, index, state, owes_sync: Mutex::new(false) })
        }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        if to == file_name::IDENTITY {
            // The log is closed, or already the new generation: recovery has ended.
            *self.state.recovering_to.lock().unwrap() = None;
        }
        if self.state.bug == Some(Bug::NothingKeptAside) && to.contains(".corrupt") {
            return self.inner.remove(from).map(drop);
        }
        if self.state.bug == Some(Bug::ColdFileOfOthers) && to.ends_with(".wal.lz4") {
            exchange(&*self.inner, from)?;
        }
        match self.real(from) == to {
            true => Ok(()),
            false => self.inner.rename(from, to),
        }
    }

    fn remove(&self, name: &str) -> Result<bool> {
        if self.state.bug == Some(Bug::DeletedWithoutLock) && segment_index(name).is_some() {
            std::thread::sleep(Duration::from_millis(10));
        }
        match self.real(name) == name {
            true => self.inner.remove(name),
            false => Ok(false),
        }
    }

    fn sync(&self) -> Result<()> {
        std::thread::sleep(self.state.sync_time);
        self.inner.sync()
    }

    fn status(&self) -> Result<DirectoryStatus> {
        self.inner.status()
    }

    fn status_of(&self, name: &str) -> Result<Option<FileStatus>> {
        let now = self.inner.status_of(self.real(name))?;
        if self.state.bug != Some(Bug::NamesNotLookedAt) {
            return Ok(now);
        }
        let mut seen = self.state.seen.lock().unwrap();
        Ok(seen.entry(name.to_owned()).or_insert(now).to_owned())
    }

    fn try_lock(&self) -> Result<DirectoryLock> {
        if self.state.bug == Some(Bug::LockOnNameOnly) {
            return Ok(DirectoryLock::Unsupported);
        }
        let locked = self.inner.try_lock();
        if let Some(Hook(call)) = &self.state.on_locking {
            call(self.path());
        }
        locked
    }

    fn unlock(&self) {
        self.inner.unlock();
    }

    fn lock_owner(&self) -> Option<u32> {
        self.inner.lock_owner()
    }

    fn lock(&self, name: &str) -> Result<Arc<dyn File>> {
        if self.state.bug == Some(Bug::DeletedWithoutLock) && name == file_name::HOLDS_LOCK {
            if let Some(unlocked) = self.inner.open(name, Open::Write)? {
                return Ok(unlocked);
            }
        }
        let lock = self.inner.lock(name)?;
        if self.state.bug == Some(Bug::RecoveryThatTrustsMeta) {
            *self.state.recovering_to.lock().unwrap() = load_meta(&*self.inner)?.flatten();
        }
        Ok(lock)
    }
}

/// The index of a hot segment, finished or being prepared.
fn segment_index(name: &str) -> Option<u32> {
    let name = name.strip_suffix(file_name::TEMPORARY_SUFFIX).unwrap_or(name);
    match file_name::parse(name) {
        Some(FileName::Hot(index)) => Some(index),
        _ => None,
    }
}

#[derive(Debug)]
struct PlantedFile {
    inner: Arc<dyn File>,
    directory: PathBuf,
    index: u32,
    state: Arc<State>,
    owes_sync: Mutex<bool>,
}

impl PlantedFile {
    /// Does the sync that [`Bug::WatermarkBeforeSync`] has postponed.
    fn settle(&self) -> Result<()> {
        if std::mem::take(&mut *self.owes_sync.lock().unwrap()) {
            self.sync_slowly()?;
        }
        Ok(())
    }

    fn sync_slowly(&self) -> Result<()> {
        std::thread::sleep(self.state.sync_time);
        self.inner.sync()
    }

    /// Writes whole pages past the page cache, and leaves them in the cache of the disk.
    fn write_unsynced(&self, pages: &[u8], offset: u64) -> Result<()> {
        let (_, inode) = self.inner.inode()?;
        let write = || {
            for name in fs::read_dir(&self.directory)? {
                let name = name?;
                if name.ino() == inode {
                    let mut options = OpenOptions::new();
                    let file =
                        options.write(true).custom_flags(libc::O_DIRECT).open(name.path())?;
                    return file.write_all_at(pages, offset);
                }
            }
            Err(io::ErrorKind::NotFound.into())
        };
        write().map_err(|error| Error::io(self.directory.display(), &error))
    }

    /// Writes the pages that these bytes are in, and so beyond the end of the file.
    fn write_whole_pages(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let before = offset as usize % PAGE;
        let begin = offset - before as u64;
        let mut pages = Pages::new(before + bytes.len());
        self.inner.read_at(&mut pages[..before], begin)?;
        pages[before..][..bytes.len()].copy_from_slice(bytes);
        self.write_unsynced(&pages, begin)
    }

    /// Whether this write is the one to skip.
    fn is_skipped(&self, bytes: &[u8], offset: u64) -> bool {
        self.state.bug == Some(Bug::SkippedBlock)
            && holds_events(bytes, offset)
            && self.state.event_writes.fetch_add(1, Ordering::Relaxed) + 1 == SKIPPED_WRITE
    }
}

/// The header of an open segment in place of a closed one's.
fn reopened(bytes: &[u8]) -> Vec<u8> {
    let header = bytes.first_chunk().and_then(SegmentHeader::decode);
    match header.filter(|header| header.is_closed()) {
        Some(header) => {
            SegmentHeader::open(header.segment_index, header.created_ts_ns).encode().to_vec()
        }
        None => bytes.to_vec(),
    }
}

/// Whether this writes events, not a header or zeros.
fn holds_events(bytes: &[u8], offset: u64) -> bool {
    let is_header = offset == 0 && bytes.len() <= SEGMENT_HEADER_SIZE;
    !is_header && bytes.iter().any(|byte| *byte != 0)
}

impl File for PlantedFile {
    fn size(&self) -> Result<u64> {
        self.inner.size()
    }

    fn links(&self) -> Result<u64> {
        self.inner.links()
    }

    fn inode(&self) -> Result<(u64, u64)> {
        self.inner.inode()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if self.state.bug == Some(Bug::WatermarkAhead) && self.index == u32::MAX {
            let ahead = MetaState { last_event_id: u64::MAX - 1, ..MetaState::default() }.encode();
            let read = ahead.len().min(buffer.len());
            buffer[..read].copy_from_slice(&ahead[..read]);
            return Ok(read);
        }
        let read = match self.inner.read_at(buffer, offset) {
            Err(_) if self.state.bug == Some(Bug::ReadErrorIsEmpty) => 0,
            read => read?,
        };
        if let Some(end) = *self.state.recovering_to.lock().unwrap() {
            let end_offset = match self.index.cmp(&end.last_segment_index) {
                std::cmp::Ordering::Less => u64::MAX,
                std::cmp::Ordering::Equal => u64::from(end.last_offset),
                std::cmp::Ordering::Greater => 0,
            };
            let kept = end_offset.saturating_sub(offset).min(read as u64);
            buffer[kept as usize..read].fill(0);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.settle()?;
        if self.is_skipped(bytes, offset) {
            return Ok(());
        }
        if self.state.bug == Some(Bug::HeaderReopenedEarly) && offset == 0 {
            return self.inner.write_at(&reopened(bytes), 0);
        }
        let end_of_page = (offset + bytes.len() as u64).next_multiple_of(PAGE as u64);
        if self.state.bug == Some(Bug::FileThatGrows)
            && holds_events(bytes, offset)
            && end_of_page > self.size()?
        {
            return self.write_whole_pages(bytes, offset);
        }
        self.inner.write_at(bytes, offset)
    }

    fn write_durably(&self, pages: &Pages, bytes: Range<usize>, offset: u64) -> Result<bool> {
        self.settle()?;
        if self.state.only_through_the_cache {
            return Ok(false);
        }
        if self.is_skipped(&pages[bytes.clone()], offset) {
            return Ok(true);
        }
        if matches!(self.state.bug, Some(Bug::SyncThatLies | Bug::WatermarkBeforeSync)) {
            self.inner.write_at(&pages[bytes], offset)?;
            return self.sync().map(|()| true);
        }
        if self.state.bug == Some(Bug::DirectWriteNotSynced) {
            return self.write_unsynced(&pages[bytes], offset).map(|()| true);
        }
        if self.state.bug == Some(Bug::HeaderBeforeEvents) {
            // The first page has the header of the first block. The other pages stay in the cache.
            let events = bytes.start + PAGE..bytes.end;
            let written = self.inner.write_durably(pages, bytes.start..events.start, offset);
            self.inner.write_at(&pages[events], offset + PAGE as u64)?;
            return written;
        }
        std::thread::sleep(self.state.sync_time);
        let written = self.inner.write_durably(pages, bytes.clone(), offset);
        if written.is_err() && self.state.bug == Some(Bug::SyncTriedAgain) {
            return self.inner.write_durably(pages, bytes, offset);
        }
        written
    }

    fn allocate(&self, size: u64) -> Result<()> {
        self.inner.allocate(size)
    }

    fn give_back_memory(&self) {
        self.inner.give_back_memory();
    }

    fn sync(&self) -> Result<()> {
        self.settle()?;
        match self.state.bug {
            Some(Bug::SnapshotNotSynced) if self.index == u32::MAX => Ok(()),
            Some(Bug::SyncThatLies) => Ok(()),
            Some(Bug::WatermarkBeforeSync) => {
                *self.owes_sync.lock().unwrap() = true;
                Ok(())
            }
            Some(Bug::SyncTriedAgain) => self.sync_slowly().or_else(|_| self.sync_slowly()),
            _ => self.sync_slowly(),
        }
    }

    fn try_lock_exclusive(&self) -> Result<bool> {
        self.inner.try_lock_exclusive()
    }

    fn try_lock_shared(&self) -> Result<bool> {
        self.inner.try_lock_shared()
    }

    fn unlock(&self) -> Result<()> {
        self.inner.unlock()
    }

    fn map(&self, size: u64, writable: bool) -> Result<Mapping> {
        self.inner.map(size, writable)
    }
}
