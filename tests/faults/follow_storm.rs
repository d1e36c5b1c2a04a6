//! Followers in other processes, beside a writer that rotates, freezes, is killed, stopped, shut
//! down and opened with other options, again and again; and beside one whose memory is lost. Each
//! sees exactly the events that were committed, or says what is gone.

use std::fmt::Display;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use common::crash::{change_boot_id, identity};
use common::flow::{Random, Shared};
use common::following::{Blind, Progress, FOLLOWS, GONE, TAKEN_BACK};
use common::ledger::{record, times, Row};
use common::{child, seed, Place};
use rustix::process::{kill_process, Pid, Signal};

use crate::standing::{self, Standing};

/// Rounds in the same log.
const ROUNDS_PER_LOG: u64 = 12;
/// Followers of a log at a time.
const FOLLOWERS: usize = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(180);
/// A planted bug must be caught within so many logs.
const LOGS_TO_CATCH: u64 = 30;

/// A log, its writers, and those who follow it.
struct Storm {
    place: Place,
    random: Random,
    kind: &'static str,
    bug: &'static str,
    shared: Shared,
    followers: Vec<Following>,
    begun: u32,
    /// The life of the writer that comes next.
    life: u32,
}

struct Following {
    child: Child,
    progress: Progress,
    durable_only: bool,
}

impl Following {
    fn state(&self) -> u64 {
        self.progress.state().load(Acquire)
    }

    /// It must have ended by itself.
    fn join(self) {
        child::assert_succeeded("follow-a-storm", &self.child.wait_with_output().unwrap());
    }
}

impl Drop for Storm {
    /// Nobody is left behind when a round has failed, also of those that are stopped.
    fn drop(&mut self) {
        for follower in &mut self.followers {
            let _ = follower.child.kill();
            let _ = follower.child.wait();
        }
    }
}

impl Storm {
    fn new(seed: u64, kind: &'static str, bug: &'static str) -> Self {
        let place = Place::new();
        let shared = Shared::open(&place.base().join("shared"));
        fs::create_dir(place.memory().join("active")).unwrap();
        let random = Random(seed * 6151 + 3);
        Storm { place, random, kind, bug, shared, followers: Vec::new(), begun: 0, life: 1 }
    }

    fn log(&self) -> PathBuf {
        self.place.log()
    }

    fn follow(&mut self, durable_only: bool) {
        self.begun += 1;
        let path = self.place.base().join(format!("follower-{}", self.begun));
        let (base, shows) = (self.place.base(), if durable_only { "durable" } else { "all" });
        let seed = self.begun + self.life * 100;
        let arguments: [&dyn Display; 6] =
            [&seed, &base.display(), &path.display(), &self.kind, &shows, &self.bug];
        let child = child::spawn("follow-a-storm", &arguments);
        self.followers.push(Following { child, progress: Progress::open(&path), durable_only });
    }

