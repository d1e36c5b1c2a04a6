//! G7 and G8 on a full disk: the prepared segments are used up, then appends report it at once,
//! with either kind of backpressure. With space back the log goes on by itself, and nothing is
//! lost.
//!
//! The disk is a small tmpfs, mounted for one process.

use std::fmt::Display;
use std::fs;

use common::ledger::times;
use common::{child, memory_of_one, Place};
use flashstrike_wal::config::Config;

/// Plays a role with 16 MB mounted over the WAL directory.
fn play_on_a_small_disk(role: &str, more: &[&str]) {
    play_with_a_mount(role, more, |place| format!("-o size=16m none {}", place.log().display()));
}

/// Plays a role with a small filesystem in memory mounted.
fn play_with_a_mount(role: &str, more: &[&str], options: impl Fn(&Place) -> String) {
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    let (log, memory) = (place.log(), place.memory().display());
    let log = log.display();
    let mut arguments: Vec<&dyn Display> = vec![&log, &memory];
    arguments.extend(more.iter().map(|word| word as &dyn Display));
    child::play_with_a_mount(&options(&place), role, &arguments);
}

#[test]
fn g7_full_disk_appends_go_on_and_come_back_when_blocking() {
    play_on_a_small_disk("full-disk", &["block"]);
}

#[test]
fn g7_full_disk_appends_go_on_and_come_back_when_failing_fast() {
    play_on_a_small_disk("full-disk", &["fail-fast"]);
}

#[test]
fn g7_full_disk_is_reported_by_open_and_loses_nothing() {
    play_on_a_small_disk("full-disk-at-open", &[]);
}

/// The space that was prepared is taken away again (`fallocate -d`), and then there is none.
#[test]
fn f8_holes_made_in_prepared_files_lose_nothing_on_a_full_disk() {
    play_on_a_small_disk("full-disk-with-holes", &[]);
}

/// Memory is full before all mapped segments exist: the log goes on with those it has, as fast as
/// they become free, and an open reports how much memory it needs.
#[test]
fn g7_full_memory_the_log_goes_on_with_what_it_has() {
    let mount = |place: &Place| format!("-o size=4m none {}", place.memory().display());
    play_with_a_mount("full-memory", &[], mount);
}

/// Plays a role in a container with so much memory.
fn play_in_a_container(megabytes: u64, role: &str, logs: u64, prepared: u32, more: &[&u64]) {
    let place = Place::new();
    let (base, memory) = (place.base().display(), place.memory().display());
    let options = format!("-o size={megabytes}m none {memory}");
    let mut arguments: Vec<&dyn Display> = vec![&base, &memory, &logs, &prepared];
    arguments.extend(more.iter().map(|number| number as &dyn Display));
    child::play_with_a_mount(&options, role, &arguments);
}

/// The most prepared segments, up to the default number, with which so many logs of default
/// segments fit into so much memory.
fn most_prepared(megabytes: u64, logs: u64) -> Option<u32> {
    (1..=Config::default().prepared_segments).rev().find(|&prepared_segments| {
        let config = Config { prepared_segments, ..Config::default() };
        logs * memory_of_one(&config) <= megabytes << 20
    })
}

/// Logs of 4 MB segments in what containers have as `/dev/shm`; 64 MB is what Docker gives. Killed
/// logs open again wherever they ran.
#[test]
fn f12_f36_logs_killed_in_a_small_container_open_again() {
    if !common::may_mount() {
        return;
    }
    let mut refused = Vec::new();
    for megabytes in [26, 30, 40, 64] {
        for logs in 1..=3 {
            if let Some(prepared) = most_prepared(megabytes, logs) {
                play_in_a_container(megabytes, "containers", logs, prepared, &[&times(3, 100)]);
            } else {
                play_in_a_container(megabytes, "one-log-too-many", logs, 1, &[]);
                refused.push((megabytes, logs));
            }
        }
    }
    // Three sets of three segments, which is the smallest set, are 38 MB.
    assert_eq!(refused, [(26, 3), (30, 3)]);
}

/// 64 MB has no room for three sets of the default size, but for three new logs, which then go on
/// with what they have. Killed, they open again.
#[test]
fn f12_logs_that_ran_with_less_than_their_sets_open_again() {
    if !common::may_mount() {
        return;
    }
    let prepared = Config::default().prepared_segments;
    assert!(most_prepared(64, 3) < Some(prepared));
    play_in_a_container(64, "containers", 3, prepared, &[&times(4, 100)]);
}
