//! Neighbours of what logs meet in the field, each by the number of that: the same assumption about
//! another file, at another moment, or by another way in.

use std::fs::{self, File};
use std::os::unix::fs::{symlink, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::crash::{
    active_directory, assert_refused, crash, crash_in, identity, recover, SEGMENT,
};
use common::{append, assert_holds, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::file_name::hot;
use flashstrike_wal::format::{IdentityRecord, SegmentHeader};
use flashstrike_wal::replay::verify;

fn segment_file(log: &Path, index: u32) -> File {
    let path = log.join(hot(index));
    fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Makes holes of everything from `from` on, as `fallocate -p` does.
fn punch(file: &File, from: u64) {
    let size = file.metadata().unwrap().len();
    let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(file, punch, from, size - from).unwrap();
    file.sync_all().unwrap();
    assert!(has_holes(file), "the filesystem makes none");
}

fn has_holes(file: &File) -> bool {
    let metadata = file.metadata().unwrap();
    metadata.blocks() * 512 < metadata.len()
}

/// The zeros of a log's files are punched out while it runs, and it is killed: what was in memory
/// only is written where the holes are, in the segment it ends in, when it is opened.
#[test]
fn f8_holes_are_filled_before_memory_is_carried_over() {
    let place = Place::new();
    crash(&place, 50, 1000);
    for name in common::names(&place.log()).iter().filter(|name| name.ends_with(".wal")) {
        punch(&segment_file(&place.log(), name[3..11].parse().unwrap()), 16_384);
    }
    let (manager, mut writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().durable().last_event_id, 1000);
    for name in common::names(&place.log()).iter().filter(|name| name.ends_with(".wal")) {
        let file = segment_file(&place.log(), name[3..11].parse().unwrap());
        assert!(!has_holes(&file), "{name}");
    }
    append(&mut writer, 1001..=2 * SEGMENT);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 2 * SEGMENT);
}

/// A segment in the middle that was never full, put back with holes and without a header beside a
/// damaged cold file: recovery writes its header anew, and it has all of its space then.
#[test]
fn f8_holes_of_a_segment_in_the_middle_that_is_rewritten_are_filled() {
    let place = Place::new();
    let large = Config { num_blocks: 64, max_segments: Keep::All, ..place.small() };
    let small = Config { num_blocks: 16, prepared_segments: 1, ..large.clone() };
    assert!(small.active_set_size() < 64 * 16_448, "it does not go on in the large segment");
    let mut last = 0;
    for config in [large, small.clone()] {
        let (manager, mut writer) = open(&place.log(), config);
        append(&mut writer, last + 1..=last + 100);
        last += 100;
        manager.shutdown(writer).unwrap();
    }
    let hot = fs::read(place.log().join("FS.00000000.wal")).unwrap();
    let (manager, writer) = open(&place.log(), Config { max_segments: Keep::AtMost(1), ..small });
    manager.shutdown(writer).unwrap();
    fs::write(place.log().join("FS.00000000.wal"), hot).unwrap();
    fs::write(place.log().join("FS.00000000.wal.lz4"), "damaged").unwrap();
    let middle = segment_file(&place.log(), 0);
    middle.write_all_at(&[0; 64], 0).unwrap();
    punch(&middle, 20_480);
    let (decision, notes) = recover(&place, last);
    assert_eq!(decision, "clean");
    for note in ["cold-dropped: FS.00000000", "header-rebuilt: FS.00000000.wal"] {
        assert!(notes.contains(note), "{notes}");
    }
    assert!(!has_holes(&middle));
}

/// A segment that was never full has holes, and its file is used again: the new segment has all of
/// its space.
#[test]
fn f8_holes_of_a_file_that_is_used_again_are_filled() {
    let place = Place::new();
    let large = Config { num_blocks: 64, prepared_segments: 1, ..place.small() };
    let small = Config { num_blocks: 16, ..large.clone() };
    for (config, last) in [(large.clone(), 100), (small, 200)] {
        let (manager, mut writer) = open(&place.log(), config);
        append(&mut writer, last - 99..=last);
        manager.shutdown(writer).unwrap();
    }
    let partial = segment_file(&place.log(), 0);
    punch(&partial, 20_480);
    let config =
        Config { max_segments: Keep::AtMost(1), max_compressed_segments: Keep::AtMost(0), ..large };
    let (manager, mut writer) = open(&place.log(), config);
    let mut last = 200;
    common::eventually("its file is used again", || {
        // A segment more: a file is used again when one is to be prepared.
        append(&mut writer, last + 1..=last + 4 * SEGMENT);
        last += 4 * SEGMENT;
        manager.log().sync().unwrap();
        let inode = partial.metadata().unwrap().ino();
        common::paths(&place.log()).iter().any(|path| {
            let is_new = path.extension() == Some("wal".as_ref()) && !path.ends_with(hot(0));
            is_new && fs::metadata(path).is_ok_and(|found| found.ino() == inode)
        })
    });
    assert!(!has_holes(&partial));
    manager.shutdown(writer).unwrap();
}

/// The directory of a killed log is renamed. It is the same directory: nothing is lost, and from
/// the next open on its active directory says where it is now.
#[test]
fn f24_a_renamed_log_is_opened_and_its_memory_says_its_new_path() {
    let place = Place::new();
    crash(&place, 50, 100);
    let renamed = place.base().join("renamed");
    fs::rename(place.log(), &renamed).unwrap();
    assert_holds(&renamed, 100);
    let (manager, mut writer) = open(&renamed, place.small());
    assert_eq!(common::decision(&manager), "process-crash");
    assert_eq!(manager.log().appended().last_event_id, 100);
    let copy = identity(&active_directory(&place));
    assert_eq!(copy.wal_path.as_deref(), renamed.to_str(), "and the old directory is gone");
    append(&mut writer, 101..=110);
    manager.shutdown(writer).unwrap();
    assert!(place.active_directories().is_empty());
    assert_holds(&renamed, 110);
}

/// With a symbolic link to the log, and a directory beside it.
fn with_a_link() -> Place {
    let place = Place::new();
    fs::create_dir(place.base().join("sub")).unwrap();
    fs::create_dir(place.log()).unwrap();
    symlink("log", place.base().join("link")).unwrap();
    place
}

/// However the directory is reached, the path in the active directory is absolute and leads to it:
/// whoever finds only the memory after a crash finds the log.
#[test]
fn f24_the_path_leads_to_the_log_however_it_was_spelled() {
    let place = with_a_link();
    let base = place.base().to_str().unwrap().to_owned();
    let relative = ["log", "./link", "sub/../link/../log/."].map(PathBuf::from);
    let absolute = ["link", "sub/../log", "link/."].map(|spelling| place.base().join(spelling));
    let mut last = 10;
    for path in relative.into_iter().chain(absolute) {
        let wrapper = ["env", "-C", &base];
        crash_in(&wrapper, &path, &place.memory().display(), last, last + 10);
        let told = identity(&active_directory(&place)).wal_path.unwrap();
        assert!(Path::new(&told).is_absolute(), "{told}");
        assert_eq!(fs::canonicalize(&told).unwrap(), fs::canonicalize(place.log()).unwrap());
        assert_eq!(recover(&place, last + 10).0, "process-crash", "{}", path.display());
        last += 20;
    }
}

/// Somebody has removed `wal_identity` of a killed log: what its memory says is believed however
/// the log was reached then, and is reached now.
#[test]
fn f24_without_an_identity_memory_is_found_by_another_spelling() {
    for (written, opened) in [("link", "log"), ("log", "link"), ("sub/../log", "log")] {
        let place = with_a_link();
        let written = place.base().join(written);
        crash_in(&[], &written, &place.memory().display(), 50, 100);
        fs::remove_file(place.log().join("wal_identity")).unwrap();
        let (manager, writer) = open(&place.base().join(opened), place.small());
        let report = manager.log().recovery_report().clone();
        assert_eq!(report.last_event_id, 100, "{opened}: {}: {}", report.decision, report.notes);
        assert!(report.notes.contains("wal_identity is taken from"), "{}", report.notes);
        manager.shutdown(writer).unwrap();
        assert!(place.active_directories().is_empty());
    }
}

/// The same of a renamed log.
#[test]
fn f24_without_an_identity_memory_of_a_renamed_log_is_found() {
    let place = Place::new();
    crash(&place, 50, 100);
    fs::remove_file(place.log().join("wal_identity")).unwrap();
    let renamed = place.base().join("renamed");
    fs::rename(place.log(), &renamed).unwrap();
    let (manager, writer) = open(&renamed, place.small());
    let report = manager.log().recovery_report().clone();
    assert_eq!(report.last_event_id, 100, "{}: {}", report.decision, report.notes);
    manager.shutdown(writer).unwrap();
    assert_holds(&renamed, 100);
}

/// Makes the memory of another log, at another path, look like that of this directory: its inode
/// was used again.
fn leave_memory_of_a_log_that_is_gone(place: &Place, path: &Path) {
    let here = fs::metadata(place.log()).unwrap();
    crash_in(&[], &place.base().join("other"), &place.memory().display(), 10, 20);
    let of_other = |path: &PathBuf| identity(path).wal_path.unwrap().ends_with("other");
    let active = place.active_directories().into_iter().find(of_other).unwrap();
    let record = IdentityRecord {
        wal_dev: here.dev(),
        wal_ino: here.ino(),
        wal_path: Some(path.to_str().unwrap().to_owned()),
        ..identity(&active)
    };
    fs::write(active.join("wal_identity"), record.encode()).unwrap();
}

/// It does not stand in the way of memory that has the right path. Where it is all there is, it may
/// be this log's, renamed, and is refused because it contradicts the log.
#[test]
fn f24_memory_of_a_log_that_is_gone_is_not_taken_for_this_one() {
    for other in ["gone", "elsewhere"] {
        let place = Place::new();
        fs::create_dir(place.base().join("elsewhere")).unwrap();
        crash(&place, 50, 100);
        fs::remove_file(place.log().join("wal_identity")).unwrap();
        leave_memory_of_a_log_that_is_gone(&place, &place.base().join(other));
        let (_, notes) = recover(&place, 100);
        assert!(notes.contains("wal_identity is taken from"), "{other}: {notes}");
        assert_eq!(place.active_directories().len(), 1, "the other log's stays");
        // Now it is the only one. What it says contradicts the log, or is of another directory.
        fs::remove_file(place.log().join("wal_identity")).unwrap();
        match other {
            "gone" => assert_refused(&place, &["active-contradicts"]),
            _ => assert_eq!(recover(&place, 100).0, "unknown-identity"),
        }
        assert_eq!(place.active_directories().len(), 1, "the other log's stays");
    }
}

/// Gives a segment's header other times, and leaves the rest of it as it is.
fn change_times(log: &Path, index: u32, created: u64, closed: u64) {
    let file = segment_file(log, index);
    let mut bytes = [0; 64];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let header = SegmentHeader::decode(&bytes).unwrap();
    assert!(header.is_closed(), "segment {index}");
    let header = SegmentHeader { created_ts_ns: created, closed_ts_ns: closed, ..header };
    file.write_all_at(&header.encode(), 0).unwrap();
}

/// The clock has jumped back while segments were open, and between them: each was closed before it
/// was made, and before the one before it was. The times decide nothing.
#[test]
fn f11_segments_that_were_closed_before_they_were_made_are_whole() {
    const FUTURE: u64 = 4_000_000_000_000_000_000;
    let times = [(FUTURE, 1), (7, 2), (u64::MAX, FUTURE), (5, 5), (FUTURE, u64::MAX), (3, 1)];
    for keep in [Keep::All, Keep::AtMost(1)] {
        let place = Place::new();
        let keep_all = Config { max_segments: Keep::All, ..place.small() };
        let mut last = times.len() as u64 * SEGMENT - 50;
        let (manager, mut writer) = open(&place.log(), keep_all);
        append(&mut writer, 1..=last);
        manager.shutdown(writer).unwrap();
        for (index, (created, closed)) in (0..).zip(times) {
            change_times(&place.log(), index, created, closed);
        }
        assert_holds(&place.log(), last);
        let report = verify(&place.log()).unwrap();
        assert_eq!((report.damage_count, report.events), (0, last), "{:?}", report.damages);
        // It goes on in the last segment, which is then closed with this clock's time; and all the
        // others are compressed.
        for n in 0..3 {
            let config = Config { max_segments: keep, ..place.small() };
            let (manager, mut writer) = open(&place.log(), config);
            assert_eq!(common::decision(&manager), "clean", "{n}");
            assert_eq!(manager.log().appended().last_event_id, last, "{n}");
            append(&mut writer, last + 1..=last + SEGMENT);
            last += SEGMENT;
            let hot = || manager.log().metrics().hot_segments;
            common::eventually("they are compressed", || keep == Keep::All || hot() == 1);
            manager.shutdown(writer).unwrap();
        }
        crash(&place, last + 10, last + 20);
        assert_holds(&place.log(), last + 20);
        assert_eq!(recover(&place, last + 20).0, "process-crash");
        let report = verify(&place.log()).unwrap();
        assert_eq!((report.damage_count, report.events), (0, last + 20), "{:?}", report.damages);
    }
}

/// A segment that was moved to another disk, with a link left in its place: the log opens, and says
/// which one it does not have.
#[test]
fn f28_an_older_segment_behind_a_link_is_told_at_open() {
    let place = Place::new();
    let (manager, mut writer) =
        open(&place.log(), Config { max_segments: Keep::All, ..place.small() });
    append(&mut writer, 1..=3 * SEGMENT + 1);
    manager.shutdown(writer).unwrap();
    let (name, elsewhere) = ("FS.00000001.wal", place.base().join("moved"));
    fs::rename(place.log().join(name), &elsewhere).unwrap();
    symlink(&elsewhere, place.log().join(name)).unwrap();
    let (manager, writer) = open(&place.log(), Config { max_segments: Keep::All, ..place.small() });
    let notes = manager.log().recovery_report().notes.clone();
    assert!(notes.contains("FS.00000001.wal is a symbolic link: it is not followed"), "{notes}");
    manager.shutdown(writer).unwrap();
    let message = verify(&place.log()).unwrap().result().unwrap_err().to_string();
    assert!(message.contains("FS.00000001.wal"), "{message}");
}
