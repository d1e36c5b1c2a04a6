//! Many logs in one process: the threads they share, the cost of an idle log, and that a failure of
//! one log does not affect the others. Each role counts the threads of its process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
use std::time::{Duration, Instant};

use common::{append, assert_holds, event, eventually, expect_cause, open, Place, DEADLINE};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::Cause;
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::{Manager, Writer};

use crate::arguments::Arguments;

/// Events in a segment of 16 blocks.
pub const SEGMENT: u64 = 16 * 256;

/// A thread of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub name: String,
    /// How often it slept or waited.
    switches: u64,
    pub cpus: String,
    pub nice: i32,
    /// Neither running nor waiting for a processor.
    sleeps: bool,
}

pub fn threads() -> BTreeMap<PathBuf, Thread> {
    let mut found = BTreeMap::new();
    for task in common::paths("/proc/self/task".as_ref()) {
        let read = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
        let (status, stat) = (read("status"), read("stat"));
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let name = field("Name:");
        // A thread that has just ended cannot be read any more.
        if !name.starts_with("wal-") || stat.is_empty() {
            continue;
        }
        let nice = stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap();
        let thread = Thread {
            switches: field("voluntary_ctxt_switches:").parse().unwrap(),
            cpus: field("Cpus_allowed:"),
            nice: nice.parse().unwrap(),
            sleeps: field("State:").starts_with('S'),
            name,
        };
        found.insert(task, thread);
    }
    found
}

pub fn names() -> Vec<String> {
    let mut names: Vec<_> = threads().into_values().map(|thread| thread.name).collect();
    names.sort();
    names
}

pub fn named(name: &str) -> Thread {
    let found: Vec<_> = threads().into_values().filter(|thread| thread.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].clone()
}

pub const SHARED: [&str; 4] = ["wal-freezer", "wal-maintainer", "wal-preparer", "wal-watcher"];

/// The names of the freezers besides the first: there are two for a processor, up to four.
pub fn more_freezers(processors: usize) -> impl Iterator<Item = String> {
    (2..=(2 * processors).min(4)).map(|n| format!("wal-freezer-{n}"))
}

pub fn processors() -> usize {
    rustix::thread::sched_getaffinity(None).unwrap().count() as usize
}

/// The threads of these logs, which may use so many processors.
pub fn expect_threads(logs: &[String], processors: usize) {
    let own = logs.iter().map(|log| format!("wal-p-{log}"));
    let shared = SHARED.map(str::to_owned).into_iter().chain(more_freezers(processors));
    let mut expected: Vec<_> = shared.chain(own).collect();
    expected.sort();
    // A new thread sets its name only after it has started.
    eventually("they have their names", || names() == expected);
}

pub fn config(place: &Place) -> Config {
    Config { prepared_segments: 1, ..place.small() }
}

/// Opens this many logs, each in a directory named by its number.
fn open_many(place: &Place, count: u64, config: &Config) -> Vec<(Manager, Writer)> {
    (0..count).map(|n| open(&place.base().join(n.to_string()), config.clone())).collect()
}

fn shut_down(logs: Vec<(Manager, Writer)>) {
    for (manager, writer) in logs {
        manager.shutdown(writer).unwrap();
    }
    expect_none();
}

/// The last thread ends with the last log. The kernel may list it a little longer.
pub fn expect_none() {
    eventually("no thread is left", || names().is_empty());
}

pub fn of_64_logs(_: &Arguments) {
    let place = &Place::new();
    const LOGS: u64 = 64;
    let mut logs = open_many(place, LOGS, &config(place));
    expect_threads(&(0..LOGS).map(|n| n.to_string()).collect::<Vec<_>>(), processors());
    for (n, (_, writer)) in logs.iter_mut().enumerate() {
        append(writer, 1..=SEGMENT + n as u64);
    }
    for (manager, _) in &logs {
        manager.log().sync().unwrap();
    }
    expect_threads(&(0..LOGS).map(|n| n.to_string()).collect::<Vec<_>>(), processors());
    shut_down(logs);
    for n in 0..LOGS {
        assert_holds(&place.base().join(n.to_string()), SEGMENT + n);
    }
}

