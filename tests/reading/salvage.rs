//! Salvage: everything outside the damage is returned, every skipped range is reported once, and
//! the log is read to its end.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use common::segments::{event_at, Image, Log};
use flashstrike_wal::error::{Cause, Error, Failure};
use flashstrike_wal::format::Layout;
use flashstrike_wal::replay::Reader;
use lz4::{liblz4::BlockChecksum, BlockMode};

/// Reads a whole log. Every event must be the one of its id, and above the last; returns the ids
/// and what was reported.
fn salvage(reader: &mut Reader) -> (Vec<u64>, Vec<Failure>) {
    let (mut ids, mut reported) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Ok(event) => {
                assert_eq!(event, common::event(event.event_id), "changed: {}", event.event_id);
                assert!(ids.last().is_none_or(|last| *last < event.event_id), "{ids:?}");
                ids.push(event.event_id);
            }
            Err(Error::End) => break,
            Err(Error::Failure(failure)) => reported.push(*failure),
            Err(other) => panic!("{other}"),
        }
        assert!(reported.len() < 50, "it does not end: {reported:?}");
    }
    assert!(matches!(reader.next(), Err(Error::End)), "reported once");
    (ids, reported)
}

fn reader(log: &Log) -> Reader {
    Reader::open_salvaging(&log.path()).unwrap()
}

fn ranges(reported: &[Failure]) -> Vec<Option<(u64, u64)>> {
    reported.iter().map(|failure| failure.place.event_ids).collect()
}

fn without(lost: &[std::ops::RangeInclusive<u64>], last: u64) -> Vec<u64> {
    (1..=last).filter(|id| !lost.iter().any(|range| range.contains(id))).collect()
}

#[test]
fn a_good_log_is_read_as_without_salvage() {
    let log = Log::of_a_thousand();
    log.freeze(0);
    log.write(&Image { sealed_blocks: 2, ..Image::open(3, 1001..=1700) });
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids, reported.len()), (without(&[], 1512), 0), "{reported:?}");
}

#[test]
fn damage_in_several_places() {
    let log = Log::of_a_thousand();
    log.flip(0, 12);
    log.flip(0, event_at(1, 3) + 20);
    log.flip(1, Layout::block_offset(0) + 33);
    log.flip(1, Layout::block_offset(1) + 7);
    log.change_block(1, 2, |header| header.chained_checksum ^= 1);
    let lost = [257..=300, 301..=812];
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, without(&lost, 1000));
    let expected = [None, Some((257, 300)), Some((301, 812))];
    assert_eq!(ranges(&reported), expected, "{reported:?}");
    assert!(reported.iter().all(|failure| failure.cause == Cause::Corrupt));

    let mut seeking = reader(&log);
    for target in [1, 250, 257, 290, 301, 600, 813, 900, 901, 1000] {
        seeking.seek(target).unwrap();
        let (ids, reported) = salvage(&mut seeking);
        assert_eq!(ids, without(&[0..=target - 1, 257..=300, 301..=812], 1000), "{target}");
        let named = ranges(&reported).into_iter().flatten().collect::<Vec<_>>();
        assert!(named.iter().all(|(_, last)| *last >= target), "seek {target}: {named:?}");
        assert_eq!(named.contains(&(301, 812)), target <= 812, "seek {target}: {named:?}");
    }
}