    /// Starts a writer, which is open when this returns.
    fn write(&mut self) -> Child {
        self.shared.opened().store(0, Release);
        Progress::told(&self.shared).store(0, Release);
        let (base, active) = (self.place.base(), self.place.memory().join("active"));
        let arguments: [&dyn Display; 4] =
            [&self.life, &base.display(), &active.display(), &self.kind];
        let mut child = child::spawn("append-until-told", &arguments);
        self.life += 1;
        wait_until("the log is open", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the writer has ended: {ended:?}");
            self.shared.opened().load(Acquire) == 1
        });
        child
    }

    /// Lets it append so many ids, and stops it or a follower meanwhile.
    fn let_append(&mut self, writer: &Child, ids: u64) {
        let end = self.shared.recovered().load(Acquire) + ids;
        let stopped = self.random.below(self.followers.len() as u64 + 2) as usize;
        let of_all = |follower: &Following| Pid::from_child(&follower.child);
        let is_alive = |follower: &&Following| follower.state() & FOLLOWS != 0;
        let pid = match self.followers.get(stopped).filter(is_alive).map(of_all) {
            Some(pid) => Some(pid),
            None => self.random.one_in(2).then(|| Pid::from_child(writer)),
        };
        if let Some(pid) = pid {
            kill_process(pid, Signal::STOP).unwrap();
            std::thread::sleep(Duration::from_micros(self.random.below(4_000)));
        }
        let is_writer = pid == Some(Pid::from_child(writer));
        if is_writer {
            kill_process(pid.unwrap(), Signal::CONT).unwrap();
        }
        wait_until("events are appended", || self.shared.acknowledged().load(Acquire) >= end);
        if let Some(pid) = pid.filter(|_| !is_writer) {
            kill_process(pid, Signal::CONT).unwrap();
        }
    }

    fn shut_down(&self, writer: Child) {
        Progress::told(&self.shared).store(1, Release);
        child::assert_succeeded("append-until-told", &writer.wait_with_output().unwrap());
    }

    /// Killed: what it has appended is there, and perhaps the call in flight.
    fn kill(&self, mut writer: Child) {
        writer.kill().unwrap();
        writer.wait().unwrap();
    }

    /// Everybody must see all there is. Returns how many events they saw.
    fn end(&mut self) -> u64 {
        let last = self.shared.acknowledged().load(Acquire);
        let mut seen = 0;
        for follower in self.followers.drain(..) {
            follower.progress.end().store(last, Release);
            let Following { child, progress, .. } = follower;
            child::assert_succeeded("follow-a-storm", &child.wait_with_output().unwrap());
            assert_eq!(progress.state().load(Acquire), GONE);
            seen += progress.count().load(Acquire);
        }
        seen
    }

    /// The memory of the log is lost, with all that is not on disk.
    fn lose_memory(&self) {
        for directory in common::paths(&self.place.memory().join("active")) {
            fs::remove_dir_all(directory).unwrap();
        }
        change_boot_id(&self.place);
    }

    /// The log was opened with what was left, and written to: whoever has seen more says so, and
    /// goes; everybody else goes on. Returns how many went. `shown` is what each is known to have
    /// seen; it may have seen more.
    fn judge(&mut self, shown: &[u64]) -> u64 {
        let (kept, life) = (self.shared.recovered().load(Acquire), u64::from(self.life - 1));
        let mut gone = 0;
        let mut left = Vec::new();
        for (mut follower, shown) in self.followers.drain(..).zip(shown) {
            wait_until("a follower goes on, or goes", || {
                follower.progress.life().load(Acquire) == life
                    || follower.child.try_wait().unwrap().is_some()
            });
            if follower.child.try_wait().unwrap().is_none() {
                assert!(*shown <= kept, "{shown} were shown, {kept} are left, and it goes on");
                left.push(follower);
                continue;
            }
            let (state, first) = (follower.state(), follower.progress.first_lost().load(Acquire));
            let durable_only = follower.durable_only;
            follower.join();
            assert_eq!((state, first), (TAKEN_BACK, kept + 1), "{shown} were shown");
            assert!(!durable_only, "what it was shown was durable, and was taken back");
            gone += 1;
        }
        self.followers = left;
        gone
    }
}

/// A storm in one log: kills, shutdowns, stops, other options. Returns the events that were seen.
fn storm(seed: u64, kind: &'static str, bug: &'static str, ids: u64) -> u64 {
    let _named = seed::Named(seed);
    let mut storm = Storm::new(seed, kind, bug);
    // One is there before the log is.
    storm.follow(false);
    for round in 0..ROUNDS_PER_LOG {
        let writer = storm.write();
        while storm.followers.len() < FOLLOWERS && storm.random.one_in(2) {
            let durable_only = storm.random.one_in(3);
            storm.follow(durable_only);
        }
        storm.let_append(&writer, ids);
        match storm.random.one_in(3) || round + 1 == ROUNDS_PER_LOG {
            true => storm.shut_down(writer),
            false => storm.kill(writer),
        }
        if storm.random.one_in(6) && storm.followers.len() > 1 {
            let mut leaves = storm.followers.swap_remove(1);
            leaves.child.kill().unwrap();
            leaves.child.wait().unwrap();
        }
    }
    // One comes when all is over.
    storm.follow(false);
    storm.end()
}

/// Those who said that what they had seen was taken back.
#[derive(Default)]
struct Told {
    followers: u64,
    holds_and_snapshots: u64,
}

