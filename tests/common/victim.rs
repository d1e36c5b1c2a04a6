//! The process that faults are injected into: it opens a log, appends through several rotations,
//! lets the workers freeze and expire, and shuts down. Whatever goes wrong, it holds the log to its
//! contract, and says in its exit code what became of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::{Manager, Writer};

use super::flow::{event_of, successor, Shared};
use super::inject::{play, Fault, Injected, Meeting};
use super::planted::{Bug, Planted};
use super::{end_with_parent, scenario, Place};

/// Everything was done.
pub const CLEAN: i32 = 7;
/// The log has failed, and behaved as a failed log must.
pub const POISONED: i32 = 8;
/// It was not opened.
pub const OPEN_FAILED: i32 = 9;
/// Everything was appended and durable, and something went wrong with shutting down.
pub const SHUTDOWN_FAILED: i32 = 10;
/// How long it may be full: one call fails, the next works.
const LONGEST_FULL: Duration = Duration::from_secs(5);

/// A log that freezes and expires from its third segment on. What its persister has to do at once
/// does not depend on who is faster.
pub fn config(active: &Path) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1,
        sync_mode: SyncMode::Rotation,
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::AtMost(1),
        active_parent: active.to_owned(),
        ..Config::default()
    }
}

/// What a victim needs to know, as words of its scenario.
#[derive(Debug, Clone, Copy)]
struct Orders<'a> {
    log: &'a Path,
    active: &'a Path,
    shared: &'a Path,
    /// Events to append.
    events: u64,
    /// The life of the log that they belong to.
    life: u32,
    /// The error number that may be met, 0 = none, and the word that must be in its message.
    errno: i32,
    word: &'a str,
    /// What is planted under it.
    bug: Option<Bug>,
}

impl<'a> Orders<'a> {
    fn encode(&self) -> String {
        let Orders { log, active, shared, events, life, errno, word, bug } = self;
        let (log, active, shared) = (log.display(), active.display(), shared.display());
        let bug = bug.map_or("", Bug::name);
        format!("victim|{log}|{active}|{shared}|{events}|{life}|{errno}|{word}|{bug}")
    }

    fn decode(scenario: &'a str) -> Option<Self> {
        let words: Vec<&str> = scenario.split('|').collect();
        let ["victim", log, active, shared, events, life, errno, word, bug] = words[..] else {
            return None;
        };
        Some(Orders {
            log: log.as_ref(),
            active: active.as_ref(),
            shared: shared.as_ref(),
            events: events.parse().ok()?,
            life: life.parse().ok()?,
            errno: errno.parse().ok()?,
            word,
            bug: [Bug::SkippedBlock, Bug::SyncTriedAgain].into_iter().find(|b| b.name() == bug),
        })
    }

    /// What is said must be what went wrong. Some files are opened on the way to something else.
    fn expect(&self, error: &Error) {
        let said = error.to_string();
        let names_it =
            [self.word, "list /", "/proc/", "/dev/urandom"].iter().any(|word| said.contains(word));
        let (met, number) = (self.word, self.errno);
        // A thread that finds no memory for its stack has an error number of its own.
        let is_it = error.errno() == number || said.contains("start worker");
        assert!(is_it && names_it, "{met}, {number}, is met as: {said}");
    }
}

/// Where victims work: on a log in memory, which is fast; it is not the disk that fails.
pub struct Bench {
    test: &'static str,
    place: Place,
    pub log: PathBuf,
    pub active: PathBuf,
    pub shared: Shared,
    /// Planted under the victims.
    pub bug: Option<Bug>,
}

impl Bench {
    /// For the test of this name, which begins with [`play_victim`].
    pub fn new(test: &'static str) -> Self {
        let place = Place::new();
        let (log, active) = (place.memory().join("log"), place.memory().join("active"));
        fs::create_dir(&active).unwrap();
        let shared = Shared::open(&place.memory().join("shared"));
        Bench { test, place, log, active, shared, bug: None }
    }

