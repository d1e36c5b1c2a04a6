//! G7 and G8 on a full disk: the prepared segments are used up, then appends say so at once, in
//! both modes; with space back the log goes on by itself, and nothing is lost.
//!
//! The disk is a small tmpfs, mounted for a process of its own.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{assert_holds, event, eventually, expect_cause, names, open, scenario};
use common::{spawn_scenario_under, Place};
use flashstrike_wal::config::{Backpressure, Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::{Manager, Writer};

const DONE: i32 = 7;

/// Runs `test` again with 16 MB mounted over the WAL directory.
fn run_on_a_small_disk(test: &str) {
    run_with_a_mount(test, |place| format!("-o size=16m none {}", place.log().display()));
}

/// Runs `test` again with a small filesystem in memory mounted somewhere. A mount namespace of its
/// own makes the mount go with the process, and an append that waits for ever ends with it.
fn run_with_a_mount(test: &str, mount: impl Fn(&Place) -> String) {
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    let log = place.log().display().to_string();
    let mount = format!("mount -t tmpfs {} && exec \"$@\"", mount(&place));
    let wrapper = ["timeout", "60", "unshare", "-m", "sh", "-c", &mount, "sh"];
    let scenario = format!("{log} {}", place.memory().display());
    let output = spawn_scenario_under(&wrapper, test, &scenario).wait_with_output().unwrap();
    let played = output.status.code() == Some(DONE);
    assert!(played, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// The directories of the scenario, in the child.
fn directories() -> Option<(PathBuf, PathBuf)> {
    let scenario = scenario()?;
    let (log, memory) = scenario.split_once(' ').unwrap();
    Some((log.into(), memory.into()))
}

fn config(memory: &Path, backpressure: Backpressure) -> Config {
    Config {
        num_blocks: 16,
        backpressure,
        max_segments: Keep::All,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// A file that takes what is left of the disk. Foreign to the log.
fn fill_disk(log: &Path) -> PathBuf {
    use std::io::Write;
    let path = log.join("filler");
    let mut file = fs::File::create(&path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    path
}

/// Appends from `id` on until there is no space, and says which id was turned away.
fn append_until_full(writer: &mut Writer, mut id: u64) -> u64 {
    loop {
        match writer.append(&event(id)) {
            Ok(()) => id += 1,
            Err(Error::WouldBlock) => std::thread::yield_now(),
            Err(error) => {
                assert_eq!(error.cause(), Some(Cause::NoSpace), "{error}");
                return id;
            }
        }
    }
}

fn full_and_free_again(log: &Path, memory: &Path, backpressure: Backpressure) {
    let (manager, mut writer) = open(log, config(memory, backpressure));
    let mut id = 1;
    for round in 1..=3 {
        eventually("the ring is full", || manager.log().metrics().prepared_segments.fill == 4);
        let filler = fill_disk(log);
        let full_at = append_until_full(&mut writer, id);
        assert!(
            full_at > id + 4096,
            "round {round}: what was prepared was used: {id} to {full_at}"
        );
        id = full_at;
        let begin = Instant::now();
        for _ in 0..100 {
            let message = expect_cause(writer.append(&event(id)), Cause::NoSpace);
            assert!(message.contains(log.to_str().unwrap()), "which disk is full: {message}");
            assert_eq!(manager.log().appended().last_event_id, id - 1);
        }
        assert!(begin.elapsed() < Duration::from_secs(1), "at once: {:?}", begin.elapsed());
        assert!(manager.log().metrics().no_space >= 100);
        manager.log().sync().expect("what was appended can be made durable on a full disk");
        fs::remove_file(filler).unwrap();
        eventually("it goes on by itself", || writer.append(&event(id)).is_ok());
        id += 1;
    }
    manager.shutdown(writer).unwrap();
    assert_holds(log, id - 1);
    assert!(id > 3 * 4096);
}

#[test]
fn g7_full_disk_appends_go_on_and_come_back_when_blocking() {
    if let Some((log, memory)) = directories() {
        full_and_free_again(&log, &memory, Backpressure::Block);
        std::process::exit(DONE);
    }
    run_on_a_small_disk("g7_full_disk_appends_go_on_and_come_back_when_blocking");
}

#[test]
fn g7_full_disk_appends_go_on_and_come_back_when_failing_fast() {
    if let Some((log, memory)) = directories() {
        full_and_free_again(&log, &memory, Backpressure::FailFast);
        std::process::exit(DONE);
    }
    run_on_a_small_disk("g7_full_disk_appends_go_on_and_come_back_when_failing_fast");
}

#[test]
fn g7_full_disk_open_says_so_and_loses_nothing() {
    if let Some((log, memory)) = directories() {
        let (manager, mut writer) = open(&log, config(&memory, Backpressure::Block));
        common::append(&mut writer, 1..=100);
        manager.shutdown(writer).unwrap();
        let before = names(&log);
        let filler = fill_disk(&log);
        for _ in 0..3 {
            let opened = Manager::open(&log, config(&memory, Backpressure::Block));
            let message = expect_cause(opened, Cause::NoSpace);
            assert!(message.contains(log.to_str().unwrap()), "{message}");
            let now: Vec<_> = names(&log).into_iter().filter(|name| name != "filler").collect();
            assert_eq!(now, before, "nothing half made is left");
            assert!(names(&memory).is_empty(), "not in memory either");
            assert_holds(&log, 100);
        }
        fs::remove_file(filler).unwrap();
        let (manager, mut writer) = open(&log, config(&memory, Backpressure::Block));
        common::append(&mut writer, [101]);
        manager.shutdown(writer).unwrap();
        assert_holds(&log, 101);
        std::process::exit(DONE);
    }
    run_on_a_small_disk("g7_full_disk_open_says_so_and_loses_nothing");
}

/// Memory that is full when the set of mapped segments is not yet complete: the log goes on with
/// those it has, as fast as they come back, and an open says what it needs.
#[test]
fn g7_full_memory_the_log_goes_on_with_what_it_has() {
    const TEST: &str = "g7_full_memory_the_log_goes_on_with_what_it_has";
    if let Some((log, memory)) = directories() {
        let mut id = 1;
        for backpressure in [Backpressure::Block, Backpressure::FailFast] {
            let (manager, mut writer) = open(&log, config(&memory, backpressure));
            let filler = fill_disk(&memory);
            for _ in 0..20 * 4096 {
                eventually("it goes on", || match writer.append(&event(id)) {
                    Ok(()) => true,
                    Err(Error::WouldBlock) => false,
                    Err(error) => panic!("append {id}: {error}"),
                });
                id += 1;
            }
            manager.shutdown(writer).unwrap();
            let opened = Manager::open(&log, config(&memory, backpressure));
            let message = expect_cause(opened, Cause::NoSpace);
            assert!(message.contains("active_dir"), "which option to look at: {message}");
            assert_holds(&log, id - 1);
            fs::remove_file(filler).unwrap();
        }
        let (manager, writer) = open(&log, config(&memory, Backpressure::Block));
        manager.shutdown(writer).unwrap();
        assert_holds(&log, id - 1);
        std::process::exit(DONE);
    }
    run_with_a_mount(TEST, |place| format!("-o size=4m none {}", place.memory().display()));
}
