//! G7 and G8 on a full disk: the prepared segments are used up, then appends report it at once,
//! with either kind of backpressure. With space back the log goes on by itself, and nothing is
//! lost.
//!
//! The disk is a small tmpfs, mounted for one process.

use std::fmt::Display;
use std::fs;

use common::ledger::times;
use common::{child, Place};

/// Plays a role with 16 MB mounted over the WAL directory.
fn play_on_a_small_disk(role: &str, more: &[&str]) {
    play_with_a_mount(role, more, |place| format!("-o size=16m none {}", place.log().display()));
}

/// Plays a role with a small filesystem in memory mounted. A separate mount namespace ends with the
/// process, and the mount with it, even if an append waits forever.
fn play_with_a_mount(role: &str, more: &[&str], mount: impl Fn(&Place) -> String) {
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    let mount = format!("mount -t tmpfs {} && exec \"$@\"", mount(&place));
    let wrapper = ["timeout", "60", "unshare", "-m", "sh", "-c", &mount, "sh"];
    let (log, memory) = (place.log(), place.memory().display());
    let log = log.display();
    let mut arguments: Vec<&dyn Display> = vec![&log, &memory];
    arguments.extend(more.iter().map(|word| word as &dyn Display));
    child::play_under(&wrapper, role, &arguments);
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
    for holes in ["punched", "cut-and-grown"] {
        play_on_a_small_disk("full-disk-with-holes", &[holes]);
    }
}

/// Memory is full before all mapped segments exist: the log goes on with those it has, as fast as
/// they become free, and an open reports how much memory it needs.
#[test]
fn g7_full_memory_the_log_goes_on_with_what_it_has() {
    let mount = |place: &Place| format!("-o size=4m none {}", place.memory().display());
    play_with_a_mount("full-memory", &[], mount);
}

/// Memory has room for one active set of each log, and a little: killed logs open all the same.
#[test]
fn f12_f36_logs_killed_in_a_small_container_open_again() {
    if !common::may_mount() {
        return;
    }
    // A set of the log that crashes is 4 segments of 263,232 bytes.
    for (logs, kilobytes) in [(1, 1_200), (1, 2_000), (2, 2_300), (3, 3_400)] {
        let place = Place::new();
        let memory = place.memory().display();
        let mount = format!("mount -t tmpfs -o size={kilobytes}k none {memory} && exec \"$@\"");
        let wrapper = ["timeout", "600", "unshare", "-m", "sh", "-c", &mount, "sh"];
        let (base, kills) = (place.base().display(), times(4, 100));
        child::play_under(&wrapper, "containers", &[&base, &memory, &logs, &kills]);
    }
}
