//! Backups beside an engine at full speed, with tight retention, freezing and rotation: to memory,
//! to disk and into a slow pipe, killed at random moments and begun again.
//!
//! Every one that is finished opens, and has at least what was durable when it began, of just the
//! engine's events; and what a killed run leaves is never taken for more than it is.

use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{command, fswal, text, wait_until, Place};

use super::holds;
use super::opens::assert_opens;
use super::spoil::Bug;
use super::storm_writer::Engine;

/// So many finished backups in every run of the tests, and so many in `make torture`.
const ROUNDS: (u64, u64) = (6, 200);
/// A planted bug must be caught within so many storms.
const STORMS_TO_CATCH: usize = 3;

pub struct Storm {
    pub engine: Engine,
    pub place: Place,
    memory: TempDir,
    random: u64,
    /// What the last finished backup had: files in a directory, bytes in the pipe.
    files: u64,
    bytes: u64,
    killed: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let place = Place::new();
        Storm {
            engine: Engine::start(&place),
            place,
            memory: tempfile::Builder::new()
                .prefix("fswal-backup-")
                .tempdir_in("/dev/shm")
                .unwrap(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            files: 8,
            bytes: 2_000_000,
            killed: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    /// A backup to each kind of place in turn, sometimes onto the one before, and sometimes after
    /// runs that were killed.
    fn round(&mut self, n: u64) {
        self.engine.wait_for_retention();
        let outs = [self.memory.path(), self.place.base()].map(|at| at.join("backup"));
        match n % 3 {
            2 => {
                (0..self.below(2)).for_each(|_| self.kill_a_stream());
                self.stream();
            }
            kind => {
                let out = &outs[kind as usize];
                if self.below(2) == 0 {
                    let _ = std::fs::remove_dir_all(out);
                }
                // One onto nothing, so that it is seen that nothing is there too early.
                let kills = u64::from(!out.exists()) + self.below(2);
                (0..kills).for_each(|_| self.kill_into(out));
                self.back_up(out);
            }
        }
        assert_eq!(holds(&self.place), Vec::<Value>::new(), "no hold is left");
    }

    /// Backs up into a directory.
    fn back_up(&mut self, out: &Path) {
        let durable = self.engine.durable();
        let run = fswal(&["backup", "--json", text(&self.place.log()), text(out)]);
        if run.err.contains("is in neither") {
            // Retention was faster than the backups.
            std::fs::remove_dir_all(out).unwrap();
            return self.back_up(out);
        }
        self.check(out, durable, &run.ends_with(0).json());
        self.files = files_in(out);
        assert!(!out.with_file_name("backup.partial").exists());
    }

    fn check(&self, out: &Path, durable: u64, said: &Value) {
        let id = |name: &str| said[name].as_u64().unwrap();
        let (first, last) = (id("first_event_id"), id("up_to_event_id"));
        assert!(last >= durable, "ends at {last}, and {durable} was durable when it began");
        assert!(last <= self.engine.durable(), "ends at {last}, which is not durable yet");
        assert_opens(&self.place, out, first..=last);
    }

    /// A run that is killed when it has made some of the files, or all of them. What has the name
    /// then is a whole backup, of that run or of the one before.
    fn kill_into(&mut self, out: &Path) {
        let before = out.exists().then(|| ids_of(out));
        let (partial, files) = (out.with_file_name("backup.partial"), self.below(self.files + 1));
        let _ = std::fs::remove_dir_all(&partial);
        let mut run = command(&["backup", text(&self.place.log()), text(out)]);
        let mut run = run.stdout(Stdio::null()).spawn().unwrap();
        // One that is named too early is there by its name.
        let is_new = before.is_none();
        let made = || files_in(&partial).max(if is_new { files_in(out) } else { 0 });
        while made() < files && run.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(self.below(5000)));
        self.kill(&mut run);
        check_killed(&self.place, out, before);
    }

    fn kill(&mut self, run: &mut Child) {
        run.kill().unwrap();
        self.killed += u64::from(run.wait().unwrap().signal().is_some());
    }

    /// Backs up into a pipe that is slow, and extracts what comes out.
    fn stream(&mut self) {
        let (durable, out) = (self.engine.durable(), self.new_directory());
        let run = self.pipe(&out, u64::MAX).wait_with_output().unwrap();
        assert!(run.status.success(), "{run:?}");
        self.check(&out, durable, &serde_json::from_slice(&run.stderr).unwrap());
    }

    /// A run that is killed somewhere in its stream. What came out has no identity, or is whole.
    fn kill_a_stream(&mut self) {
        let (out, bytes) = (self.new_directory(), self.below(self.bytes));
        let mut run = self.pipe(&out, bytes);
        self.kill(&mut run);
        if out.join("wal_identity").exists() {
            check_killed(&self.place, &out, None);
        }
    }

    fn new_directory(&self) -> PathBuf {
        let out = self.memory.path().join("extracted");
        let _ = std::fs::remove_dir_all(&out);
        std::fs::create_dir(&out).unwrap();
        out
    }

    /// Passes so much of a stream on, slowly: 13 MB a second at most.
    fn pipe(&mut self, out: &Path, bytes: u64) -> Child {
        const PIECE: usize = 64 * 1024;
        const PAUSE: Duration = Duration::from_millis(5);
        let log = self.place.log();
        let mut run = command(&["backup", "--json", text(&log), "--to-tar"]);
        let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut tar = Command::new("tar");
        let tar = tar.args(["-x", "-C", text(out)]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut tar = tar.spawn().unwrap();
        let (mut from, mut to) = (run.stdout.take().unwrap(), tar.stdin.take().unwrap());
        let (mut piece, mut passed) = (vec![0; PIECE], 0);
        while passed < bytes {
            let read = from.read(&mut piece).unwrap();
            if read == 0 {
                break;
            }
            to.write_all(&piece[..read]).unwrap();
            passed += read as u64;
            std::thread::sleep(PAUSE);
        }
        self.bytes = self.bytes.max(passed);
        drop(to);
        tar.wait().unwrap();
        run
    }
}

fn files_in(directory: &Path) -> u64 {
    std::fs::read_dir(directory).map_or(0, |files| files.count() as u64)
}

/// The events of something that has the name of a backup.
fn ids_of(out: &Path) -> RangeInclusive<u64> {
    assert!(out.join("wal_identity").exists() && out.join("wal_meta.dat").exists());
    let said = fswal(&["verify", "--json", text(out)]).ends_with(0).json();
    let id = |name: &str| said[name].as_u64().unwrap();
    id("first_event_id")..=id("last_event_id")
}

/// After a run that was killed: a whole backup, and no older one than before.
pub fn check_killed(place: &Place, out: &Path, before: Option<RangeInclusive<u64>>) {
    if !out.exists() {
        return assert_eq!(before, None, "the earlier backup is gone");
    }
    let ids = ids_of(out);
    assert!(before.is_none_or(|before| before.end() <= ids.end()));
    assert_opens(place, out, ids);
}

/// Whether one of some storms shows what a bug has left.
fn is_caught(bug: Bug) -> bool {
    (0..STORMS_TO_CATCH).any(|_| {
        let mut storm = Storm::new(1);
        let out = storm.place.base().join("backup");
        let log = storm.place.log();
        let durable = storm.engine.durable();
        let id = durable.to_string();
        fswal(&["holds", "set", text(&log), "standby", "--event", &id]).ends_with(0);
        if bug == Bug::NamedEarly {
            bug.spoil(&mut storm, &out);
            let check = || check_killed(&storm.place, &out, None);
            return catch_unwind(AssertUnwindSafe(check)).is_err();
        }
        let said = fswal(&["backup", "--json", text(&log), text(&out)]).ends_with(0).json();
        bug.spoil(&mut storm, &out);
        catch_unwind(AssertUnwindSafe(|| storm.check(&out, durable, &said))).is_err()
    })
}

#[test]
fn a_storm_finds_what_each_bug_leaves() {
    for bug in Bug::ALL {
        assert!(is_caught(bug), "{bug:?} is not caught");
    }
}

#[test]
fn every_backup_of_a_storm_is_whole() {
    let number = |name: &str| std::env::var(name).ok().map(|it| it.parse::<u64>().unwrap());
    let percent = number("FLASHSTRIKE_TORTURE").unwrap_or(0);
    let rounds = ROUNDS.0 + (ROUNDS.1 - ROUNDS.0) * percent / 100;
    let seed = number("FLASHSTRIKE_TEST_SEED").unwrap_or(4711);
    println!("{rounds} rounds with FLASHSTRIKE_TEST_SEED={seed}");
    let mut storm = Storm::new(seed);
    wait_until("it was alone for a while", || storm.engine.sampled() > 100_000);
    let alone = storm.engine.percentiles();
    storm.engine.start_anew(&storm.place);
    let mut round = 0;
    // Whether a run is done before it is killed depends on the machine.
    while round < rounds || (storm.killed == 0 && round < 10 * rounds) {
        storm.round(round);
        round += 1;
    }
    let beside = storm.engine.percentiles();
    println!(
        "appends, p50, p99, p99.9: {alone:?} ns alone, {beside:?} ns beside {round} backups, \
         what checks them, and {} runs that were killed",
        storm.killed
    );
    assert!(storm.killed > 0, "no run was killed before its end");
}
