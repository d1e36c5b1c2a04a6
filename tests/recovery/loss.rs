//! What recovery refuses, and what it does with `FS_WAL_FLAG_ACCEPT_LOSS`: the log ends at its last
//! provable event, everything after it is kept aside byte by byte, and never comes back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

use common::crash::{
    accepting_loss, active_directory, assert_refused, crash, offset, prepare, reboot, recover,
    SEGMENT,
};
use common::keeping::are_cold;
use common::{
    append, assert_holds, contents, decision, event, eventually, names, open, text, Place,
};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::SegmentHeader;

fn hot(index: u32) -> String {
    format!("FS.{index:08}.wal")
}

fn cold(index: u32) -> String {
    format!("FS.{index:08}.wal.lz4")
}

/// The files kept aside, by name.
fn kept_aside(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut all = contents(&place.log());
    all.retain(|name, _| name.contains(".corrupt"));
    all
}

/// Opens with the loss accepted: the log must end at `last`, with the decision `label` and the
/// files `aside` kept aside. Then it appends the same ids again, is killed, and nothing that was
/// cut comes back.
fn accept(place: &Place, last: u64, label: &str, aside: &[(String, Vec<u8>)]) {
    let (manager, mut writer) = open(&place.log(), accepting_loss(place));
    assert_eq!(decision(&manager), label);
    let notes = text(&manager.log().recovery_report().notes);
    assert_eq!(manager.log().appended().last_event_id, last, "{notes}");
    let expected: BTreeMap<_, _> = aside.iter().cloned().collect();
    let mut kept = kept_aside(place);
    let all_kept: Vec<_> = kept.keys().cloned().collect();
    // A recycled file may hold old events with ids above the log's end: those are kept aside too.
    let newest = aside.iter().map(|(name, _)| &name[..11]).max().unwrap_or_default();
    kept.retain(|name, _| &name[..11] <= newest);
    assert!(kept == expected, "{all_kept:?}: {notes}");
    append(&mut writer, last + 1..=last + 3);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), last + 3);
    crash(place, last + 5, last + 5);
    reboot(place);
    assert!(recover(place, last + 5).0.starts_with("reboot"));
    let now: Vec<_> = kept_aside(place).into_keys().collect();
    assert_eq!(now, all_kept, "nothing more was kept aside");
}

#[test]
fn row_missing_segment_below_d_ends_the_log_before_it() {
    for crashed in [false, true] {
        let place = Place::new();
        crash(&place, SEGMENT * 3 + 5, SEGMENT * 3 + 5);
        if !crashed {
            reboot(&place);
        }
        fs::remove_file(place.log().join(hot(1))).unwrap();
        if crashed {
            // It may still be in memory, if the workers were slow.
            let _ = fs::remove_file(active_directory(&place).join(hot(1)));
        }
        assert_refused(
            &place,
            &["missing-segment: segment 1", "were durable and cannot be proved"],
        );
        let before = contents(&place.log());
        let mut aside: Vec<_> =
            [2, 3].map(|n| (hot(n) + ".corrupt", before[&hot(n)].clone())).into();
        if crashed {
            // Of the segments still in memory both files are kept aside: the one in memory may hold
            // more.
            let mut active = contents(&active_directory(&place));
            active.retain(|name, _| aside.iter().any(|(kept, _)| kept.starts_with(name)));
            assert!(active.contains_key(&hot(3)));
            aside.extend(active.into_iter().map(|(name, bytes)| (name + ".corrupt.1", bytes)));
        }
        let origin = if crashed { "process-crash" } else { "reboot" };
        accept(&place, SEGMENT, &format!("{origin}/missing-segment"), &aside);
    }
}

/// The missing segment is among those that recovery does not read.
#[test]
fn row_missing_segment_far_below_d_ends_the_log_before_it() {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(1), ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=SEGMENT * 5 + 9);
    eventually("all but the last are frozen", || are_cold(&place.log(), 0..5));
    manager.shutdown(writer).unwrap();
    let before = contents(&place.log());
    fs::remove_file(place.log().join(cold(2))).unwrap();
    assert_refused(&place, &["missing-segment: segment 2"]);
    let mut aside: Vec<_> = [3, 4].map(|n| (cold(n) + ".corrupt", before[&cold(n)].clone())).into();
    aside.push((hot(5) + ".corrupt", before[&hot(5)].clone()));
    accept(&place, SEGMENT * 2, "clean/missing-segment", &aside);
}

