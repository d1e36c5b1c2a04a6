//! Snapshots: what a commit promises, which one is opened, and what is kept for them.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use common::crash::SEGMENT;
use common::keeping::directory;
use common::{append, eventually, expect_cause, names, open, read_ids, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::SnapshotHeader;
use flashstrike_wal::keep::{SnapshotReader, SnapshotWriter, WalDirectory};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::PosixStorage;

/// The state after an event: nothing that is like that of another one.
fn state(event_id: u64, size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| ((n * 31) ^ (event_id * 77) ^ ((n * event_id) >> 9)) as u8).collect()
}

fn begin(log: &Path, event_id: u64, size: usize) -> SnapshotWriter {
    let mut writer = SnapshotWriter::create(directory(log), event_id).unwrap();
    for piece in state(event_id, size).chunks(10_007) {
        writer.write(piece).unwrap();
    }
    writer
}

fn take(log: &Path, event_id: u64) {
    let mut writer = begin(log, event_id, 100_000);
    let mut committed = Err(Error::WouldBlock);
    eventually("the event is known durable", || {
        committed = writer.commit();
        !matches!(committed, Err(Error::WouldBlock))
    });
    committed.unwrap();
}

/// The event of the snapshot that is opened, whose state must be right, and how many were passed
/// over.
fn opened(log: &Path, at_most: u64) -> (u64, u32) {
    let (mut reader, why) = SnapshotReader::open(&directory(log), at_most).unwrap();
    let info = reader.info();
    assert_eq!(why.is_some(), info.passed_over > 0);
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4099]);
    loop {
        match reader.read(&mut buffer) {
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(Error::End) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(bytes.len() as u64, info.size);
    assert!(bytes == state(info.event_id, bytes.len()), "the state of {}", info.event_id);
    (info.event_id, info.passed_over)
}

fn snapshots(log: &Path) -> Vec<String> {
    names(log).into_iter().filter(|name| name.starts_with("SNAP")).collect()
}

fn name(event_id: u64) -> String {
    format!("SNAP.{event_id:020}.fss")
}

/// The ids of the log from an event on.
fn ids_from(log: &Path, from: u64) -> Vec<u64> {
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    reader.seek(from).unwrap();
    std::iter::from_fn(|| reader.next().ok()).map(|event| event.event_id).collect()
}

#[test]
fn a_snapshot_is_never_ahead_of_what_is_durable() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=10);
    let mut ahead = begin(&place.log(), 11, 1000);
    for _ in 0..3 {
        assert!(matches!(ahead.commit(), Err(Error::WouldBlock)));
        assert_eq!(snapshots(&place.log()), [name(11) + ".tmp"]);
    }
    expect_cause(ahead.write(b"more"), Cause::InvalidArgument);
    expect_cause(SnapshotReader::open(&directory(&place.log()), 0).map(|_| ()), Cause::NotFound);
    append(&mut writer, [11]);
    eventually("it is durable", || ahead.commit().is_ok());
    assert_eq!(snapshots(&place.log()), [name(11)]);
    assert_eq!(opened(&place.log(), 0), (11, 0));
    manager.shutdown(writer).unwrap();
    assert_eq!(opened(&place.log(), 0), (11, 0));
    assert_eq!(read_ids(&place.log()).len(), 11);
}

#[test]
fn what_is_dropped_leaves_nothing_and_what_is_being_written_is_left_alone() {
    let place = Place::new();
    let log = place.log();
    let (manager, mut writer) = open(&log, place.small());
    append(&mut writer, 1..=10);
    manager.shutdown(writer).unwrap();
    drop(begin(&log, 5, 100_000));
    assert_eq!(snapshots(&log), [""; 0]);
    let mut mine = begin(&log, 5, 100_000);
    expect_cause(SnapshotWriter::create(directory(&log), 5).map(|_| ()), Cause::Locked);
    // Nobody has this one.
    fs::write(log.join(name(6) + ".tmp"), "begun").unwrap();
    let (manager, writer) = open(&log, place.small());
    assert_eq!(snapshots(&log), [name(5) + ".tmp"]);
    mine.commit().unwrap();
    manager.shutdown(writer).unwrap();
    assert_eq!(opened(&log, 0), (5, 0));
}

