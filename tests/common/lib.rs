//! What the tests share: one event per id, so that any event read back can be checked by its id
//! alone; logs in scratch directories; and a child program to be killed.

#![allow(clippy::new_without_default, reason = "a new one makes directories")]

pub mod bugs;
pub mod cached_disk;
pub mod child;
pub mod crash;
pub mod disk;
mod exchange;
pub mod flow;
pub mod following;
pub mod fuzzing;
pub mod inject;
pub mod keeping;
pub mod ledger;
pub mod planted;
pub mod read_only;
pub mod recovery;
pub mod seed;
pub mod segments;
pub mod served_disk;
pub mod spinning;
pub mod tampered;
pub mod victim;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::{foresee, Manager, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::PosixStorage;
use tempfile::TempDir;

/// Only what hangs takes longer: workers to come to something, a reader to follow a writer. The
/// processor may be away for many seconds.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The event that belongs to an id. Every byte depends on the id.
pub fn event(event_id: u64) -> RequestEvent {
    let mixed = event_id.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) ^ event_id;
    let mut reserved = [0; 21];
    for (n, byte) in reserved.iter_mut().enumerate() {
        *byte = (mixed >> (n % 8 * 8)) as u8 ^ n as u8;
    }
    RequestEvent {
        event_id,
        timestamp: mixed,
        price: mixed as i64 >> 3,
        quantity: (mixed ^ u64::MAX) as i64,
        user_id: mixed as u32,
        order_id: (mixed >> 32) as u32,
        r#type: (mixed % 4) as u8,
        order_type: (mixed >> 8) as u8 % 2,
        side: (mixed >> 9) as u8 % 2,
        reserved,
    }
}

/// A log's directories: one on disk, one in memory. Both are removed when the test ends.
pub struct Place {
    disk: TempDir,
    memory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let memory = tempfile::Builder::new().prefix("flashstrike-test-").tempdir_in("/dev/shm");
        Place { disk: tempfile::tempdir().unwrap(), memory: memory.unwrap() }
    }

    /// A directory on disk for whatever the test needs.
    pub fn base(&self) -> &Path {
        self.disk.path()
    }

    /// The WAL directory.
    pub fn log(&self) -> PathBuf {
        self.disk.path().join("log")
    }

    /// The directory in which active directories are made.
    pub fn memory(&self) -> &Path {
        self.memory.path()
    }

    /// The existing active directories.
    pub fn active_directories(&self) -> Vec<PathBuf> {
        paths(self.memory())
    }

    /// A small log that keeps everything.
    pub fn small(&self) -> Config {
        small(self.memory())
    }
}

/// A small log that keeps everything, with its active directory in `memory`.
pub fn small(memory: &Path) -> Config {
    Config {
        num_blocks: 16,
        max_segments: Keep::AtMost(4),
        max_compressed_segments: Keep::All,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// What a live log has at most in a memory filesystem: its active set, its control file, and its
/// identity.
pub fn memory_of_one(config: &Config) -> u64 {
    const PAGE: u64 = 4096;
    let sets = config.active_set() as u64;
    let control = config.memory_size() - config.active_set_size();
    sets * (config.active_set_size() / sets).next_multiple_of(PAGE) + control + PAGE
}

/// Bytes in use of a filesystem in memory.
pub fn memory_in_use(mounted: &Path) -> u64 {
    let stat = rustix::fs::statvfs(mounted).unwrap();
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}

/// The entries of a directory, sorted. Left out is what every log has beside
/// its segments and records: the directory of the holds, and the history.
pub fn paths(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_beside = |path: &PathBuf| path.ends_with("wal_holds") || path.ends_with("wal_history");
    let mut paths: Vec<_> = entries.filter(|path| !is_beside(path)).collect();
    paths.sort();
    paths
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths(directory).into_iter().map(name).collect()
}

/// Opens a log for writing, which must do what was foreseen.
pub fn open(directory: &Path, config: Config) -> (Manager, Writer) {
    let foreseen = foresee(&PosixStorage::for_reading(), directory, &config);
    let (manager, writer) =
        Manager::open(directory, config).unwrap_or_else(|error| panic!("open: {error}"));
    match foreseen {
        Ok(foreseen) => {
            let report = manager.log().recovery_report();
            assert_eq!(foreseen.label, report.decision);
            assert_eq!(foreseen.is_clean, report.clean);
            assert_eq!(foreseen.last_event_id, report.last_event_id);
            assert_eq!(foreseen.durable_event_id, report.durable_event_id);
            assert_eq!(foreseen.carried_over, report.events_carried_over);
            assert_eq!(foreseen.kept_aside, report.events_kept_aside);
        }
        Err(error) => assert_eq!(error.cause(), Some(Cause::NotFound), "{error}"),
    }
    (manager, writer)
}

/// Appends the events of these ids.
pub fn append(writer: &mut Writer, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        writer.append(&event(id)).unwrap_or_else(|error| panic!("append {id}: {error}"));
    }
}

/// Reads a whole log; every event must be the one that belongs to its id.
pub fn read_ids(directory: &Path) -> Vec<u64> {
    let mut reader = Reader::open(directory, ReaderOptions { verify: true })
        .unwrap_or_else(|error| panic!("reader: {error}"));
    let mut ids = Vec::new();
    loop {
        match reader.next() {
            Ok(found) => {
                assert_eq!(found, event(found.event_id), "event {} was changed", found.event_id);
                ids.push(found.event_id);
            }
            Err(Error::End) => return ids,
            Err(error) => panic!("after {:?}: {error}", ids.last()),
        }
    }
}

/// The log holds exactly the events 1 to `last`.
pub fn assert_holds(directory: &Path, last: u64) {
    let ids = read_ids(directory);
    assert_eq!(ids.len() as u64, last, "first {:?}, last {:?}", ids.first(), ids.last());
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(*id, n as u64 + 1);
    }
}

