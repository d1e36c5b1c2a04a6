//! Compressing: what replaces a hot file is proved to hold the same, whatever happens beside it,
//! and several segments may be compressed at once.

use std::path::Path;
use std::sync::{Arc, Mutex};

use common::crash::SEGMENT;
use common::planted::Bug;
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::format::{Layout, BLOCK_SIZE, EVENT_SIZE};
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::{Manager, Role};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::simulated::{Crash, Machine, DISK, MEMORY};
use flashstrike_wal::storage::{Open, Storage};

use super::stepped::Stepped;

/// A log with a sink that keeps what is told.
fn telling(bug: Option<Bug>) -> (Stepped, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let sink = LogSink::new(move |_, message| telling.lock().unwrap().push(message.to_owned()));
    (Stepped::with_bug(Keep::All, sink, bug), told)
}

/// The ids of all events on disk.
fn ids(machine: &Machine) -> Vec<u64> {
    let storage: Arc<dyn Storage> = Arc::new(machine.process());
    let options = ReaderOptions { verify: true };
    let mut reader = Reader::open_with(storage, &Path::new(DISK).join("log"), options).unwrap();
    let mut ids = Vec::new();
    loop {
        match reader.next_batch() {
            Ok(batch) => ids.extend(batch.iter().map(|event| event.event_id)),
            Err(Error::End) => return ids,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The frame is without a fault, and its content is not the segment's.
#[test]
fn g11_a_cold_file_that_holds_something_else_replaces_nothing() {
    let (mut log, told) = telling(Some(Bug::ColdFileOfOthers));
    log.append(3 * SEGMENT + 1);
    log.step(&[Role::Freezer(0), Role::Maintainer]);
    assert!(log.has("FS.00000000.wal"), "the only good copy is gone");
    let metrics = log.manager.log().metrics();
    assert_eq!((metrics.compression_failures, metrics.cold_segments), (1, 0));
    assert!(!log.has("FS.00000000.wal.lz4") && !log.has("FS.00000000.wal.lz4.tmp"));
    let told = told.lock().unwrap();
    let different = told.iter().find(|message| message.contains("reads back different"));
    assert!(different.is_some(), "{told:?}");
    log.manager.log().poison().check().unwrap();
    assert!(ids(&log.machine).into_iter().eq(1..=3 * SEGMENT + 1));
}

/// Whichever byte that counts is another: it is found before a cold file takes its place.
#[test]
fn f5_damage_anywhere_in_a_hot_file_is_found_while_it_is_compressed() {
    let block = |block: u32| Layout::block_offset(block);
    let last_event = block(15) + BLOCK_SIZE as u64 - EVENT_SIZE as u64;
    for offset in [9, block(0) + 3, Layout::event_offset(0), block(7) + 9, last_event + 60] {
        let mut log = Stepped::with_one_to_freeze();
        let file = log.directory().open("FS.00000000.wal", Open::Write).unwrap().unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, offset).unwrap();
        file.write_at(&[byte[0] ^ 4], offset).unwrap();
        log.step(&[Role::Freezer(0), Role::Maintainer]);
        let metrics = log.manager.log().metrics();
        assert_eq!((metrics.damaged_segments, metrics.cold_segments), (1, 0), "at {offset}");
        assert!(log.has("FS.00000000.wal"), "at {offset}");
        assert!(!log.has("FS.00000000.wal.lz4") && !log.has("FS.00000000.wal.lz4.tmp"));
    }
}

/// The second and the third of four segments are cold, with their hot files gone, while the first
/// is still hot. They are one too many, and retention deletes nothing: there would be a hole. Read
/// and opened so, after a kill or a power cut, the log has everything.
#[test]
fn segments_are_compressed_in_any_order() {
    for crash in [None, Some(Crash::Kill), Some(Crash::PowerCut { seed: 5 })] {
        let mut log = Stepped::with_bug(Keep::AtMost(1), LogSink::default(), None);
        for id in 3 * SEGMENT + 1..=6 * SEGMENT + 1 {
            log.append(id);
        }
        // It keeps what has become of the first until its next step.
        log.crew.step(Role::Freezer(0)).unwrap();
        log.step(&[Role::Freezer(1), Role::Maintainer]);
        assert!(log.has("FS.00000000.wal"), "nobody has told yet that it is cold");
        assert!(log.has("FS.00000001.wal.lz4") && !log.has("FS.00000001.wal"));
        let metrics = log.manager.log().metrics();
        assert_eq!((metrics.cold_segments, metrics.segments_deleted), (2, 0));
        let all = 1..=6 * SEGMENT + 1;
        assert!(ids(&log.machine).into_iter().eq(all.clone()), "{crash:?}");
        if let Some(crash) = crash {
            let machine = log.machine.clone();
            drop(log);
            machine.crash(crash);
            let directory = Path::new(DISK).join("log");
            let config = Config {
                num_blocks: 16,
                max_segments: Keep::AtMost(3),
                max_compressed_segments: Keep::All,
                active_parent: MEMORY.into(),
                ..Config::default()
            };
            let opened = Manager::open_by_hand(Arc::new(machine.process()), &directory, config);
            let (manager, writer, crew) = opened.unwrap();
            assert_eq!(manager.log().appended().last_event_id, 6 * SEGMENT + 1);
            assert!(ids(&machine).into_iter().eq(all), "{crash:?}");
            manager.shutdown_by_hand(writer, crew).unwrap();
            continue;
        }
        log.step(&[Role::Freezer(0), Role::Maintainer]);
        let metrics = log.manager.log().metrics();
        assert_eq!((metrics.cold_segments, metrics.segments_deleted), (1, 3));
        assert!(ids(&log.machine).into_iter().eq(3 * SEGMENT + 1..=6 * SEGMENT + 1));
        log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();
    }
}
