//! Directories with random damage, salvaged: everything outside the damage is in the new log,
//! nothing else is, and the list of losses is exactly what is missing.
//!
//! What to expect is computed from the bytes alone, before and after the damage, by the published
//! layout (docs/format.md) and without the library.

mod check;
mod damage;
mod logs;
mod random;

use std::collections::BTreeMap;

use crate::support::{fswal, text};
use damage::Damaged;
use logs::Original;
use random::Random;

/// So many in every run of the tests, and so many in `make torture`.
const TIMES: (u64, u64) = (40, 2000);

#[test]
fn damaged_directories_are_salvaged_and_their_losses_are_exact() {
    let logs = logs::all();
    let chosen = std::env::var("FLASHSTRIKE_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = chosen.map_or(0..times(), |seed: u64| seed..seed + 1);
    let tried = seeds.end - seeds.start;
    let results: Vec<Tried> = std::thread::scope(|scope| {
        let of_log = |n: usize| {
            let (log, seeds, number) = (&logs[n], seeds.clone(), logs.len() as u64);
            let own = move |seed: &u64| seed % number == n as u64;
            scope.spawn(move || seeds.filter(own).map(|seed| try_seed(log, seed)).collect())
        };
        let running: Vec<_> = (0..logs.len()).map(of_log).collect();
        running.into_iter().flat_map(|it| -> Vec<Tried> { it.join().unwrap() }).collect()
    });
    let mut outcomes = BTreeMap::<&str, u64>::new();
    results.iter().flatten().for_each(|outcome| *outcomes.entry(outcome).or_default() += 1);
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    println!("{tried} damaged directories: {outcomes:?}");
    let some = failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {tried}:\n{some}", failures.len());
    if chosen.is_none() {
        for outcome in ["whole", "damaged at no cost", "events lost"] {
            assert!(outcomes.contains_key(outcome), "never {outcome}: {outcomes:?}");
        }
    }
}

type Tried = Result<&'static str, String>;

fn try_seed(log: &Original, seed: u64) -> Tried {
    let damaged = damage::some(log, &mut Random::new(seed));
    salvage(log, &damaged).map_err(|why| {
        let done = damaged.done.join("; ");
        format!("FLASHSTRIKE_TEST_SEED={seed}: {}: {done}: {why}", log.name)
    })
}

fn times() -> u64 {
    let Ok(percent) = std::env::var("FLASHSTRIKE_TORTURE") else { return TIMES.0 };
    let percent: u64 = percent.parse().expect("FLASHSTRIKE_TORTURE is a number of percent");
    TIMES.0 + (TIMES.1 - TIMES.0) * percent / 100
}

/// Puts the damaged files in their places, salvages them, checks what came of it, and puts the
/// files back.
fn salvage(log: &Original, damaged: &Damaged) -> Result<&'static str, String> {
    logs::put(&log.files, &damaged.files);
    let out = log.place.base().join("salvaged");
    let (dir, memory) = (log.place.log(), log.place.memory().to_owned());
    let arguments = ["salvage", "--json", "--active-dir", text(&memory), text(&dir), text(&out)];
    let said = fswal(&arguments);
    let checked = check::check(log, damaged, &said, &out);
    logs::put(&damaged.files, &log.files);
    let _ = std::fs::remove_dir_all(&out);
    checked
}
