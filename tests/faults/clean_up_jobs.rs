//! G14: clean-up jobs, backups and curious operators meet a live log: its files are removed,
//! replaced, cut short, linked, unpacked or touched at random moments. Whatever was called durable
//! and is not itself damaged is there afterwards, and what is not there is said: by the running
//! log, by the next open, by `verify`, and by replay.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::crash::SEGMENT;
use common::flow::{Random, Shared};
use common::ledger::{record, times, Row};
use common::planted::Bug;
use common::{child, event, seed, Place, DEADLINE};
use flashstrike_wal::directory::ControlView;
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{verify, Reader, ReaderOptions};
use flashstrike_wal::storage::{Links, PosixStorage, Storage};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Remove,
    /// By a copy of itself, under the same name.
    Replace,
    Cut,
    Link,
    /// `lz4 -d` of a cold segment, in place.
    Unpack,
    Touch,
}

const JOBS: [Job; 6] = [Job::Remove, Job::Replace, Job::Cut, Job::Link, Job::Unpack, Job::Touch];

/// Does a job to a file, which may be gone by now. Returns whether it did.
fn clean_up(file: &Path, job: Job, scratch: &Path) -> bool {
    let copy = scratch.join("copy");
    match job {
        Job::Remove => fs::remove_file(file).is_ok(),
        Job::Replace => fs::copy(file, &copy).is_ok() && fs::rename(copy, file).is_ok(),
        Job::Cut => {
            let opened = fs::OpenOptions::new().write(true).open(file);
            opened.is_ok_and(|opened| opened.set_len(opened.metadata().unwrap().len() / 3).is_ok())
        }
        Job::Link => fs::hard_link(file, copy).is_ok(),
        Job::Unpack => {
            let is_cold = file.extension().is_some_and(|end| end == "lz4");
            let mut lz4 = Command::new("lz4");
            lz4.args(["-dqkf"]).arg(file).arg(file.with_extension(""));
            is_cold && lz4.output().is_ok()
        }
        Job::Touch => Command::new("touch").arg(file).status().unwrap().success(),
    }
}

/// A round: a log that is being written, and what is done to which of its files.
struct Round<'a> {
    base: &'a Path,
    shared: Shared,
    file: PathBuf,
    job: Job,
    /// What may have been synced before it was done.
    durable_before: u64,
}

impl Round<'_> {
    fn log(&self) -> PathBuf {
        self.base.join("log")
    }

    /// The segment, if the file is one's in the WAL directory.
    fn segment(&self) -> Option<u64> {
        let name = self.file.file_name()?.to_str()?.strip_prefix("FS.")?;
        (self.file.parent()? == self.log()).then(|| name[..8].parse().unwrap())
    }

    /// The events that are damaged with the file. (Every segment of these logs is full: with ids
    /// from 1 on, its index says which events it holds.)
    fn damaged(&self) -> Range<u64> {
        match self.segment() {
            Some(index) if matches!(self.job, Job::Remove | Job::Cut) => {
                index * SEGMENT + 1..((index + 1) * SEGMENT).min(self.durable_before) + 1
            }
            _ => 0..0,
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.base.join("told")).unwrap_or_default()
    }

    /// Whether the running log has named the segment in a message.
    fn is_said(&self) -> bool {
        let Some(index) = self.segment() else { return true };
        let name = format!("FS.{index:08}.wal");
        self.told().lines().any(|line| line.contains(&name) && !line.contains("retention"))
    }
}

/// The events that can be read, with or without stopping at the first error; whether there was one.
fn read(mut reader: Reader, goes_on: bool) -> (BTreeSet<u64>, bool) {
    let (mut found, mut failed) = (BTreeSet::new(), false);
    loop {
        match reader.next() {
            Ok(read) => {
                assert_eq!(read, event(read.event_id), "another event");
                found.insert(read.event_id);
            }
            Err(Error::End) => return (found, failed),
            Err(_) if goes_on => failed = true,
            Err(_) => return (found, true),
        }
    }
}

fn missing(found: &BTreeSet<u64>, upto: u64) -> BTreeSet<u64> {
    (1..=upto).filter(|id| !found.contains(id)).collect()
}

/// Checks what is left after the process has ended; an error says what is wrong.
fn check(round: &Round<'_>, said: bool) -> Result<(), String> {
    let (log, durable) = (round.log(), round.shared.durable().load(Ordering::Acquire));
    let what = format!("{:?} {}: ", round.job, round.file.display());
    let (found, _) = read(Reader::open_salvaging(&log).map_err(|e| format!("{what}{e}"))?, true);
    let lost = missing(&found, durable);
    let damaged = round.damaged();
    if let Some(id) = lost.iter().find(|id| !damaged.contains(id)) {
        return Err(format!("{what}event {id} of {durable} was durable, and is lost"));
    }
    // Without the oldest segment a log looks as retention leaves it.
    if !lost.is_empty() && round.segment() != Some(0) {
        let (_, failed) = read(Reader::open(&log, ReaderOptions { verify: true }).unwrap(), false);
        let verified = verify(&log).map_err(|e| format!("{what}{e}"))?;
        if !failed || verified.damage_count == 0 {
            return Err(format!("{what}{} events are lost, and nobody says so", lost.len()));
        }
    }
    if !lost.is_empty() && !said {
        return Err(format!("{what}the running log has said nothing: {}", round.told()));
    }
    let config = Place::new().small();
    let config = flashstrike_wal::config::Config {
        max_segments: flashstrike_wal::config::Keep::All,
        active_parent: round.base.join("active"),
        ..config
    };
    match Manager::open(&log, config) {
        Ok((manager, writer)) => {
            manager.shutdown(writer).unwrap();
            let (after, _) = read(Reader::open_salvaging(&log).unwrap(), true);
            match found.iter().find(|id| **id <= durable && !after.contains(id)) {
                Some(id) => Err(format!("{what}the open lost event {id}")),
                None => Ok(()),
            }
        }
        Err(error) if error.cause() == Some(Cause::Corrupt) => Ok(()),
        Err(error) => Err(format!("{what}{error}")),
    }
}

