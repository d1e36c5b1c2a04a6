//! A bad sector under the reader: it returns everything before the sector, then an I/O error, and
//! continues there once the sector can be read again. And a file that is recycled between being
//! opened and being locked.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use common::segments::{failure, read_on, read_to_end, Image, Log};
use flashstrike_wal::error::{Cause, Error, Result};
use flashstrike_wal::format::Layout;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::{
    Directory, DirectoryLock, DirectoryStatus, File, FileStatus, Links, Mapping, Open,
    PosixStorage, Storage,
};

/// What goes wrong, and in which file.
#[derive(Debug)]
struct Fault {
    file: &'static str,
    /// The writer recycles the file just after it is opened.
    recycle: AtomicBool,
    /// Then another file with the same content gets its name.
    renew: bool,
    /// The offset of an unreadable sector, while `broken`.
    offset: u64,
    broken: AtomicBool,
    /// The error number; 0 for a storage that gives none.
    errno: i32,
}

impl Fault {
    fn bad_sector(file: &'static str, offset: u64, errno: i32) -> Arc<Self> {
        let broken = AtomicBool::new(true);
        Arc::new(Fault {
            file,
            recycle: AtomicBool::new(false),
            renew: false,
            offset,
            broken,
            errno,
        })
    }

    fn recycled(file: &'static str, renew: bool) -> Arc<Self> {
        let (recycle, broken) = (AtomicBool::new(true), AtomicBool::new(false));
        Arc::new(Fault { file, recycle, renew, offset: 0, broken, errno: 0 })
    }
}

/// The real storage with that fault.
#[derive(Debug)]
struct FaultyStorage(PosixStorage, Arc<Fault>);

#[derive(Debug)]
struct FaultyDirectory(Arc<dyn Directory>, Arc<Fault>);

#[derive(Debug)]
struct FaultyFile(Arc<dyn File>, Arc<Fault>);

