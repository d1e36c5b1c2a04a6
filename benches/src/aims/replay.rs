//! P7: reading a log that is in the page cache, from its first event to its last, in batches. Each
//! event is looked at: its price is added up. Compared with bare loops over the same files: hashes
//! of every block under both seeds, nothing but the sum, or LZ4F before both hashes. Then seeks in
//! logs of many small segments.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use xxhash_rust::xxh64::xxh64;

use crate::abi::{Config, Event, EVENT_SIZE, FLAG_NO_COMPRESSION, KEEP_ALL};
use crate::bench::Bench;
use crate::contestants::{Library, Mapped};
use crate::reader::{Reader, NO_VERIFY};

const BLOCK: usize = 257 * EVENT_SIZE;
const HASHES: &str = "both hashes over a mapped file";
const HASHES_BY_TWO: &str = "the same by two threads";
const SCAN: &str = "scan of a mapped file";
const FRAMES: &str = "LZ4F and both hashes";
/// The smallest segments, of 4,096 events, for the logs in which is sought.
const SMALL: u32 = 16;
const SEEKS: u64 = 100;

/// A log of `segments` full segments, cold but for the last two or hot.
fn record(directory: &Path, segments: u32, blocks: u32, cold: bool) -> u64 {
    let config = Config {
        num_blocks: blocks,
        max_segments: if cold { 1 } else { KEEP_ALL },
        max_compressed_segments: KEEP_ALL,
        flags: if cold { 0 } else { FLAG_NO_COMPRESSION },
        ..Config::default()
    };
    let events = u64::from(segments) * u64::from(blocks) * 256;
    let mut library = Library::open(directory, &config);
    for id in 1..=events {
        library.log.append(&Event::order(id));
    }
    library.log.sync();
    while cold && library.log.metrics().cold_segments + 1 < u64::from(segments) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    events
}

fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the log");
    let paths = entries.map(|entry| entry.expect("a name").path());
    let mut paths: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    paths.sort();
    paths
}

/// The sum of the prices in these bytes of events.
fn sum_of(events: &[u8]) -> i64 {
    let price = |event: &[u8]| i64::from_le_bytes(event[16..24].try_into().expect("8 bytes"));
    events.chunks_exact(EVENT_SIZE).map(price).fold(0, i64::wrapping_add)
}

/// Both hashes of every block, and the sum.
fn hash(blocks: &[u8], sum: &mut i64) {
    let mut chained = 0;
    for block in blocks.chunks_exact(BLOCK) {
        let events = &block[EVENT_SIZE..];
        let stored = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("8 bytes"));
        assert_eq!(xxh64(events, 0), stored(16));
        chained = xxh64(events, chained);
        assert_eq!(chained, stored(24));
        *sum = sum.wrapping_add(sum_of(events));
    }
}

fn bare(directory: &Path, each: impl Fn(&[u8], &mut i64)) -> i64 {
    let mut sum = 0;
    for path in files(directory, ".wal") {
        let mapped = Mapped::open(&path);
        each(&mapped.bytes()[EVENT_SIZE..], &mut sum);
    }
    sum
}

/// The same by two threads, each with every other file: what the machine's memory allows them.
fn hash_by_two(directory: &Path) -> i64 {
    let paths = files(directory, ".wal");
    let half = |first: usize| {
        let mut sum = 0;
        for path in paths.iter().skip(first).step_by(2) {
            hash(&Mapped::open(path).bytes()[EVENT_SIZE..], &mut sum);
        }
        sum
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().expect("the other half"))
    });
    one.wrapping_add(other)
}

fn frames(directory: &Path) -> i64 {
    let (mut sum, mut content) = (0, Vec::new());
    for path in files(directory, ".lz4") {
        content.clear();
        let frame = lz4::Decoder::new(File::open(&path).expect("a cold segment"));
        frame.and_then(|mut frame| frame.read_to_end(&mut content)).expect("a whole frame");
        hash(&content[EVENT_SIZE..], &mut sum);
    }
    sum.wrapping_add(bare(directory, hash))
}

fn replay(directory: &Path, flags: u32, threads: u32) -> i64 {
    let mut reader = Reader::open(directory, flags, threads);
    let mut sum = 0_i64;
    while let Some(events) = reader.next_batch() {
        sum = events.iter().fold(sum, |sum, event| sum.wrapping_add(event.price));
    }
    sum
}

type Contestant<'a> = (&'static str, Box<dyn Fn() -> i64 + 'a>);

/// Millions of events a second in each round, of each contestant in turn.
fn rates(rounds: usize, events: u64, contestants: &[Contestant]) -> Vec<Vec<f64>> {
    let mut rates = vec![Vec::new(); contestants.len()];
    let mut sum = None;
    for round in 0..=rounds {
        for ((name, run), rates) in contestants.iter().zip(&mut rates) {
            let begin = Instant::now();
            let seen = run();
            let seconds = begin.elapsed().as_secs_f64();
            assert_eq!(*sum.get_or_insert(seen), seen, "{name} read something else");
            if round > 0 {
                rates.push(events as f64 / seconds / 1e6);
            }
        }
    }
    rates
}

