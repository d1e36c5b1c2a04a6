//! G2, G3, G5, G6, G7 on a simulated machine: thousands of random histories of appends, worker
//! steps, restarts, kills, power cuts and failing calls, compared with a model of what may and must
//! be in the log.
//!
//! A failure prints its seed and the shortest history found that still fails.
//! `FLASHSTRIKE_TEST_SEED` runs one seed.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use crate::simulation::history::{Accidents, History};
use crate::simulation::world::Seen;
use crate::simulation::{run, shrink};
use common::ledger::{self, Row};
use common::planted::Bug;
use common::seed;

/// Every planted bug must be caught within this many histories.
const PLANTED_HISTORIES: u64 = 2_000;

/// Runs the histories of these seeds, on every processor.
fn run_all(seeds: RangeInclusive<u64>, accidents: Accidents) -> Seen {
    let next = AtomicU64::new(*seeds.start());
    let total = Mutex::new(Seen::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > *seeds.end() {
                    return;
                }
                let history = History::new(seed, accidents);
                match run(&history, None) {
                    Ok(seen) => *total.lock().unwrap() += seen,
                    Err(what) => {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        let shortest = shrink(&history, None);
                        let now = run(&shortest, None).unwrap_err();
                        let again = seed::again(seed);
                        panic!("{accidents:?}, {again}: {what}\nshortest: {now}\n{shortest:#?}");
                    }
                }
            });
        }
    });
    total.into_inner().unwrap()
}

/// The names of these bugs; the histories must catch each of them.
fn planted(bugs: &[Bug], accidents: Accidents) -> Vec<&'static str> {
    let find = |bug: &Bug| {
        let found = (1..=PLANTED_HISTORIES)
            .find_map(|seed| run(&History::new(seed, accidents), Some(*bug)).err());
        let what = found.unwrap_or_else(|| panic!("{} was not caught", bug.name()));
        println!("{}: {what}", bug.name());
        bug.name()
    };
    bugs.iter().map(find).collect()
}

#[test]
fn g2_g3_nothing_is_lost_or_invented_by_crashes_and_power_cuts() {
    if let Some(seed) = seed::chosen() {
        println!("{:?}", run_all(seed..=seed, Accidents::Crashes));
        return;
    }
    let histories = ledger::times(14_000, 200_000);
    let seen = run_all(1..=histories, Accidents::Crashes);
    println!("{histories} histories: {seen:?}");
    assert!(seen.power_cuts > histories && seen.appended > 1000 * histories);
    assert_eq!((seen.poisoned, seen.refused_opens), (0, 0), "nothing but crashes happened");
    ledger::record(Row {
        name: "simulated-crashes",
        fault: "random histories with process kills and power cuts, on a simulated disk",
        test: "tests/faults/model.rs",
        tried: histories,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &planted(&Bug::ALL, Accidents::Crashes),
    });
}

#[test]
fn g5_g7_nothing_is_lost_or_invented_when_calls_fail_too() {
    if let Some(seed) = seed::chosen() {
        println!("{:?}", run_all(seed..=seed, Accidents::CrashesAndFaults));
        return;
    }
    let histories = ledger::times(8_000, 100_000);
    let seen = run_all(1..=histories, Accidents::CrashesAndFaults);
    println!("{histories} histories: {seen:?}");
    assert!(seen.poisoned > histories / 20 && seen.refused_opens > histories / 20);
    ledger::record(Row {
        name: "simulated-faults",
        fault: "the same with failing calls of every kind and full disks",
        test: "tests/faults/model.rs",
        tried: histories,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &planted(&[Bug::SyncTriedAgain], Accidents::CrashesAndFaults),
    });
}