/// While the watcher wakes up so many times, no thread of any log wakes up, and the preparer and
/// the maintainer only once a second and every other second for all.
pub fn of_idle_logs(_: &Arguments) {
    let place = &Place::new();
    const LOGS: u64 = 64;
    const LOOKS: u64 = 300;
    let modes =
        [SyncMode::Continuous, SyncMode::Interval(Duration::from_millis(20)), SyncMode::Rotation];
    let mut logs = Vec::new();
    for n in 0..LOGS as usize {
        let config = Config { sync_mode: modes[n % 3], ..config(place) };
        let (manager, mut writer) = open(&place.base().join(n.to_string()), config);
        append(&mut writer, 1..=SEGMENT + 1);
        logs.push((manager, writer));
    }
    let parked = |threads: &BTreeMap<PathBuf, Thread>| {
        let ticking = ["wal-watcher", "wal-preparer", "wal-maintainer"];
        let mut rest = threads.clone();
        rest.retain(|_, thread| !ticking.contains(&thread.name.as_str()));
        rest
    };
    eventually("they have nothing left to do", || {
        logs.iter().all(|(manager, _)| {
            let (metrics, log) = (manager.log().metrics(), manager.log());
            let ring = metrics.prepared_segments;
            metrics.close.count == 1
                && ring.fill == ring.capacity
                && log.durable().last_event_id > 0
        })
    });
    let mut before = threads();
    let mut watched = named("wal-watcher").switches;
    eventually("they come to rest", || {
        let now = threads();
        // One that was woken and has not had a processor yet does not rest.
        let rest = parked(&now).values().all(|thread| thread.sleeps);
        if !rest || parked(&now) != parked(&before) {
            (before, watched) = (now, named("wal-watcher").switches);
        }
        named("wal-watcher").switches > watched + 40
    });
    let begin = Instant::now();
    let (watched, prepared) = (named("wal-watcher"), named("wal-preparer"));
    let maintained = named("wal-maintainer").switches;
    eventually("they look", || {
        let looked = named("wal-watcher").switches >= watched.switches + LOOKS;
        looked && named("wal-preparer").switches > prepared.switches
    });
    assert_eq!(parked(&threads()), parked(&before));
    let prepared = named("wal-preparer").switches - prepared.switches;
    let maintained = named("wal-maintainer").switches - maintained;
    let took = begin.elapsed();
    // The watcher looks every 15 ms. 64 that wake up for themselves need a 64th of that, and then
    // wait up to a second for the preparer.
    let least = Duration::from_millis(15) * LOOKS as u32 / 3;
    assert!(took >= least, "{LOOKS} wake-ups of the watcher in {took:?}, at least {least:?}");
    // A step that waits for the disk or for a lock counts as one more. One for each log would be
    // three to six times as many as this.
    let most = (took.as_secs() + 2) * LOGS / 6;
    assert!(prepared <= most, "{prepared} wake-ups of the preparer, at most {most}");
    assert!(maintained <= most, "{maintained} wake-ups of the maintainer, at most {most}");

    for (n, (manager, writer)) in logs.iter_mut().enumerate() {
        append(writer, [SEGMENT + 2]);
        let durable = || manager.log().durable().last_event_id == SEGMENT + 2;
        if modes[n % 3] != SyncMode::Rotation {
            eventually("a new event is noticed, though nobody was woken", durable);
        }
    }
    shut_down(logs);
}

/// One log fails by an error, another by a panic in a worker; neither affects the other logs.
pub fn of_failing_logs(_: &Arguments) {
    let place = &Place::new();
    let mut others = open_many(place, 4, &config(place));
    let (failing, failing_writer) = open(&place.base().join("failing"), config(place));
    let active = common::text(&failing.log().recovery_report().active_path);
    let panicking = LogSink::new(|_, message| {
        assert!(!message.contains("retention has deleted"), "planted");
        let reported = message.contains("planted") && !message.contains(": shut down: ");
        assert!(!reported, "planted again");
    });
    let noisy = Config { log: panicking, ..few(place) };
    let (defect, mut defect_writer) = open(&place.base().join("defect"), noisy);
    // The writer may meet it before its last event.
    let _ = (1..=2 * SEGMENT + 1).try_for_each(|id| defect_writer.append(&event(id)));
    eventually("the panic is met", || defect.log().poison().check().is_err());
    let said = expect_cause(defect.log().sync(), Cause::Poisoned);
    assert!(said.contains("wal-maintainer panicked: planted"), "{said}");

    fs::remove_dir_all(active).unwrap();
    eventually("the removal is met", || failing.log().poison().check().is_err());

    for (_, writer) in &mut others {
        append(writer, 1..=12 * SEGMENT);
    }
    let frozen = |manager: &Manager| manager.log().metrics().cold_segments >= 8;
    eventually("the other logs go on", || others.iter().all(|(manager, _)| frozen(manager)));
    defect.shutdown(defect_writer).unwrap_err();
    failing.shutdown(failing_writer).unwrap_err();
    for (_, writer) in &mut others {
        append(writer, 12 * SEGMENT + 1..=14 * SEGMENT);
    }
    shut_down(others);
    for n in 0..4 {
        assert_holds(&place.base().join(n.to_string()), 14 * SEGMENT);
    }
}

