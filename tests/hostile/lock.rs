//! G9 under adverse conditions: whatever path leads to a log, and whatever its lock file contains,
//! one process owns it, and the error names that process to the others.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{append, assert_holds, child, eventually, expect_cause, may_mount, open, Place};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;
use rustix::fs::{flock, FlockOperation};

/// A process that holds the log until it is killed.
fn holder(place: &Place, log: &Path) -> Child {
    let held = place.base().join("held");
    let memory = place.memory().display();
    let child = child::spawn("hold", &[&log.display(), &memory, &10, &held.display()]);
    eventually("the other process has it", || held.exists());
    fs::remove_file(held).unwrap();
    child
}

#[test]
fn g9_a_killed_owner_gives_the_lock_back() {
    let place = Place::new();
    for _ in 0..5 {
        let log = place.base().join("log");
        let mut owner = holder(&place, &log);
        let message = expect_cause(Manager::open(&log, place.small()), Cause::Locked);
        assert!(message.ends_with(&format!("process {}", owner.id())), "{message}");
        owner.kill().unwrap();
        owner.wait().unwrap();
        let (manager, writer) = open(&log, place.small());
        assert_eq!(manager.log().appended().last_event_id, 10);
        manager.shutdown(writer).unwrap();
        fs::remove_dir_all(&log).unwrap();
    }
}

#[test]
fn g9_every_path_leads_to_the_same_lock() {
    let place = Place::new();
    let (manager, writer) = open(&place.log(), place.small());
    let own = std::process::id();
    let link = place.base().join("link");
    symlink(place.log(), &link).unwrap();
    let link_to_link = place.base().join("link to link");
    symlink(&link, &link_to_link).unwrap();
    let through_fd: PathBuf = format!("/proc/{own}/root{}", place.log().display()).into();
    for path in [place.log(), link, link_to_link, place.log().join("."), through_fd] {
        let message = expect_cause(Manager::open(&path, place.small()), Cause::Locked);
        assert!(message.ends_with(&format!("process {own}")), "{}: {message}", path.display());
    }
    let log = place.log();
    child::play("locked-by-any-path", &[&log.display(), &own]);
    if may_mount() {
        let bound = place.base().join("bound");
        fs::create_dir(&bound).unwrap();
        let arguments: [&dyn Display; 3] = [&log.display(), &own, &bound.display()];
        child::play_under(&["unshare", "-m"], "locked-by-bind-mount", &arguments);
    }
    manager.shutdown(writer).unwrap();
}

/// The content of the lock file never decides who has the lock, and never appears in a message.
#[test]
fn g9_a_lock_file_full_of_garbage() {
    let long = "7".repeat(1 << 20);
    let rows: &[&[u8]] = &[
        b"",
        b"\n",
        b"no number",
        b"12 34",
        b"-1",
        b"99999999999999999999",
        b"\xff\xfe\x00\x01",
        long.as_bytes(),
        // Another process's number: in its own container, or of an earlier owner.
        b"4711",
        b"4711      \nold and longer",
    ];
    // The system knows who holds the lock, whatever the file says.
    let own = format!("open for writing in process {}", std::process::id());
    for held in rows {
        let place = Place::new();
        fs::create_dir(place.log()).unwrap();
        let path = place.log().join("wal_lock");
        fs::write(&path, held).unwrap();
        let file = fs::File::open(&path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Locked);
        assert!(message.ends_with(&own), "{message}");
        assert_eq!(fs::read(&path).unwrap(), *held, "only the owner may write it");
        // To close it would not do: a program that another test starts has it for a moment too.
        flock(&file, FlockOperation::Unlock).unwrap();
        let (manager, writer) = open(&place.log(), place.small());
        let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Locked);
        assert!(message.ends_with(&own), "{message}");
        manager.shutdown(writer).unwrap();
    }
}

/// A process that is being spawned holds every descriptor for a moment, until it executes its
/// program. That must not keep a log locked that was shut down meanwhile.
#[test]
fn g9_a_program_being_started_does_not_keep_the_log_locked() {
    const ROUNDS: u64 = 50;
    let place = Place::new();
    let (stop, spawned) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut round = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let status = Command::new("true").stdin(Stdio::null()).status().unwrap();
                assert!(status.success());
                spawned.fetch_add(1, Ordering::Relaxed);
            }
        });
        eventually("many programs were started", || {
            round += 1;
            let (manager, mut writer) = open(&place.log(), place.small());
            append(&mut writer, [round]);
            manager.shutdown(writer).unwrap();
            round >= ROUNDS && spawned.load(Ordering::Relaxed) > 20
        });
        stop.store(true, Ordering::Relaxed);
    });
    assert_holds(&place.log(), round);
}

/// A program that the engine starts, and that outlives it, has no file of the log open.
#[test]
fn g9_a_started_program_inherits_no_descriptor() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=5000);
    let output = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains(" 1 -> "), "{listed}");
    for part in [place.base(), place.memory()] {
        assert!(!listed.contains(part.to_str().unwrap()), "{listed}");
    }
    manager.shutdown(writer).unwrap();
}
