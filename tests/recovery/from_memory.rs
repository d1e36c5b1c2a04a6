//! A process died, and files of its WAL directory are gone or cut: what memory has of them is
//! carried over, and nothing is lost. Where memory and disk disagree, the refusal says what it
//! costs to go on.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use common::crash::{
    accepting_loss, active_directory, assert_refused, crash, offset, recover, SEGMENT,
};
use common::{append, assert_holds, expect_cause, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::verify;

fn hot(place: &Place, index: u32) -> PathBuf {
    place.log().join(format!("FS.{index:08}.wal"))
}

fn cut(place: &Place, index: u32, len: u64) {
    fs::OpenOptions::new().write(true).open(hot(place, index)).unwrap().set_len(len).unwrap();
}

/// The file of the segment that was being written, durable events in it or not; of the first
/// segment or of a later one.
#[test]
fn f4_a_removed_file_is_made_again_out_of_memory() {
    for (synced, last) in [(50, 100), (SEGMENT + 50, SEGMENT + 100), (SEGMENT, SEGMENT + 100)] {
        let place = Place::new();
        crash(&place, synced, last);
        let index = (last / SEGMENT) as u32;
        fs::remove_file(hot(&place, index)).unwrap();
        assert_holds(&place.log(), last);
        let report = verify(&place.log()).unwrap();
        let message = report.result().unwrap_err().to_string();
        assert!(message.contains("its file is gone"), "{message}");
        let (decision, notes) = recover(&place, last);
        assert_eq!(decision, "process-crash");
        assert!(notes.contains(&format!("made again: FS.{index:08}.wal")), "{notes}");
        assert_holds(&place.log(), last);
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, last + 1..=3 * SEGMENT);
        manager.shutdown(writer).unwrap();
        assert_holds(&place.log(), 3 * SEGMENT);
    }
}

/// A file that was cut grows again: within its header, its events, or what follows them.
#[test]
fn f4_a_cut_file_grows_again() {
    for len in [0, 40, 64, 10_000, 100_000] {
        let place = Place::new();
        crash(&place, SEGMENT + 50, SEGMENT + 1000);
        cut(&place, 1, len);
        assert_eq!(recover(&place, SEGMENT + 1000).0, "process-crash", "cut to {len}");
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, SEGMENT + 1001..=3 * SEGMENT);
        manager.shutdown(writer).unwrap();
        assert_holds(&place.log(), 3 * SEGMENT);
    }
}

/// The running log notices it and fails; the next open has everything that was appended.
#[test]
fn f4_after_the_log_has_failed_for_it_nothing_is_lost() {
    for is_removed in [true, false] {
        let place = Place::new();
        let keep = Config { max_segments: Keep::All, ..place.small() };
        let (manager, mut writer) = open(&place.log(), keep.clone());
        append(&mut writer, 1..=SEGMENT + 300);
        manager.log().sync().unwrap();
        if is_removed {
            fs::remove_file(hot(&place, 1)).unwrap();
        } else {
            cut(&place, 1, 20_000);
        }
        append(&mut writer, [SEGMENT + 301]);
        expect_cause(manager.log().sync(), Cause::Poisoned);
        manager.shutdown(writer).unwrap_err();
        recover(&place, SEGMENT + 301);
    }
}

/// A file in memory that was cut is not where the log ends: readers go on with what is on disk.
#[test]
fn f4_memory_that_was_cut_hides_nothing_that_is_durable() {
    for len in [0, 64, offset(1000), offset(2500) + 20] {
        let place = Place::new();
        crash(&place, 3000, 3500);
        let memory = active_directory(&place).join("FS.00000000.wal");
        let file = fs::OpenOptions::new().write(true).open(memory).unwrap();
        file.set_len(len).unwrap();
        assert_holds(&place.log(), 3000);
    }
}

/// The memory of a segment that retention has deleted only waits to be used again.
#[test]
fn f4_what_retention_has_deleted_stays_deleted() {
    let place = Place::new();
    crash(&place, 2 * SEGMENT + 50, 2 * SEGMENT + 100);
    // As if segment 0 was deleted, and its file in memory not used again yet.
    let active = active_directory(&place);
    let waiting = active.join("FS.00000000.wal");
    fs::copy(hot(&place, 0), &waiting).unwrap();
    fs::remove_file(hot(&place, 0)).unwrap();
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_event_id, 2 * SEGMENT + 100);
    assert!(!hot(&place, 0).exists());
    manager.shutdown(writer).unwrap();
}

/// Where something is behind it, nobody can tell: refused, and nothing of it goes.
#[test]
fn f4_a_removed_file_with_another_behind_it_is_missing() {
    let place = Place::new();
    crash(&place, SEGMENT + 50, SEGMENT + 100);
    fs::rename(hot(&place, 1), place.log().join("FS.00000009.wal.lz4")).unwrap();
    assert_refused(&place, &["missing-segment: segment 1"]);
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(manager.log().appended().last_event_id, SEGMENT);
    manager.shutdown(writer).unwrap();
    assert!(place.log().join("FS.00000001.wal.corrupt").exists(), "out of memory");
    recover(&place, SEGMENT);
}

/// What the refusal says it costs is what it costs.
#[test]
fn g6_a_contradiction_says_where_the_log_then_ends() {
    let place = Place::new();
    crash(&place, 80, 100);
    let memory = active_directory(&place).join("FS.00000000.wal");
    let file = fs::OpenOptions::new().write(true).open(memory).unwrap();
    // A durable event that memory has otherwise.
    file.write_all_at(&[0x5a], offset(40) + 17).unwrap();
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    let number = |before: &str| -> u64 {
        let rest = &message[message.find(before).unwrap() + before.len()..];
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    assert_refused(&place, &["active-contradicts"]);
    let (last, aside) = (number("ends at event "), number("behind it ("));
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    let report = manager.log().recovery_report().clone();
    assert_eq!((report.last_event_id, report.events_kept_aside), (last, aside), "{message}");
    manager.shutdown(writer).unwrap();
}

/// An event that was changed in memory and on disk in the same way, after it was sealed: nothing
/// seals it anew.
#[test]
fn g6_damage_that_memory_and_disk_share_is_refused() {
    for n in [3, 200, 255, 256, 700] {
        let place = Place::new();
        crash(&place, 1_000, 1_500);
        for path in [active_directory(&place).join("FS.00000000.wal"), hot(&place, 0)] {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[0xff], offset(n) + 17).unwrap();
        }
        assert_refused(&place, &["active-contradicts", "segment 0"]);
    }
}
