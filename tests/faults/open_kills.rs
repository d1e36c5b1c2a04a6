//! Opens that are killed, at any call, with one configuration after the other: each is followed by
//! an open that finds the same events, and is refused nothing. Memory for one active set is enough
//! all the time, and what the killed opens left of theirs is gone in the end.
//!
//! On the simulated machine, where a process or the power ends before any call that is made.
//! `FLASHSTRIKE_TEST_SEED` runs one seed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::event;
use common::ledger::{self, Row};
use common::planted::{Bug, Planted};
use common::seed;
use flashstrike_wal::config::{Backpressure, Config, Keep, SyncMode};
use flashstrike_wal::error::Error;
use flashstrike_wal::recorder::{Crew, Manager, Role, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::simulated::{Crash, Machine, Random, SimulatedStorage, DISK, MEMORY};
use flashstrike_wal::storage::Storage;

/// A planted bug must be caught within this many cases.
const PLANTED_CASES: u64 = 2_000;
/// Pages of small files, and what is lost to rounding.
const SMALL_FILES: u64 = 64 * 1024;

/// The second parent of active directories.
fn other_parent() -> PathBuf {
    Path::new(MEMORY).join("other")
}

fn log_path() -> PathBuf {
    Path::new(DISK).join("log")
}

/// The configurations, every pair of which comes up.
fn configs() -> Vec<Config> {
    let base = Config {
        num_blocks: 16,
        prepared_segments: 1,
        max_segments: Keep::All,
        max_compressed_segments: Keep::All,
        backpressure: Backpressure::FailFast,
        active_parent: MEMORY.into(),
        ..Config::default()
    };
    let with = |change: fn(&mut Config)| {
        let mut config = base.clone();
        change(&mut config);
        config
    };
    vec![
        base.clone(),
        with(|c| c.num_blocks = 24),
        with(|c| c.num_blocks = 40),
        with(|c| c.num_blocks = 64),
        with(|c| c.prepared_segments = 2),
        with(|c| c.prepared_segments = 4),
        with(|c| (c.num_blocks, c.prepared_segments) = (24, 3)),
        with(|c| c.max_segments = Keep::AtMost(1)),
        with(|c| c.no_compression = true),
        with(|c| c.sync_mode = SyncMode::Rotation),
        with(|c| c.active_parent = other_parent()),
        with(|c| (c.active_parent, c.num_blocks) = (other_parent(), 40)),
        with(|c| c.retention_floor = 1),
    ]
}

/// What happened in a case.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    killed_opens: u64,
    power_cuts: u64,
}

struct Case {
    machine: Machine,
    random: Random,
    bug: Option<Bug>,
    /// The last event appended, and the last one that must survive a power cut.
    last: u64,
    durable: u64,
    /// Whether the power was cut since the log was last open.
    cut: bool,
    seen: Seen,
}

struct Open {
    process: SimulatedStorage,
    manager: Manager,
    writer: Writer,
    crew: Crew,
}

type Done<T = ()> = Result<T, String>;

impl Case {
    fn crash(&mut self) -> Crash {
        match self.random.below(3) {
            0 => Crash::PowerCut { seed: self.random.number() },
            _ => Crash::Kill,
        }
    }

    fn process(&self) -> (SimulatedStorage, Arc<dyn Storage>) {
        let process = self.machine.process();
        // A power cut takes it away.
        let _ = process.create_directory(&other_parent(), 0o755);
        let storage: Arc<dyn Storage> = match self.bug {
            Some(bug) => Arc::new(Planted::new(Arc::new(process.clone()), bug, &log_path())),
            None => Arc::new(process.clone()),
        };
        (process, storage)
    }

