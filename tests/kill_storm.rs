//! G2: a process is killed at a random moment, hundreds of times. Whatever it had been told was
//! appended is there afterwards: whole, once, in order, and nothing else but the call in flight.

mod common;

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{event, scenario, spawn_scenario, Place};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::Error;
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::Writer;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use memmap2::MmapRaw;

const ROUNDS: u64 = 500;
/// Rounds that go on in the same directory: crash upon crash.
const ROUNDS_PER_LOG: u64 = 20;

/// What the writing process leaves in memory that outlives it.
struct Shared(MmapRaw);

impl Shared {
    fn open(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).unwrap();
        file.set_len(4096).unwrap();
        Shared(MmapRaw::map_raw(&file).unwrap())
    }

    fn word(&self, n: usize) -> &AtomicU64 {
        assert!(n < 512);
        // SAFETY: the mapping has 512 aligned words and lives as long as the borrow.
        unsafe { &*self.0.as_ptr().cast::<AtomicU64>().add(n) }
    }

    /// The last id of an append or commit that returned OK.
    fn acknowledged(&self) -> &AtomicU64 {
        self.word(0)
    }

    /// The last id that any call was given.
    fn attempted(&self) -> &AtomicU64 {
        self.word(8)
    }
}

/// A small generator of random numbers (xorshift), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Ids have gaps, but every id has one successor, so the whole log can be foretold.
fn successor(id: u64) -> u64 {
    id + 1 + if id % 5 == 0 { id % 7 } else { 0 }
}

fn config(seed: u64, memory: &Path) -> Config {
    let mut random = Random(seed * 977 + 13);
    Config {
        num_blocks: 16 + random.below(24) as u32,
        prepared_segments: 1 + random.below(4) as u32,
        max_segments: Keep::AtMost(1 + random.below(4) as u32),
        max_compressed_segments: Keep::All,
        sync_mode: match random.below(4) {
            0 => SyncMode::Rotation,
            1 => SyncMode::Interval(Duration::from_millis(3)),
            _ => SyncMode::Continuous,
        },
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// One call of a random kind. `last` is the last id that was appended; so is what is returned.
fn call(writer: &mut Writer, random: &mut Random, shared: &Shared, last: u64) -> u64 {
    let next = successor(last);
    match random.below(8) {
        0 => {
            let mut batch = Vec::new();
            let mut id = last;
            for _ in 0..1 + random.below(700) {
                id = successor(id);
                batch.push(event(id));
            }
            shared.attempted().store(id, Ordering::Release);
            let mut appended = 0;
            writer.append_batch(&batch, &mut appended).unwrap();
            assert_eq!(appended, batch.len());
            id
        }
        1 => {
            // One claim abandoned, one committed.
            let abandoned = writer.claim().unwrap();
            fill(abandoned, &event(next + 1));
            let slot = writer.claim().unwrap();
            fill(slot, &event(next));
            shared.attempted().store(next, Ordering::Release);
            writer.commit(next).unwrap();
            next
        }
        _ => {
            shared.attempted().store(next, Ordering::Release);
            writer.append(&event(next)).unwrap();
            next
        }
    }
}

/// Writes all of a claimed event but its id.
fn fill(slot: *mut RequestEvent, event: &RequestEvent) {
    let bytes = event.encode();
    // SAFETY: the slot was just claimed: 64 bytes that are the caller's until the next call.
    unsafe { slot.cast::<u8>().add(8).copy_from_nonoverlapping(bytes[8..].as_ptr(), 56) };
}

/// Appends until killed.
fn write_until_killed(seed: u64, base: &Path, memory: &Path) -> ! {
    let shared = Shared::open(&base.join("shared"));
    let (manager, mut writer) = common::open(&base.join("log"), config(seed, memory));
    let mut random = Random(seed * 31 + 7);
    let mut last = manager.log().appended().last_event_id;
    loop {
        last = call(&mut writer, &mut random, &shared, last);
        shared.acknowledged().store(last, Ordering::Release);
        if random.below(5000) == 0 {
            manager.log().sync().unwrap();
        }
    }
}

/// Reads the log; it must be the successors from the first id on. Returns the last id.
fn check_log(log: &Path) -> u64 {
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    let mut last = 0;
    loop {
        match reader.next() {
            Ok(found) => {
                assert_eq!(found.event_id, successor(last), "after {last}");
                assert_eq!(found, event(found.event_id));
                last = found.event_id;
            }
            Err(Error::End) => return last,
            Err(error) => panic!("after {last}: {error}"),
        }
    }
}

/// Kills a writer in full flow and looks at what it left. Returns how many events it had added.
fn round(place: &Place, seed: u64) -> u64 {
    let shared = Shared::open(&place.base().join("shared"));
    let before = shared.acknowledged().load(Ordering::Acquire);
    let scenario = format!("{seed} {} {}", place.base().display(), place.memory().display());
    let mut child = spawn_scenario("g2_nothing_acknowledged_is_lost", &scenario);
    let mut random = Random(seed + 1);
    // Mostly in flow, at times before it has begun: in the middle of recovery.
    if random.below(6) != 0 {
        while shared.acknowledged().load(Ordering::Acquire) == before {
            if let Some(status) = child.try_wait().unwrap() {
                let output = child.wait_with_output().unwrap();
                panic!("{status}: {}", String::from_utf8_lossy(&output.stderr));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    std::thread::sleep(Duration::from_micros(random.below(15_000)));
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));

    let acknowledged = shared.acknowledged().load(Ordering::Acquire);
    let attempted = shared.attempted().load(Ordering::Acquire);
    let possible = acknowledged..=attempted;
    let log = place.log();
    let mut last = acknowledged;
    if log.join("wal_identity").exists() {
        last = check_log(&log);
        assert!(possible.contains(&last), "seed {seed}: read {last}, possible {possible:?}");
    }
    // Half of the logs go to the next writer as they are: a crash upon a crash.
    if random.below(2) == 0 {
        let (manager, writer) = common::open(&log, config(seed + 1, place.memory()));
        last = manager.log().appended().last_event_id;
        assert!(possible.contains(&last), "seed {seed}: recovered {last}, possible {possible:?}");
        assert_eq!(manager.log().durable().last_event_id, last);
        manager.shutdown(writer).unwrap();
        assert_eq!(check_log(&log), last);
    }
    shared.acknowledged().store(last, Ordering::Release);
    shared.attempted().store(last, Ordering::Release);
    last - before
}

#[test]
fn g2_nothing_acknowledged_is_lost() {
    if let Some(scenario) = scenario() {
        let parts: Vec<&str> = scenario.split(' ').collect();
        write_until_killed(parts[0].parse().unwrap(), parts[1].as_ref(), parts[2].as_ref());
    }
    let mut place = Place::new();
    let mut added = 0;
    for seed in 1..=ROUNDS {
        if seed % ROUNDS_PER_LOG == 0 {
            place = Place::new();
        }
        added += round(&place, seed);
    }
    println!("{ROUNDS} kills, {added} ids acknowledged, 0 lost");
    assert!(added > ROUNDS * 1000, "the writers were killed in full flow");
}
