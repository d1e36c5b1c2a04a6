//! A log to tamper with, and how to read it afterwards.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::format::IdentityRecord;
use flashstrike_wal::replay::{Reader, ReaderOptions};

use crate::event;
use crate::segments::{Image, Log};

/// The last event.
pub const LAST: u64 = 1500;

/// A log after a restart of the machine: two closed segments and an open one.
pub fn log() -> Log {
    let log = Log::of(&[
        Image::closed(0, 1..=600),
        Image::closed(1, 601..=1000),
        Image { stamp: 1300, ..Image::open(2, 1001..=LAST) },
    ]);
    log.write_meta(1400);
    let here = fs::metadata(log.path()).unwrap();
    log.write_identity(&IdentityRecord {
        id: 7,
        wal_dev: here.dev(),
        wal_ino: here.ino(),
        generation: 3,
        boot_id: "11111111-2222-3333-4444-555555555555".into(),
        active_path: "/dev/shm/gone".into(),
        clean: false,
        ..IdentityRecord::default()
    });
    log
}

pub fn config(memory: &Path) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1,
        max_segments: Keep::All,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// Reads the whole log: every event must be the one of its id, and none may be missing between the
/// first and the last. Returns those two, and the error or end that reading stopped with.
pub fn read(log: &Path) -> ((u64, u64), Error) {
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    let mut ids = (1, 0);
    loop {
        match reader.next() {
            Ok(found) => {
                if ids.1 == 0 {
                    ids = (found.event_id, found.event_id - 1);
                }
                ids.1 += 1;
                assert_eq!(found, event(ids.1));
            }
            Err(end) => return (ids, end),
        }
    }
}

/// Runs something that may hang, and fails after a time limit.
pub fn within_time<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    const LONGEST: Duration = Duration::from_secs(300);
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(run()));
    result.recv_timeout(LONGEST).unwrap_or_else(|error| panic!("{what}: {error}"))
}