#[test]
fn missing_and_misnamed_segments() {
    let log = Log::of_a_thousand();
    fs::remove_file(log.hot(1)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, without(&[301..=900], 1000));
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert_eq!(reported[0].place.segment_index, Some(1));

    let log = self::Log::of_a_thousand();
    fs::rename(log.hot(1), log.path().join("one")).unwrap();
    fs::rename(log.hot(0), log.hot(1)).unwrap();
    fs::rename(log.path().join("one"), log.hot(0)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, (901..=1000).collect::<Vec<_>>(), "swapped: neither is believed");
    assert_eq!(ranges(&reported), [Some((301, 900)), Some((1, 300))], "{reported:?}");

    let log = self::Log::of_a_thousand();
    fs::remove_file(log.hot(2)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, without(&[], 900));
    assert_eq!(ranges(&reported), [Some((901, 1000))], "durable events at the end");

    let log = self::Log::of_a_thousand();
    fs::copy(log.hot(0), log.hot(3)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(
        (ids.len(), reported.len()),
        (1000, 1),
        "a copy of the first one after it: {reported:?}"
    );
}

#[test]
fn files_that_cannot_be_read_are_passed_over() {
    for what in ["segment", "meta"] {
        let log = Log::of_a_thousand();
        let path = if what == "meta" { log.path().join("wal_meta.dat") } else { log.hot(1) };
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let (ids, reported) = salvage(&mut reader(&log));
        if what == "meta" {
            assert_eq!((ids.len(), reported.len()), (1000, 0), "it is not needed: {reported:?}");
            continue;
        }
        assert_eq!(ids, without(&[301..=900], 1000));
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert_eq!((reported[0].cause, reported[0].errno), (Cause::Io, libc::EISDIR));
    }
}

#[test]
fn an_open_segment_damaged_where_it_was_durable() {
    let log = Log::of_a_thousand();
    log.write(&Image { blocks: 5, ..Image::open(3, 1001..=2280) });
    log.write_meta(2280);
    log.flip(3, event_at(1, 9) + 20);
    let file = OpenOptions::new().write(true).open(log.hot(3)).unwrap();
    file.write_all_at(&[0; 16_448], Layout::block_offset(3)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, without(&[1257..=1512, 1769..=2024], 2280));
    assert_eq!(ranges(&reported), [Some((1257, 1512)), Some((1769, 2024))], "{reported:?}");
}

/// A wrong length of a block in a frame hides the next block, which is found by its checksum.
#[test]
fn cold_segments_continue_after_a_damaged_block() {
    let log = Log::of(&[Image::closed(0, 1..=13_000), Image::closed(1, 13_001..=13_100)]);
    log.freeze(0);
    let frame = fs::read(log.cold(0)).unwrap();
    let len = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap()) as usize;
    let second = 15 + 4 + (len(15) & 0x7fff_ffff) + 4;
    let third = second + 4 + (len(second) & 0x7fff_ffff) + 4;
    let damaged = |changes: &[(usize, u8)]| {
        let mut frame = frame.clone();
        changes.iter().for_each(|(at, byte)| frame[*at] = *byte);
        fs::write(log.cold(0), frame).unwrap();
        salvage(&mut reader(&log))
    };
    let (ids, reported) = damaged(&[(second + 2, 0xEE), (second + 3, 0x7F)]);
    assert_eq!((ids.len(), reported.len()), (13_100, 1), "a length costs nothing: {reported:?}");

    // The second block of the frame holds WAL blocks 15 (its end) to 31 (its start).
    let inside = 15 * 256 + 1..=32 * 256;
    let garbled = (second + 100..second + 40_000).map(|at| (at, 0x5A)).collect::<Vec<_>>();
    let (ids, reported) = damaged(&garbled);
    let missing: Vec<u64> =
        without(&[], 13_100).into_iter().filter(|id| !ids.contains(id)).collect();
    assert!(missing.len() > 256 && missing.iter().all(|id| inside.contains(id)), "{missing:?}");
    let named = ranges(&reported);
    let is_named = |id: &u64| named.iter().flatten().any(|(a, b)| (a..=b).contains(&id));
    assert!(missing.iter().all(is_named), "{named:?}");

    // Both its length and its checksum are damaged: the third block is still found.
    let (ids, _) = damaged(&[(second + 2, 0xEE), (third - 1, frame[third - 1] ^ 1)]);
    assert!(ids.len() >= 13_100 - 17 * 256, "{}", ids.len());

    // The end of one and the length of the next: the block headers in the fourth tell which it is.
    let both = (third - 50..third + 50).map(|at| (at, 0x5A)).collect::<Vec<_>>();
    let (ids, reported) = damaged(&both);
    let missing: Vec<u64> =
        without(&[], 13_100).into_iter().filter(|id| !ids.contains(id)).collect();
    assert!(missing.iter().all(|id| (15 * 256 + 1..=48 * 256).contains(id)), "{missing:?}");
    let lost: u64 = reported.iter().map(|failure| failure.place.len / 16_448).sum();
    assert_eq!(lost, missing.len() as u64 / 256, "{reported:?}");

    // The frame's own header, and the length of the first block.
    for with in [0, 0x5A] {
        let (ids, _) = damaged(&(0..100).map(|at| (at, with)).collect::<Vec<_>>());
        assert!(ids.len() >= 13_100 - 16 * 256, "{}", ids.len());
    }

    // Cut short: everything before is returned.
    fs::write(log.cold(0), &frame[..third + 9]).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert!(ids.len() as u64 >= 31 * 256 + 100, "{}", ids.len());
    assert_eq!(ids.last(), Some(&13_100));
    assert!(ranges(&reported).iter().flatten().any(|(_, last)| *last == 13_000), "{reported:?}");
}

