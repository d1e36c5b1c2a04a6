//! Files that were moved, copied or exchanged between opens: neither memory nor a good file is
//! dropped for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use common::crash::{accepting_loss, assert_refused, crash, recover, SEGMENT};
use common::{append, assert_holds, decision, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::replay::{Reader, ReaderOptions};

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A log that crashed, copied to another disk, and the original removed: its newest events are in
/// memory, and nobody else will carry them over.
#[test]
fn f10_memory_of_a_log_that_was_moved_is_not_dropped() {
    let place = Place::new();
    crash(&place, 50, 100);
    let moved = place.base().join("moved");
    copy(&place.log(), &moved);
    // While the original is there, it is a copy.
    let beside = place.base().join("beside");
    copy(&place.log(), &beside);
    let (manager, writer) = open(&beside, place.small());
    assert_eq!(decision(&manager), "copy");
    manager.shutdown(writer).unwrap();
    fs::rename(place.log(), place.base().join("away")).unwrap();
    fs::remove_dir_all(place.base().join("away")).unwrap();
    fs::rename(&moved, place.log()).unwrap();
    assert_refused(&place, &["moved", "is waiting with the newest events"]);
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(manager.log().appended().last_event_id, 50);
    assert_eq!(place.active_directories().len(), 2, "the memory is never touched");
    manager.shutdown(writer).unwrap();
}

/// The identity of another log, copied in, hides no memory either.
#[test]
fn f3_another_logs_identity_does_not_hide_the_memory() {
    let (place, other) = (Place::new(), Place::new());
    crash(&other, 10, 10);
    recover(&other, 10);
    crash(&place, 50, 100);
    fs::copy(other.log().join("wal_identity"), place.log().join("wal_identity")).unwrap();
    let (decision, notes) = recover(&place, 100);
    assert_eq!(decision, "process-crash");
    assert!(notes.contains("wal_identity is taken from"), "{notes}");
}

/// A hot file of another segment beside a good cold one is not that segment.
#[test]
fn f7_a_hot_file_of_another_segment_does_not_displace_a_cold_one() {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(2), ..place.small() };
    let (manager, mut writer) = open(&place.log(), config.clone());
    append(&mut writer, 1..=5 * SEGMENT + 10);
    common::eventually("some are cold", || manager.log().metrics().cold_segments >= 2);
    manager.shutdown(writer).unwrap();
    let (one, five) = (place.log().join("FS.00000001.wal"), place.log().join("FS.00000005.wal"));
    assert!(!one.exists());
    fs::copy(&five, &one).unwrap();
    let (manager, writer) = open(&place.log(), config);
    let notes = manager.log().recovery_report().notes.clone();
    assert!(notes.contains("hot-misnamed: FS.00000001.wal.lz4"), "{notes}");
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 5 * SEGMENT + 10);
    let aside = place.log().join("FS.00000001.wal.corrupt");
    assert_eq!(fs::read(aside).unwrap().len(), fs::metadata(five).unwrap().len() as usize);
}

/// A reader at the end of a log, in a segment that nothing was written to yet, goes on in what the
/// next open makes of it.
#[test]
fn f43_a_reader_in_an_unused_segment_goes_on_after_the_next_open() {
    for salvaging in [false, true] {
        let place = Place::new();
        crash(&place, SEGMENT, SEGMENT);
        let mut reader = match salvaging {
            true => Reader::open_salvaging(&place.log()).unwrap(),
            false => Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap(),
        };
        let mut read = || -> Result<Vec<u64>, Error> {
            let mut ids = Vec::new();
            loop {
                match reader.next() {
                    Ok(event) => ids.push(event.event_id),
                    Err(Error::End) => return Ok(ids),
                    Err(error) => return Err(error),
                }
            }
        };
        assert_eq!(read().unwrap().len() as u64, SEGMENT);
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, SEGMENT + 1..=SEGMENT + 100);
        manager.shutdown(writer).unwrap();
        assert!(read().unwrap().into_iter().eq(SEGMENT + 1..=SEGMENT + 100), "{salvaging}");
    }
}
