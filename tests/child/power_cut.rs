//! The power is cut while a process records: the harness, and the process. See
//! `tests/faults/power_cut.rs` for what is tested.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::disk::{write_back, Cut, Disk, Kind};
use common::flow::{call, Lives, Random, Shared};
use common::ledger::{record, times, Row};
use common::planted::{Bug, Planted};
use common::{child, decision, open, paths, seed, served_disk, Place};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::format::file_name::{self, hot, FileName};
use flashstrike_wal::format::Layout;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::storage::PosixStorage;

use crate::arguments::Arguments;

/// Cuts of one log before a new one is made.
const CUTS_PER_LOG: u64 = 20;
/// A planted bug must be caught within this many cuts.
const CUTS_TO_CATCH: u64 = 60;
/// An open that takes longer is hanging.
const LONGEST_OPEN: Duration = Duration::from_secs(30);
const PAGE: u64 = 4096;
/// For at most this many ids the process appends without pause, then slowly: the disk is small, and
/// a writer that waits for the disk has no unsynced events.
const FAST_IDS: u64 = 20_000;

const KINDS: [(&str, Kind); 2] = [("ext4", Kind::Ext4), ("xfs", Kind::Xfs)];

/// The disk under the harness.
pub fn serve_disk(arguments: &Arguments) {
    served_disk::serve(arguments.path("PATH"), arguments.number("SIZE"));
}

/// The harness, in a separate mount namespace.
pub fn cut_power(arguments: &Arguments) {
    cut_often(arguments.one_of("FILESYSTEM", &KINDS));
}

/// First with each planted bug until it is caught, then with the unchanged recorder.
fn cut_often(kind: Kind) {
    let mut harness = Harness::new(kind);
    if let Some(seed) = seed::chosen() {
        harness.seed = seed.max(1) - 1;
        harness.begin_log(None);
        harness.cycle().unwrap();
        return;
    }
    for bug in Bug::ON_A_DISK {
        harness.begin_log(Some(bug));
        let caught = (1..=CUTS_TO_CATCH).find_map(|n| Some((n, harness.cycle().err()?)));
        let (n, how) = caught.unwrap_or_else(|| panic!("{} was not caught", bug.name()));
        eprintln!("{}: caught by cut {n}: {how}", bug.name());
    }
    let least = times(180, 1_100);
    let begin = Instant::now();
    harness.seen = Seen::default();
    let mut cuts = 0;
    // Where the cuts fall is up to the machine: on a busy one it takes more of them to hit enough.
    while cuts < least
        || cuts % CUTS_PER_LOG != 0
        || (cuts < 4 * least && harness.seen.lacks(least).is_some())
    {
        if cuts % CUTS_PER_LOG == 0 {
            harness.begin_log(None);
        }
        if let Err(fault) = harness.cycle() {
            panic!("cut {cuts}: {fault}: {}", seed::again(harness.seed));
        }
        cuts += 1;
        if cuts % CUTS_PER_LOG == 0 {
            harness.end_log();
        }
    }
    let seen = harness.seen;
    eprintln!("{kind:?}: {cuts} cuts in {:?}: {seen:?}", begin.elapsed());
    if let Some(lack) = seen.lacks(least) {
        panic!("{lack}: {seen:?}");
    }
    let name = format!("power-cuts-{}", kind.name());
    let fault = format!("power cut, {}", kind.name());
    record(Row {
        name: &name,
        fault: &fault,
        test: "tests/faults/power_cut.rs",
        tried: cuts,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &Bug::ON_A_DISK.map(Bug::name),
    });
}

/// Counts that show whether the cuts hit what they should.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    /// Ids the watermark moved by.
    durable: u64,
    /// Ids that were acknowledged, not durable, and are lost.
    undone: u64,
    /// Logs that ended beyond the watermark.
    beyond_watermark: u64,
    /// Recoveries that kept something aside.
    tails_cut: u64,
    /// Cuts before the log was open.
    while_recovering: u64,
    /// Cuts at which the disk had writes that were not flushed.
    unflushed: u64,
}

impl Seen {
    /// What so many cuts should have hit, and did not.
    fn lacks(&self, cuts: u64) -> Option<&'static str> {
        let enough = [
            (self.durable > cuts * 100, "the watermark hardly moved"),
            (self.undone > cuts * 100, "few events that were not durable were lost"),
            (self.beyond_watermark > cuts / 20, "few cuts in the middle of a sync"),
            (self.tails_cut > cuts / 90, "few tails were cut"),
            (self.while_recovering > cuts / 20, "few cuts in the middle of recovery"),
            (self.unflushed > cuts / 4, "few cuts before a flush"),
        ];
        enough.into_iter().find(|(enough, _)| !enough).map(|(_, lack)| lack)
    }
}

struct Harness {
    // Unmounted before its directory is removed.
    disk: Disk,
    place: Place,
    shared: Shared,
    random: Random,
    seed: u64,
    life: u32,
    /// The log and what it must hold.
    log: PathBuf,
    bug: Option<Bug>,
    lives: Lives,
    keeps_all: bool,
    end: u64,
    seen: Seen,
}

