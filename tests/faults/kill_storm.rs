//! G2: a process is killed at a random moment, hundreds of times. Afterwards the log holds every
//! acknowledged event, whole, once and in order, and at most the call in flight besides.

use std::fmt::Display;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::flow::{storm_config, Lives, Random, Shared};
use common::ledger::{record, times, Row};
use common::planted::Bug;
use common::{child, seed, Place};

/// Rounds in the same directory: each crash follows on the one before.
const ROUNDS_PER_LOG: u32 = 12;
/// The planted bug that shows without a power cut.
const PLANTED: Bug = Bug::SkippedBlock;
/// It must be caught within this many kills. On a slow machine many kills come before the write
/// that the bug skips.
const ROUNDS_TO_CATCH: u32 = 100;

/// Where the log is: mostly in memory, which is faster. A kill loses data in neither place.
fn base(place: &Place, seed: u32) -> &Path {
    if seed / ROUNDS_PER_LOG % 10 == 0 {
        place.base()
    } else {
        place.memory()
    }
}

/// Kills a writer while it appends, and checks what it left. Returns how many events it added.
fn round(place: &Place, lives: &mut Lives, seed: u32, planted: bool) -> u64 {
    let _named = seed::Named(seed.into());
    let (base, active) = (base(place, seed), place.memory().join("active"));
    fs::create_dir_all(&active).unwrap();
    let shared = Shared::open(&base.join("shared"));
    let before = shared.acknowledged().load(Ordering::Acquire);
    lives.begin(seed, before);
    let bug = Bug::argument(planted.then_some(PLANTED));
    let arguments: [&dyn Display; 4] = [&seed, &base.display(), &active.display(), &bug];
    let mut child = child::spawn("append-until-killed", &arguments);
    let mut random = Random(u64::from(seed) + 1);
    // Mostly while it appends, sometimes earlier, in the middle of recovery.
    if random.below(6) != 0 {
        while shared.acknowledged().load(Ordering::Acquire) == before {
            if let Some(status) = child.try_wait().unwrap() {
                let output = child.wait_with_output().unwrap();
                panic!("{status}: {}", String::from_utf8_lossy(&output.stderr));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    let longest = if planted { 5_000 + 1_000 * u64::from(seed) } else { 5_000 };
    std::thread::sleep(Duration::from_micros(random.below(longest)));
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
        assert!(possible.contains(&last), "read {last}, possible {possible:?}");
    }
    // Half of the logs go to the next writer unrecovered: a crash after a crash.
    if random.below(2) == 0 {
        let (manager, writer) = common::open(&log, storm_config(u64::from(seed) + 1, &active));
        last = manager.log().appended().last_event_id;
        assert!(possible.contains(&last), "recovered {last}, possible {possible:?}");
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
    if let Some(seed) = seed::chosen() {
        round(&Place::new(), &mut Lives::default(), seed as u32, false);
        return;
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
    assert!(added > rounds * 100, "the writers were killed before they appended much");
    record(Row {
        name: "kills-random",
        fault: "SIGKILL at a random moment",
        test: "tests/faults/kill_storm.rs",
        tried: rounds,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[PLANTED.name()],
    });
}