/// Of a pair, the file is read that an open keeps, and for that the hot one's header is not needed.
#[test]
fn pairs() {
    let log = Log::of_a_thousand();
    log.write_frame(1);
    fs::write(log.cold(1), b"no frame").unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids.len(), reported.len()), (1000, 0), "{reported:?}");
    log.write_frame(1);
    log.flip(1, 3);
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids.len(), reported.len()), (1000, 0), "the cold one is whole: {reported:?}");
    fs::write(log.cold(1), b"no frame").unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids.len(), reported.len()), (1000, 1), "{reported:?}");
    assert!(reported[0].message.contains("the header is not valid"), "{reported:?}");
    log.flip(1, 3);
    log.write_frame(1);
    let size = fs::metadata(log.hot(1)).unwrap().len() as usize;
    fs::write(log.hot(1), vec![0; size]).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids.len(), reported.len()), (1000, 0), "nothing is in the hot one: {reported:?}");
}

/// The search goes past the end, because meta says that more was durable, and into a damaged block:
/// nothing there is verified.
#[test]
fn garbage_with_a_high_id_is_not_given() {
    let log = Log::of_a_thousand();
    let file = OpenOptions::new().write(true).open(log.hot(2)).unwrap();
    file.write_all_at(&9_000_000_u64.to_le_bytes(), event_at(0, 7)).unwrap();
    log.write_meta(4096);
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, without(&[], 900));
    assert_eq!(ranges(&reported), [Some((901, 1000)), Some((1001, 4096))], "{reported:?}");
}

/// The events of the last block are there, though the file ends within that block.
#[test]
fn a_cut_block_that_has_its_events_and_a_header_that_is_wrong() {
    let log = Log::of(&[Image::closed(0, 1..=600)]);
    log.change_header(0, |header| header.last_chained_checksum ^= 1);
    let file = OpenOptions::new().write(true).open(log.hot(0)).unwrap();
    file.set_len(event_at(2, 88)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!(ids, without(&[], 600));
    assert_eq!(reported.len(), 1, "{reported:?}");
    let what = "the header does not say what its blocks do";
    assert!(reported[0].message.contains(what), "{reported:?}");
}

#[test]
fn an_open_segment_that_is_full_is_not_the_end() {
    let log = Log::of_a_thousand();
    log.write(&Image { blocks: 2, ..Image::open(3, 1001..=1512) });
    log.write(&Image { stamp: 1512, ..Image::open(4, 1513..=1600) });
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids, reported.len()), (without(&[], 1600), 0), "{reported:?}");
}

#[test]
fn durable_events_of_an_unsealed_block_are_returned() {
    let log = Log::of(&[Image::closed(0, 1..=300)]);
    log.write(&Image { sealed_blocks: 0, ..Image::open(1, 301..=400) });
    log.write_meta(390);
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids, reported.len()), (without(&[], 390), 1), "{reported:?}");
    assert!(reported[0].message.contains("the block header is not valid"), "{reported:?}");
}