impl Harness {
    fn new(kind: Kind) -> Self {
        let place = Place::new();
        fs::create_dir(active_parent(&place)).unwrap();
        Harness {
            disk: Disk::make(kind, place.memory()),
            shared: Shared::open(&shared(&place)),
            place,
            random: Random(20_260_101),
            seed: 0,
            life: 0,
            log: PathBuf::new(),
            bug: None,
            lives: Lives::default(),
            keeps_all: false,
            end: 0,
            seen: Seen::default(),
        }
    }

    fn begin_log(&mut self, bug: Option<Bug>) {
        if self.log.exists() {
            fs::remove_dir_all(&self.log).unwrap();
        }
        self.log = self.disk.path().join(format!("log-{}", self.seed));
        self.bug = bug;
        self.lives = Lives::default();
        self.keeps_all = true;
        self.end = 0;
    }

    /// A process records, the power is cut, the machine starts again, and the log is checked.
    fn cycle(&mut self) -> Result<(), String> {
        self.seed += 1;
        self.life += 1;
        let _named = seed::Named(self.seed);
        self.shared.reset();
        let config = config(self.seed, &active_parent(&self.place));
        self.keeps_all &= config.max_compressed_segments == Keep::All;
        let mut child = self.spawn();
        let ended_by_itself = self.let_it_write(&mut child);
        self.shared.failing().store(1, Release);
        let how = if self.random.one_in(8) { Cut::AfterJournal } else { Cut::Hard };
        self.seen.unflushed += u64::from(self.disk.cut(how, self.seed) > 0);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        self.disk.restart();
        for directory in paths(&active_parent(&self.place)) {
            fs::remove_dir_all(directory).unwrap();
        }
        if ended_by_itself || !output.stderr.is_empty() {
            return Err(format!("the process: {}", String::from_utf8_lossy(&output.stderr)));
        }
        self.judge()
    }

    /// The process under which the power is cut.
    fn spawn(&self) -> Child {
        let (log, active) = (self.log.display(), active_parent(&self.place));
        let (bug, shared) = (Bug::argument(self.bug), shared(&self.place));
        let arguments: [&dyn Display; 6] =
            [&self.seed, &self.life, &bug, &log, &shared.display(), &active.display()];
        child::spawn("append-until-cut", &arguments)
    }

    /// Waits mostly until the process appends, sometimes less: then the cut comes in the middle of
    /// recovery. Returns whether it has ended by itself.
    fn let_it_write(&mut self, child: &mut Child) -> bool {
        if self.random.one_in(5) {
            std::thread::sleep(Duration::from_micros(self.random.below(20_000)));
        } else {
            let begin = Instant::now();
            while self.shared.opened().load(Acquire) == 0 {
                if child.try_wait().unwrap().is_some() {
                    return true;
                }
                assert!(begin.elapsed() < LONGEST_OPEN, "seed {}: open hangs", self.seed);
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(self.random.below(40_000)));
        }
        if self.random.one_in(if is_cached(self.seed) { 1 } else { 4 }) {
            // It is stopped meanwhile, so that what it has written stays unsynced.
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
            self.write_back_some_pages();
        }
        child.try_wait().unwrap().is_some()
    }

    /// The kernel may write any page at any time: later pages before earlier ones, headers before
    /// the events they describe, data before file names. This does so with some pages after the
    /// watermark.
    fn write_back_some_pages(&mut self) {
        if !self.log.exists() {
            return;
        }
        let being_made = |path: &PathBuf| path.to_string_lossy().ends_with(".wal.tmp");
        for path in paths(&self.log).into_iter().filter(being_made) {
            if let Ok(file) = fs::File::open(path) {
                write_back(&file, 0, PAGE);
            }
        }
        let position = self.shared.durable_position().load(Acquire);
        let (index, offset) = ((position >> 32) as u32, position & u64::from(u32::MAX));
        let Ok(file) = fs::File::open(self.log.join(hot(index))) else { return };
        let pages = file.metadata().unwrap().len() / PAGE;
        for _ in 0..=self.random.below(2) {
            let from = offset / PAGE + self.random.below(16);
            if from < pages {
                let len = if self.random.one_in(2) { 1 } else { pages - from };
                write_back(&file, from * PAGE, len * PAGE);
            }
        }
        if self.random.one_in(4) {
            write_back(&file, 0, PAGE);
        }
    }