/// Closing lags behind writing: no header says that its segment is closed.
#[test]
fn row_missing_segment_among_unclosed_ones_ends_the_log_before_it() {
    let place = Place::new();
    crash(&place, SEGMENT * 2 + 5, SEGMENT * 2 + 5);
    reboot(&place);
    let path = place.log().join(hot(0));
    let header = SegmentHeader::open(0, 1).encode();
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&header, 0).unwrap();
    fs::remove_file(place.log().join(hot(1))).unwrap();
    assert_refused(&place, &["missing-segment: segment 1"]);
    let aside = [(hot(2) + ".corrupt", contents(&place.log())[&hot(2)].clone())];
    accept(&place, SEGMENT, "reboot/missing-segment", &aside);
}

/// Several segments are unclosed: each is recovered by the same rules, and closed.
#[test]
fn row_several_segments_unclosed_are_closed() {
    let place = Place::new();
    crash(&place, SEGMENT * 2 + 5, SEGMENT * 2 + 5);
    reboot(&place);
    for index in 0..2 {
        let path = place.log().join(hot(index));
        let header = SegmentHeader::open(index, 1).encode();
        fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&header, 0).unwrap();
    }
    assert_eq!(recover(&place, SEGMENT * 2 + 5).0, "reboot");
    for index in 0..2 {
        let bytes = fs::read(place.log().join(hot(index))).unwrap();
        let header = SegmentHeader::decode(bytes.first_chunk().unwrap()).unwrap();
        assert!(header.is_closed() && u64::from(header.event_count) == SEGMENT, "{header:?}");
    }
}

/// Events that were never acknowledged as durable, after a missing segment.
#[test]
fn row_missing_segment_above_d_is_the_tail() {
    let place = Place::new();
    crash(&place, SEGMENT, SEGMENT);
    reboot(&place);
    prepare(&place, &[2], 0);
    let file = fs::OpenOptions::new().write(true).open(place.log().join(hot(2))).unwrap();
    for n in 0..9 {
        file.write_all_at(&event(SEGMENT * 2 + n).encode(), offset(n)).unwrap();
    }
    let torn = contents(&place.log())[&hot(2)].clone();
    let (decision, notes) = recover(&place, SEGMENT);
    assert_eq!(decision, "reboot/tail-cut");
    assert!(notes.contains("9 events kept aside in FS.00000002.wal.corrupt"), "{notes}");
    assert!(kept_aside(&place) == BTreeMap::from([(hot(2) + ".corrupt", torn)]));
}

/// A prepared segment after missing ones holds no events, so none can be missing before it.
#[test]
fn row_missing_segment_before_unused_ones_is_nothing() {
    let place = Place::new();
    crash(&place, SEGMENT + 7, SEGMENT + 7);
    reboot(&place);
    prepare(&place, &[3], 1);
    let (decision, notes) = recover(&place, SEGMENT + 7);
    assert_eq!((decision.as_str(), notes.as_str()), ("reboot", "unused: FS.00000003.wal"));
}

#[test]
fn row_missing_segments_at_the_old_end_are_retention() {
    let place = Place::new();
    crash(&place, SEGMENT * 2 + 7, SEGMENT * 2 + 7);
    reboot(&place);
    fs::remove_file(place.log().join(hot(0))).unwrap();
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(decision(&manager), "reboot");
    assert_eq!(manager.log().appended().last_event_id, SEGMENT * 2 + 7);
    manager.shutdown(writer).unwrap();
    let ids = common::read_ids(&place.log());
    assert_eq!(ids, (SEGMENT + 1..=SEGMENT * 2 + 7).collect::<Vec<_>>());
}

/// Gives a segment the header of another index.
fn misname(place: &Place, index: u32) {
    let path = place.log().join(hot(index));
    let header = SegmentHeader::open(index + 7, 1).encode();
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&header, 0).unwrap();
}

#[test]
fn row_misnamed_ends_the_log_before_it() {
    let place = Place::new();
    crash(&place, SEGMENT * 2 + 50, SEGMENT * 2 + 50);
    reboot(&place);
    misname(&place, 1);
    assert_refused(&place, &["misnamed: segment 1"]);
    let before = contents(&place.log());
    let aside = [1, 2].map(|n| (hot(n) + ".corrupt", before[&hot(n)].clone()));
    accept(&place, SEGMENT, "reboot/misnamed", &aside);
}

/// Open segments whose first blocks were exchanged: each block is valid by itself.
#[test]
fn row_overlap_ends_the_log_before_both() {
    let place = Place::new();
    crash(&place, SEGMENT * 2 + 50, SEGMENT * 2 + 50);
    reboot(&place);
    let mut files = [1, 2].map(|index| fs::read(place.log().join(hot(index))).unwrap());
    let [one, two] = &mut files;
    let block = 64..64 + 16_448;
    one[block.clone()].swap_with_slice(&mut two[block]);
    for (index, bytes) in [(1, &mut *one), (2, &mut *two)] {
        bytes[..64].copy_from_slice(&SegmentHeader::open(index, 1).encode());
        fs::write(place.log().join(hot(index)), bytes).unwrap();
    }
    assert_refused(&place, &["overlap: segment 1"]);
    let aside = [(1, &*one), (2, &*two)].map(|(n, bytes)| (hot(n) + ".corrupt", bytes.clone()));
    accept(&place, SEGMENT, "reboot/overlap", &aside);
}

