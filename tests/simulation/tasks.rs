//! A task that is stepped by hand ends as on a thread: whatever fails in it, an error or a panic,
//! poisons its log, wakes and ends the other tasks, and is reported once.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::log_sink::{Level, LogSink};
use flashstrike_wal::recorder::{Crew, Log, Manager, Role, Writer};
use flashstrike_wal::storage::simulated::{Call, Fault, Machine, DISK, MEMORY};

use common::event;

/// Events in a segment of the smallest size.
const SEGMENT: u64 = 16 * 256;
/// After this many steps every worker is idle.
const MANY_STEPS: u32 = 100;

/// The failure of a worker.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failure {
    /// The log function panics in the maintainer, and again when that is reported.
    Panic,
    /// The preparer cannot create a file.
    Error,
}

/// How a log ended.
#[derive(Debug, PartialEq)]
struct Ended {
    cause: Option<Cause>,
    message: String,
    /// Errors that were reported before the shutdown.
    reports: Vec<String>,
}

#[test]
fn g5_a_task_that_panics_ends_as_it_does_on_a_thread() {
    let by_hand = run(Failure::Panic, fail_by_hand);
    assert!(by_hand.message.ends_with("worker wal-maintainer panicked: planted"), "{by_hand:?}");
    assert_eq!(by_hand.reports.len(), 1, "{by_hand:?}");
    assert_eq!(by_hand, run(Failure::Panic, fail_on_threads));
}

#[test]
fn g5_a_task_that_fails_ends_as_it_does_on_a_thread() {
    let by_hand = run(Failure::Error, fail_by_hand);
    assert!(by_hand.message.contains("simulated Allocate"), "{by_hand:?}");
    assert_eq!(by_hand.reports.len(), 1, "{by_hand:?}");
    assert_eq!(by_hand, run(Failure::Error, fail_on_threads));
}

fn run(failure: Failure, fail: fn(&Machine, Failure, Config) -> Ended) -> Ended {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let config = Config {
        num_blocks: 16,
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(0),
        active_parent: MEMORY.into(),
        log: sink(&reports),
        ..Config::default()
    };
    let ended = fail(&Machine::new(1), failure, config);
    let reports = reports.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    Ended { reports, ..ended }
}

/// Keeps the messages reported as errors. Panics when the maintainer reports a deleted segment, and
/// again when that panic is reported.
fn sink(reports: &Arc<Mutex<Vec<String>>>) -> LogSink {
    let reports = Arc::clone(reports);
    LogSink::new(move |level, message| {
        if level == Level::Error && !message.contains(": shut down: ") {
            reports.lock().unwrap().push(message.to_owned());
            assert!(!message.contains("planted"), "planted again");
        }
        assert!(!message.contains("retention has deleted"), "planted");
    })
}

/// Makes a worker fail at its next step.
fn provoke(machine: &Machine, failure: Failure, writer: &mut Writer) {
    let last = match failure {
        // The first segment is deleted once the second one has a durable event.
        Failure::Panic => SEGMENT + 1,
        // Another segment is prepared once the writer has taken one.
        Failure::Error => {
            machine.plan(Fault { call: Call::Allocate, nth: 1, errno: libc::EIO });
            1
        }
    };
    for id in 1..=last {
        writer.append(&event(id)).unwrap();
    }
}

fn ended(log: &Log) -> Ended {
    let error = log.sync().unwrap_err();
    Ended { cause: error.cause(), message: error.to_string(), reports: Vec::new() }
}

fn step_all(crew: &mut Crew) -> Result<(), Role> {
    for role in Role::ALL {
        crew.step(role).map_err(|_| role)?;
    }
    Ok(())
}

fn fail_by_hand(machine: &Machine, failure: Failure, config: Config) -> Ended {
    let directory = Path::new(DISK).join("log");
    let (manager, mut writer, mut crew) =
        Manager::open_by_hand(Arc::new(machine.process()), &directory, config).unwrap();
    (0..MANY_STEPS).for_each(|_| step_all(&mut crew).unwrap());
    assert!(crew.is_asleep(Role::Freezer(0)) && crew.is_asleep(Role::Persister));
    provoke(machine, failure, &mut writer);
    let failing = (0..MANY_STEPS).find_map(|_| step_all(&mut crew).err());
    let expected = match failure {
        Failure::Panic => Role::Maintainer,
        Failure::Error => Role::Preparer,
    };
    assert_eq!(failing, Some(expected));
    let ended = ended(manager.log());
    for role in Role::ALL {
        assert_eq!(crew.is_asleep(role), role == expected, "{role:?}: all others must be woken");
        assert_eq!(crew.step(role).unwrap_err().cause(), Some(Cause::Poisoned), "{role:?}");
        assert!(crew.is_asleep(role), "{role:?} must end");
    }
    manager.shutdown_by_hand(writer, crew).unwrap_err();
    ended
}

fn fail_on_threads(machine: &Machine, failure: Failure, config: Config) -> Ended {
    let directory = Path::new(DISK).join("log");
    let (manager, mut writer) =
        Manager::open_with(Arc::new(machine.process()), &directory, config).unwrap();
    provoke(machine, failure, &mut writer);
    while manager.log().poison().cause().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = ended(manager.log());
    manager.shutdown(writer).unwrap_err();
    ended
}
