//! P2: single appends at a million a second, in turns, while each contestant does its background
//! work; and single appends to the library at 10,000 a second after an idle spell. A sample is the
//! time between two RDTSCP around the call. The timer floor is that time around nothing.
//! *Corrected* samples begin when the event was due, so that an event that waited behind a slow
//! one counts as slow too. System calls are counted in a separate short turn.
//!
//! The log is opened as engines open theirs: `main` has pinned this thread to one processor, then
//! it opens with no option set, then it appends.

use std::time::Duration;

use crate::abi::Config;
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{
    baselines, BesideDisk, Entrant, Entry, Library, Memory, Timer, BESIDE_DISK, LIBRARY, MEMORY,
    TIMER,
};
use crate::latencies::{Latencies, PERCENTILES};
use crate::pace::{Pace, Samples};
use crate::report::pictures;
use crate::system_calls;
use crate::thread_counts::ThreadCounts;

pub const RATE: u64 = 1_000_000;
const COUNTED: Duration = Duration::from_millis(200);
/// The size of the active set of a default log.
const FLOOR_SIZE: usize = 24 << 20;

/// The measurements of the turns of one contestant.
#[derive(Default)]
struct Turns {
    plain: Vec<Latencies>,
    corrected: Vec<Latencies>,
    counts: Vec<(ThreadCounts, u64)>,
    system_calls: Option<f64>,
}

pub fn run(bench: &mut Bench) {
    let library = Library::open(&bench.fresh("p2"), &Config::default());
    let directory = bench.fresh("p2-baselines");
    let beside_disk = BesideDisk::new(FLOOR_SIZE, RATE, &directory, &bench.processors);
    let mut entrants: Vec<Box<dyn Entrant>> = vec![
        Entry::boxed(LIBRARY, library),
        Entry::boxed(TIMER, Timer),
        Entry::boxed(MEMORY, Memory::new(FLOOR_SIZE)),
        Entry::boxed(BESIDE_DISK, beside_disk),
    ];
    entrants.extend(baselines(&directory, &bench.processors));

    let pace = Pace::new(RATE, bench.scale.paced);
    let mut samples = Samples::with_room_for(pace.events);
    let mut turns: Vec<Turns> = entrants.iter().map(|_| Turns::default()).collect();
    for _ in 0..bench.scale.rounds {
        for (entrant, turns) in entrants.iter_mut().zip(&mut turns) {
            take_turn(entrant.as_mut(), &pace, &mut samples, turns);
        }
    }
    for (entrant, turns) in entrants.iter_mut().zip(&mut turns) {
        turns.system_calls = count_system_calls(entrant.as_mut(), &mut samples);
    }
    let names: Vec<&str> = entrants.iter().map(|entrant| entrant.name()).collect();
    drop(entrants);
    bench.remove(&["p2", "p2-baselines"]);
    report_latencies(bench, &names, &turns);
    report_counts(bench, &names, &turns);
    remark_on_clock(bench);
    draw(bench, &names, &turns);
}

fn take_turn(entrant: &mut dyn Entrant, pace: &Pace, samples: &mut Samples, turns: &mut Turns) {
    entrant.begin();
    let before = ThreadCounts::now();
    entrant.paced(pace, samples);
    let counts = ThreadCounts::now().since(&before);
    entrant.settle();
    turns.plain.push(Latencies::of(samples.iter().map(|sample| sample.taken)));
    turns.corrected.push(Latencies::of(samples.iter().map(|sample| sample.corrected)));
    turns.counts.push((counts, samples.len() as u64));
}

/// System calls of the append thread per million events.
fn count_system_calls(entrant: &mut dyn Entrant, samples: &mut Samples) -> Option<f64> {
    let pace = Pace::new(RATE, COUNTED);
    entrant.begin();
    let calls = system_calls::counted(|| entrant.paced(&pace, samples));
    entrant.settle();
    calls.map(|calls| calls as f64 * 1e6 / samples.len() as f64)
}

fn report_latencies(bench: &mut Bench, names: &[&str], turns: &[Turns]) {
    type Pick = fn(&Turns) -> &Vec<Latencies>;
    let plain: Pick = |turns| &turns.plain;
    let corrected: Pick = |turns| &turns.corrected;
    let tables = [
        ("Latency at a million a second", plain),
        ("The same, from when each event was due", corrected),
    ];
    let floor = names.iter().position(|name| *name == MEMORY).expect("there is a floor");
    for (title, pick) in tables {
        let mut table = bench.report.table("P2", title);
        for (name, turns_of_one) in names.iter().zip(turns) {
            for (figure, percentile) in PERCENTILES {
                let at = |turns: &Turns| -> Vec<f64> {
                    pick(turns).iter().map(|turn| turn.percentile_ns(percentile)).collect()
                };
                let row = table.add(name, figure, "ns", &at(turns_of_one));
                row.against(MEMORY, &at(&turns[floor]));
                if *name == LIBRARY && title == tables[0].0 {
                    row.at_most_times(1.5);
                }
            }
            let most: Vec<f64> = pick(turns_of_one).iter().map(Latencies::max_ns).collect();
            table.add(name, "most", "ns", &most);
        }
    }
}

/// Remarks on the steps of the clock, which limit the smallest figures.
fn remark_on_clock(bench: &mut Bench) {
    let text = format!(
        "This processor's clock moves in steps of {:.0} ns: the smallest figures are a few of \
         them.",
        clock::step_ns()
    );
    bench.report.remark("P2", text);
}

