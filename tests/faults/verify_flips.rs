//! Every single bit of sealed data counts: when flipped, `verify` finds and locates it, a reader
//! never returns it, and a salvaging reader loses its block and nothing else.
//!
//! Each flip is made in place and undone. The same harness runs against checks that ignore
//! checksums, and must see that they miss flips.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::ledger::{record, times, Row};
use common::seed;
use common::segments::{Image, Log};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::{Layout, BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use flashstrike_wal::replay::{verify, Reader, ReaderOptions};

/// Events per segment of the log: the first two segments are cold, the second in three LZ4 blocks.
const SEGMENTS: [u64; 4] = [300, 8500, 600, 100];
const COLD: u32 = 2;
const LAST: u64 = 300 + 8500 + 600 + 100;

fn log() -> Log {
    let mut first = 1;
    let mut images = Vec::new();
    for (index, count) in (0..).zip(SEGMENTS) {
        images.push(Image::closed(index, first..first + count));
        first += count;
    }
    let log = Log::of(&images);
    (0..COLD).for_each(|index| log.freeze(index));
    log.write_meta(LAST);
    log
}

/// A part of a file whose bits are flipped, and what a flip may cost.
#[derive(Debug, Clone)]
struct Part {
    index: u32,
    /// Bytes of the file.
    begin: u64,
    end: u64,
    /// The offset in the file that `verify` must report.
    at: u64,
    /// Events that may be lost.
    events: std::ops::Range<u64>,
}

/// The events of the blocks that cover a range of a segment's content.
fn events_within(index: u32, content: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let first: u64 = 1 + SEGMENTS[..index as usize].iter().sum::<u64>();
    let count = SEGMENTS[index as usize];
    let blocks = count.div_ceil(256) as u32;
    let inside = |k: &u32| {
        let at = Layout::block_offset(*k);
        at < content.end && content.start < at + BLOCK_SIZE as u64
    };
    let Some(low) = (0..blocks).find(inside) else { return first..first };
    let high = (0..blocks).rev().find(inside).unwrap();
    first + u64::from(low) * 256..(first + u64::from(high + 1) * 256).min(first + count)
}

fn hot_parts(index: u32) -> Vec<Part> {
    let count = SEGMENTS[index as usize];
    let mut parts = vec![Part { index, begin: 0, end: 64, at: 0, events: 0..0 }];
    for block in 0..count.div_ceil(256) as u32 {
        let at = Layout::block_offset(block);
        let events = events_within(index, at..at + 1);
        let begin = at + BLOCK_HEADER_SIZE as u64;
        let end = begin + (events.end - events.start) * EVENT_SIZE as u64;
        let header = Part { index, begin: at, end: begin, at, events: events.clone() };
        parts.extend([header, Part { index, begin, end, at, events }]);
    }
    parts
}

/// The parts of an LZ4 frame, parsed independently here: header, blocks (length, data, checksum),
/// end.
fn cold_parts(log: &Log, index: u32) -> Vec<Part> {
    let frame = std::fs::read(log.cold(index)).unwrap();
    let mut parts = vec![Part { index, begin: 0, end: 15, at: 0, events: 0..0 }];
    let (mut at, mut content) = (15, 0);
    loop {
        let len = u32::from_le_bytes(frame[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        if len == 0 {
            break;
        }
        let end = at + 4 + len as usize + 4;
        let (begin, end) = (at as u64, end as u64);
        let events = events_within(index, content..content + 262_144);
        parts.push(Part { index, begin, end, at: begin, events });
        content += 262_144;
        at = end as usize;
    }
    let (begin, end) = (at as u64, frame.len() as u64);
    assert_eq!(end - begin, 8);
    parts.push(Part { index, begin, end, at: begin, events: 0..0 });
    parts
}

fn parts(log: &Log) -> Vec<Part> {
    let cold = (0..COLD).flat_map(|index| cold_parts(log, index));
    cold.chain((COLD..SEGMENTS.len() as u32).flat_map(hot_parts)).collect()
}

/// A salvaging reader that reports more failures never ends.
const ENDLESS: u32 = 100;

/// The checks that are run against every flip.
struct Checks {
    /// The damage found: file name and offset in it. Empty if there is none.
    verify: fn(&Path) -> Vec<(String, u64)>,
    read: fn(&Path) -> Reader,
    salvage: fn(&Path) -> Reader,
}

const REAL: Checks = Checks {
    verify: |path| {
        let report = verify(path).unwrap();
        assert_eq!(report.damage_count, report.damages.len() as u64);
        assert_eq!(report.result().is_err(), report.damage_count > 0);
        report.damages.iter().map(|d| (d.file_name().to_owned(), d.file_offset)).collect()
    },
    read: |path| Reader::open(path, ReaderOptions { verify: true }).unwrap(),
    salvage: |path| Reader::open_salvaging(path).unwrap(),
};

#[derive(Debug, Default)]
struct Counts {
    tried: u64,
    /// Flips that verify missed or located wrongly.
    unseen: u64,
    /// Events returned changed, out of order or twice, or damage at which a reader did not stop.
    given: u64,
    /// Good events that salvage did not return, or lost ones that it did not report.
    lost: u64,
}

impl Counts {
    fn flip(&mut self, log: &Log, part: &Part, bit: u64, checks: &Checks) {
        let path = if part.index < COLD { log.cold(part.index) } else { log.hot(part.index) };
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        self.tried += 1;
        flip_bit(&file, bit);
        let before = (self.unseen, self.given, self.lost);
        let found = (checks.verify)(&log.path());
        self.unseen += u64::from(!found.iter().any(|place| *place == (name.clone(), part.at)));
        self.unseen += u64::from(found.iter().any(|(file, _)| *file != name));
        // A reader does not care whether the last segment was closed: its events decide.
        let may_end = part.index + 1 == SEGMENTS.len() as u32 && part.end == 64;
        self.read(&mut (checks.read)(&log.path()), may_end);
        self.salvage(&mut (checks.salvage)(&log.path()), part);
        if before != (self.unseen, self.given, self.lost) && self.unseen + self.given < 5 {
            println!("{part:?}, bit {bit}: {self:?}; found {found:?}");
        }
        flip_bit(&file, bit);
    }

    fn read(&mut self, reader: &mut Reader, may_end: bool) {
        let mut last = 0;
        loop {
            match reader.next() {
                Ok(event) => {
                    let good = event == common::event(event.event_id) && event.event_id == last + 1;
                    self.given += u64::from(!good);
                    last = event.event_id;
                }
                Err(error) => {
                    let stopped = error.cause() == Some(Cause::Corrupt);
                    self.given += u64::from(!stopped && !may_end);
                    return;
                }
            }
        }
    }

    fn salvage(&mut self, reader: &mut Reader, part: &Part) {
        let mut missing: BTreeSet<u64> = (1..=LAST).collect();
        let (mut last, mut reported, mut named) = (0, 0, Vec::new());
        loop {
            match reader.next() {
                Ok(event) => {
                    let good =
                        event == common::event(event.event_id) && missing.remove(&event.event_id);
                    self.given += u64::from(!good || event.event_id <= last);
                    last = event.event_id;
                }
                Err(Error::End) => break,
                Err(Error::Failure(failure)) => {
                    reported += 1;
                    named.extend(failure.place.event_ids);
                    if reported == ENDLESS {
                        break;
                    }
                }
                Err(other) => panic!("{other}"),
            }
        }
        self.given += u64::from(reported == 0);
        let is_named = |id: &u64| named.iter().any(|(first, last)| (first..=last).contains(&id));
        let unexpected = missing.iter().filter(|id| !part.events.contains(id) || !is_named(id));
        self.lost += unexpected.count() as u64;
    }
}

fn flip_bit(file: &File, bit: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], bit / 8).unwrap();
}

/// Pseudo-random numbers, the same in every run (SplitMix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The seed of the random numbers.
fn seed() -> u64 {
    seed::chosen().unwrap_or(20_240_917)
}

/// Flips `count` random bits of sealed data.
fn flips(count: u64, checks: &Checks) -> Counts {
    let log = log();
    let parts = parts(&log);
    let bytes: u64 = parts.iter().map(|part| part.end - part.begin).sum();
    let (mut counts, mut state) = (Counts::default(), seed());
    for _ in 0..count {
        let mut at = random(&mut state) % bytes;
        let part = parts.iter().find(|part| {
            let inside = at < part.end - part.begin;
            at -= if inside { 0 } else { part.end - part.begin };
            inside
        });
        let part = part.expect("all parts together have that many bytes");
        counts.flip(&log, part, (part.begin + at) * 8 + random(&mut state) % 8, checks);
    }
    counts
}

#[test]
fn g6_every_bit_of_headers_and_frames() {
    let log = log();
    let small = |part: &&Part| part.end - part.begin <= 64;
    let mut counts = Counts::default();
    let parts = parts(&log);
    // One header of each kind completely, and of every LZ4 block its length and its checksum.
    let mut kinds = BTreeSet::new();
    for part in parts.iter().filter(small) {
        if part.index >= COLD && !kinds.insert(part.end - part.begin + part.begin.min(1)) {
            continue;
        }
        (part.begin * 8..part.end * 8).for_each(|bit| counts.flip(&log, part, bit, &REAL));
    }
    for part in parts.iter().filter(|part| part.index < COLD && part.end - part.begin > 64) {
        let ends = (part.begin..part.begin + 4).chain(part.end - 4..part.end);
        ends.for_each(|byte| {
            (byte * 8..byte * 8 + 8).for_each(|bit| counts.flip(&log, part, bit, &REAL));
        });
    }
    println!("{counts:?}");
    assert!(counts.tried > 1000, "{counts:?}");
    assert_eq!((counts.unseen, counts.given, counts.lost), (0, 0, 0));
}

#[test]
fn g6_bits_anywhere_in_sealed_data() {
    let counts = flips(times(5_000, 50_000), &REAL);
    record(Row {
        name: "bit-flips",
        fault: "a bit of sealed data flipped, in hot and cold segments",
        test: "tests/faults/verify_flips.rs",
        tried: counts.tried,
        lost: counts.lost,
        invented: 0,
        undetected: counts.unseen + counts.given,
        planted: &[
            "a reader that does not look at checksums",
            "a verify that only reads headers",
            "a salvage that does not look at checksums",
        ],
    });
    let wrong = (counts.unseen, counts.given, counts.lost);
    assert_eq!(wrong, (0, 0, 0), "{}", seed::again(seed()));
}

const UNVERIFIED: fn(&Path) -> Reader =
    |path| Reader::open(path, ReaderOptions { verify: false }).unwrap();

/// Finds only the damage that a reader of headers would find.
fn verify_by_headers(path: &Path) -> Vec<(String, u64)> {
    let mut reader = UNVERIFIED(path);
    loop {
        match reader.next() {
            Ok(_) => {}
            Err(Error::End) => return Vec::new(),
            Err(_) => return (REAL.verify)(path),
        }
    }
}

#[test]
fn planted_checks_that_trust_the_headers_are_caught() {
    const FLIPS: u64 = 200;
    let counts = flips(FLIPS, &Checks { verify: verify_by_headers, ..REAL });
    assert!(counts.unseen > 0 && counts.given + counts.lost == 0, "verify: {counts:?}");
    let counts = flips(FLIPS, &Checks { read: UNVERIFIED, ..REAL });
    assert!(counts.given > 0 && counts.unseen + counts.lost == 0, "reader: {counts:?}");
    let counts = flips(FLIPS, &Checks { salvage: UNVERIFIED, ..REAL });
    assert!(counts.given > 0 && counts.lost > 0 && counts.unseen == 0, "salvage: {counts:?}");
}