#[test]
fn the_newest_good_one_is_opened_and_others_are_passed_over_loudly() {
    let place = Place::new();
    let log = place.log();
    let (manager, mut writer) = open(&log, Config { max_snapshots: 9, ..place.small() });
    append(&mut writer, 1..=40);
    manager.shutdown(writer).unwrap();
    for id in [10, 20, 30, 40] {
        take(&log, id);
    }
    assert_eq!(opened(&log, 0), (40, 0));
    assert_eq!((opened(&log, 39), opened(&log, 30)), ((30, 0), (30, 0)));
    expect_cause(SnapshotReader::open(&directory(&log), 9).map(|_| ()), Cause::NotFound);
    // Every byte counts: of the header, of the frame, of its end; and so does every byte less.
    let whole = fs::read(log.join(name(40))).unwrap();
    let file = fs::OpenOptions::new().write(true).open(log.join(name(40))).unwrap();
    let len = whole.len();
    for at in (0..90).chain((90..len).step_by(len / 50)).chain(len - 9..len) {
        file.write_all_at(&[whole[at] ^ 1], at as u64).unwrap();
        assert_eq!(opened(&log, 0), (30, 1), "byte {at} of {len}");
        file.write_all_at(&whole[at..=at], at as u64).unwrap();
    }
    assert_eq!(opened(&log, 0), (40, 0));
    for short in [1, 4, 8, len / 2, len - 64, len] {
        fs::write(log.join(name(40)), &whole[..len - short]).unwrap();
        assert_eq!(opened(&log, 0), (30, 1), "{short} bytes are missing");
    }
    // Under another's name.
    fs::write(log.join(name(40)), fs::read(log.join(name(20))).unwrap()).unwrap();
    fs::remove_file(log.join(name(30))).unwrap();
    assert_eq!(opened(&log, 0), (20, 1));
    for id in [20, 10] {
        fs::write(log.join(name(id)), "nothing").unwrap();
    }
    expect_cause(SnapshotReader::open(&directory(&log), 0).map(|_| ()), Cause::Corrupt);
}

#[test]
fn a_snapshot_of_another_log_is_passed_over_and_that_of_an_ancestor_is_not() {
    let (one, other) = (Place::new(), Place::new());
    for place in [&one, &other] {
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, 1..=40);
        manager.shutdown(writer).unwrap();
    }
    take(&one.log(), 30);
    take(&other.log(), 20);
    fs::copy(one.log().join(name(30)), other.log().join(name(30))).unwrap();
    assert_eq!(opened(&other.log(), 0), (20, 1));
    let copy = Place::new();
    let copied = std::process::Command::new("cp").arg("-r").args([one.log(), copy.log()]).status();
    assert!(copied.unwrap().success());
    assert_eq!(opened(&copy.log(), 0), (30, 0));
    let (manager, mut writer) = open(&copy.log(), copy.small());
    assert_eq!(opened(&copy.log(), 0), (30, 0));
    append(&mut writer, 41..=50);
    manager.shutdown(writer).unwrap();
    assert_eq!(opened(&copy.log(), 0), (30, 0));
    // What the ancestor takes behind the place where it was copied is not the copy's, even if it
    // was open in the same generation all the time.
    let whole = fs::read(one.log().join(name(30))).unwrap();
    let mut header = whole.first_chunk().and_then(SnapshotHeader::decode).unwrap();
    header.event_id = 45;
    let bytes = [&header.encode(), &whole[64..]].concat();
    fs::write(copy.log().join(name(45)), bytes).unwrap();
    assert_eq!(opened(&copy.log(), 0), (30, 1));
}

/// What was done after a log was copied is not in the copy, whatever generation it was done in.
#[test]
fn what_an_ancestor_did_in_later_generations_is_not_the_copys() {
    let (one, copy) = (Place::new(), Place::new());
    let run = |place: &Place, ids: std::ops::RangeInclusive<u64>| {
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, ids);
        manager.shutdown(writer).unwrap();
    };
    run(&one, 1..=40);
    take(&one.log(), 30);
    let copied = std::process::Command::new("cp").arg("-r").args([one.log(), copy.log()]).status();
    assert!(copied.unwrap().success());
    run(&copy, 41..=60);
    assert_eq!(opened(&copy.log(), 0), (30, 0));
    run(&one, 41..=50);
    run(&one, 51..=60);
    for id in [40, 50] {
        take(&one.log(), id);
        fs::copy(one.log().join(name(id)), copy.log().join(name(id))).unwrap();
    }
    assert_eq!(opened(&one.log(), 0), (50, 0));
    // Not even where the ids are the same: it may have been cut and written anew in between.
    assert_eq!(opened(&copy.log(), 0), (30, 2));
    run(&copy, 61..=70);
    assert_eq!(opened(&copy.log(), 0), (30, 2));
}

/// An older copy of a log is put back in the place of it, and a later snapshot is put back too.
#[test]
fn a_snapshot_of_what_a_restored_log_does_not_have_is_not_opened() {
    let place = Place::new();
    let log = place.log();
    let run = |ids: std::ops::RangeInclusive<u64>| {
        let (manager, mut writer) = open(&log, place.small());
        append(&mut writer, ids);
        manager.shutdown(writer).unwrap();
    };
    run(1..=40);
    let backup = place.base().join("backup");
    let copied = std::process::Command::new("cp").arg("-r").arg(&log).arg(&backup).status();
    assert!(copied.unwrap().success());
    take(&log, 20);
    run(41..=60);
    for id in [50, 55] {
        take(&log, id);
    }
    for name in names(&log).into_iter().filter(|name| name.starts_with("FS.")) {
        fs::remove_file(log.join(name)).unwrap();
    }
    for path in common::paths(&backup).into_iter().filter(|path| path.is_file()) {
        fs::copy(&path, log.join(path.file_name().unwrap())).unwrap();
    }
    assert_eq!(opened(&log, 30), (20, 0));
    assert_eq!(opened(&log, 0), (20, 2));
    // The log goes on with other events of the same ids, in the same generation.
    run(41..=60);
    assert_eq!(opened(&log, 0), (20, 0));
    assert_eq!(snapshots(&log), [name(20), name(50) + ".corrupt", name(55) + ".corrupt"]);
}