fn report_counts(bench: &mut Bench, names: &[&str], turns: &[Turns]) {
    let title = "What the append thread did, for a million events";
    let mut table = bench.report.table("P2", title);
    type Pick = fn(&ThreadCounts) -> u64;
    let figures: [(&str, Pick); 3] = [
        ("page faults", |counts| counts.page_faults),
        ("switches, voluntary", |counts| counts.voluntary_switches),
        ("involuntary", |counts| counts.involuntary_switches),
    ];
    for (name, turns) in names.iter().zip(turns) {
        for (figure, pick) in figures {
            let rate =
                |(counts, events): &(ThreadCounts, u64)| pick(counts) as f64 * 1e6 / *events as f64;
            table.add(name, figure, "", &turns.counts.iter().map(rate).collect::<Vec<_>>());
        }
        if let Some(calls) = turns.system_calls {
            table.add(name, "system calls", "", &[calls]);
        }
        let kept_up = turns.counts.iter().map(|(_, events)| *events as f64);
        let due = Pace::new(RATE, bench.scale.paced).events as f64;
        let share = kept_up.map(|events| 100.0 * events / due).collect::<Vec<_>>();
        table.add(name, "of the events due", "%", &share);
    }
}

fn draw(bench: &Bench, names: &[&str], turns: &[Turns]) {
    let all = |latencies: &[Latencies]| {
        let mut sum = Latencies::new();
        latencies.iter().for_each(|turn| sum.add(turn));
        sum
    };
    let named: Vec<_> =
        names.iter().zip(turns).map(|(name, turns)| (*name, all(&turns.plain))).collect();
    pictures::percentiles(&bench.pictures, &named);
}

/// Floor and library append in turns in the same loop, so that both are equally cold. Each round
/// has its own log and floor, because it matters where their memory lies. All of them rest
/// together.
pub fn run_after_idle(bench: &mut Bench) {
    let names: Vec<String> =
        (0..bench.scale.rounds).map(|round| format!("p2-idle-{round}")).collect();
    let mut pairs: Vec<Pair> = names.iter().map(|name| Pair::new(bench, name)).collect();
    // All work before they rest.
    let mut samples = Samples::with_room_for(RATE);
    for pair in &mut pairs {
        pair.library.paced(&Pace::new(RATE, Duration::from_secs(1)), &mut samples);
        pair.library.settle();
    }
    std::thread::sleep(bench.scale.idle);

    let before = ThreadCounts::now();
    for pair in &mut pairs {
        pair.take_turns(&mut samples);
    }
    let counts = ThreadCounts::now().since(&before);
    let latencies = |of: fn(&Pair) -> &Vec<u64>| -> Vec<Latencies> {
        pairs.iter().map(|pair| Latencies::of(of(pair).iter().copied())).collect()
    };
    let of_floor = latencies(|pair| &pair.of_floor);
    let of_library = latencies(|pair| &pair.of_library);
    drop(pairs);
    bench.remove(&names.iter().map(String::as_str).collect::<Vec<_>>());

    let mut table = bench.report.table("P2", "Latency at 10,000 a second after an idle spell");
    for (name, rounds) in [(MEMORY, &of_floor), (LIBRARY, &of_library)] {
        let all = |pick: &dyn Fn(&Latencies) -> f64, of: &[Latencies]| -> Vec<f64> {
            of.iter().map(pick).collect()
        };
        for (figure, percentile) in PERCENTILES {
            let pick = |round: &Latencies| round.percentile_ns(percentile);
            let row = table.add(name, figure, "ns", &all(&pick, rounds));
            row.against(MEMORY, &all(&pick, &of_floor));
            if name == LIBRARY {
                row.at_most_times(1.5);
            }
        }
        table.add(name, "most", "ns", &all(&Latencies::max_ns, rounds));
    }
    let faults = counts.page_faults as f64;
    table.add(LIBRARY, "page faults, floor's too", "", &[faults]).at_most(0.0);
}

/// A log and a floor that append in turns, and the ticks that each append took.
struct Pair {
    library: Entry<Library>,
    floor: Entry<Memory>,
    of_library: Vec<u64>,
    of_floor: Vec<u64>,
}

impl Pair {
    fn new(bench: &Bench, name: &str) -> Self {
        let log = Library::open(&bench.fresh(name), &Config::default());
        let appends = bench.scale.slow.as_micros() as usize / 100;
        // Touched memory, and no histograms yet, whose page faults would be counted as the
        // appends'.
        let room = || vec![u64::MAX; appends];
        Pair {
            library: Entry { name: LIBRARY, contestant: log, next_id: 1 },
            floor: Entry { name: MEMORY, contestant: Memory::new(FLOOR_SIZE), next_id: 1 },
            of_library: room(),
            of_floor: room(),
        }
    }

    fn take_turns(&mut self, samples: &mut Samples) {
        let one = Pace { interval: Duration::from_micros(50), events: 1 };
        let rest = clock::to_ticks(one.interval / 2);
        for (of_library, of_floor) in self.of_library.iter_mut().zip(&mut self.of_floor) {
            self.library.paced(&one, samples);
            samples.iter().for_each(|sample| *of_library = sample.taken);
            clock::spin_until(clock::now() + rest);
            self.floor.paced(&one, samples);
            samples.iter().for_each(|sample| *of_floor = sample.taken);
            clock::spin_until(clock::now() + rest);
        }
    }
}
