//! Files that were moved, copied or exchanged between opens: neither memory nor a good file is
//! dropped for them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use common::crash::{
    accepting_loss, active_directory, assert_refused, change_boot_id, crash, crash_in, recover,
    SEGMENT,
};
use common::{append, assert_holds, decision, expect_cause, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::directory::remove_leftovers;
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::IdentityRecord;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::simulated::{Call, Fault, Machine, MEMORY};
use flashstrike_wal::storage::{put_in_place, Links, Storage};

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
    let (one, five) = (place.log().join("FS.00000001.wal"), place.log().join("FS.00000005.wal"));
    let cold = place.log().join("FS.00000001.wal.lz4");
    common::eventually("the first is cold", || cold.exists() && !one.exists());
    manager.shutdown(writer).unwrap();
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

/// Opens a log that crashed, with this `active_dir`: all 100 events are there.
fn assert_carried_over(place: &Place, log: &Path, active_parent: &Path, label: &str) {
    let config = Config { active_parent: active_parent.to_owned(), ..place.small() };
    let (manager, writer) = open(log, config);
    let report = manager.log().recovery_report().clone();
    let found = (report.decision.as_str(), report.last_event_id);
    assert_eq!(found, (label, 100), "{}: {}", active_parent.display(), report.notes);
    manager.shutdown(writer).unwrap();
    assert!(place.active_directories().is_empty(), "its memory is given back");
    assert_holds(log, 100);
}

/// Somebody has changed `active_dir` since the crash.
#[test]
fn f24_another_active_dir_does_not_hide_the_memory() {
    let (place, other) = (Place::new(), Place::new());
    crash(&place, 50, 100);
    assert_carried_over(&place, &place.log(), other.memory(), "process-crash");
    assert!(other.active_directories().is_empty());
}

/// `active_dir` is a link, or another path to the same directory, before the crash or after it.
/// What the memory is called by then does not matter, with and without `wal_identity`.
#[test]
fn f24_another_path_to_the_same_active_dir_does_not_hide_the_memory() {
    for (is_link_first, is_identity_gone, is_link_gone) in [
        (true, false, false),
        (true, true, false),
        (true, false, true),
        (true, true, true),
        (false, false, false),
        (false, true, false),
    ] {
        let place = Place::new();
        let link = place.base().join("link");
        symlink(place.memory(), &link).unwrap();
        let (then, now) = match is_link_first {
            true => (link.as_path(), place.memory()),
            false => (place.memory(), link.as_path()),
        };
        crash_in(&[], &place.log(), &then.display(), 50, 100);
        if is_identity_gone {
            fs::remove_file(place.log().join("wal_identity")).unwrap();
        }
        if is_link_gone {
            fs::remove_file(&link).unwrap();
        }
        assert_carried_over(&place, &place.log(), now, "process-crash");
    }
}

/// The same in a sandbox, which has another boot id each time: it was not a reboot.
#[test]
fn f24_another_path_in_a_sandbox_is_not_a_reboot() {
    let place = Place::new();
    let link = place.base().join("link");
    symlink(place.memory(), &link).unwrap();
    crash_in(&[], &place.log(), &link.display(), 50, 100);
    change_boot_id(&place);
    fs::remove_file(&link).unwrap();
    assert_carried_over(&place, &place.log(), place.memory(), "other-boot-id");
}

/// The log is renamed together with the `active_dir` in it. Found when that is named, refused
/// otherwise, with both paths that matter.
#[test]
fn f24_a_log_that_is_moved_with_its_memory_in_it_is_whole() {
    let place = Place::new();
    let memory = place.log().join("memory");
    fs::create_dir_all(&memory).unwrap();
    crash_in(&[], &place.log(), &memory.display(), 50, 100);
    let renamed = place.base().join("renamed");
    fs::rename(place.log(), &renamed).unwrap();
    let message = expect_cause(Manager::open(&renamed, place.small()), Cause::Corrupt);
    for word in ["active-directory-lost", memory.to_str().unwrap(), "active_dir"] {
        assert!(message.contains(word), "{message}");
    }
    assert_carried_over(&place, &renamed, &renamed.join("memory"), "process-crash");
    assert!(common::names(&renamed.join("memory")).is_empty());
}

/// A log that crashed with 200 events, 150 of them durable, and in whose directory the identity of
/// the generation before is put back, which had not been shut down either.
fn with_an_older_identity(is_elsewhere: bool) -> (Place, Place) {
    let (place, other) = (Place::new(), Place::new());
    let older = if is_elsewhere { &other } else { &place };
    crash_in(&[], &place.log(), &older.memory().display(), 50, 100);
    let file = place.log().join("wal_identity");
    let older = fs::read(&file).unwrap();
    crash(&place, 150, 200);
    fs::write(file, older).unwrap();
    (place, other)
}

/// Whether the loss is accepted or not, what memory has of the newer generation is never dropped
/// unseen; and the refusal says where it waits.
#[test]
fn f9_an_older_identity_of_a_crash_does_not_hide_the_memory_of_a_newer_one() {
    for (is_elsewhere, is_other_boot, label) in [
        (false, false, "active-directory-lost"),
        (true, false, "active-directory-lost"),
        (false, true, "beyond-shutdown"),
        (true, true, "beyond-shutdown"),
    ] {
        let (place, _other) = with_an_older_identity(is_elsewhere);
        let active = active_directory(&place);
        if is_other_boot {
            change_boot_id(&place);
        }
        assert_refused(&place, &[label, active.to_str().unwrap(), "older wal_identity"]);
        assert!(active.exists());
        let (manager, writer) = open(&place.log(), accepting_loss(&place));
        let report = manager.log().recovery_report().clone();
        assert_eq!((report.last_event_id, report.events_kept_aside), (150, 50), "{report:?}");
        assert!(report.decision.contains(label), "{}", report.decision);
        assert!(report.notes.contains(active.to_str().unwrap()), "{}", report.notes);
        assert!(report.notes.contains("50 events kept aside in FS.00000000.wal.corrupt"));
        manager.shutdown(writer).unwrap();
        assert!(place.log().join("FS.00000000.wal.corrupt").exists());
        assert!(place.active_directories().is_empty());
        assert_eq!(recover(&place, 150).0, "clean");
    }
}

/// Without the older identity the newer generation says where it is: what the refusal advises.
#[test]
fn f9_an_older_identity_that_is_removed_again_costs_nothing() {
    let (place, _other) = with_an_older_identity(false);
    fs::remove_file(place.log().join("wal_identity")).unwrap();
    assert_eq!(recover(&place, 200).0, "process-crash");
}

/// What opens left behind is removed one by one: one that cannot be read stays, and nothing else.
#[test]
fn a_left_over_directory_that_cannot_be_read_protects_only_itself() {
    for call in [Call::OpenDirectory, Call::Open, Call::Read] {
        let machine = Machine::new(1);
        let storage = machine.process();
        let identity = |name: String, generation| IdentityRecord {
            id: 7,
            wal_dev: 1,
            wal_ino: 1,
            generation,
            boot_id: storage.boot_id().unwrap(),
            active_path: format!("{MEMORY}/{name}"),
            clean: false,
            ..IdentityRecord::default()
        };
        let name = |n: u64| format!("flashstrike-wal-{:032x}-{n:032x}", 7);
        for n in 1..=3 {
            let record = identity(name(n), n);
            let path = Path::new(&record.active_path).to_owned();
            storage.create_directory(&path, 0o700).unwrap();
            let directory = storage.open_directory(&path, Links::Refuse).unwrap().unwrap();
            put_in_place(&*directory, "wal_identity", record.encode().as_bytes()).unwrap();
        }
        // The first `OpenDirectory` is that of the parent.
        let nth = if call == Call::OpenDirectory { 3 } else { 2 };
        machine.plan(Fault { call, nth, errno: libc::EIO });
        let closed = IdentityRecord { clean: true, ..identity(name(3), 3) };
        let beside = Path::new(&closed.active_path).to_owned();
        remove_leftovers(&storage, [&beside, &beside], &closed, None);
        assert!(!machine.forgive(), "{call:?} was not made");
        let left = (1..=3).filter(|n| {
            let path = Path::new(MEMORY).join(name(*n));
            storage.open_directory(&path, Links::Refuse).unwrap().is_some()
        });
        assert_eq!(left.collect::<Vec<_>>(), [2], "{call:?}");
    }
}