    /// Opens; `None` when the planned crash came first. Any other failure is one of the library.
    fn open(&mut self, config: &Config, coming: Option<Crash>) -> Done<Option<Open>> {
        let (process, storage) = self.process();
        match Manager::open_by_hand(storage, &log_path(), config.clone()) {
            Ok((manager, writer, crew)) => {
                let last = manager.log().appended().last_event_id;
                let least = if self.cut { self.durable } else { self.last };
                if !(least..=self.last).contains(&last) {
                    return Err(format!("opened at {last}, not in {least}..={}", self.last));
                }
                (self.last, self.durable, self.cut) = (last, last, false);
                Ok(Some(Open { process, manager, writer, crew }))
            }
            Err(_) if !process.is_alive() => {
                self.died(coming.expect("only a planned crash ends the process"));
                self.seen.killed_opens += 1;
                Ok(None)
            }
            Err(error) => Err(format!("refused: {error}")),
        }
    }

    fn died(&mut self, crash: Crash) {
        let cut = crash != Crash::Kill;
        self.cut |= cut;
        self.seen.power_cuts += u64::from(cut);
    }

    /// Appends up to `count` events; fewer if the process ends.
    fn append(&mut self, open: &mut Open, count: u64) -> Done {
        let mut patience = 10_000;
        let until = self.last + count;
        while self.last < until {
            match open.writer.append(&event(self.last + 1)) {
                Ok(()) => self.last += 1,
                Err(_) if !open.process.is_alive() => return Ok(()),
                Err(Error::WouldBlock) if patience > 0 => {
                    patience -= 1;
                    step(open)?;
                }
                Err(error) => return Err(format!("append {}: {error}", self.last + 1)),
            }
        }
        Ok(())
    }

    /// Some work with the log, and its end: a crash, or a shutdown.
    fn live(&mut self, mut open: Open, coming: Option<Crash>) -> Done {
        let count = [0, 0, 1, 300, 4096, 9000][self.random.below(6) as usize];
        self.append(&mut open, count)?;
        for _ in 0..self.random.below(20) {
            step(&mut open)?;
        }
        let durable = open.manager.log().durable().last_event_id;
        if open.process.is_alive() {
            self.durable = self.durable.max(durable);
            if self.random.below(3) == 0 {
                let Open { process, manager, writer, crew } = open;
                match manager.shutdown_by_hand(writer, crew) {
                    Ok(()) => self.durable = self.last,
                    Err(_) if !process.is_alive() => self.died(coming.expect("planned")),
                    Err(error) => return Err(format!("shutdown: {error}")),
                }
                return Ok(());
            }
            let crash = self.crash();
            self.machine.crash(crash);
            self.died(crash);
        } else {
            self.durable = self.durable.max(durable);
            self.died(coming.expect("only a planned crash ends the process"));
        }
        Ok(())
    }

    /// Everything that was not lost to a power cut is there, up to the end.
    fn check_events(&self) -> Done {
        let storage = Arc::new(self.machine.process());
        let read = || -> Result<Vec<u64>, Error> {
            let mut reader =
                Reader::open_with(storage, &log_path(), ReaderOptions { verify: true })?;
            let mut ids = Vec::new();
            loop {
                match reader.next() {
                    Ok(found) if found == event(found.event_id) => ids.push(found.event_id),
                    Ok(found) => panic!("event {} was changed", found.event_id),
                    Err(Error::End) => return Ok(ids),
                    Err(error) => return Err(error),
                }
            }
        };
        let ids = read().map_err(|error| format!("read: {error}"))?;
        let unbroken = ids.windows(2).all(|pair| pair[1] == pair[0] + 1);
        if ids.last().copied().unwrap_or(0) != self.last || !unbroken {
            let ends = (ids.first(), ids.last());
            return Err(format!("read {ends:?}, unbroken: {unbroken}, of {}", self.last));
        }
        Ok(())
    }

