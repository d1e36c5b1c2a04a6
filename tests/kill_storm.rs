//! G2: a process is killed at a random moment, hundreds of times. Whatever it had been told was
//! appended is there afterwards: whole, once, in order, and nothing else but the call in flight.

mod common;

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::flow::{call, Lives, Random, Shared};
use common::ledger::{record, times, Row};
use common::planted::{Bug, Planted};
use common::{scenario, spawn_scenario, Place};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::storage::{PosixStorage, Storage};

/// Rounds that go on in the same directory: crash upon crash.
const ROUNDS_PER_LOG: u32 = 12;
/// The one of the planted bugs that no power cut is needed for.
const PLANTED: Bug = Bug::SkippedBlock;
/// It must be caught within as many kills.
const ROUNDS_TO_CATCH: u32 = 20;

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

/// Appends until killed.
fn write_until_killed(seed: u32, base: &Path, active: &Path, planted: bool) -> ! {
    common::end_with_parent();
    let shared = Shared::open(&base.join("shared"));
    let log = base.join("log");
    let mut storage: Arc<dyn Storage> = Arc::new(PosixStorage::for_writing());
    if planted {
        storage = Arc::new(Planted::new(storage, PLANTED, &log));
    }
    let opened = Manager::open_with(storage, &log, config(seed.into(), active));
    let (manager, mut writer) = opened.unwrap_or_else(|error| panic!("open: {error}"));
    let mut random = Random(u64::from(seed) * 31 + 7);
    let mut last = manager.log().appended().last_event_id;
    loop {
        last = call(&mut writer, &mut random, &shared, seed, last).unwrap();
        shared.acknowledged().store(last, Ordering::Release);
        if random.below(5000) == 0 {
            manager.log().sync().unwrap();
        }
    }
}

/// Where the log goes: mostly into memory, which is faster. A kill takes nothing from either.
fn base(place: &Place, seed: u32) -> &Path {
    if seed / ROUNDS_PER_LOG % 10 == 0 {
        place.base()
    } else {
        place.memory()
    }
}

/// Kills a writer in full flow and looks at what it left. Returns how many events it had added.
fn round(place: &Place, lives: &mut Lives, seed: u32, planted: bool) -> u64 {
    let (base, active) = (base(place, seed), place.memory().join("active"));
    fs::create_dir_all(&active).unwrap();
    let shared = Shared::open(&base.join("shared"));
    let before = shared.acknowledged().load(Ordering::Acquire);
    lives.begin(seed, before);
    let scenario = format!("{seed} {} {} {planted}", base.display(), active.display());
    let mut child = spawn_scenario("g2_nothing_acknowledged_is_lost", &scenario);
    let mut random = Random(u64::from(seed) + 1);
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
    std::thread::sleep(Duration::from_micros(random.below(5_000)));
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));

    let acknowledged = shared.acknowledged().load(Ordering::Acquire);
    let attempted = shared.attempted().load(Ordering::Acquire);
    let possible = acknowledged..=attempted;
    let log = base.join("log");
    let mut last = acknowledged;
    if log.join("wal_identity").exists() {
        last = lives.check(&log, true).unwrap();
        assert!(possible.contains(&last), "seed {seed}: read {last}, possible {possible:?}");
    }
    // Half of the logs go to the next writer as they are: a crash upon a crash.
    if random.below(2) == 0 {
        let (manager, writer) = common::open(&log, config(u64::from(seed) + 1, &active));
        last = manager.log().appended().last_event_id;
        assert!(possible.contains(&last), "seed {seed}: recovered {last}, possible {possible:?}");
        assert_eq!(manager.log().durable().last_event_id, last);
        manager.shutdown(writer).unwrap();
        assert_eq!(lives.check(&log, true).unwrap(), last);
    }
    shared.acknowledged().store(last, Ordering::Release);
    shared.attempted().store(last, Ordering::Release);
    last - before
}

#[test]
fn g2_nothing_acknowledged_is_lost() {
    if let Some(scenario) = scenario() {
        let parts: Vec<&str> = scenario.split(' ').collect();
        let [seed, base, active, planted] = parts[..] else { panic!("{scenario}") };
        let (seed, planted) = (seed.parse().unwrap(), planted == "true");
        write_until_killed(seed, base.as_ref(), active.as_ref(), planted);
    }
    let (mut place, mut lives) = (Place::new(), Lives::default());
    let is_caught = |seed| {
        let place = Place::new();
        let round = || round(&place, &mut Lives::default(), seed, true);
        std::panic::catch_unwind(AssertUnwindSafe(round)).is_err()
    };
    assert!((1..=ROUNDS_TO_CATCH).any(is_caught), "{} is not caught", PLANTED.name());
    let (begin, rounds) = (Instant::now(), times(700, 5_000));
    let mut added = 0;
    for seed in 1..=rounds as u32 {
        if seed % ROUNDS_PER_LOG == 0 {
            (place, lives) = (Place::new(), Lives::default());
        }
        added += round(&place, &mut lives, seed, false);
    }
    println!("{rounds} kills in {:?}, {added} ids acknowledged, 0 lost", begin.elapsed());
    assert!(added > rounds * 1000, "the writers were killed in full flow");
    record(Row {
        name: "kills-random",
        fault: "SIGKILL at a random moment",
        test: "tests/kill_storm.rs",
        tried: rounds,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[PLANTED.name()],
    });
}
