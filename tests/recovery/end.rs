//! The rows of the recovery table that decide where the log ends: breaks above and below what is
//! known durable, missing and misnamed segments, torn headers.

use std::fs;
use std::os::unix::fs::FileExt;

use common::crash::{
    accepting_loss, assert_refused, crash, first_segment, offset, reboot, recover, SEGMENT,
};
use common::{append, assert_holds, contents, decision, event, names, open, text, Place};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::Manager;

/// Writes events above D that reached the disk in part. The log reuses their ids with other bytes,
/// so a test would see them if they came back.
fn tear(place: &Place, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        let mut torn = event(id);
        torn.price = 0x7EA4;
        first_segment(place).write_all_at(&torn.encode(), offset(id - 1)).unwrap();
    }
}

#[test]
fn row_break_above_d_ends_the_log_and_what_was_cut_never_comes_back() {
    let place = Place::new();
    let log = place.log();
    crash(&place, 50, 50);
    reboot(&place);
    tear(&place, 51..=60);
    tear(&place, 300..=301);
    let torn = contents(&log)["FS.00000000.wal"].clone();
    let (manager, writer) = open(&log, place.small());
    assert_eq!(decision(&manager), "reboot/tail-cut");
    let report = manager.log().recovery_report();
    assert_eq!((report.last_event_id, report.events_kept_aside), (50, 12));
    assert!(text(&report.notes).contains("12 events kept aside in FS.00000000.wal.corrupt"));
    manager.shutdown(writer).unwrap();
    assert_eq!(contents(&log)["FS.00000000.wal.corrupt"], torn, "every byte of it");
    let zeros = vec![0; 250 * 64];
    let mut behind = vec![1; 250 * 64];
    first_segment(&place).read_exact_at(&mut behind[..206 * 64], offset(50)).unwrap();
    behind[206 * 64..].fill(0);
    assert_eq!(behind, zeros, "something is left after the end");

    // The log writes over the place of the cut events, and is killed again and again.
    crash(&place, 52, 54);
    reboot(&place);
    assert_eq!(recover(&place, 52).0, "reboot");
    crash(&place, 55, 299);
    assert_eq!(recover(&place, 299).0, "process-crash");
    crash(&place, 299, 299);
    reboot(&place);
    assert_eq!(recover(&place, 299).0, "reboot");
    let kept = names(&log).into_iter().filter(|name| name.contains("corrupt")).count();
    assert_eq!(kept, 1, "nothing more was kept aside");
}

/// The same with the cut reaching over later segments.
#[test]
fn row_break_above_d_cuts_later_segments_too() {
    let place = Place::new();
    let log = place.log();
    crash(&place, 50, 50);
    reboot(&place);
    let path = log.join("FS.00000001.wal");
    let later = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for id in SEGMENT + 1..=SEGMENT + 9 {
        later.write_all_at(&event(id).encode(), offset(id - SEGMENT - 1)).unwrap();
    }
    let (manager, mut writer) = open(&log, place.small());
    assert_eq!(decision(&manager), "reboot/tail-cut");
    assert_eq!(manager.log().recovery_report().events_kept_aside, 9);
    append(&mut writer, 51..=SEGMENT);
    manager.shutdown(writer).unwrap();
    assert!(log.join("FS.00000001.wal.corrupt").exists() && !path.exists());
    assert_holds(&log, SEGMENT);
}

/// The second file kept aside for a segment does not take the place of the first.
#[test]
fn row_what_is_kept_aside_is_never_overwritten() {
    let place = Place::new();
    for round in 1..=3 {
        crash(&place, round, round);
        reboot(&place);
        tear(&place, round + 1..=round + 1);
        assert_eq!(recover(&place, round).0, "reboot/tail-cut");
    }
    let kept: Vec<_> = names(&place.log()).into_iter().filter(|n| n.contains("corrupt")).collect();
    let base = "FS.00000000.wal.corrupt";
    assert_eq!(kept, [base.to_owned(), format!("{base}.1"), format!("{base}.2")]);
}

#[test]
fn row_break_below_d_is_refused_with_its_range() {
    let place = Place::new();
    crash(&place, 300, 300);
    recover(&place, 300);
    crash(&place, 300, 300);
    reboot(&place);
    // In the second block: a block whose checksum is wrong is not proved in part either.
    first_segment(&place).write_all_at(&[0; 64], offset(270)).unwrap();
    let before = contents(&place.log());
    let error = Manager::open(&place.log(), place.small()).unwrap_err();
    let Error::Failure(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.cause, Cause::Corrupt);
    assert!(
        error.to_string().contains("events 257 to 300 were durable and cannot be proved"),
        "{error}"
    );
    assert_eq!(failure.place.event_ids, Some((257, 300)));
    assert_eq!((failure.place.segment_index, failure.place.offset), (Some(0), Some(offset(256))));
    assert_eq!(contents(&place.log()), before);

    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(decision(&manager), "reboot/break-below-durable");
    let report = manager.log().recovery_report();
    assert_eq!((report.last_event_id, report.events_kept_aside), (256, 43));
    manager.shutdown(writer).unwrap();
    assert_eq!(contents(&place.log())["FS.00000000.wal.corrupt"], before["FS.00000000.wal"]);
    assert_eq!(recover(&place, 256).0, "clean");
}

/// A changed byte of a durable event: its id is still right.
#[test]
fn row_break_below_d_by_a_changed_byte_is_refused_and_not_sealed_over() {
    let place = Place::new();
    crash(&place, 300, 300);
    recover(&place, 300);
    crash(&place, 300, 300);
    reboot(&place);
    first_segment(&place).write_all_at(&[0xFF; 8], offset(100) + 16).unwrap();
    assert_refused(&place, &["events 1 to 300 were durable and cannot be proved"]);
}

#[test]
fn row_missing_segment_below_d_is_refused() {
    let place = Place::new();
    crash(&place, SEGMENT * 3 + 5, SEGMENT * 3 + 5);
    reboot(&place);
    fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    assert_refused(&place, &["missing-segment: segment 1"]);
}

#[test]
fn row_misnamed_segment_is_refused() {
    let place = Place::new();
    crash(&place, 50, 50);
    reboot(&place);
    for name in names(&place.log()).into_iter().filter(|name| name > &"FS.00000001".to_owned()) {
        if name.starts_with("FS.") {
            fs::remove_file(place.log().join(name)).unwrap();
        }
    }
    fs::rename(place.log().join("FS.00000000.wal"), place.log().join("FS.00000001.wal")).unwrap();
    assert_refused(&place, &["misnamed"]);
}

/// Headers are unreadable: the events decide.
#[test]
fn row_headers_torn_the_events_decide() {
    for (at, note) in
        [(0, "header-rebuilt: FS.00000000.wal"), (64, "block-sealed: FS.00000000.wal: 1")]
    {
        let place = Place::new();
        crash(&place, 50, 50);
        recover(&place, 50);
        crash(&place, 50, 50);
        reboot(&place);
        first_segment(&place).write_all_at(&[0; 40], at).unwrap();
        let (decision, notes) = recover(&place, 50);
        assert_eq!(decision, "reboot", "bytes {at} to {}", at + 40);
        assert!(notes.contains(note), "{notes}");
    }
}