pub fn run(bench: &mut Bench) {
    let segments = (bench.scale.many_segments / 25).max(24);
    let (hot, cold) = (bench.fresh("p7-hot"), bench.fresh("p7-cold"));
    let events = record(&hot, segments, 256, false);
    record(&cold, segments, 256, true);
    let from_hot: Vec<Contestant> = vec![
        (HASHES, Box::new(|| bare(&hot, hash))),
        (HASHES_BY_TWO, Box::new(|| hash_by_two(&hot))),
        (
            SCAN,
            Box::new(|| {
                bare(&hot, |blocks, sum| {
                    for block in blocks.chunks_exact(BLOCK) {
                        *sum = sum.wrapping_add(sum_of(&block[EVENT_SIZE..]));
                    }
                })
            }),
        ),
        ("verified, no thread", Box::new(|| replay(&hot, 0, 0))),
        ("verified, 1 thread beside the caller", Box::new(|| replay(&hot, 0, 1))),
        ("verified, 2 threads beside the caller", Box::new(|| replay(&hot, 0, 2))),
        ("unverified", Box::new(|| replay(&hot, NO_VERIFY, 0))),
    ];
    let from_cold: Vec<Contestant> = vec![
        (FRAMES, Box::new(|| frames(&cold))),
        ("out of LZ4, no thread", Box::new(|| replay(&cold, 0, 0))),
        ("out of LZ4, 1 thread beside the caller", Box::new(|| replay(&cold, 0, 1))),
        ("out of LZ4, 2 threads beside the caller", Box::new(|| replay(&cold, 0, 2))),
    ];
    let rounds = bench.scale.rounds;
    let (of_hot, of_cold) = bench
        .processors
        .on_all(|| (rates(rounds, events, &from_hot), rates(rounds, events, &from_cold)));
    let mut table = bench.report.table("P7", "Replay");
    // What each is compared with, if not with itself, and the aim.
    let limits = [
        (0, None),
        (0, None),
        (2, None),
        (0, Some(1.0)),
        (0, Some(1.8)),
        (0, Some(1.8)),
        (2, Some(0.8)),
    ];
    let names = |contestants: &[Contestant]| contestants.iter().map(|(name, _)| *name).collect();
    let (hot_names, cold_names): (Vec<_>, Vec<_>) = (names(&from_hot), names(&from_cold));
    for (n, ((name, rates), (floor, limit))) in
        hot_names.iter().zip(&of_hot).zip(limits).enumerate()
    {
        let row = table.add(name, "events", "M/s", rates);
        if n != floor {
            row.against(hot_names[floor], &of_hot[floor]);
        }
        if let Some(limit) = limit {
            row.at_least_times(limit);
        }
    }
    let limits = [None, Some(0.95), Some(1.8), Some(1.8)];
    for ((name, rates), limit) in cold_names.iter().zip(&of_cold).zip(limits) {
        let row = table.add(name, "events", "M/s", rates);
        if let Some(limit) = limit {
            row.against(FRAMES, &of_cold[0]).at_least_times(limit);
        }
    }
    drop((from_hot, from_cold));
    seeks(bench);
    bench.remove(&["p7-hot", "p7-cold"]);
}

/// Milliseconds that a seek and the first read take: the median of many, each to another place.
fn seek(directory: &Path, events: u64, by_time: bool) -> f64 {
    let mut reader = Reader::open(directory, 0, 0);
    let mut times = Vec::new();
    let mut random = 1_u64;
    for _ in 0..SEEKS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let id = (random >> 33) % events + 1;
        let begin = Instant::now();
        if by_time {
            reader.seek_time(Event::order(id).timestamp);
        } else {
            reader.seek(id);
        }
        let found = reader.next_batch().map(|events| events[0].event_id);
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!(found, Some(id));
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn seeks(bench: &mut Bench) {
    let segments = bench.scale.many_segments;
    for (name, cold, limit) in [("p7-many-hot", false, 1.0), ("p7-many-cold", true, 5.0)] {
        let directory = bench.fresh(name);
        let events = record(&directory, segments, SMALL, cold);
        for by_time in [false, true] {
            let rounds = 0..bench.scale.rounds;
            let ms: Vec<f64> = rounds.map(|_| seek(&directory, events, by_time)).collect();
            let kind = if cold { "cold" } else { "hot" };
            let subject = format!("{segments} {kind} segments");
            let figure = if by_time { "a seek by time" } else { "a seek by id" };
            bench.report.table("P7", "Replay").add(&subject, figure, "ms", &ms).at_most(limit);
        }
        bench.remove(&[name]);
    }
}