impl Storage for FaultyStorage {
    fn open_directory(&self, path: &Path, links: Links) -> Result<Option<Arc<dyn Directory>>> {
        let directory = self.0.open_directory(path, links)?;
        Ok(directory.map(|d| Arc::new(FaultyDirectory(d, Arc::clone(&self.1))) as Arc<_>))
    }
    fn ensure_directory(&self, path: &Path) -> Result<()> {
        self.0.ensure_directory(path)
    }
    fn create_directory(&self, path: &Path, mode: u32) -> Result<()> {
        self.0.create_directory(path, mode)
    }
    fn remove_directory(&self, path: &Path) -> Result<()> {
        self.0.remove_directory(path)
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

impl Directory for FaultyDirectory {
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>> {
        assert_eq!(how, Open::Read, "a reader writes nothing");
        let file = self.0.open(name, how)?;
        if file.is_some() && name == self.1.file && self.1.recycle.swap(false, Ordering::Relaxed) {
            let (from, to) = (self.0.path_of(name), self.0.path_of("FS.00000009.wal.tmp"));
            let content = std::fs::read(&from).unwrap();
            std::fs::rename(&from, &to).unwrap();
            if self.1.renew {
                std::fs::write(&from, content).unwrap();
            }
            let file = std::fs::OpenOptions::new().write(true).open(to).unwrap();
            file.write_all_at(&[7; 64], Layout::event_offset(0)).unwrap();
        }
        Ok(match file {
            Some(file) if name == self.1.file => {
                Some(Arc::new(FaultyFile(file, Arc::clone(&self.1))))
            }
            other => other,
        })
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

impl File for FaultyFile {
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
        let hit = (offset..offset + buffer.len() as u64).contains(&self.1.offset);
        if !hit || !self.1.broken.load(Ordering::Relaxed) {
            return self.0.read_at(buffer, offset);
        }
        Err(match self.1.errno {
            0 => Error::new(Cause::Io, "bad sector"),
            errno => Error::io("bad sector", &std::io::Error::from_raw_os_error(errno)),
        })
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
        self.0.try_lock_shared()
    }
    fn unlock(&self) -> Result<()> {
        self.0.unlock()
    }
    fn map(&self, size: u64, writable: bool) -> Result<Mapping> {
        assert!(!writable, "a reader maps for reading");
        self.0.map(size, false)
    }
}

fn reader(log: &Log, fault: &Arc<Fault>) -> Reader {
    let storage = FaultyStorage(PosixStorage::for_reading(), Arc::clone(fault));
    let options = ReaderOptions { verify: true };
    Reader::open_with(Arc::new(storage), &log.path(), options).unwrap()
}

#[test]
fn a_bad_sector_in_a_hot_segment() {
    let log = Log::of(&[Image::closed(0, 1..=5000), Image::closed(1, 5001..=5100)]);
    // In the header, in the blocks of the first read, and further on.
    for (offset, last) in
        [(0, 0), (Layout::block_offset(3) + 700, 768), (Layout::block_offset(18), 4608)]
    {
        for errno in [0, rustix::io::Errno::IO.raw_os_error()] {
            let sector = Fault::bad_sector("FS.00000000.wal", offset, errno);
            let mut reader = reader(&log, &sector);
            let (ids, error) = read_on(&mut reader);
            assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{offset}");
            assert_eq!(failure(&error, Cause::Io).errno, errno);
            let (ids, error) = read_on(&mut reader);
            assert_eq!((ids, error.cause()), (vec![], Some(Cause::Io)), "asked again");
            sector.broken.store(false, Ordering::Relaxed);
            assert_eq!(read_to_end(&mut reader), (last + 1..=5100).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_bad_sector_in_a_cold_segment() {
    let log = Log::of(&[Image::closed(0, 1..=9000), Image::closed(1, 9001..=9100)]);
    log.freeze(0);
    let size = std::fs::metadata(log.cold(0)).unwrap().len();
    for offset in [0, 100, size / 2, size - 1] {
        for errno in [0, rustix::io::Errno::IO.raw_os_error()] {
            let sector = Fault::bad_sector("FS.00000000.wal.lz4", offset, errno);
            let mut reader = reader(&log, &sector);
            let (ids, error) = read_on(&mut reader);
            let last = ids.len() as u64;
            assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{offset} of {size}");
            let failure = failure(&error, Cause::Io);
            assert_eq!((failure.errno, failure.place.segment_index), (errno, Some(0)));
            sector.broken.store(false, Ordering::Relaxed);
            assert_eq!(read_to_end(&mut reader), (last + 1..=9100).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_bad_sector_in_an_open_segment() {
    let log = Log::of(&[Image::closed(0, 1..=300), Image::open(1, 301..=1000)]);
    // The search for durable ids and the reading of events both meet it, wherever it is.
    for (offset, last) in [(Layout::block_offset(1), 300), (Layout::block_offset(1) + 700, 556)] {
        let sector = Fault::bad_sector("FS.00000001.wal", offset, 5);
        let mut reader = reader(&log, &sector);
        let (ids, error) = read_on(&mut reader);
        assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{offset}");
        assert_eq!(failure(&error, Cause::Io).errno, 5);
        sector.broken.store(false, Ordering::Relaxed);
        assert_eq!(read_to_end(&mut reader), (last + 1..=1000).collect::<Vec<_>>());
    }
}

#[test]
fn a_salvaging_reader_passes_a_header_that_cannot_be_read() {
    let log = Log::of(&[
        Image::closed(0, 1..=300),
        Image::open(1, 301..=1000),
        Image::open(2, 1001..=1100),
    ]);
    let sector = Fault::bad_sector("FS.00000001.wal", 0, 5);
    let storage = FaultyStorage(PosixStorage::for_reading(), Arc::clone(&sector));
    let mut reader = Reader::open_salvaging_with(Arc::new(storage), &log.path()).unwrap();
    let (mut ids, mut errors) = (Vec::new(), Vec::new());
    while errors.len() < 10 {
        match reader.next() {
            Ok(event) => ids.push(event.event_id),
            Err(Error::End) => break,
            Err(error) => errors.push(error),
        }
    }
    assert_eq!(ids, (1..=1000).collect::<Vec<_>>(), "{errors:?}");
    assert_eq!(errors.len(), 1, "it is reported once: {errors:?}");
    assert_eq!(failure(&errors[0], Cause::Io).place.segment_index, Some(1));
}

#[test]
fn a_file_that_lost_its_name_before_it_was_locked_is_not_read() {
    for renew in [false, true] {
        let log = Log::of(&[Image::closed(0, 1..=300), Image::closed(1, 301..=400)]);
        log.write_frame(0);
        let fault = Fault::recycled("FS.00000000.wal", renew);
        assert_eq!(read_to_end(&mut reader(&log, &fault)), (1..=400).collect::<Vec<_>>());
        assert!(!fault.recycle.load(Ordering::Relaxed), "the file was not recycled");
    }
}
