//! The last row of the recovery table: a recovery that is itself killed, at any of the calls with
//! which it changes files, is followed by one that ends the same. This includes the rows that keep
//! events aside: whenever they are killed, those events are still there.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use common::crash::{
    active_directory, crash, first_segment, offset, prepare, reboot, recover, Snapshot, SEGMENT,
};
use common::ledger::{record, times, Row};
use common::planted::{Bug, Planted};
use common::recovery::small;
use common::{
    append, assert_holds, child, contents, decision, event, has_strace, must_fail, open, Place,
};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::Manager;

/// The calls with which recovery changes files.
const CALLS: [&str; 6] = ["pwrite64", "fdatasync", "fsync", "renameat", "unlinkat", "fallocate"];

/// A crashed log.
struct Crashed {
    /// The recovery decision, the same whether killed or not.
    label: &'static str,
    /// The last event after recovery.
    last: u64,
    accept_loss: bool,
    /// Contents of whole files that must always be either in the log or kept aside.
    kept: Vec<Vec<u8>>,
}

/// Recovers in a process that is killed at its `n`th call of `call`; `false` = there was none.
fn recover_killed(place: &Place, crashed: &Crashed, call: &str, n: u64) -> bool {
    let inject = format!("inject={call}:signal=SIGKILL:when={n}");
    let trace = format!("trace={call}");
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let (log, memory) = (place.log(), place.memory().display());
    let arguments: [&dyn Display; 3] = [&log.display(), &memory, &crashed.accept_loss];
    let output = child::output_under(&wrapper, "recover-small", &arguments);
    let killed = output.status.signal() == Some(libc::SIGKILL);
    if !killed {
        child::assert_succeeded("recover-small", &output);
    }
    killed
}

/// After a recovery was killed, a reader must find the log as it was, and the next recovery must
/// end as an uninterrupted one.
fn check(place: &Place, crashed: &Crashed, when: &str) {
    let last = crashed.last;
    if !crashed.accept_loss {
        println!("{}: killed at {when}: a reader opened it first", crashed.label);
        if last > 0 {
            assert_holds(&place.log(), last);
        }
    }
    let config = small(place.memory(), crashed.accept_loss);
    let (manager, mut writer) = open(&place.log(), config);
    let found = manager.log().appended().last_event_id;
    assert_eq!(found, last, "after a recovery killed at {when}: {}", decision(&manager));
    append(&mut writer, last + 1..=last + 3);
    manager.shutdown(writer).unwrap();
    let left = place.active_directories();
    assert!(left.is_empty(), "after {when}: {left:?}");
    assert_holds(&place.log(), last + 3);
    let files = contents(&place.log());
    for (n, bytes) in crashed.kept.iter().enumerate() {
        let kept = files.iter().any(|(name, found)| name.contains(".corrupt") && found == bytes);
        assert!(kept, "after {when}: file {n} is not among {:?}", files.keys());
    }
}

/// A recovery that removes what it should keep aside.
fn planted(place: &Place, crashed: &Crashed) {
    let storage = Planted::posix(Some(Bug::NothingKeptAside), &place.log());
    let config = small(place.memory(), crashed.accept_loss);
    drop(Manager::open_with(storage, &place.log(), config).unwrap());
    check(place, crashed, "no call");
}

static KILLS: Mutex<u64> = Mutex::new(0);

/// Kills a recovery at every call. Of the calls that fill a new file, which are many, only some are
/// tried, more of them in torture.
fn sweep(place: &Place, crashed: &Crashed) {
    let snapshot = Snapshot::take(place);
    assert!(
        !recover_killed(place, crashed, "renameat", 10_000),
        "killed at a call that should not exist"
    );
    snapshot.put_back(place);
    let (manager, writer) = open(&place.log(), small(place.memory(), crashed.accept_loss));
    assert_eq!(decision(&manager), crashed.label);
    manager.shutdown(writer).unwrap();
    if !crashed.kept.is_empty() {
        snapshot.put_back(place);
        must_fail(Bug::NothingKeptAside, || planted(place, crashed));
    }
    let step = times(17, 3);
    for call in CALLS {
        let mut n = 1;
        let mut kills = 0;
        loop {
            snapshot.put_back(place);
            if !recover_killed(place, crashed, call, n) {
                break;
            }
            kills += 1;
            check(place, crashed, &format!("{call} number {n}"));
            n += if n < 24 { 1 } else { step };
        }
        println!("{}: {call}: killed at {kills}", crashed.label);
        assert!(kills > 0, "recovery never calls {call}");
        *KILLS.lock().unwrap() += kills;
    }
    record(Row {
        name: "recovery-kills",
        fault: "SIGKILL at every call with which a recovery changes files",
        test: "tests/faults/recovery_twice.rs",
        tried: *KILLS.lock().unwrap(),
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[Bug::NothingKeptAside.name()],
    });
}

