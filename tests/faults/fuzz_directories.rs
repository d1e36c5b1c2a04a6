//! Whole directories, damaged at random and deliberately, given to everything that reads or opens a
//! log.
//!
//! A failure prints its log, its seed and the smallest list of mutations found that still causes
//! it. `FLASHSTRIKE_TEST_SEED` runs one seed.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::fuzzing::bench::Bench;
use common::fuzzing::check::Outcome;
use common::fuzzing::logs::{self, Start};
use common::fuzzing::mutation::Mutation;
use common::fuzzing::source::Source;
use common::ledger::{self, Row};
use common::seed;

/// A case that takes longer is hanging.
const LONGEST: Duration = Duration::from_secs(60);

/// A run stops after this many failures.
const MOST_FAILURES: usize = 10;

/// The current seed; `u64::MAX` = none.
static SEED: AtomicU64 = AtomicU64::new(u64::MAX);

/// The case made from a seed.
struct Case<'a> {
    start: &'a Start,
    mutations: Vec<Mutation>,
    seek_to: u64,
}

impl<'a> Case<'a> {
    fn of(starts: &'a [Start], seed: u64) -> Self {
        let mut source = Source::seeded(seed);
        let start = &starts[source.below(starts.len())];
        let mutations = Mutation::some(&mut source, start);
        let seek_to = source.below(1600) as u64;
        Case { start, mutations, seek_to }
    }

    fn run(&self, bench: &Bench) -> Result<Outcome, String> {
        bench.run(self.start, &self.mutations, self.seek_to)
    }

    /// Removes mutations one by one as long as the case still fails.
    fn shrink(&mut self, bench: &Bench) -> Result<Outcome, String> {
        let mut at = 0;
        while at < self.mutations.len() {
            let left_out = self.mutations.remove(at);
            if self.run(bench).is_ok() {
                self.mutations.insert(at, left_out);
                at += 1;
            }
        }
        self.run(bench)
    }
}

/// Ends the process when a case hangs: a hanging thread cannot be ended otherwise.
fn watch() {
    std::thread::spawn(|| loop {
        let before = SEED.load(Ordering::Relaxed);
        std::thread::sleep(LONGEST);
        if before == SEED.load(Ordering::Relaxed) && before != u64::MAX {
            // Not `eprintln`, whose text is captured until a test has ended.
            let _ = writeln!(io::stderr(), "hanging for {LONGEST:?}: {}", seed::again(before));
            std::process::abort();
        }
    });
}

/// The results of a range of seeds.
#[derive(Default)]
struct Run {
    tried: u64,
    opened: u64,
    accepted_loss: u64,
    damage_found: u64,
    unprovable: u64,
    failures: Vec<String>,
}

impl Run {
    /// Runs seed after seed, until there are too many failures.
    fn of(bench: &Bench, seeds: Range<u64>, most_failures: usize) -> Self {
        let starts = logs::all(&bench.home());
        let mut run = Run::default();
        for seed in seeds {
            SEED.store(seed, Ordering::Relaxed);
            let mut case = Case::of(&starts, seed);
            run.tried += 1;
            match case.run(bench) {
                Ok(outcome) => run.count(outcome),
                Err(first) => {
                    let why = case.shrink(bench).err().unwrap_or(first);
                    let (log, mutations) = (case.start.name, &case.mutations);
                    let again = seed::again(seed);
                    let failure = format!("log {log}, {again}: {why}\n  {mutations:?}");
                    // Immediately, because a long run may be interrupted.
                    eprintln!("{failure}");
                    run.failures.push(failure);
                }
            }
            if run.failures.len() == most_failures {
                break;
            }
        }
        SEED.store(u64::MAX, Ordering::Relaxed);
        run
    }

    fn count(&mut self, outcome: Outcome) {
        self.opened += u64::from(outcome.opened);
        self.accepted_loss += u64::from(outcome.accepted_loss);
        self.damage_found += u64::from(outcome.damage_found);
        self.unprovable += u64::from(outcome.unprovable);
    }
}

#[test]
fn damaged_directories_lose_and_invent_nothing_silently() {
    watch();
    let bench = Bench::new();
    for start in logs::all(&bench.home()) {
        let outcome = bench.run(&start, &[], 1);
        let outcome = outcome.unwrap_or_else(|why| panic!("{}: {why}", start.name));
        assert!(outcome.opened && !outcome.damage_found, "{}: {outcome:?}", start.name);
    }
    if let Some(seed) = seed::chosen() {
        let run = Run::of(&bench, seed..seed + 1, 1);
        return assert!(run.failures.is_empty(), "{}", run.failures.join("\n"));
    }
    let run = Run::of(&bench, 0..ledger::times(3_000, 60_000), MOST_FAILURES);
    assert!(run.failures.is_empty(), "{}", run.failures.join("\n"));
    println!(
        "{} directories: {} opened, {} accepting loss, {} with damage found by reading, {} with \
         events that nothing could prove",
        run.tried, run.opened, run.accepted_loss, run.damage_found, run.unprovable
    );
    assert!(
        run.opened > run.tried / 10 && run.damage_found > run.tried / 10,
        "too few outcomes were met"
    );
    assert!(run.accepted_loss > run.tried / 100 && run.unprovable < run.tried / 100);
    planted_bug_is_found();
    ledger::record(Row {
        name: "fuzz-directories",
        fault: "whole directories with files damaged, exchanged, forged, missing, or of noise",
        test: "tests/faults/fuzz_directories.rs",
        tried: run.tried,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &["a reader that does not verify"],
    });
}

/// A reader that does not check checksums: the harness sees its wrong events.
fn planted_bug_is_found() {
    let mut bench = Bench::new();
    bench.verify = false;
    let run = Run::of(&bench, 0..1_000, 1);
    let found = run.failures.iter().any(|why| why.contains("was changed"));
    assert!(found, "not caught in {} cases: {:?}", run.tried, run.failures);
}
