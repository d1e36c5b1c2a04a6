//! Damage is found, located and never replayed; everything before it is.

use std::fs;

use common::segments::{event_at, failure, read_on, read_to_end, Image, Log};
use flashstrike_wal::error::{Cause, Error, Place};
use flashstrike_wal::format::{file_name, Layout, BLOCK_HEADER_SIZE};

/// Events 1 to 1000: 300 in segment 0, 600 in segment 1 (blocks of 256, 256 and 88), 100 in 2.
fn log() -> Log {
    Log::of(&[Image::closed(0, 1..=300), Image::closed(1, 301..=900), Image::closed(2, 901..=1000)])
}

fn events_before(block: u32) -> u64 {
    300 + u64::from(block) * 256
}

/// Reading ends after the event `last` with damage in segment 1 at this offset.
fn assert_damaged(log: &Log, verify: bool, last: u64, offset: u64, what: &str) {
    let mut reader = log.reader_with(verify);
    let (ids, error) = read_on(&mut reader);
    assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{what}: {error}");
    for _ in 0..2 {
        let place = failure(&error, Cause::Corrupt).place;
        assert_eq!((place.segment_index, place.offset), (Some(1), Some(offset)), "{what}: {error}");
        assert!(error.to_string().contains("FS.00000001.wal"), "{what}: {error}");
        let (ids, again) = read_on(&mut reader);
        assert_eq!((ids, again.to_string()), (vec![], error.to_string()), "{what}: asked again");
    }
}

/// Changes a byte of segment 1, in a hot and in a cold log.
fn flip_and_check(at: u64, verify: bool, last: u64, offset: u64) {
    let what = format!("byte {at}, verify {verify}");
    let log = log();
    log.flip(1, at);
    assert_damaged(&log, verify, last, offset, &what);
    log.freeze(1);
    assert_damaged(&log, verify, last, offset, &format!("{what}, cold"));
}

#[test]
fn any_byte_of_the_segment_header() {
    for at in 0..64 {
        flip_and_check(at, at % 2 == 0, 300, 0);
    }
}

#[test]
fn any_byte_of_a_block_header() {
    for block in 0..3 {
        let offset = Layout::block_offset(block);
        for at in 0..BLOCK_HEADER_SIZE as u64 {
            flip_and_check(offset + at, at % 2 == 0, events_before(block), offset);
        }
    }
}

#[test]
fn bytes_of_events() {
    for (block, events) in [(0, 256), (1, 256), (2, 88)] {
        for event in [0, 1, events / 2, events - 1] {
            for byte in [0, 7, 8, 42, 63] {
                let at = event_at(block, event) + byte;
                flip_and_check(at, true, events_before(block), Layout::block_offset(block));
            }
        }
    }
}

#[test]
fn slots_behind_the_last_event_do_not_count() {
    let log = log();
    log.flip(1, event_at(2, 88));
    assert_eq!(read_to_end(&mut log.reader()).len(), 1000);
}

/// Headers that are valid but do not match the blocks they describe.
#[test]
fn headers_that_contradict_the_blocks() {
    type Change = fn(&Log);
    let last_block = Layout::block_offset(2);
    let changes: [(&str, u64, u64, Change); 14] = [
        ("one event more", 812, last_block, |l| l.change_header(1, |h| h.event_count += 1)),
        ("one event less", 812, last_block, |l| l.change_header(1, |h| h.event_count -= 1)),
        ("one block less", 300, 0, |l| l.change_header(1, |h| h.block_count -= 1)),
        ("first id", 300, 64, |l| l.change_header(1, |h| h.first_event_id += 1)),
        ("last id", 812, last_block, |l| l.change_header(1, |h| h.last_event_id -= 1)),
        ("chain's end", 812, last_block, |l| l.change_header(1, |h| h.last_chained_checksum ^= 1)),
        ("last below first", 300, 0, |l| l.change_header(1, |h| h.last_event_id = 1)),
        ("no events", 300, 0, |l| {
            l.change_header(1, |h| {
                (h.block_count, h.event_count) = (0, 0);
                (h.first_event_id, h.last_event_id) = (0, 0);
            });
        }),
        ("block index", 556, 64 + 16_448, |l| l.change_block(1, 1, |b| b.block_index = 2)),
        ("count", 556, 64 + 16_448, |l| l.change_block(1, 1, |b| b.event_count = 255)),
        ("checksum", 556, 64 + 16_448, |l| l.change_block(1, 1, |b| b.block_checksum ^= 1)),
        ("chain", 556, 64 + 16_448, |l| l.change_block(1, 1, |b| b.chained_checksum ^= 1)),
        ("first id", 556, 64 + 16_448, |l| l.change_block(1, 1, |b| b.first_event_id += 1)),
        ("last id", 556, 64 + 16_448, |l| l.change_block(1, 1, |b| b.last_event_id -= 1)),
    ];
    for (what, last, offset, change) in changes {
        let log = log();
        change(&log);
        assert_damaged(&log, true, last, offset, what);
    }
}