/// A log whose worker does not return, as from a call to a disk that hangs.
struct Hung {
    freed: Arc<AtomicBool>,
    manager: Manager,
    writer: Writer,
}

impl Hung {
    fn new(directory: &Path, config: Config) -> Self {
        let (hung, freed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (hanging, wait) = (Arc::clone(&hung), Arc::clone(&freed));
        let sink = LogSink::new(move |_, message| {
            if message.contains("retention has deleted") {
                hanging.store(true, Ordering::Release);
                while !wait.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let (manager, mut writer) = open(directory, Config { log: sink, ..config });
        append(&mut writer, 1..=2 * SEGMENT + 1);
        eventually("it hangs", || hung.load(Ordering::Acquire));
        Hung { freed, manager, writer }
    }

    fn free(self) {
        self.freed.store(true, Ordering::Release);
        self.manager.shutdown(self.writer).unwrap();
    }
}

/// Of each kind of segments as few as can be.
fn few(place: &Place) -> Config {
    Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(0),
        ..config(place)
    }
}

/// Whatever blocks a log on one filesystem, the logs on another do not wait for it.
pub fn on_a_hung_filesystem(_: &Arguments) {
    let place = &Place::new();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(place.base()) == device(place.memory()) {
        common::skipped("there is but one filesystem");
        return;
    }
    let hung = Hung::new(&place.memory().join("log"), few(place));
    let (manager, mut writer) = open(&place.log(), few(place));
    append(&mut writer, 1..=4 * SEGMENT + 1);
    eventually("the other one expires", || manager.log().metrics().segments_deleted >= 3);
    manager.shutdown(writer).unwrap();
    hung.free();
    expect_none();
}

/// The thread that two logs share does not return from the work of one of them. The other one is
/// shut down meanwhile, and does all that a shutdown does.
pub fn of_a_shutdown_beside_a_hung_log(_: &Arguments) {
    let place = &Place::new();
    let hung = Hung::new(&place.base().join("hung"), few(place));
    let (manager, mut writer) = open(&place.log(), few(place));
    // More than the persister can hand on while nobody takes them.
    append(&mut writer, 1..=67 * SEGMENT + 1);
    let (tell, told) = mpsc::channel();
    let ending = std::thread::spawn(move || tell.send(manager.shutdown(writer)));
    let ended = told.recv_timeout(DEADLINE);
    hung.free();
    ended.expect("the shutdown waits for the other log").unwrap();
    ending.join().unwrap().unwrap();
    assert!(!place.log().join("FS.00000000.wal").exists(), "it has deleted nothing");
    expect_none();
}

pub fn of_logs_that_come_and_go(_: &Arguments) {
    let place = &Place::new();
    const THREADS: u64 = 8;
    const CYCLES: u64 = 12;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let directory = place.base().join(format!("log-{thread}"));
                for cycle in 0..CYCLES {
                    let (manager, mut writer) = open(&directory, config(place));
                    append(&mut writer, cycle * 1000 + 1..=(cycle + 1) * 1000);
                    if thread % 2 == 0 {
                        manager.log().sync().unwrap();
                    }
                    manager.shutdown(writer).unwrap();
                }
            });
        }
    });
    expect_none();
    for thread in 0..THREADS {
        assert_holds(&place.base().join(format!("log-{thread}")), CYCLES * 1000);
    }
}
