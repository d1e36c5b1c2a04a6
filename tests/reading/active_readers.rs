//! Readers that stand in the writer's memory: they take nothing from it, and are given nothing that
//! was overwritten.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::read_only::{Meddler, ReadOnly};
use common::{append, child, event, eventually, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::{Error, Result};
use flashstrike_wal::recorder::Writer;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::File;

const PER_SEGMENT: u64 = 16 * 256;

/// The smallest active set there is.
fn smallest(place: &Place) -> Config {
    Config { prepared_segments: 1, ..place.small() }
}

fn inodes(directory: &Path) -> BTreeSet<u64> {
    let segments = common::paths(directory).into_iter().filter(|path| {
        path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("FS."))
    });
    segments.filter_map(|path| Some(fs::metadata(path).ok()?.ino())).collect()
}

/// A process stopped in the middle of reading, in each active file: the writer goes on in the same
/// files (tmpfs gives no inode number twice). Then the readers go on, and find every event.
#[test]
fn f43_stopped_readers_hold_neither_the_writer_nor_its_memory() {
    let place = Place::new();
    let config = smallest(&place);
    let active_set = config.active_set() as u64;
    let (manager, mut writer) = open(&place.log(), config);
    let active = place.active_directories().remove(0);
    let (mut stopped, mut used) = (Vec::new(), BTreeSet::new());
    const SEGMENTS: u64 = 20;
    let last = SEGMENTS * PER_SEGMENT;
    for segment in 0..SEGMENTS {
        let first = segment * PER_SEGMENT + 1;
        let at = first + PER_SEGMENT - 10;
        append(&mut writer, first..=at);
        if segment <= active_set {
            let reader = child::spawn("stand", &[&place.log().display(), &at, &last]);
            eventually("a reader has stopped", || child::is_stopped(&reader));
            stopped.push(reader);
        }
        append(&mut writer, at + 1..first + PER_SEGMENT);
        used.append(&mut inodes(&active));
    }
    assert!(used.len() as u64 <= active_set, "{active_set} files are enough: {used:?}");
    child::go_on("stand", stopped);
    manager.shutdown(writer).unwrap();
}

/// Readers stand in active files of a log that is killed and opened, again and again, where there
/// is memory for it alone.
#[test]
fn f43_readers_of_earlier_generations_pin_no_memory() {
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    let (log, memory) = (place.log(), place.memory().display());
    let size = common::memory_of_one(&common::crash::config(place.memory()));
    let options = format!("-o size={size} none {memory}");
    child::play_with_a_mount(&options, "stand-through-kills", &[&log.display(), &memory]);
}

/// Before a chosen read of an active file is half done, the writer fills all active files anew.
struct Overtaker {
    wal: PathBuf,
    writer: Mutex<Writer>,
    last: AtomicU64,
    events: u64,
    /// Reads of active files until the writer overtakes; 0 = it has.
    reads: AtomicU64,
}

impl std::fmt::Debug for Overtaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overtaker")
    }
}

impl Overtaker {
    fn append(&self, events: u64) {
        let last = self.last.load(Ordering::Relaxed);
        append(&mut self.writer.lock().unwrap(), last + 1..=last + events);
        self.last.store(last + events, Ordering::Relaxed);
    }

    fn is_due(&self) -> bool {
        let left = self.reads.load(Ordering::Relaxed);
        self.reads.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 1
    }
}

impl Meddler for Overtaker {
    fn is_in(&self, directory: &Path) -> bool {
        directory != self.wal
    }

    fn is_about(&self, name: &str) -> bool {
        name.starts_with("FS.")
    }

    fn read_at(&self, file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if !self.is_due() {
            return file.read_at(buffer, offset);
        }
        let half = buffer.len() / 128 * 64;
        let read = file.read_at(&mut buffer[..half], offset)?;
        self.append(self.events);
        Ok(read + file.read_at(&mut buffer[half..], offset + half as u64)?)
    }

    fn may_hold(&self) -> bool {
        false
    }
}

/// The writer overtakes a reader at every read that it makes of an active file, in the middle of
/// the copy. Every event from the one sought is given out once, as it was appended.
#[test]
fn f43_what_was_overwritten_meanwhile_is_not_given_out() {
    let place = Place::new();
    let config = smallest(&place);
    let events = (config.active_set() as u64 + 1) * PER_SEGMENT;
    let (manager, writer) = open(&place.log(), config);
    let writer = Arc::new(Overtaker {
        wal: place.log(),
        writer: Mutex::new(writer),
        last: AtomicU64::new(0),
        events,
        reads: AtomicU64::new(0),
    });
    writer.append(1000);
    for read in 1.. {
        let first = writer.last.load(Ordering::Relaxed).saturating_sub(700).max(1);
        writer.reads.store(read, Ordering::Relaxed);
        let options = ReaderOptions { verify: true };
        let mut reader =
            Reader::open_with(ReadOnly::under(&writer), &place.log(), options).unwrap();
        reader.seek(first).unwrap();
        let mut expected = first;
        let mut ended = false;
        loop {
            let last = writer.last.load(Ordering::Relaxed);
            match reader.next() {
                Ok(found) => assert_eq!(found, event(expected), "read {read}"),
                Err(Error::End) => {
                    // That is how it was when the call began: the writer may have gone on since.
                    assert_eq!(expected, last + 1, "read {read}: an end before the last event");
                    let goes_on = writer.last.load(Ordering::Relaxed) > last;
                    if ended && !goes_on {
                        break;
                    }
                    ended = true;
                    continue;
                }
                Err(error) => panic!("read {read}, event {expected}: {error}"),
            }
            expected += 1;
        }
        if writer.reads.load(Ordering::Relaxed) > 0 {
            // That many reads it does not make: the writer was behind it all the time.
            assert!(read > 10, "{read} reads of active files");
            break;
        }
        // In the middle of a block of the next segment.
        writer.append(PER_SEGMENT / 2 + 77);
    }
    let writer = Arc::into_inner(writer).expect("every reader is gone");
    manager.shutdown(writer.writer.into_inner().unwrap()).unwrap();
}
