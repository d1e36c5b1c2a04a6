//! P4: from the append of an event until the watermark has passed it. Under load the append thread
//! itself looks at the watermark while it waits for its next event, and notes every 16th event.
//! After an idle spell it appends one event and looks, or waits with `fs_wal_wait_durable`. Against
//! bare 4 KiB overwrites with `fdatasync`, back to back and after the same spell.

use std::collections::VecDeque;
use std::time::Duration;

use super::latency::RATE;
use crate::abi::{Config, Event, Log, FLAG_SPIN};
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{settle, Library};
use crate::disk::BareDisk;
use crate::latencies::Latencies;
use crate::pace::Pace;

const NOTED: u64 = 16;
/// Long enough for a persister to be at its longest sleep.
const SPELL: Duration = Duration::from_millis(60);
const DISK: &str = "the disk: 4 KiB overwrite";
const DISK_RESTED: &str = "the disk: 4 KiB overwrite after a spell";

/// A log, and the rounds of it.
struct Subject {
    name: &'static str,
    library: Library,
    next_id: u64,
    rounds: Vec<Latencies>,
    measure: fn(&mut Log, &mut u64, &Bench) -> Latencies,
}

impl Subject {
    fn open(
        bench: &Bench,
        name: &'static str,
        flags: u32,
        measure: fn(&mut Log, &mut u64, &Bench) -> Latencies,
    ) -> Self {
        let config = Config { flags, ..Config::default() };
        let directory = bench.fresh(&format!("p4/{name}"));
        let library = Library::open(&directory, &config, &bench.processors);
        Subject { name, library, next_id: 1, rounds: Vec::new(), measure }
    }

    fn take_turn(&mut self, bench: &Bench) {
        let latencies = (self.measure)(&mut self.library.log, &mut self.next_id, bench);
        self.rounds.push(latencies);
        settle(&self.library.log, 32);
    }
}

pub fn run(bench: &mut Bench) {
    let under_load = compare(bench, Duration::ZERO, |bench| {
        vec![Subject::open(bench, "flashstrike-wal", 0, under_load)]
    });
    add(bench, "Time to durable, a million events a second", DISK, &under_load);
    let single = compare(bench, SPELL, |bench| {
        vec![
            Subject::open(bench, "sleeping persister, polled", 0, after_spell_polled),
            Subject::open(bench, "sleeping persister, wait_durable", 0, after_spell_waited),
        ]
    });
    // By itself: it would take the processor from the others.
    let spinning = compare(bench, SPELL, |bench| {
        vec![Subject::open(bench, "spinning persister, polled", FLAG_SPIN, after_spell_polled)]
    });
    add(bench, "Time to durable, one event after an idle spell", DISK_RESTED, &single);
    add(bench, "The same, with a spinning persister", DISK_RESTED, &spinning);
}

type Rounds = Vec<(&'static str, Vec<Latencies>)>;

/// The bare disk and the subjects in turns; the disk first.
fn compare(bench: &Bench, spell: Duration, open: impl Fn(&Bench) -> Vec<Subject>) -> Rounds {
    let mut disk = BareDisk::new(&bench.fresh("p4-disk"));
    let mut subjects = open(bench);
    let duration = match spell {
        Duration::ZERO => bench.scale.durable,
        spell => spell * bench.scale.single_events as u32,
    };
    let mut of_disk = Vec::new();
    for _ in 0..bench.scale.rounds {
        of_disk.push(bench.processors.on_workers(|| disk.small_writes(duration, spell)));
        subjects.iter_mut().for_each(|subject| subject.take_turn(bench));
    }
    let mut rounds = vec![(DISK, of_disk)];
    rounds.extend(subjects.into_iter().map(|subject| (subject.name, subject.rounds)));
    bench.remove(&["p4", "p4-disk"]);
    rounds
}

fn add(bench: &mut Bench, title: &'static str, disk: &str, rounds: &Rounds) {
    let mut table = bench.report.table("P4", title);
    for (n, (name, latencies)) in rounds.iter().enumerate() {
        for (figure, percentile, limit) in [("p50", 50.0, 2.0), ("p99", 99.0, 3.0)] {
            let at = |latencies: &[Latencies]| -> Vec<f64> {
                latencies.iter().map(|round| round.percentile_ns(percentile) / 1e3).collect()
            };
            let name = if n == 0 { disk } else { name };
            let row = table.add(name, figure, "µs", &at(latencies));
            if n > 0 {
                row.against(disk, &at(&rounds[0].1)).at_most_times(limit);
            }
        }
    }
}

fn under_load(log: &mut Log, next_id: &mut u64, bench: &Bench) -> Latencies {
    let pace = Pace::new(RATE, bench.scale.durable);
    let mut latencies = Latencies::new();
    let mut noted: VecDeque<(u64, u64)> = VecDeque::with_capacity(1 << 16);
    let mut event = Event::order(*next_id);
    let schedule = pace.start();
    for n in 0..pace.events {
        while clock::now() < schedule.tick(n) {
            let durable = log.durable();
            let now = clock::now();
            while let Some(&(id, appended)) = noted.front().filter(|(id, _)| *id <= durable) {
                debug_assert!(id <= durable);
                latencies.record(now - appended);
                noted.pop_front();
            }
        }
        event.event_id = *next_id;
        if n % NOTED == 0 {
            noted.push_back((*next_id, clock::now()));
        }
        log.append(&event);
        *next_id += 1;
    }
    latencies
}

fn after_spell_polled(log: &mut Log, next_id: &mut u64, bench: &Bench) -> Latencies {
    after_spell(log, next_id, bench, |log, id| while log.durable() < id {})
}

fn after_spell_waited(log: &mut Log, next_id: &mut u64, bench: &Bench) -> Latencies {
    after_spell(log, next_id, bench, |log, id| log.wait_durable(id))
}

fn after_spell(
    log: &mut Log,
    next_id: &mut u64,
    bench: &Bench,
    wait: impl Fn(&Log, u64),
) -> Latencies {
    let mut latencies = Latencies::new();
    for _ in 0..bench.scale.single_events {
        std::thread::sleep(SPELL);
        let event = Event::order(*next_id);
        let begin = clock::now();
        log.append(&event);
        wait(log, *next_id);
        latencies.record(clock::now() - begin);
        *next_id += 1;
    }
    latencies
}
