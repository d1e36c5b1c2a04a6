//! A bad sector under the reader: it returns everything before the sector, then an I/O error, and
//! continues there once the sector can be read again. And a file that is recycled between being
//! opened and being locked.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use common::read_only::{Meddler, ReadOnly};
use common::segments::{failure, read_on, read_to_end, Image, Log};
use flashstrike_wal::error::{Cause, Error, Result};
use flashstrike_wal::format::Layout;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::{Directory, File};

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

impl Meddler for Fault {
    fn is_about(&self, name: &str) -> bool {
        name == self.file
    }

    fn opened(&self, directory: &dyn Directory, name: &str) {
        if !self.recycle.swap(false, Ordering::Relaxed) {
            return;
        }
        let (from, to) = (directory.path_of(name), directory.path_of("FS.00000009.wal.tmp"));
        let content = std::fs::read(&from).unwrap();
        std::fs::rename(&from, &to).unwrap();
        if self.renew {
            std::fs::write(&from, content).unwrap();
        }
        let file = std::fs::OpenOptions::new().write(true).open(to).unwrap();
        file.write_all_at(&[7; 64], Layout::event_offset(0)).unwrap();
    }

    fn read_at(&self, file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let hit = (offset..offset + buffer.len() as u64).contains(&self.offset);
        if !hit || !self.broken.load(Ordering::Relaxed) {
            return file.read_at(buffer, offset);
        }
        Err(match self.errno {
            0 => Error::new(Cause::Io, "bad sector"),
            errno => Error::io("bad sector", &std::io::Error::from_raw_os_error(errno)),
        })
    }
}

fn reader(log: &Log, fault: &Arc<Fault>) -> Reader {
    let options = ReaderOptions { verify: true };
    Reader::open_with(ReadOnly::under(fault), &log.path(), options).unwrap()
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
    let mut reader = Reader::open_salvaging_with(ReadOnly::under(&sector), &log.path()).unwrap();
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
