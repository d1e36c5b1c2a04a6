//! G9: while a process writes to a log, its lock file is removed, replaced and linked, and its
//! directory renamed and mounted elsewhere, and others try to open it by every path. None gets in,
//! and what was durable when the writer was killed is there.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};

use common::flow::{Random, Shared};
use common::ledger::{record, times, Row};
use common::planted::{Bug, Planted};
use common::{assert_holds, child, eventually, may_mount, open, seed, Place};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

const PLANTED: Bug = Bug::LockOnNameOnly;
/// Rounds at a time. Mostly they wait: who tries to open does so for up to a second.
const AT_A_TIME: u64 = 16;
/// Rounds within which the planted bug must be found.
const ROUNDS_TO_CATCH: u32 = 10;

/// What is done to the names of a log. Returns the path of its directory from then on.
type Tampering = fn(&Path) -> PathBuf;

const TAMPERINGS: [(&str, Tampering); 8] = [
    ("nothing", |log| log.to_owned()),
    ("the lock file removed", |log| {
        let _ = fs::remove_file(log.join("wal_lock"));
        log.to_owned()
    }),
    ("the lock file removed and made anew", |log| {
        let _ = fs::remove_file(log.join("wal_lock"));
        fs::write(log.join("wal_lock"), "4711      \n").unwrap();
        log.to_owned()
    }),
    ("the lock file replaced by a rename, as rsync does it", |log| {
        fs::write(log.join(".wal_lock.Xq3f"), "4711      \n").unwrap();
        fs::rename(log.join(".wal_lock.Xq3f"), log.join("wal_lock")).unwrap();
        log.to_owned()
    }),
    ("the lock file replaced by a link to another one", |log| {
        let (other, lock) = (log.join("other"), log.join("wal_lock"));
        let _ = fs::remove_file(&lock);
        let _ = fs::write(&other, "");
        fs::hard_link(other, lock).unwrap();
        log.to_owned()
    }),
    ("the lock file renamed", |log| {
        let _ = fs::rename(log.join("wal_lock"), log.join("elsewhere"));
        log.to_owned()
    }),
    ("the lock file and the identity copied over, as a restore does it", |log| {
        let copy = log.with_file_name("copy");
        let script = "rm -rf $1; cp -a $0 $1 2>/dev/null; cd $1 && \
                      cp -a --remove-destination wal_identity $(ls wal_lock 2>/dev/null) $0/";
        let arguments: [&Path; 2] = [log, &copy];
        let copied = Command::new("sh").args(["-c", script]).args(arguments).status();
        assert!(copied.unwrap().success());
        log.to_owned()
    }),
    ("the directory renamed", |log| {
        let moved = log.with_extension("moved");
        fs::rename(log, &moved).unwrap();
        moved
    }),
];

/// Tries to open the log by many paths at once. Returns how many got in.
fn intruders(place: &Place, log: &Path, owner: u32, bug: Option<Bug>) -> u64 {
    let link = log.with_file_name("link");
    let _ = fs::remove_file(&link);
    symlink(log, &link).unwrap();
    let through_root = format!("/proc/{owner}/root{}", log.display());
    let paths = [log.to_owned(), log.join("."), link, through_root.into()];
    let intruders = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(|| {
                let opened = Manager::open_with(Planted::posix(bug, path), path, place.small());
                match opened {
                    Err(error) => assert_eq!(error.cause(), Some(Cause::Locked), "{error}"),
                    Ok((manager, writer)) => {
                        intruders.fetch_add(1, Ordering::Relaxed);
                        let _ = manager.shutdown(writer);
                    }
                }
            });
        }
    });
    intruders.into_inner()
}

/// In a mount namespace of its own, by the name of a bind mount.
fn refused_by_bind_mount(place: &Place, log: &Path, owner: u32) {
    let bound = place.base().join("bound");
    let _ = fs::create_dir(&bound);
    let arguments: [&dyn Display; 3] = [&log.display(), &owner, &bound.display()];
    child::play_under(&["unshare", "-m"], "locked-by-bind-mount", &arguments);
}

/// Fails, with what the writer said, if it has ended.
fn assert_lives(mut writer: Child) -> Child {
    if let Some(status) = writer.try_wait().unwrap() {
        let output = writer.wait_with_output().unwrap();
        panic!("{status}: {}", String::from_utf8_lossy(&output.stderr));
    }
    writer
}

/// One log. Returns how many durable events it lost; panics when somebody gets in.
fn round(number: u32, bug: Option<Bug>) -> u64 {
    let _named = seed::Named(number.into());
    let (place, mut random) = (Place::new(), Random(u64::from(number) * 77 + 5));
    let shared_path = place.base().join("shared");
    let shared = Shared::open(&shared_path);
    let durable = || shared.acknowledged().load(Ordering::Acquire);
    let mut log = place.log();
    let (memory, word) = (place.memory().display(), Bug::argument(bug));
    let arguments: [&dyn Display; 4] = [&log.display(), &shared_path.display(), &memory, &word];
    let mut writer = child::spawn("sync-until-killed", &arguments);
    for _ in 0..2 {
        let before = durable();
        eventually("it records", || durable() > before || writer.try_wait().unwrap().is_some());
        writer = assert_lives(writer);
        let (what, tamper) = TAMPERINGS[random.below(TAMPERINGS.len() as u64) as usize];
        log = tamper(&log);
        let got_in = intruders(&place, &log, writer.id(), bug);
        assert_eq!(got_in, 0, "{number}: two writers, after this: {what}");
        if bug.is_none() && may_mount() && random.below(4) == 0 {
            refused_by_bind_mount(&place, &log, writer.id());
        }
    }
    let before = durable();
    eventually("it goes on", || durable() > before || writer.try_wait().unwrap().is_some());
    writer = assert_lives(writer);
    writer.kill().unwrap();
    writer.wait().unwrap();
    let durable = durable();
    let (manager, recovered) = open(&log, place.small());
    let last = manager.log().appended().last_event_id;
    manager.shutdown(recovered).unwrap();
    assert_holds(&log, last);
    durable.saturating_sub(last)
}

#[test]
fn f1_there_are_never_two_writers() {
    if let Some(seed) = seed::chosen() {
        assert_eq!(round(seed as u32, None), 0);
        return;
    }
    common::must_fail(PLANTED, || {
        for number in 1..=ROUNDS_TO_CATCH {
            round(number, Some(PLANTED));
        }
    });
    let rounds = times(200, 2_000);
    let (next, lost) = (AtomicU64::new(1), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > rounds {
                    break;
                }
                lost.fetch_add(round(number as u32, None), Ordering::Relaxed);
            });
        }
    });
    record(Row {
        name: "two-writers",
        fault: "the names of a log tampered with while it is written, and others opening it",
        test: "tests/faults/two_writers.rs",
        tried: rounds,
        lost: lost.into_inner(),
        invented: 0,
        undetected: 0,
        planted: &[PLANTED.name()],
    });
}