    /// The log must end between the watermark and the last id passed to any call.
    fn judge(&mut self) -> Result<(), String> {
        let (mut lowest, mut highest) = (self.end, self.end);
        if self.shared.opened().load(Acquire) == 1 {
            let recovered = self.shared.recovered().load(Acquire);
            if recovered != self.end {
                return Err(format!("{} were there, {recovered} recovered", self.end));
            }
            self.lives.begin(self.life, recovered);
            lowest = lowest.max(self.shared.durable().load(Acquire));
            highest = highest.max(self.shared.attempted().load(Acquire));
            self.seen.tails_cut += u64::from(self.shared.kept_aside().load(Acquire) > 0);
        } else {
            self.seen.while_recovering += 1;
        }
        let acknowledged = self.shared.acknowledged().load(Acquire).max(self.end);
        self.check_sizes()?;
        let found = self.lives.check(&self.log, self.keeps_all)?;
        if found < lowest || found > highest {
            return Err(format!("the log ends at {found}, possible is {lowest} to {highest}"));
        }
        self.seen.durable += lowest - self.end;
        self.seen.undone += acknowledged.saturating_sub(found);
        self.seen.beyond_watermark += u64::from(found > lowest);
        self.end = found;
        Ok(())
    }

    /// A segment's file keeps its size, whatever is written into it.
    fn check_sizes(&self) -> Result<(), String> {
        if !self.log.exists() {
            return Ok(());
        }
        for path in paths(&self.log) {
            let name = path.file_name().unwrap().to_string_lossy();
            let size = path.metadata().unwrap().len();
            let is_hot = matches!(file_name::parse(&name), Some(FileName::Hot(_)));
            if is_hot && !Layout::of_file(size).is_exact(size) {
                return Err(format!("{name} has {size} bytes"));
            }
        }
        Ok(())
    }

    /// The log continues after all that, and is shut down.
    fn end_log(&mut self) {
        let (manager, writer) = open(&self.log, config(self.seed, &active_parent(&self.place)));
        assert_eq!(manager.log().appended().last_event_id, self.end);
        manager.shutdown(writer).unwrap();
        assert_eq!(self.lives.check(&self.log, false), Ok(self.end));
    }
}

fn shared(place: &Place) -> PathBuf {
    place.base().join("shared")
}

fn active_parent(place: &Place) -> PathBuf {
    place.memory().join("active")
}

fn config(seed: u64, active_parent: &Path) -> Config {
    let mut random = Random(seed * 977 + 13);
    Config {
        num_blocks: 16,
        prepared_segments: 1 + random.below(3) as u32,
        max_segments: Keep::AtMost(1 + random.below(4) as u32),
        max_compressed_segments: match random.below(4) {
            0 => Keep::AtMost(2),
            _ => Keep::All,
        },
        no_compression: random.one_in(8),
        sync_mode: match random.below(4) {
            0 => SyncMode::Rotation,
            1 => SyncMode::Interval(Duration::from_millis(2)),
            _ => SyncMode::Continuous,
        },
        active_parent: active_parent.to_owned(),
        ..Config::default()
    }
}

/// Whether nothing is written past the page cache: then the kernel, too, can lose what was written.
fn is_cached(seed: u64) -> bool {
    seed % 4 == 0
}

/// Appends until killed.
pub fn append_until_cut(arguments: &Arguments) {
    common::end_with_parent();
    let (seed, life): (u64, u32) = (arguments.number("SEED"), arguments.number("LIFE"));
    let (log, active) = (arguments.path("LOG"), arguments.path("ACTIVE"));
    let (bug, shared) = (arguments.bug("BUG"), Shared::open(arguments.path("SHARED")));
    let mut random = Random(seed * 31 + 7);
    let sync_time = Duration::from_micros(random.below(4).min(1) * random.below(6_000));
    let storage = if is_cached(seed) {
        let posix = Arc::new(PosixStorage::for_writing());
        Arc::new(Planted::slow(posix, bug, sync_time, log).through_the_cache())
    } else {
        Planted::posix(bug, log)
    };
    let opened = Manager::open_with(storage, log, config(seed, active));
    let (manager, mut writer) = opened.unwrap_or_else(|error| park_if_failing(&shared, &error));
    let label = decision(&manager);
    // Clean: the power was cut in an open, between closing the log and opening it again.
    let expected = ["new-log", "clean", "reboot", "reboot/tail-cut"].contains(&label.as_str());
    assert!(expected, "recovered as {label}");
    let mut last = manager.log().appended().last_event_id;
    shared.recovered().store(last, Release);
    shared.kept_aside().store(manager.log().recovery_report().events_kept_aside, Release);
    shared.opened().store(1, Release);
    let fast_until = last + random.below(FAST_IDS);
    loop {
        let called = call(&mut writer, &mut random, &shared, life, last);
        last = called.unwrap_or_else(|error| park_if_failing(&shared, &error));
        shared.acknowledged().store(last, Release);
        let durable = manager.log().durable();
        let segment = u64::from(durable.last_segment_index);
        shared.durable_position().store(segment << 32 | u64::from(durable.last_offset), Release);
        shared.durable().store(durable.last_event_id, Release);
        if last > fast_until || random.one_in(60) {
            std::thread::sleep(Duration::from_micros(random.below(600)));
        }
    }
}

/// When the power is being cut, errors are expected: waits to be killed.
fn park_if_failing<T>(shared: &Shared, error: &flashstrike_wal::error::Error) -> T {
    assert_eq!(shared.failing().load(Acquire), 1, "before the cut: {error}");
    loop {
        std::thread::park();
    }
}