/// The segment is empty, so its wrong header does not matter.
#[test]
fn row_misnamed_without_events_is_discarded() {
    let place = Place::new();
    crash(&place, 50, 50);
    reboot(&place);
    prepare(&place, &[1, 2], 0);
    misname(&place, 1);
    let (decision, notes) = recover(&place, 50);
    assert_eq!(decision, "reboot");
    assert_eq!(notes, "unused: FS.00000001.wal FS.00000002.wal");
    assert!(!names(&place.log()).iter().any(|name| name == &hot(1)));
}

/// Cold segments 0 and 1, and a hot one that a crash left open.
fn log_with_cold() -> Place {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(1), ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=SEGMENT * 2 + 9);
    eventually("they are cold", || manager.log().metrics().cold_segments == 2);
    manager.shutdown(writer).unwrap();
    crash(&place, SEGMENT * 2 + 20, SEGMENT * 2 + 20);
    reboot(&place);
    place
}

#[test]
fn row_misnamed_cold_ends_the_log_before_it() {
    let place = log_with_cold();
    fs::copy(place.log().join(cold(0)), place.log().join(cold(1))).unwrap();
    assert_refused(&place, &["misnamed: segment 1"]);
    let before = contents(&place.log());
    let aside = [cold(1), hot(2)].map(|name| (name.clone() + ".corrupt", before[&name].clone()));
    accept(&place, SEGMENT, "reboot/misnamed", &aside);
}

#[test]
fn row_cold_unreadable_is_noted_and_the_log_goes_on() {
    let place = log_with_cold();
    fs::write(place.log().join(cold(1)), b"not a frame").unwrap();
    let (manager, mut writer) = open(&place.log(), place.small());
    let notes = text(&manager.log().recovery_report().notes);
    assert!(notes.contains("cold-unreadable: FS.00000001.wal.lz4"), "{notes}");
    assert_eq!(manager.log().appended().last_event_id, SEGMENT * 2 + 20);
    append(&mut writer, [SEGMENT * 2 + 21]);
    manager.shutdown(writer).unwrap();
    assert_eq!(fs::read(place.log().join(cold(1))).unwrap(), b"not a frame");
}

#[test]
fn row_active_contradicts_the_wal_directory_alone_is_the_log() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    let file = fs::OpenOptions::new().write(true).open(active.join(hot(0))).unwrap();
    file.write_all_at(&[0x5A], offset(30) + 17).unwrap();
    assert_refused(&place, &["active-contradicts: segment 0", active.to_str().unwrap()]);
    let aside = [(hot(0) + ".corrupt", contents(&active)[&hot(0)].clone())];
    accept(&place, 50, "process-crash/active-contradicts", &aside);
    assert!(place.active_directories().is_empty(), "all of it is in the copy");
}

/// Segments that were exchanged in memory.
#[test]
fn row_active_contradicts_by_the_index_in_a_header() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    fs::rename(active.join(hot(0)), active.join(hot(9))).unwrap();
    assert_refused(&place, &["active-contradicts: segment 9", active.to_str().unwrap()]);
    let aside = [(hot(9) + ".corrupt", contents(&active)[&hot(9)].clone())];
    accept(&place, 50, "process-crash/active-contradicts", &aside);
}

#[test]
fn row_active_segment_lost_ends_the_log_on_disk() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    fs::remove_file(active.join(hot(0))).unwrap();
    assert_refused(&place, &["active-segment-lost: segment 0", active.to_str().unwrap()]);
    accept(&place, 50, "process-crash/active-segment-lost", &[]);
}

/// Everything durable in the last block is lost: complete copies, with zeros in their place.
#[test]
fn row_break_below_durable_ends_the_log_before_it() {
    let place = Place::new();
    crash(&place, SEGMENT + 300, SEGMENT + 300);
    recover(&place, SEGMENT + 300);
    crash(&place, SEGMENT + 301, SEGMENT + 301);
    reboot(&place);
    let file = fs::OpenOptions::new().write(true).open(place.log().join(hot(1))).unwrap();
    file.write_all_at(&[0xFF; 8], offset(100) + 16).unwrap();
    let lost = format!("events {} to {}", SEGMENT + 1, SEGMENT + 300);
    assert_refused(&place, &["break-below-durable: segment 1", &lost]);
    let aside = [(hot(1) + ".corrupt", contents(&place.log())[&hot(1)].clone())];
    accept(&place, SEGMENT, "reboot/break-below-durable", &aside);
}