/// Puts events into a segment that were never synced; the bytes differ from those that these ids
/// get later.
fn tear(place: &Place, index: u32, ids: std::ops::RangeInclusive<u64>) {
    let path = place.log().join(format!("FS.{index:08}.wal"));
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    for id in ids {
        let torn = RequestEvent { price: 1, ..event(id) };
        file.write_all_at(&torn.encode(), offset((id - 1) % SEGMENT)).unwrap();
    }
}

fn file(place: &Place, index: u32) -> Vec<u8> {
    fs::read(place.log().join(format!("FS.{index:08}.wal"))).unwrap()
}

#[test]
fn row_a_recovery_killed_at_any_call_carries_the_events_over_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    let crashed =
        Crashed { label: "process-crash", last: 100, accept_loss: false, kept: Vec::new() };
    sweep(&place, &crashed);
}

/// Also when killed between two of the prepared segments after a full one, which are not used any
/// more.
#[test]
fn row_a_recovery_killed_at_any_call_removes_what_was_never_used_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, SEGMENT, SEGMENT);
    prepare(&place, &[1, 2, 3, 4], 0);
    let crashed =
        Crashed { label: "process-crash", last: SEGMENT, accept_loss: false, kept: Vec::new() };
    sweep(&place, &crashed);
}

#[test]
fn row_a_recovery_killed_at_any_call_cuts_the_tail_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    reboot(&place);
    tear(&place, 0, 51..=60);
    tear(&place, 1, SEGMENT + 1..=SEGMENT + 9);
    let kept = vec![file(&place, 0), file(&place, 1)];
    sweep(&place, &Crashed { label: "reboot/tail-cut", last: 50, accept_loss: false, kept });
}

/// An accepted loss: if recovery is killed in the middle, it must be accepted again, and the log
/// ends the same.
#[test]
fn row_a_recovery_killed_at_any_call_ends_below_durable_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, 300, 300);
    recover(&place, 300);
    crash(&place, 300, SEGMENT + 9);
    reboot(&place);
    first_segment(&place).write_all_at(&[0; 64], offset(270)).unwrap();
    let kept = vec![file(&place, 0)];
    let label = "reboot/break-below-durable";
    sweep(&place, &Crashed { label, last: 256, accept_loss: true, kept });
}

#[test]
fn row_a_recovery_killed_at_any_call_ends_before_a_missing_segment_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, SEGMENT * 3 + 5, SEGMENT * 3 + 5);
    reboot(&place);
    fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let kept = vec![file(&place, 2), file(&place, 3)];
    let label = "reboot/missing-segment";
    sweep(&place, &Crashed { label, last: SEGMENT, accept_loss: true, kept });
}

#[test]
fn row_a_recovery_killed_at_any_call_gives_contradicting_memory_up_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place).join("FS.00000000.wal");
    let memory = fs::OpenOptions::new().write(true).open(&active).unwrap();
    memory.write_all_at(&[0x5A], offset(30) + 17).unwrap();
    let kept = vec![fs::read(&active).unwrap()];
    let label = "process-crash/active-contradicts";
    sweep(&place, &Crashed { label, last: 50, accept_loss: true, kept });
}

#[test]
fn row_a_recovery_killed_at_any_call_drops_a_bad_cold_file_again() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    let keep_all = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&place.log(), keep_all);
    append(&mut writer, 1..=SEGMENT + 10);
    manager.shutdown(writer).unwrap();
    let kept = vec![b"not a frame".to_vec()];
    fs::write(place.log().join("FS.00000000.wal.lz4"), &kept[0]).unwrap();
    sweep(&place, &Crashed { label: "clean", last: SEGMENT + 10, accept_loss: false, kept });
}

/// The very first open: what it left half made is recognised by the log's id.
#[test]
fn row_a_recovery_killed_at_any_call_of_a_new_log_leaves_nothing_behind() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    sweep(&place, &Crashed { label: "new-log", last: 0, accept_loss: false, kept: Vec::new() });
}
