//! Where an open log ends: on disk after the durable or sealed events, in memory where ids stop
//! rising.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::segments::{event_at, failure, read_on, read_to_end, Image, Log};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::{file_name, IdentityRecord, Layout, RequestEvent};
use flashstrike_wal::replay::{verify, Reader};

/// Events 1 to 300 closed, 301 to 700 open, of which the first block (to 556) is sealed.
fn open_log() -> Log {
    Log::of(&[
        Image::closed(0, 1..=300),
        Image { sealed_blocks: 1, ..Image::open(1, 301..=700) },
        Image::open(2, []),
    ])
}

fn put(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

#[test]
fn on_disk_sealed_events_count() {
    let log = open_log();
    assert_eq!(read_to_end(&mut log.reader()), (1..=556).collect::<Vec<_>>());
}

#[test]
fn on_disk_events_known_durable_count_without_a_seal() {
    let log = open_log();
    log.write_meta(600);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader), (1..=600).collect::<Vec<_>>(), "by meta");
    log.write_meta(610);
    assert_eq!(read_to_end(&mut reader), (601..=610).collect::<Vec<_>>(), "meta moved on");

    // By the durable id in the only block header.
    let log = open_log();
    log.write(&Image { stamp: 650, sealed_blocks: 1, ..Image::open(1, 301..=700) });
    assert_eq!(read_to_end(&mut log.reader()), (1..=650).collect::<Vec<_>>(), "by a stamp");
    // By a durable id in the next segment.
    let log = open_log();
    log.write(&Image { sealed_blocks: 0, ..Image::open(1, 301..=1324) });
    log.write(&Image { stamp: 1324, ..Image::open(2, 1325..=1330) });
    assert_eq!(read_to_end(&mut log.reader()), (1..=1330).collect::<Vec<_>>(), "by a later stamp");
}

#[test]
fn a_torn_header_of_the_last_segment_does_not_hide_its_events() {
    let log = open_log();
    log.write_meta(556);
    put(&log.hot(1), 0, &[0; 64]);
    assert_eq!(read_to_end(&mut log.reader()), (1..=556).collect::<Vec<_>>());
    // The same for a segment that had been closed.
    let log = Log::of(&[Image::closed(0, 1..=300), Image::closed(1, 301..=600)]);
    put(&log.hot(1), 8, &[0xff; 4]);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader), (1..=600).collect::<Vec<_>>());
    for target in [1, 300, 301, 577, 600] {
        reader.seek(target).unwrap();
        assert_eq!(read_to_end(&mut reader), (target..=600).collect::<Vec<_>>(), "{target}");
    }
}

#[test]
fn a_break_above_what_is_durable_ends_the_log() {
    // Events after a hole do not count, even if sealed or in later segments.
    let log = open_log();
    log.write(&Image::open(1, 301..=1324));
    log.write(&Image::open(2, 1325..=1400));
    assert_eq!(read_to_end(&mut log.reader()).len(), 1400);
    put(&log.hot(1), event_at(1, 10), &[0; 64]);
    log.write_meta(566);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader), (1..=566).collect::<Vec<_>>());
    for target in [500, 567, 1000, 1325, 1350] {
        reader.seek(target).unwrap();
        assert_eq!(read_to_end(&mut reader), (target..=566).collect::<Vec<_>>(), "seek {target}");
    }
}

#[test]
fn a_break_below_what_is_durable_is_damage() {
    let log = open_log();
    log.write_meta(600);
    put(&log.hot(1), event_at(1, 10), &[0; 64]);
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(ids, (1..=566).collect::<Vec<_>>());
    let place = failure(&error, Cause::Corrupt).place;
    assert_eq!(place.event_ids, Some((567, 600)));
    assert_eq!((place.segment_index, place.offset), (Some(1), Some(event_at(1, 10))));
}