/// Waits for something that a process does, unless it ends. Returns whether it did it.
fn wait_until(child: &mut Child, mut done: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        let is_done = done();
        if is_done || child.try_wait().unwrap().is_some() || begin.elapsed() > DEADLINE {
            return is_done;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The watermark of a live log, and the one after it. The persister may have looked at the names
/// before a job was done and move the watermark after it, once and however late. Before it does so
/// again it looks again.
struct Watermark {
    control: ControlView,
    first: u64,
    next: Option<u64>,
}

impl Watermark {
    fn of(active: &Path) -> Self {
        let storage = PosixStorage::for_reading();
        let active = storage.open_directory(active, Links::Refuse).unwrap().unwrap();
        let control = ControlView::open(&*active).unwrap().unwrap();
        let first = control.durable().last_event_id;
        Watermark { control, first, next: None }
    }

    fn look(&mut self) -> u64 {
        let now = self.control.durable().last_event_id;
        self.next = self.next.or((now != self.first).then_some(now));
        self.next.unwrap_or(self.first)
    }
}

/// A log is written while somebody does something to one of its files.
fn play(seed: u64, only: Option<Job>, bug: Option<Bug>) -> Result<(), String> {
    let _named = seed::Named(seed);
    let place = Place::new();
    let (base, active) = (place.memory(), place.memory().join("active"));
    let scratch = base.join("scratch");
    for directory in [&active, &scratch] {
        fs::create_dir(directory).unwrap();
    }
    let shared = Shared::open(&base.join("shared"));
    let arguments: [&dyn Display; 3] = [&base.display(), &active.display(), &Bug::argument(bug)];
    let mut child = child::spawn("append-until-cleaned-up", &arguments);
    let mut random = Random(seed * 31 + 7);
    let begin = (8 + random.below(2)) * SEGMENT + random.below(SEGMENT);
    let acknowledged = || shared.acknowledged().load(Ordering::Acquire);
    assert!(wait_until(&mut child, || acknowledged() > begin), "it appends");

    let job = only.unwrap_or(JOBS[random.below(JOBS.len() as u64) as usize]);
    let mut files = common::paths(&base.join("log"));
    if only.is_none() && random.below(3) == 0 {
        files = common::paths(&common::paths(&active)[0]);
    }
    if only.is_some() {
        // The one that is being written.
        let index = acknowledged() / SEGMENT;
        files.retain(|file| file.ends_with(format!("FS.{index:08}.wal")));
    }
    if files.is_empty() {
        child.kill().unwrap();
        child.wait().unwrap();
        return Ok(());
    }
    let file = files.swap_remove(random.below(files.len() as u64) as usize);
    let done = clean_up(&file, job, &scratch);
    let mut round = Round { base, shared, file, job, durable_before: 0 };
    // A job in the active directory damages no event, and may have cut the file of the watermark.
    let mut watermark = round.segment().map(|_| Watermark::of(&common::paths(&active)[0]));
    // Nothing is to be said of a file that waits to be used again.
    let is_spare = round.file.extension().is_some_and(|end| end == "tmp");
    let mut durable_before = || watermark.as_mut().map_or(0, Watermark::look);
    // With the bug, until its memory is used again: there the events would be found.
    let segments = if bug.is_some() { 6 } else { 2 };
    let on = round.shared.acknowledged().load(Ordering::Acquire) + segments * SEGMENT;
    wait_until(&mut child, || {
        round.durable_before = durable_before();
        let is_quiet = !done || is_spare || bug.is_some() || round.damaged().is_empty();
        let goes_on = round.shared.acknowledged().load(Ordering::Acquire) > on;
        goes_on && (is_quiet || round.is_said())
    });
    let _ = child.kill();
    child.wait().unwrap();
    round.durable_before = durable_before();
    // A recorder with the bug does not know what there is to say.
    check(&round, bug.is_some() || round.is_said())
}

#[test]
fn f4_clean_up_jobs_cost_nothing_but_what_they_damage() {
    if let Some(seed) = seed::chosen() {
        return play(seed, None, None).unwrap();
    }
    let rounds = times(60, 2_000);
    for seed in 0..rounds {
        play(seed, None, None).unwrap_or_else(|why| panic!("{why}; {}", seed::again(seed)));
    }
    // A persister that does not look calls events durable that exist nowhere.
    let bug = Bug::NamesNotLookedAt;
    let caught = (0..20).any(|seed| play(seed, Some(Job::Remove), Some(bug)).is_err());
    assert!(caught, "{} was not caught", bug.name());
    record(Row {
        name: "clean-up-jobs",
        fault: "a file of a live log removed, replaced, cut short, linked, unpacked or touched",
        test: "tests/faults/clean_up_jobs.rs",
        tried: rounds,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[bug.name()],
    });
}
