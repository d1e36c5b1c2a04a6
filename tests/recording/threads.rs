//! Many logs in one process: the threads they share, the cost of an idle log, and that a failure of
//! one log does not affect the others. The child counts the threads of its own process
//! (`tests/child/threads.rs`, `placement.rs`).

use common::{child, event, expect_cause, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;
use rustix::thread::CpuSet;

#[test]
fn p8_64_logs_have_a_thread_each_and_four_together() {
    child::play("threads-of-64-logs", &[]);
}

/// While the watcher wakes up so many times, no thread of any log wakes up, and the preparer and
/// the maintainer only as often as those of one log would.
#[test]
fn p8_idle_logs_cost_no_wake_up_of_their_own() {
    child::play("threads-of-idle-logs", &[]);
}

/// One log fails by an error, another by a panic in a worker; neither affects the other logs.
#[test]
fn g5_a_log_that_fails_takes_no_other_with_it() {
    child::play("threads-of-failing-logs", &[]);
}

/// Whatever blocks a log on one filesystem, the logs on another do not wait for it.
#[test]
fn a_filesystem_that_hangs_holds_up_only_its_own_logs() {
    child::play("threads-on-a-hung-filesystem", &[]);
}

/// Not for the work of another log in the thread that they share, and so not for that thread to get
/// a processor either.
#[test]
fn f41_a_shutdown_waits_for_no_other_log() {
    child::play("threads-of-a-shutdown", &[]);
}

#[test]
fn logs_come_and_go_from_many_threads() {
    child::play("threads-of-logs-that-come-and-go", &[]);
}

#[test]
fn threads_run_on_the_processors_of_the_config() {
    child::play("threads-on-chosen-processors", &[]);
}

/// The processors that there are decide; with one there is nothing to choose.
#[test]
fn f33_a_pinned_engine_has_its_processor_to_itself() {
    if rustix::thread::sched_getaffinity(None).unwrap().count() < 2 {
        common::skipped("this process may use one processor only");
        return;
    }
    child::play("threads-beside-a-pinned-engine", &[]);
}

/// The whole process may use one processor only, as under `taskset`: the others of its cpuset are
/// there all the same, and the library's threads go to them.
#[test]
fn f33_an_engine_pinned_as_a_whole_has_its_processor_to_itself() {
    let all = rustix::thread::sched_getaffinity(None).unwrap();
    if all.count() < 2 {
        common::skipped("this process may use one processor only");
        return;
    }
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap().to_string();
    child::play_under(&["taskset", "-c", &first], "threads-with-one-processor", &[&true]);
}

/// No other processor is left: here the administrator has set all the others apart. The library's
/// threads share the engine's, and the open warns of that.
#[test]
fn f33_an_engine_without_another_processor_is_warned() {
    let isolated = "/sys/devices/system/cpu/isolated";
    if !std::path::Path::new(isolated).exists() {
        common::skipped("the kernel does not list the processors that are set apart");
        return;
    }
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    let list = place.base().join("isolated");
    // More than there are, and than a set has room for.
    std::fs::write(&list, "0-65535\n").unwrap();
    let mount = format!("mount --bind {} {isolated} && exec \"$@\"", list.display());
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    child::play_under(&wrapper, "threads-with-one-processor", &[&false]);
}

fn config(place: &Place) -> Config {
    Config { prepared_segments: 1, ..place.small() }
}

#[test]
fn a_processor_that_does_not_exist_is_refused_and_nothing_is_changed() {
    let place = Place::new();
    let mut set = rustix::thread::sched_getaffinity(None).unwrap();
    let Some(missing) = (0..64).find(|cpu| !set.is_set(*cpu)) else {
        common::skipped("all processors that have a bit are there");
        return;
    };
    set.set(missing);
    let present = (0..64).find(|cpu| set.is_set(*cpu) && *cpu != missing).unwrap();
    let cpus = 1 << missing | 1 << present;
    let refusals = [
        ("config.persister_cpus", Config { persister_cpus: cpus, ..config(&place) }),
        ("config.worker_cpus", Config { worker_cpus: cpus, ..config(&place) }),
        ("config.worker_nice", Config { worker_nice: -21, ..config(&place) }),
    ];
    for (field, config) in refusals {
        let message = expect_cause(Manager::open(&place.log(), config), Cause::InvalidArgument);
        assert!(message.contains(field), "{message}");
        assert!(!place.log().exists(), "{field}");
    }
    let (manager, mut writer) = open(&place.log(), config(&place));
    writer.append(&event(1)).unwrap();
    manager.shutdown(writer).unwrap();
}