/// Reads a log while it is written, up to the event `last`: each event exactly once and in order.
pub fn assert_follows(log: &Path, last: u64) {
    assert_follows_with(log, last, 0);
}

/// The same, with threads.
pub fn assert_follows_with(log: &Path, last: u64, threads: u32) {
    eventually("there is a log", || log.join("wal_identity").exists());
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    reader.use_threads(threads).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let mut expected = 1;
    while expected <= last {
        match reader.next() {
            Ok(found) => {
                assert_eq!(found, event(expected));
                expected += 1;
            }
            Err(Error::End) => {
                assert!(Instant::now() < deadline, "timed out at {expected}");
                std::thread::yield_now();
            }
            Err(error) => panic!("at {expected}: {error}"),
        }
    }
    assert!(matches!(reader.next(), Err(Error::End)));
}

/// The recovery decision of an open log.
pub fn decision(manager: &Manager) -> String {
    text(&manager.log().recovery_report().decision)
}

/// A text field of a report.
pub fn text(text: &str) -> String {
    text.to_owned()
}

/// The error of a call that must fail with this cause.
pub fn expect_cause<T>(result: Result<T, Error>, cause: Cause) -> String {
    match result {
        Ok(_) => panic!("must fail with {cause:?}"),
        Err(error) => {
            assert_eq!(error.cause(), Some(cause), "{error}");
            error.to_string()
        }
    }
}

/// The bytes of every file in a directory, by name, except the lock file, which names its last
/// owner.
pub fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for name in names(directory) {
        let path = directory.join(&name);
        if name != "wal_lock" && path.is_file() {
            contents.insert(name, std::fs::read(path).unwrap());
        }
    }
    contents
}

/// Waits until workers have made a condition true.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "timed out after {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes the active directory of a live log, which may be making files in it.
pub fn remove_from_under(active: &Path) {
    eventually("it is removed", || std::fs::remove_dir_all(active).is_ok() || !active.exists());
}

/// Runs `work` while another thread appends without pause, starting with this id.
pub fn beside_writer(writer: &mut Writer, first_id: u64, work: impl FnOnce()) {
    /// Ends the other thread even if this one panics.
    struct StopAtEnd<'a>(&'a AtomicBool);

    impl Drop for StopAtEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in first_id.. {
                append(writer, [id]);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let _stop = StopAtEnd(&done);
        work();
    });
}

/// A harness must fail when a bug is planted under it. Returns the bug's name, for the durability
/// table.
pub fn must_fail(bug: planted::Bug, harness: impl FnOnce()) -> &'static str {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(harness));
    assert!(ended.is_err(), "{} was not caught", bug.name());
    bug.name()
}

/// Reports a test as skipped, and why. Writes past the test runner, which only shows the output of
/// failed tests.
pub fn skipped(why: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = std::io::stderr().write_all(format!("{test}: skipped: {why}\n").as_bytes());
}

/// Whether the test may mount; if not, reports it as skipped.
pub fn may_mount() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped("mounting needs root");
    }
    root
}

/// Whether system calls can be made to fail; if not, reports the test as skipped.
pub fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !found {
        skipped("strace is not installed");
    }
    found
}

/// For a child that runs until it is killed: makes it end with the test that started it, even if
/// that test is killed.
pub fn end_with_parent() {
    let kill = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(kill).unwrap();
}