    /// No log is there any more.
    pub fn clear(&self) {
        for directory in [&self.log, &self.active] {
            if directory.exists() {
                fs::remove_dir_all(directory).unwrap();
            }
        }
        fs::create_dir(&self.active).unwrap();
    }

    /// Lets a victim append so many events in this life of the log, and hits it. The error number
    /// and the word are what it may meet.
    pub fn hit(
        &self,
        fault: Fault<'_>,
        (life, events): (u32, u64),
        (errno, word): (i32, &str),
    ) -> Injected {
        self.shared.reset();
        let shared = &self.place.memory().join("shared");
        let (log, active) = (self.log.as_path(), self.active.as_path());
        let orders = Orders { log, active, shared, events, life, errno, word, bug: self.bug };
        play(self.test, &orders.encode(), fault, &self.shared, self.place.memory())
    }
}

/// In a child: the process that is hit.
pub fn play_victim() {
    if let Some(scenario) = scenario() {
        let orders = Orders::decode(&scenario).unwrap_or_else(|| panic!("{scenario}"));
        record(orders);
    }
}

/// Does as ordered, and ends the process.
fn record(orders: Orders<'_>) -> ! {
    end_with_parent();
    let shared = Shared::open(orders.shared);
    let meeting = Meeting(&shared);
    meeting.opening();
    let storage = Planted::posix(orders.bug, orders.log);
    let opened = Manager::open_with(storage, orders.log, config(orders.active));
    let (manager, mut writer) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            orders.expect(&error);
            std::process::exit(OPEN_FAILED);
        }
    };
    let mut last = manager.log().appended().last_event_id;
    shared.recovered().store(last, Release);
    shared.opened().store(1, Release);
    meeting.opened();
    for n in 0..orders.events {
        let next = successor(last);
        shared.attempted().store(next, Release);
        if let Err(error) = append(&mut writer, orders.life, next) {
            end_poisoned(&orders, manager, writer, &error);
        }
        last = next;
        shared.acknowledged().store(last, Release);
        // Little to be made durable, and so much that the disk begins before all of it is sealed.
        if [499, 2999].contains(&(n % 3000)) || n + 1 == orders.events {
            if let Err(error) = manager.log().sync() {
                end_poisoned(&orders, manager, writer, &error);
            }
        }
    }
    match manager.shutdown(writer) {
        Ok(()) => std::process::exit(CLEAN),
        Err(error) => {
            orders.expect(&error);
            std::process::exit(SHUTDOWN_FAILED);
        }
    }
}

/// Appends one event; what is full is waited for.
fn append(writer: &mut Writer, life: u32, id: u64) -> Result<(), Error> {
    let begin = Instant::now();
    loop {
        match writer.append(&event_of(life, id)) {
            Err(error) if error.cause() == Some(Cause::NoSpace) => {
                assert!(begin.elapsed() < LONGEST_FULL, "it does not go on by itself: {error}");
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// The log has failed: for good, with the watermark where it is and the cause in every error.
fn end_poisoned(orders: &Orders<'_>, manager: Manager, mut writer: Writer, error: &Error) -> ! {
    let log = manager.log();
    let poisoned = |error: &Error| {
        assert_eq!(error.cause(), Some(Cause::Poisoned), "{error}");
        orders.expect(error);
    };
    poisoned(error);
    let (durable, appended) = (log.durable(), log.appended());
    for _ in 0..3 {
        poisoned(&log.sync().expect_err("a sync after the failure"));
        let event = event_of(orders.life, u64::MAX - 1);
        poisoned(&writer.append(&event).expect_err("an append after the failure"));
        poisoned(&writer.append_batch(&[event], &mut 0).expect_err("a batch after the failure"));
        poisoned(&writer.claim().expect_err("a claim after the failure"));
        if durable != appended {
            let waited = log.wait_durable(appended.last_event_id, Duration::from_secs(5));
            poisoned(&waited.expect_err("waiting after the failure"));
        }
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(log.durable(), durable, "the watermark is where it was");
    }
    poisoned(&manager.shutdown(writer).expect_err("a shutdown after the failure"));
    std::process::exit(POISONED);
}