#[test]
fn a_seal_that_names_its_events_must_fit_them() {
    let log = open_log();
    log.write_meta(600);
    log.flip(1, event_at(0, 7) + 30);
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(ids, (1..=300).collect::<Vec<_>>());
    let place = failure(&error, Cause::Corrupt).place;
    assert_eq!((place.segment_index, place.offset), (Some(1), Some(64)));
    assert_eq!(place.event_ids, Some((301, 556)));

    // A header from the file's former use names other events and is ignored.
    let log = open_log();
    log.write(&Image { sealed_blocks: 1, ..Image::open(1, 301..=812) });
    log.write_meta(812);
    let former = Image::open(1, 1..=512).bytes();
    let header = &former[Layout::block_offset(1) as usize..][..64];
    put(&log.hot(1), Layout::block_offset(1), header);
    assert_eq!(read_to_end(&mut log.reader()), (1..=812).collect::<Vec<_>>());
}

/// A recycled file: the slots after the end hold lower ids from its former use.
fn recycled(index: u32, ids: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut bytes = Image::open(index, 1..=1024).bytes();
    let new = Image::open(index, ids);
    for (n, &id) in new.ids.iter().enumerate() {
        let at = Layout::event_offset(n as u32) as usize;
        bytes[at..at + 64].copy_from_slice(&common::event(id).encode());
    }
    bytes[..64].copy_from_slice(&new.bytes()[..64]);
    bytes
}

/// The log of `open_log`, killed in this boot: in memory it continues to event 750.
fn killed_log() -> (Log, IdentityRecord, PathBuf) {
    let log = open_log();
    let (identity, active) = log.crashed();
    fs::write(active.join(file_name::hot(1)), recycled(1, 301..=750)).unwrap();
    (log, identity, active)
}

#[test]
fn in_memory_ids_end_the_log_by_themselves() {
    let (log, _, active) = killed_log();
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader), (1..=750).collect::<Vec<_>>(), "old ids after the end");
    assert_eq!(read_to_end(&mut reader), [0_u64; 0]);

    // The log continues: new events are seen through the mapping, and so is the next segment.
    for (slot, id) in (450..1024).zip(751..) {
        let offset = Layout::event_offset(slot);
        put(&active.join(file_name::hot(1)), offset, &common::event(id).encode());
    }
    fs::write(active.join(file_name::hot(2)), recycled(2, 1325..=1330)).unwrap();
    assert_eq!(read_to_end(&mut reader), (751..=1330).collect::<Vec<_>>());
    for target in [1, 300, 301, 556, 750, 751, 1324, 1325, 1330, 1331] {
        reader.seek(target).unwrap();
        assert_eq!(read_to_end(&mut reader), (target..=1330).collect::<Vec<_>>(), "seek {target}");
    }
}

#[test]
fn memory_does_not_count_when_it_is_not_this_logs() {
    let (log, identity, active) = killed_log();
    let last_with = |change: fn(&mut IdentityRecord)| {
        let mut changed = identity.clone();
        change(&mut changed);
        log.write_identity(&changed);
        read_to_end(&mut log.reader()).len()
    };
    assert_eq!(last_with(|_| {}), 750);
    assert_eq!(last_with(|i| i.clean = true), 556, "shut down");
    assert_eq!(last_with(|i| i.wal_ino += 1), 556, "a copy");
    assert_eq!(last_with(|i| i.generation += 1), 556, "another generation");
    assert_eq!(last_with(|i| i.id += 1), 556, "another log");
    fs::remove_file(log.path().join(file_name::IDENTITY)).unwrap();
    assert_eq!(read_to_end(&mut log.reader()).len(), 556, "no identity");

    log.write_identity(&identity);
    fs::write(active.join(file_name::hot(1)), recycled(9, 301..=750)).unwrap();
    assert_eq!(read_to_end(&mut log.reader()).len(), 556, "the file was reused");
    fs::remove_dir_all(&active).unwrap();
    assert_eq!(read_to_end(&mut log.reader()).len(), 556, "the directory is gone");
}

#[test]
fn an_active_directory_open_to_others_is_refused() {
    let (log, _, active) = killed_log();
    fs::set_permissions(&active, fs::Permissions::from_mode(0o777)).unwrap();
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(ids.len(), 300);
    let message = &failure(&error, Cause::Permission).message;
    assert!(message.contains(active.to_str().unwrap()), "{message}");
    // Nobody is kept out of it, so nobody can say whose events these are; verify says the same.
    let report = verify(&log.path()).unwrap();
    let error = report.result().unwrap_err();
    assert_eq!(error.cause(), Some(Cause::Permission), "{report:?}");
    assert!(error.to_string().contains(active.to_str().unwrap()), "{error}");
}