    fn run(mut self, configs: &[Config]) -> Done<Seen> {
        let pick =
            |random: &mut Random| configs[random.below(configs.len() as u64) as usize].clone();
        let chosen: Vec<Config> = (0..4).map(|_| pick(&mut self.random)).collect();
        let memory = chosen.iter().map(Config::active_set_size).max().unwrap_or(0) + SMALL_FILES;
        self.machine.limit(None, Some(memory));
        for (n, config) in chosen.iter().enumerate() {
            // The first life is whole, and so is the last one.
            let crash = (1..3).contains(&n).then(|| self.crash());
            if let Some(crash) = crash {
                let most = [60, 250, 700][self.random.below(3) as usize];
                self.machine.crash_at(1 + self.random.below(most), crash);
            }
            let at = |what| format!("open {n}, {crash:?}: {what}");
            if let Some(open) = self.open(config, crash).map_err(at)? {
                // As often as not the crash comes later, while the log is open.
                if self.random.coin() {
                    self.machine.forgive();
                }
                self.live(open, crash).map_err(at)?;
            }
            self.machine.forgive();
        }
        self.end(&chosen[3])
    }

    fn end(mut self, config: &Config) -> Done<Seen> {
        let mut open = self.open(config, None)?.ok_or("no crash was planned")?;
        self.check_events()?;
        let used = self.machine.used(MEMORY);
        if used > config.active_set_size() + last_of_another_size() + SMALL_FILES {
            return Err(format!("{used} bytes of memory are in use"));
        }
        self.append(&mut open, 10)?;
        let Open { manager, writer, crew, .. } = open;
        manager.shutdown_by_hand(writer, crew).map_err(|error| format!("shutdown: {error}"))?;
        match self.machine.used(MEMORY) {
            0 => self.check_events().map(|()| self.seen),
            left => Err(format!("{left} bytes of memory are left over")),
        }
    }
}

/// The segment that a log goes on in may be larger than new ones.
fn last_of_another_size() -> u64 {
    configs()
        .iter()
        .map(|config| config.active_set_size() / config.active_set() as u64)
        .max()
        .unwrap()
}

fn step(open: &mut Open) -> Done {
    for role in Role::ALL {
        match open.crew.step(role) {
            Ok(_) => {}
            Err(_) if !open.process.is_alive() => {}
            Err(error) => return Err(format!("step: {error}")),
        }
    }
    Ok(())
}

fn run(seed: u64, bug: Option<Bug>) -> Done<Seen> {
    let case = Case {
        machine: Machine::new(seed),
        random: Random::new(seed),
        bug,
        last: 0,
        durable: 0,
        cut: false,
        seen: Seen::default(),
    };
    case.run(&configs()).map_err(|what| format!("{}: {what}", seed::again(seed)))
}

fn run_all(seeds: std::ops::RangeInclusive<u64>) -> Seen {
    let (next, total) = (AtomicU64::new(*seeds.start()), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > *seeds.end() {
                    return;
                }
                let seen = run(seed, None).unwrap_or_else(|what| panic!("{what}"));
                let mut total = total.lock().unwrap();
                total.killed_opens += seen.killed_opens;
                total.power_cuts += seen.power_cuts;
            });
        }
    });
    total.into_inner().unwrap()
}

fn planted(bug: Bug) -> &'static str {
    let what = (1..=PLANTED_CASES).find_map(|seed| run(seed, Some(bug)).err());
    println!("{}: {}", bug.name(), what.unwrap_or_else(|| panic!("{} not caught", bug.name())));
    bug.name()
}

#[test]
fn f34_f36_an_open_killed_at_any_call_between_any_configurations_is_followed_by_one_that_opens() {
    if let Some(seed) = seed::chosen() {
        println!("{:?}", run_all(seed..=seed));
        return;
    }
    let cases = ledger::times(4_000, 60_000);
    let seen = run_all(1..=cases);
    println!("{cases} cases: {seen:?}");
    assert!(seen.killed_opens > cases / 2 && seen.power_cuts > cases / 4, "{seen:?}");
    ledger::record(Row {
        name: "open-kills",
        fault: "opens killed, or cut off from power, at any call, between any two configurations",
        test: "tests/faults/open_kills.rs",
        tried: seen.killed_opens,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[planted(Bug::HeaderReopenedEarly)],
    });
}