/// Lives of one log, between which its memory is lost.
fn losses(seed: u64, bug: &'static str, rounds: u64) -> Told {
    let _named = seed::Named(seed);
    let mut storm = Storm::new(seed, "lazy", bug);
    let mut told = Told::default();
    for _ in 0..rounds {
        while storm.followers.len() < FOLLOWERS {
            let durable_only = storm.followers.iter().all(|other| !other.durable_only);
            storm.follow(durable_only);
        }
        let writer = storm.write();
        let ids = 1 + storm.random.below(20_000);
        storm.let_append(&writer, ids);
        let last = storm.shared.acknowledged().load(Acquire);
        let standing = Standing::new(&storm.log(), &mut storm.random, last);
        storm.kill(writer);
        for follower in &mut storm.followers {
            wait_until("everybody has begun", || {
                let ended = follower.child.try_wait().unwrap();
                let (state, shown) = (follower.state(), follower.progress.shown());
                assert!(ended.is_none(), "a follower has ended: {ended:?}, {state}, {shown:?}");
                shown.load(Acquire) > 0 || follower.durable_only
            });
        }
        let shown: Vec<u64> =
            storm.followers.iter().map(|one| one.progress.shown().load(Acquire)).collect();
        storm.lose_memory();
        let before = identity(&storm.log()).generation;
        let writer = storm.write();
        assert_eq!(identity(&storm.log()).generation, before + 1);
        storm.let_append(&writer, 30_000);
        storm.shut_down(writer);
        if bug == standing::FORGETS_CUTS {
            standing::forget_cuts(&storm.log());
        }
        let kept = storm.shared.recovered().load(Acquire);
        told.holds_and_snapshots += standing.judge(&storm.log(), kept);
        told.followers += storm.judge(&shown);
    }
    storm.end();
    told
}

/// What runs with the bug, given a seed, must fail.
fn catch(bug: &'static str, run: impl Fn(u64)) -> &'static str {
    let is_caught = |seed| std::panic::catch_unwind(AssertUnwindSafe(|| run(seed))).is_err();
    let caught = (1..=LOGS_TO_CATCH).find(|seed| is_caught(*seed));
    println!("{bug}: caught in log {}", caught.expect("is not caught"));
    bug
}

#[test]
fn followers_see_what_was_committed_through_a_storm() {
    if let Some(seed) = seed::chosen() {
        storm(seed, if seed % 3 == 0 { "tight" } else { "keep" }, "none", 20_000);
        return;
    }
    let bug = Blind::ToReuse.name();
    let planted = catch(bug, |seed| {
        storm(seed, "keep", bug, 20_000);
    });
    let (logs, ids) = (times(3, 42), times(20_000, 200_000));
    let kind = |seed| if seed % 3 == 0 { "tight" } else { "keep" };
    let begin = Instant::now();
    let seen: u64 = (1..=logs).map(|seed| storm(seed, kind(seed), "none", ids)).sum();
    let rounds = logs * ROUNDS_PER_LOG;
    println!("{rounds} rounds in {:?}: {seen} events seen", begin.elapsed());
    record(Row {
        name: "followers-in-a-storm",
        fault: "SIGKILL, SIGSTOP and restarts, beside followers",
        test: "tests/faults/follow_storm.rs",
        tried: rounds,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[planted],
    });
}

#[test]
fn followers_say_what_was_taken_back() {
    if let Some(seed) = seed::chosen() {
        losses(seed, "none", 5);
        return;
    }
    let bugs = [Blind::ToCuts.name(), Blind::ToTheWatermark.name(), standing::FORGETS_CUTS];
    let planted = bugs.map(|bug| {
        catch(bug, |seed| {
            losses(seed, bug, 3);
        })
    });
    let (least, begin) = (times(3, 60), Instant::now());
    let (mut logs, mut followers, mut holds_and_snapshots) = (0, 0, 0);
    // How many are above a cut depends on how soon the disk had what they stand at.
    while logs < least || followers < least || holds_and_snapshots < least {
        assert!(logs < 20 * least, "above a cut: {followers} and {holds_and_snapshots}");
        logs += 1;
        let told = losses(logs, "none", 5);
        followers += told.followers;
        holds_and_snapshots += told.holds_and_snapshots;
    }
    println!(
        "{} losses in {:?}: {followers} followers and {holds_and_snapshots} holds and snapshots \
         said so",
        logs * 5,
        begin.elapsed()
    );
    record(Row {
        name: "followers-and-losses",
        fault: "the log's memory is lost, beside followers, a hold and a snapshot",
        test: "tests/faults/follow_storm.rs",
        tried: logs * 5,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &planted,
    });
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONGEST_WAIT, "{what}: not after {LONGEST_WAIT:?}");
        std::thread::sleep(Duration::from_micros(100));
    }
}