/// The log is shut down while a reader is at its end in memory.
#[test]
fn a_reader_at_the_end_in_memory_follows_the_log_to_disk() {
    let (log, mut identity, active) = killed_log();
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader).last(), Some(&750));
    log.write(&Image { blocks: 4, ..Image::closed(1, 301..=800) });
    fs::remove_file(log.hot(2)).unwrap();
    fs::remove_dir_all(&active).unwrap();
    identity.clean = true;
    log.write_identity(&identity);
    assert_eq!(read_to_end(&mut reader), (751..=800).collect::<Vec<_>>());
}

#[test]
fn a_claimed_slot_is_not_an_event() {
    let (log, _, active) = killed_log();
    let claimed = RequestEvent { event_id: 0, ..common::event(751) };
    put(&active.join(file_name::hot(1)), Layout::event_offset(450), &claimed.encode());
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader).last(), Some(&750));
    assert!(matches!(reader.next(), Err(Error::End)));
}

/// A recovery was killed while it removed prepared segments: the last one is still there, after
/// missing ones. It holds no events, so none can be missing before it.
#[test]
fn an_unused_segment_behind_missing_ones_hides_nothing() {
    let unused = Image::open(3, []);
    let on_disk = Log::of(&[Image::open(0, 1..=1024), unused.clone()]);
    let closed = Log::of(&[Image::closed(0, 1..=1024), unused.clone()]);
    let cold = Log::of(&[Image::closed(0, 1..=1024), unused.clone()]);
    cold.freeze(0);
    let in_memory = Log::of(&[Image::open(0, 1..=512), unused.clone()]);
    let active = in_memory.crashed().1;
    for image in [Image::open(0, 1..=1024), unused] {
        fs::write(active.join(file_name::hot(image.index)), image.bytes()).unwrap();
    }
    let logs = [("on disk", on_disk), ("closed", closed), ("cold", cold), ("in memory", in_memory)];
    for (what, log) in logs {
        log.write_meta(500);
        for mut reader in [log.reader(), Reader::open_salvaging(&log.path()).unwrap()] {
            assert_eq!(read_to_end(&mut reader), (1..=1024).collect::<Vec<_>>(), "{what}");
            for target in [1, 1024, 1025] {
                reader.seek(target).unwrap();
                let expected: Vec<_> = (target..=1024).collect();
                assert_eq!(read_to_end(&mut reader), expected, "{what}: seek {target}");
            }
        }
        assert_eq!(verify(&log.path()).unwrap().damages, [], "{what}");
        // Missing durable events are still reported, and so is a missing segment before later
        // events.
        log.write_meta(1030);
        let (ids, error) = read_on(&mut log.reader());
        assert_eq!(ids.len(), 1024, "{what}");
        let gone = failure(&error, Cause::Corrupt).place.event_ids;
        assert_eq!(gone, Some((1025, 1030)), "{what}: {error}");
        log.write_meta(500);
        log.write(&Image::open(5, 3000..=3010));
        let (_, error) = read_on(&mut log.reader());
        let missing = failure(&error, Cause::Corrupt);
        assert_eq!(missing.place.segment_index, Some(1), "{what}: {error}");
    }
}

/// The same for a reader that waits for the first event of a new log, or for the next one of a full
/// segment: it continues when the index is used again.
#[test]
fn a_reader_waits_for_a_segment_that_a_killed_recovery_removed() {
    let new = Log::of(&[Image::open(0, [])]);
    let full = Log::of(&[Image::closed(0, 1..=1024), Image::open(1, [])]);
    for (log, index, next) in [(new, 0, 1), (full, 1, 1025)] {
        let mut reader = log.reader();
        assert_eq!(read_to_end(&mut reader).last().map_or(1, |last| last + 1), next);
        fs::remove_file(log.hot(index)).unwrap();
        log.write(&Image::open(index + 2, []));
        for _ in 0..2 {
            assert_eq!(read_to_end(&mut reader), [0_u64; 0], "index {index}");
        }
        log.write(&Image::open(index, next..=next + 7));
        assert_eq!(read_to_end(&mut reader), (next..=next + 7).collect::<Vec<_>>());
    }
}
