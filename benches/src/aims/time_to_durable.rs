//! P4: the time from the append of an event until the watermark reaches it. Under load the append
//! thread notes every 16th event, and polls the watermark while it waits for its next event. After
//! an idle spell it appends one event and polls, or waits with `fs_wal_wait_durable`. Compared
//! with bare 4 KiB overwrites with `fdatasync`, back to back and after the same spell. An event
//! that comes while a sync is running has to wait for the rest of it, and then for its own sync. A
//! separate row shows the times of the bare disk for such events.

use std::collections::VecDeque;
use std::time::Duration;

use super::latency::RATE;
use crate::abi::{Config, Event, Log, FLAG_SPIN, KEEP_NONE};
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{settle, Library};
use crate::disk::BareDisk;
use crate::latencies::Latencies;
use crate::pace::Pace;

const NOTED: u64 = 16;
/// Long enough for a persister to be in its longest sleep. Each spell is a little longer than the
/// one before, or all would end at the same point between two ticks of the watcher.
const SPELL: Duration = Duration::from_millis(60);
const SPELL_GROWS: Duration = Duration::from_micros(700);
const DISK: &str = "the disk: 4 KiB overwrite";
const DISK_MET: &str = "the same, met by an event at any moment";
const DISK_RESTED: &str = "the disk: 4 KiB overwrite after a spell";

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
    let default = Config::default();
    let spinning = Config { flags: FLAG_SPIN, ..default };
    let deleting = Config { max_compressed_segments: KEEP_NONE, ..default };
    let loaded = [
        Subject::new("flashstrike-wal", default, under_load),
        Subject::new("without compression", deleting, under_load),
    ];
    let loaded = compare(bench, Duration::ZERO, loaded);
    add(bench, "Time to durable, a million events a second", &loaded);
    let single = [
        Subject::new("sleeping persister, polled", default, after_spell_polled),
        Subject::new("sleeping persister, wait_durable", default, after_spell_waited),
        Subject::new("spinning persister, polled", spinning, after_spell_polled),
    ];
    let single = compare(bench, SPELL, single);
    add(bench, "Time to durable, one event after an idle spell", &single);
    bench.remove(&["p4", "p4-disk"]);
}

type Rounds = Vec<(&'static str, Vec<Latencies>)>;

/// Measures the bare disk and the subjects in turns, the disk first.
fn compare<const N: usize>(bench: &Bench, spell: Duration, mut subjects: [Subject; N]) -> Rounds {
    let mut disk = BareDisk::new(&bench.fresh("p4-disk"));
    let duration = match spell {
        Duration::ZERO => bench.scale.durable,
        spell => spell * bench.scale.single_events as u32,
    };
    let (mut of_disk, mut met) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.rounds {
        let taken = bench.processors.on_workers(|| disk.small_writes(duration, spell));
        met.push(met_by_events(&taken));
        of_disk.push(Latencies::of(taken.into_iter()));
        subjects.iter_mut().for_each(|subject| subject.take_turn(bench));
    }
    let mut rounds = match spell {
        Duration::ZERO => vec![(DISK, of_disk), (DISK_MET, met)],
        _ => vec![(DISK_RESTED, of_disk)],
    };
    rounds.extend(subjects.into_iter().map(|subject| (subject.name, subject.rounds)));
    rounds
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

fn add(bench: &mut Bench, title: &'static str, rounds: &Rounds) {
    let mut table = bench.report.table("P4", title);
    let disk = rounds[0].0;
    for (name, latencies) in rounds {
        for (figure, percentile, limit) in [("p50", 50.0, 2.0), ("p99", 99.0, 3.0)] {
            let at = |latencies: &[Latencies]| -> Vec<f64> {
                latencies.iter().map(|round| round.percentile_ns(percentile)).collect()
            };
            let row = table.add(name, figure, "ns", &at(latencies));
            if *name != disk {
                let row = row.against(disk, &at(&rounds[0].1));
                if *name != DISK_MET {
                    row.at_most_times(limit);
                }
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
