//! The harness that cuts the power while a process records and another one follows
//! (`cut_process`). See `tests/faults/power_cut.rs` for what is tested.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use common::disk::{write_back, Cut, Disk, Kind};
use common::flow::{Lives, Random, Shared};
use common::following::{Blind, Progress};
use common::ledger::{record, times, Row};
use common::planted::Bug;
use common::{child, open, paths, seed, served_disk, Place};
use flashstrike_wal::config::Keep;
use flashstrike_wal::format::file_name::{self, hot, FileName};
use flashstrike_wal::format::Layout;

use crate::arguments::Arguments;
use crate::cut_process::{config, is_cached};

/// Cuts of one log before a new one is made.
const CUTS_PER_LOG: u64 = 20;
/// A planted bug must be caught within this many cuts.
const CUTS_TO_CATCH: u64 = 60;
/// An open that takes longer is hanging.
const LONGEST_OPEN: Duration = Duration::from_secs(90);
const PAGE: u64 = 4096;

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
    let mut planted = Bug::ON_A_DISK.map(Bug::name).to_vec();
    for bug in Bug::ON_A_DISK {
        harness.begin_log(Some(bug));
        harness.catch(bug.name());
    }
    harness.begin_log(None);
    harness.blind = Some(Blind::ToTheWatermark);
    harness.catch(Blind::ToTheWatermark.name());
    harness.blind = None;
    planted.push(Blind::ToTheWatermark.name());
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
        planted: &planted,
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
    /// Cuts before which the follower was shown events of this life.
    followed: u64,
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
            (self.followed > cuts / 20, "few cuts after the follower was shown something"),
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
    /// The follower's bug.
    blind: Option<Blind>,
    progress: Progress,
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
            progress: Progress::open(&progress(&place)),
            place,
            random: Random(20_260_101),
            seed: 0,
            life: 0,
            log: PathBuf::new(),
            bug: None,
            blind: None,
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

    /// Cuts until the planted bug shows.
    fn catch(&mut self, bug: &str) {
        let caught = (1..=CUTS_TO_CATCH).find_map(|n| Some((n, self.cycle().err()?)));
        let (n, how) = caught.unwrap_or_else(|| panic!("{bug} was not caught"));
        eprintln!("{bug}: caught by cut {n}: {how}");
    }

    /// A process records, the power is cut, the machine starts again, and the log is checked.
    fn cycle(&mut self) -> Result<(), String> {
        self.seed += 1;
        self.life += 1;
        let _named = seed::Named(self.seed);
        self.shared.reset();
        let config = config(self.seed, &active_parent(&self.place));
        self.keeps_all &= config.max_compressed_segments == Keep::All;
        self.progress.shown().store(0, Release);
        let mut child = self.spawn();
        let mut follower = self.spawn_follower();
        let ended_by_itself = self.let_it_write(&mut child);
        self.shared.failing().store(1, Release);
        let how = if self.random.one_in(8) { Cut::AfterJournal } else { Cut::Hard };
        self.seen.unflushed += u64::from(self.disk.cut(how, self.seed) > 0);
        child.kill().unwrap();
        follower.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let followed = follower.wait_with_output().unwrap();
        self.disk.restart();
        for directory in paths(&active_parent(&self.place)) {
            fs::remove_dir_all(directory).unwrap();
        }
        if ended_by_itself || !output.stderr.is_empty() {
            return Err(format!("the process: {}", String::from_utf8_lossy(&output.stderr)));
        }
        if !followed.stderr.is_empty() {
            return Err(format!("the follower: {}", String::from_utf8_lossy(&followed.stderr)));
        }
        let (before, shown) = (self.end, self.progress.shown().load(Acquire));
        self.seen.followed += u64::from(shown > before);
        self.judge()?;
        match shown > self.end {
            true => Err(format!("{shown} was shown as durable, the log ends at {}", self.end)),
            false => Ok(()),
        }
    }

    /// Whoever follows what is durable meanwhile.
    fn spawn_follower(&self) -> Child {
        let (log, from) = (self.log.display(), self.end + 1);
        let bug = self.blind.map_or("none", Blind::name);
        let (shared, progress) = (shared(&self.place), progress(&self.place));
        let arguments: [&dyn Display; 5] =
            [&log, &shared.display(), &progress.display(), &from, &bug];
        child::spawn("follow-until-cut", &arguments)
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

fn progress(place: &Place) -> PathBuf {
    place.base().join("progress")
}

fn active_parent(place: &Place) -> PathBuf {
    place.memory().join("active")
}
