//! Neighbours of what logs meet in the field, each by the number of that: the same assumption about
//! another file, at another moment, or by another way in.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use common::crash::{crash, recover, SEGMENT};
use common::{append, assert_holds, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::file_name::hot;

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
    let last = 200 + SEGMENT + 4 * SEGMENT;
    append(&mut writer, 201..=last);
    manager.log().sync().unwrap();
    common::eventually("its file is used again", || {
        let inode = partial.metadata().unwrap().ino();
        common::paths(&place.log()).iter().any(|path| {
            let is_new = path.extension() == Some("wal".as_ref()) && !path.ends_with(hot(0));
            is_new && fs::metadata(path).is_ok_and(|found| found.ino() == inode)
        })
    });
    assert!(!has_holes(&partial));
    manager.shutdown(writer).unwrap();
}