/// Every block is valid, and valid as the first of its segment: only the first event of the other
/// segment shows that events are missing.
#[test]
fn first_blocks_exchanged_between_open_segments() {
    let log = Log::of(&[
        Image::closed(0, 1..=300),
        Image::open(1, 301..=1324),
        Image::open(2, 1325..=1400),
    ]);
    log.write_meta(1400);
    let mut files = [1, 2].map(|index| fs::read(log.hot(index)).unwrap());
    let block = 64..64 + 16_448;
    let [one, two] = &mut files;
    one[block.clone()].swap_with_slice(&mut two[block]);
    for (index, bytes) in [(1, &*one), (2, &*two)] {
        fs::write(log.hot(index), bytes).unwrap();
    }
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(ids, (1..=300).chain(1325..=1400).collect::<Vec<_>>(), "{error}");
    let place = failure(&error, Cause::Corrupt).place;
    assert_eq!((place.segment_index, place.event_ids), (Some(2), Some((301, 1400))), "{error}");
    assert!(error.to_string().contains("begins with event 301"), "{error}");
}

#[test]
fn a_damaged_block_names_its_events() {
    let log = log();
    log.flip(1, event_at(1, 9) + 20);
    let (_, error) = read_on(&mut log.reader());
    assert_eq!(failure(&error, Cause::Corrupt).place.event_ids, Some((557, 812)));
    log.flip(1, Layout::block_offset(1));
    let (_, error) = read_on(&mut log.reader());
    let place = failure(&error, Cause::Corrupt).place;
    assert_eq!(place.event_ids, Some((557, 900)), "without its header: the rest of the segment");
}

#[test]
fn files_that_are_too_short() {
    let end_of_events = event_at(2, 88);
    let cuts = [
        (10, 300, 0),
        (64, 300, 64),
        (Layout::block_offset(1), 556, Layout::block_offset(1)),
        (Layout::block_offset(1) + 63, 556, Layout::block_offset(1)),
        (event_at(1, 255) + 63, 556, Layout::block_offset(1)),
        (end_of_events - 1, 812, Layout::block_offset(2)),
    ];
    for (len, last, offset) in cuts {
        let log = log();
        let file = fs::OpenOptions::new().write(true).open(log.hot(1)).unwrap();
        file.set_len(len).unwrap();
        assert_damaged(&log, true, last, offset, &format!("cut to {len}"));
        log.freeze(1);
        assert_damaged(&log, true, last, offset, &format!("cut to {len}, cold"));
    }
    let log = log();
    let file = fs::OpenOptions::new().write(true).open(log.hot(1)).unwrap();
    file.set_len(end_of_events).unwrap();
    assert_eq!(read_to_end(&mut log.reader()).len(), 1000, "trimmed to its last event");
}

/// Reads a log whose cold segment 1 is damaged: it must return a prefix of the log, then damage.
fn assert_bad_frame(log: &Log, what: &str) {
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(failure(&error, Cause::Corrupt).place.segment_index, Some(1), "{what}: {error}");
    let last = ids.len() as u64;
    assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{what}");
    assert!((300..=900).contains(&last), "{what}: {last}");
}

#[test]
fn frames_changed_or_cut_anywhere() {
    let log = log();
    log.freeze(1);
    let frame = fs::read(log.cold(1)).unwrap();
    let ends = (0..24).chain(frame.len() - 8..frame.len());
    for at in ends.chain((24..frame.len() - 8).step_by(97)) {
        let mut changed = frame.clone();
        changed[at] ^= 0x10;
        fs::write(log.cold(1), changed).unwrap();
        assert_bad_frame(&log, &format!("byte {at} of {}", frame.len()));
    }
    for len in (0..frame.len() - 8).step_by(101).chain(frame.len() - 8..frame.len()) {
        fs::write(log.cold(1), &frame[..len]).unwrap();
        assert_bad_frame(&log, &format!("cut to {len} of {}", frame.len()));
    }
}

#[test]
fn segments_under_each_others_names() {
    let log = log();
    fs::rename(log.hot(1), log.path().join("other")).unwrap();
    fs::rename(log.hot(2), log.hot(1)).unwrap();
    fs::rename(log.path().join("other"), log.hot(2)).unwrap();
    assert_damaged(&log, true, 300, 0, "swapped");
    log.freeze(1);
    assert_damaged(&log, true, 300, 0, "swapped, cold");
}