#[test]
fn the_newest_are_kept_and_all_events_that_follow_the_oldest_of_them() {
    let place = Place::new();
    let log = place.log();
    let config = Config {
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::AtMost(0),
        ..place.small()
    };
    let (manager, mut writer) = open(&log, config.clone());
    append(&mut writer, 1..=SEGMENT + 50);
    take(&log, SEGMENT + 7);
    append(&mut writer, SEGMENT + 51..=9 * SEGMENT + 1);
    manager.log().sync().unwrap();
    eventually("what comes before is gone", || !log.join("FS.00000000.wal").exists());
    let held = || manager.log().metrics().held_bytes;
    eventually("what is held is counted", || held() > 0);
    assert!(log.join("FS.00000001.wal").exists());
    take(&log, 5 * SEGMENT + 7);
    assert_eq!(snapshots(&log).len(), 2);
    take(&log, 8 * SEGMENT + 7);
    eventually("the oldest expires", || snapshots(&log).len() == 2);
    eventually("and what was held for it goes", || !log.join("FS.00000004.wal").exists());
    assert!(log.join("FS.00000005.wal").exists());
    assert_eq!(opened(&log, 0), (8 * SEGMENT + 7, 0));
    let (at, last) = (5 * SEGMENT + 7, 9 * SEGMENT + 1);
    assert_eq!(opened(&log, at), (at, 0));
    assert_eq!(ids_from(&log, at + 1), (at + 1..=last).collect::<Vec<_>>());
    // One that comes too late: what follows it is gone.
    expect_cause(begin(&log, SEGMENT, 10).commit(), Cause::Gap);
    // One whose events were removed by somebody is passed over.
    fs::rename(log.join("FS.00000006.wal"), place.base().join("taken")).unwrap();
    assert_eq!(opened(&log, 0), (8 * SEGMENT + 7, 0));
    expect_cause(SnapshotReader::open(&directory(&log), at).map(|_| ()), Cause::Gap);
    fs::rename(place.base().join("taken"), log.join("FS.00000006.wal")).unwrap();
    manager.shutdown(writer).unwrap();
    assert_eq!(snapshots(&log), [name(at), name(8 * SEGMENT + 7)]);
}

/// Events were taken back, and others have their ids: neither a snapshot that was begun before nor
/// one that was made of them is worth anything.
#[test]
fn what_was_taken_back_is_in_no_snapshot() {
    let place = Place::new();
    let log = place.log();
    let (manager, mut writer) = open(&log, place.small());
    append(&mut writer, 1..=40);
    manager.shutdown(writer).unwrap();
    take(&log, 20);
    take(&log, 40);
    let mut begun = begin(&log, 35, 1000);
    let mut begun_below = begin(&log, 30, 1000);
    // The disk has lost the events from 31 on: a slot is torn.
    let slot = flashstrike_wal::format::Layout::event_offset(30);
    let file = fs::OpenOptions::new().write(true).open(log.join("FS.00000000.wal")).unwrap();
    file.write_all_at(&[0; 64], slot).unwrap();
    file.write_all_at(&[0; 64], 64).unwrap();
    file.write_all_at(&[0; 64], 0).unwrap();
    let lossy = Config { accept_loss: true, ..place.small() };
    let (manager, mut writer) = open(&log, lossy);
    assert_eq!(manager.log().appended().last_event_id, 30);
    append(&mut writer, 31..=50);
    manager.log().sync().unwrap();
    let path = log.join(name(40) + ".corrupt");
    assert!(path.exists(), "{:?}", names(&log));
    let said = expect_cause(begun.commit(), Cause::Corrupt);
    assert!(said.contains("events 31 to 35 were taken back"), "{said}");
    drop(begun);
    // The state after 30 is still that of this log.
    eventually("it is committed", || begun_below.commit().is_ok());
    assert_eq!(opened(&log, 0), (30, 0));
    // Brought back under its name it is recognised.
    fs::rename(path, log.join(name(40))).unwrap();
    assert_eq!(opened(&log, 0), (30, 1));
    manager.shutdown(writer).unwrap();
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    let place = Place::new();
    let log = place.log();
    fs::create_dir(&log).unwrap();
    expect_cause(SnapshotWriter::create(directory(&log), 1).map(|_| ()), Cause::NotFound);
    let none = WalDirectory::open(Arc::new(PosixStorage::for_writing()), &log.join("none"));
    expect_cause(none.map(|_| ()), Cause::NotFound);
    let (manager, writer) = open(&log, place.small());
    for id in [0, u64::MAX] {
        let refused = SnapshotWriter::create(directory(&log), id).map(|_| ());
        expect_cause(refused, Cause::InvalidArgument);
    }
    manager.shutdown(writer).unwrap();
}