/// The frame of another recorder: no checksum says which of its blocks are damaged.
#[test]
fn a_hole_in_a_frame_without_block_checksums() {
    const EVENTS: u64 = 4096;
    let log = Log::of(&[Image::closed(0, 1..=EVENTS), Image::closed(1, 4097..=4100)]);
    log.freeze_as(0, BlockMode::Independent, BlockChecksum::NoBlockChecksum);
    let good = fs::read(log.cold(0)).unwrap();
    // The frame's header has 7 bytes; each block begins with its length.
    let (mut at, mut blocks) = (7, 0);
    loop {
        let len = u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
        if len == 0 {
            break;
        }
        for part in 0..16 {
            let hole = at + 4 + len * part / 16..at + 4 + len * (part + 1) / 16;
            let mut frame = good.clone();
            frame[hole.clone()].fill(0);
            fs::write(log.cold(0), frame).unwrap();
            let (ids, reported) = salvage(&mut reader(&log));
            assert!(!reported.is_empty(), "{hole:?}");
            // A block of the frame holds 64 KiB, and shares a block of the segment at either end.
            let most = 64 * 1024 / 64 + 2 * 256;
            assert!(ids.len() >= EVENTS as usize - most, "{hole:?}: {} events", ids.len());
        }
        (at, blocks) = (at + 4 + len, blocks + 1);
    }
    assert!(blocks > 3, "{blocks} blocks");
}

/// Two things that are wrong in a row end at the same good block. Both are said before its events.
#[test]
fn all_damage_is_reported_before_the_events_behind_it() {
    let log = Log::of(&[Image::closed(0, 1..=4096), Image::closed(1, 4097..=4100)]);
    log.freeze_as(0, BlockMode::Independent, BlockChecksum::NoBlockChecksum);
    let mut frame = fs::read(log.cold(0)).unwrap();
    let mut at = 7;
    for block in 0..3 {
        let len = u32::from_le_bytes(frame[at..at + 4].try_into().unwrap()) as usize;
        if block > 0 {
            frame[at + 4..at + 4 + len].fill(0xFF);
        }
        at += 4 + len;
    }
    fs::write(log.cold(0), frame).unwrap();
    for threads in [0, 3] {
        let mut reader = reader(&log);
        reader.use_threads(threads).unwrap();
        let (mut last, mut reported) = (0, Vec::new());
        loop {
            match reader.next() {
                Ok(event) => last = event.event_id,
                Err(Error::End) => break,
                Err(Error::Failure(failure)) => reported.push((last, *failure)),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(reported.len(), 2, "{threads} threads: {reported:?}");
        for (last, failure) in &reported {
            let ids = failure.place.event_ids.unwrap();
            assert!(*last < ids.0, "{threads} threads: behind {last}: {failure:?}");
        }
    }
}

#[test]
fn an_oldest_segment_that_cannot_be_opened_is_reported() {
    let log = Log::of(&[Image::closed(1, 301..=600), Image::closed(2, 601..=700)]);
    fs::create_dir(log.hot(0)).unwrap();
    let (ids, reported) = salvage(&mut reader(&log));
    assert_eq!((ids.len(), reported.len()), (400, 1), "{reported:?}");
    assert!(reported[0].message.contains("FS.00000000.wal"), "{reported:?}");
}

/// What lies behind the event that reading is to end at is not reported, with and without threads.
#[test]
fn damage_is_reported_up_to_the_end_that_was_asked_for() {
    let log = Log::of(&[Image::closed(0, (1..=256).chain(600..=1111)), Image::open(1, 300..=700)]);
    log.flip(0, event_at(1, 3));
    let cut = |index: u32, blocks: u32| {
        let file = OpenOptions::new().write(true).open(log.hot(index)).unwrap();
        file.set_len(Layout::block_offset(blocks) + 40).unwrap();
    };
    let check = |end: u64, expected: &[(u64, u64)]| {
        for threads in [0, 3] {
            let mut reader = reader(&log);
            reader.use_threads(threads).unwrap();
            reader.end_behind(end);
            let (ids, reported) = salvage(&mut reader);
            let expected: Vec<_> = expected.iter().copied().map(Some).collect();
            assert_eq!(ranges(&reported), expected, "to {end}, {threads} threads: {reported:?}");
            assert_eq!(ids, without(&[], end.min(256)));
        }
    };
    check(256, &[]);
    check(400, &[]);
    check(600, &[(600, 855)]);
    check(855, &[(600, 855)]);
    // Its events are lost behind the end, too, so that the next segment is not looked at.
    cut(0, 1);
    cut(1, 1);
    check(256, &[]);
    check(500, &[(257, 1111)]);
}