#[test]
fn a_missing_segment_is_named() {
    let log = log();
    fs::remove_file(log.hot(1)).unwrap();
    let mut reader = log.reader();
    let (ids, error) = read_on(&mut reader);
    assert_eq!(ids.len(), 300);
    let place = Place { segment_index: Some(1), ..Place::default() };
    assert_eq!(failure(&error, Cause::Corrupt).place, place);
    assert!(error.to_string().contains("FS.00000001.wal: missing"), "{error}");
    log.write(&Image::closed(1, 301..=900));
    assert_eq!(read_to_end(&mut reader), (301..=1000).collect::<Vec<_>>(), "it was found again");
}

#[test]
fn event_ids_that_do_not_rise() {
    // Across segments: 300 twice.
    let log = log();
    log.write(&Image::closed(1, 300..=899));
    assert_damaged(&log, true, 300, 0, "across segments");
    // Across blocks, and within one; all checksums are right.
    let with = |at: usize, id: u64| {
        let mut ids: Vec<u64> = (301..=900).collect();
        ids[at] = id;
        log.write(&Image::closed(1, ids));
    };
    with(256, 556);
    assert_damaged(&log, true, 556, Layout::block_offset(1), "across blocks");
    for repeated in [556 + 9, 556 + 8, u64::MAX, 0] {
        with(256 + 9, repeated);
        assert_damaged(&log, true, 556, Layout::block_offset(1), &format!("{repeated} in a block"));
    }
    with(599, u64::MAX);
    assert_damaged(&log, true, 300, 0, "an id that is none, last");
}

#[test]
fn a_log_that_ends_before_what_was_durable() {
    let log = log();
    log.write_meta(1000);
    assert_eq!(read_to_end(&mut log.reader()).len(), 1000);
    log.write_meta(1001);
    for cold in [false, true] {
        if cold {
            (0..3).for_each(|index| log.freeze(index));
        }
        let (ids, error) = read_on(&mut log.reader());
        assert_eq!(ids.len(), 1000);
        assert_eq!(failure(&error, Cause::Corrupt).place.event_ids, Some((1001, 1001)));
    }
    fs::remove_file(log.cold(2)).unwrap();
    let mut reader = log.reader();
    let (ids, error) = read_on(&mut reader);
    assert_eq!(ids.len(), 900, "its newest segment is gone");
    assert_eq!(failure(&error, Cause::Corrupt).place.event_ids, Some((901, 1001)));
    // A meta file that cannot be trusted is ignored.
    fs::write(log.path().join(file_name::META), [7; 24]).unwrap();
    assert!(matches!(reader.next(), Err(Error::End)));
}

#[test]
fn an_io_error_is_no_damage_and_may_pass() {
    let log = log();
    let mut reader = log.reader();
    for path in [log.hot(1), log.cold(1)] {
        // A directory can be opened but not read as a file.
        let _ = fs::remove_file(log.hot(1));
        fs::create_dir(&path).unwrap();
        let (ids, error) = read_on(&mut reader);
        assert_eq!(ids.last(), if path == log.hot(1) { Some(&300) } else { None });
        let place = failure(&error, Cause::Io).place;
        assert_eq!(failure(&error, Cause::Io).errno, rustix::io::Errno::ISDIR.raw_os_error());
        assert!(place.segment_index.is_none() || place.segment_index == Some(1), "{place:?}");
        fs::remove_dir(&path).unwrap();
    }
    log.write(&Image::closed(1, 301..=900));
    assert_eq!(read_to_end(&mut reader), (301..=1000).collect::<Vec<_>>());
}

#[test]
fn seek_skips_damage_before_its_target_but_never_at_it() {
    for at in [5, Layout::block_offset(1) + 3] {
        let log = log();
        log.flip(1, at);
        let mut reader = log.reader();
        for target in [901, 950, 1000] {
            reader.seek(target).unwrap();
            assert_eq!(read_to_end(&mut reader), (target..=1000).collect::<Vec<_>>(), "{target}");
        }
        for target in [1, 299, 300] {
            reader.seek(target).unwrap();
            assert_eq!(reader.next().unwrap().event_id, target);
        }
        reader.seek(700).unwrap();
        assert_eq!(
            failure(&reader.next().unwrap_err(), Cause::Corrupt).place.segment_index,
            Some(1)
        );
    }
}

/// Events before the one sought are not needed, so they may be damaged.
#[test]
fn seek_passes_over_events_by_the_block_headers() {
    let log = log();
    log.flip(1, event_at(1, 9) + 20);
    for cold in [false, true] {
        if cold {
            log.freeze(1);
        }
        let mut reader = log.reader();
        reader.seek(850).unwrap();
        assert_eq!(read_to_end(&mut reader), (850..=1000).collect::<Vec<_>>());
    }
}

/// Without verification headers are still checked, and events are returned unchecked.
#[test]
fn without_verification_events_are_not_checked() {
    let log = log();
    log.flip(1, event_at(1, 9) + 20);
    let mut reader = log.reader_with(false);
    reader.seek(566).unwrap();
    let event = reader.next().unwrap();
    assert_eq!(event.event_id, 566);
    assert_ne!(event, common::event(566));
}
