//! What the operating system may refuse: descriptors, locked memory, access. Each call then either
//! works or clearly reports why not, changing nothing and leaving nothing behind.

use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;

use common::{append, child, open, Place};
use flashstrike_wal::config::Config;

const NOBODY: u32 = 65534;

/// A log of 100 events, shut down.
fn log_of_100() -> Place {
    let place = Place::new();
    let active_parent = place.memory().to_owned();
    let config = Config { num_blocks: 16, active_parent, ..Config::default() };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    place
}

fn play(role: &str, wrapper: &[&str], place: &Place) {
    let (log, memory) = (place.log(), place.memory().display());
    child::play_under(wrapper, role, &[&log.display(), &memory]);
}

/// With every limit, from the descriptors in use to enough of them: open works or reports why not.
#[test]
fn limits_descriptors_at_open() {
    let place = log_of_100();
    play("descriptors-at-open", &[], &place);
}

/// Descriptors run out while the log runs: the prepared segments are used up, then there is no
/// space. With descriptors back the log goes on by itself. Both changes are reported once.
#[test]
fn limits_descriptors_while_running() {
    play("descriptors-while-running", &[], &Place::new());
}

/// Plays a role as the user nobody, who is made the owner of the directories. The child program is
/// copied to where that user may run it.
fn play_as_nobody(role: &str, wrapper: &[&str], place: &Place) {
    if !rustix::process::geteuid().is_root() {
        common::skipped("changing the user needs root");
        return;
    }
    for directory in [place.base(), place.memory()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        give_to_nobody(directory);
    }
    let copy = place.base().join("child");
    child::copy_to(&copy);
    let user = [&format!("--reuid={NOBODY}"), "--regid=65534", "--clear-groups"];
    let words = [wrapper, &["setpriv"], &user].concat();
    let (log, memory) = (place.log(), place.memory().display());
    let output = child::command(&copy, &words, role, &[&log.display(), &memory])
        .current_dir("/")
        .output()
        .unwrap();
    child::assert_succeeded(role, &output);
}

fn give_to_nobody(directory: &Path) {
    chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    for path in paths {
        if path.is_dir() {
            give_to_nobody(&path);
        } else {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

/// Each file and directory in turn is inaccessible: open names it and changes nothing.
#[test]
fn limits_permission_denied_is_named_and_changes_nothing() {
    let place = log_of_100();
    play_as_nobody("permission-denied", &[], &place);
}

/// Whichever of its threads cannot be started: open reports it, and the threads already running
/// end.
#[test]
fn limits_threads_at_open() {
    let place = log_of_100();
    play_as_nobody("threads-at-open", &[], &place);
}

#[test]
fn limits_memory_that_cannot_be_locked_is_reported() {
    let wrapper = ["prlimit", "--memlock=0:0"];
    play_as_nobody("memory-cannot-be-locked", &wrapper, &Place::new());
}

#[test]
fn limits_a_read_only_mount_can_be_read_and_not_opened() {
    if !common::may_mount() {
        return;
    }
    let place = log_of_100();
    let log = place.log().display().to_string();
    let mount =
        format!("mount --bind {log} {log} && mount -o remount,bind,ro {log} && exec \"$@\"");
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    play("read-only-mount", &wrapper, &place);
}
