//! P4: the time from the append of an event until the watermark reaches it. Under load the append
//! thread notes every 16th event, and polls the watermark while it waits for its next event. After
//! an idle spell it appends one event and polls, or waits with `fs_wal_wait_durable`. Compared
//! with bare 4 KiB overwrites with `fdatasync`, back to back and after the same spell. An event
//! that comes while a sync is running has to wait for the rest of it, and then for its own sync:
//! what such events would wait for is computed from the bare disk's times, and compared with too.

use std::collections::VecDeque;
use std::time::Duration;

use super::latency::RATE;
use crate::abi::{Config, Event, Log, FLAG_SPIN, KEEP_NONE};
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{settle, Library, LIBRARY};
use crate::disk::BareDisk;
use crate::latencies::Latencies;
use crate::pace::Pace;
use crate::report::Row;

const NOTED: u64 = 16;
/// Long enough for a persister to be in its longest sleep. Each spell is a little longer than the
/// one before, or all would end at the same point between two ticks of the watcher.
const SPELL: Duration = Duration::from_millis(60);
const SPELL_GROWS: Duration = Duration::from_micros(700);
const DISK: &str = "the disk: 4 KiB overwrite";
const DISK_MET: &str = "the disk, met at any moment";
const DISK_RESTED: &str = "the disk: 4 KiB overwrite after a spell";
const WAITED: &str = "sleeping persister, wait_durable";
const POLLED: &str = "sleeping persister, polled";
const SPINNING: &str = "spinning persister, polled";
const P50: &str = "p50";
const P99: &str = "p99";

type Measure = fn(&mut Log, &mut u64, &Bench) -> Latencies;

/// A log that is open only in its turns. Otherwise a spinning persister would take processor time
/// from the others.
struct Subject {
    name: &'static str,
    config: Config,
    measure: Measure,
    rounds: Vec<Latencies>,
}

impl Subject {
    fn new(name: &'static str, config: Config, measure: Measure) -> Self {
        Subject { name, config, measure, rounds: Vec::new() }
    }

    fn take_turn(&mut self, bench: &Bench) {
        let directory = bench.directory.join("p4").join(self.name);
        let mut log = Library::open(&directory, &self.config).log;
        let mut next_id = log.last_id() + 1;
        self.rounds.push((self.measure)(&mut log, &mut next_id, bench));
        settle(&log, 32);
    }
}

pub fn run(bench: &mut Bench) {
    let _ = bench.fresh("p4");
    under_load_in_turns(bench);
    after_a_spell_in_turns(bench);
    bench.remove(&["p4", "p4-disk"]);
}

fn under_load_in_turns(bench: &mut Bench) {
    let default = Config::default();
    let deleting = Config { max_compressed_segments: KEEP_NONE, ..default };
    let subjects = [
        Subject::new(LIBRARY, default, under_load),
        Subject::new("without compression", deleting, under_load),
    ];
    let (taken, of_library) = compare(bench, Duration::ZERO, subjects);
    let single = taken.iter().map(|syncs| of_writes(syncs)).collect();
    let met = taken.iter().map(|syncs| met_by_events(syncs)).collect();
    let title = "Time to durable, a million events a second";
    add(bench, title, (DISK, single), &of_library, |row, subject, figure| {
        if (subject, figure) == (LIBRARY, P50) {
            row.at_most_times(1.3);
        }
    });
    let title = "Time to durable, beside the disk met at any moment";
    add(bench, title, (DISK_MET, met), &of_library, |row, subject, _| {
        if subject == LIBRARY {
            row.at_most_times(1.2);
        }
    });
}

fn after_a_spell_in_turns(bench: &mut Bench) {
    let default = Config::default();
    let spinning = Config { flags: FLAG_SPIN, ..default };
    let subjects = [
        Subject::new(WAITED, default, after_spell_waited),
        Subject::new(POLLED, default, after_spell_polled),
        Subject::new(SPINNING, spinning, after_spell_polled),
    ];
    let (taken, of_library) = compare(bench, SPELL, subjects);
    let rested = taken.iter().map(|syncs| of_writes(syncs)).collect();
    let title = "Time to durable, one event after an idle spell";
    add(bench, title, (DISK_RESTED, rested), &of_library, |row, subject, figure| {
        match (subject, figure) {
            // The watcher looks every 15 ms, and the write comes after that.
            (POLLED, P99) => row.at_most_ms(16.0),
            (_, P99) => row.at_most_ms(2.0),
            _ => row,
        };
    });
}

/// A subject, and its latencies in each round.
type Rounds = (&'static str, Vec<Latencies>);

/// Measures the bare disk and the subjects in turns, the disk first. Returns the ticks that each
/// write of the disk took, by round, and the subjects.
fn compare<const N: usize>(
    bench: &Bench,
    spell: Duration,
    mut subjects: [Subject; N],
) -> (Vec<Vec<u64>>, Vec<Rounds>) {
    let mut disk = BareDisk::new(&bench.fresh("p4-disk"));
    let duration = match spell {
        Duration::ZERO => bench.scale.durable,
        spell => spell * bench.scale.single_events as u32,
    };
    let mut of_disk = Vec::new();
    for _ in 0..bench.scale.rounds {
        of_disk.push(bench.processors.on_workers(|| disk.small_writes(duration, spell)));
        subjects.iter_mut().for_each(|subject| subject.take_turn(bench));
    }
    (of_disk, subjects.into_iter().map(|subject| (subject.name, subject.rounds)).collect())
}

fn of_writes(taken: &[u64]) -> Latencies {
    Latencies::of(taken.iter().copied())
}

/// The waits of events that come at regular intervals during a sync: for the rest of that sync, and
/// then for the next one.
fn met_by_events(syncs: &[u64]) -> Latencies {
    let apart = clock::to_ticks(Duration::from_micros(NOTED)) as usize;
    let wait = |pair: &[u64]| {
        let own = pair[1];
        (0..pair[0]).step_by(apart).map(move |rest| rest + own)
    };
    Latencies::of(syncs.windows(2).flat_map(wait))
}

/// Adds a table of the disk and of the subjects, which are compared with it. `aim` sets the aim of
/// a subject's figure.
fn add(
    bench: &mut Bench,
    title: &'static str,
    disk: Rounds,
    subjects: &[Rounds],
    aim: impl Fn(&mut Row, &str, &str),
) {
    let mut table = bench.report.table("P4", title);
    for (figure, percentile) in [(P50, 50.0), (P99, 99.0)] {
        let at = |latencies: &[Latencies]| -> Vec<f64> {
            latencies.iter().map(|round| round.percentile_ns(percentile)).collect()
        };
        let of_disk = at(&disk.1);
        table.add(disk.0, figure, "ns", &of_disk);
        for (name, latencies) in subjects {
            let row = table.add(name, figure, "ns", &at(latencies)).against(disk.0, &of_disk);
            aim(row, name, figure);
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
    for n in 0..bench.scale.single_events {
        std::thread::sleep(SPELL + SPELL_GROWS * n as u32);
        let event = Event::order(*next_id);
        let begin = clock::now();
        log.append(&event);
        wait(log, *next_id);
        latencies.record(clock::now() - begin);
        *next_id += 1;
    }
    latencies
}
