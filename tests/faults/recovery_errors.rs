//! Recovery draws no conclusions from what it could not read or open: a system error at any of
//! these calls is reported as that error, with the path, and loses no event. The next open finds
//! everything.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::FileExt;

use common::crash::{change_boot_id, crash, offset, reboot, recover, Snapshot, SEGMENT};
use common::ledger::{record, Row};
use common::planted::Bug;
use common::recovery::{OPENED, REFUSED};
use common::{append, assert_holds, child, event, has_strace, must_fail, open, Place};
use flashstrike_wal::config::{Config, Keep};

/// The dynamic loader reads too; without its libraries the process cannot start.
const NOT_STARTED: i32 = 127;

/// Events on disk of a log whose identity is gone.
const SYNCED: u64 = 50;

/// Fails every read of an open, one at a time. After each, a reader and the next open must find
/// `last` events. Returns how many opens failed.
fn sweep(place: &Place, last: u64, bug: Option<Bug>) -> u64 {
    sweep_call(place, last, bug, "pread64:error=EIO")
}

/// The same with another call and error.
fn sweep_call(place: &Place, last: u64, bug: Option<Bug>, fault: &str) -> u64 {
    let crashed = Snapshot::take(place);
    let mut failed = 0;
    for n in 1.. {
        crashed.put_back(place);
        let inject = format!("inject={fault}:when={n}");
        let trace = place.base().join("trace").display().to_string();
        let traced = format!("trace={}", fault.split(':').next().unwrap());
        let wrapper =
            ["strace", "-f", "--seccomp-bpf", "-qq", "-o", &trace, "-e", &traced, "-e", &inject];
        let (log, memory) = (place.log(), place.memory().display());
        let arguments: [&dyn Display; 3] = [&log.display(), &memory, &Bug::argument(bug)];
        let output = child::output_under(&wrapper, "open-with-read-errors", &arguments);
        if !fs::read_to_string(&trace).unwrap().contains("(INJECTED)") {
            break;
        }
        match output.status.code() {
            Some(NOT_STARTED) => continue,
            Some(REFUSED) => failed += 1,
            // A worker made this read: the log has failed, and is as after a crash.
            Some(OPENED) => {}
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                panic!("{fault}, call {n}: {}: {errors}", output.status)
            }
        }
        let ids = common::read_ids(&place.log());
        // Without an identity a reader knows of no memory, and reads what is on disk by then.
        let is_known = place.log().join("wal_identity").exists();
        let holds = |upto| ids.iter().copied().eq(1..=upto);
        let is_right = holds(last) || (!is_known && holds(SYNCED));
        assert!(is_right, "{fault}, call {n}: {} events", ids.len());
        recover(place, last);
    }
    assert!(failed > 0, "no open failed");
    failed
}

/// F3: that the memory of a log cannot be opened is no proof that it is gone, however little else
/// says that it was there.
fn sweep_unproved_boots() -> u64 {
    let place = Place::new();
    crash(&place, 50, 100);
    change_boot_id(&place);
    let mut failed = sweep_call(&place, 100, None, "openat:error=EMFILE");
    let place = Place::new();
    crash(&place, SYNCED, 100);
    fs::remove_file(place.log().join("wal_identity")).unwrap();
    failed += sweep_call(&place, 100, None, "openat:error=EMFILE");
    println!("{failed} opens failed by a file that could not be opened");
    failed
}

#[test]
fn g6_a_read_error_at_any_read_of_a_recovery_is_no_judgement() {
    if !has_strace() {
        return;
    }
    // Events carried over from memory, over two segments.
    let place = Place::new();
    crash(&place, SEGMENT + 50, SEGMENT + 100);
    let mut failed = sweep(&place, SEGMENT + 100, None);
    // A tail that recovery cuts.
    let place = Place::new();
    crash(&place, 50, 50);
    reboot(&place);
    let file = fs::OpenOptions::new().write(true).open(place.log().join("FS.00000000.wal"));
    file.unwrap().write_all_at(&event(52).encode(), offset(51)).unwrap();
    failed += sweep(&place, 50, None);
    let planted = must_fail(Bug::ReadErrorIsEmpty, || {
        let place = Place::new();
        crash(&place, SEGMENT + 50, SEGMENT + 100);
        sweep(&place, SEGMENT + 100, Some(Bug::ReadErrorIsEmpty));
    });
    // A pair, followed by the newest segment, which is open.
    let place = Place::new();
    let keep_all = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&place.log(), keep_all.clone());
    append(&mut writer, 1..=SEGMENT + 10);
    manager.shutdown(writer).unwrap();
    let hot = fs::read(place.log().join("FS.00000000.wal")).unwrap();
    let one = Config { max_segments: Keep::AtMost(1), ..keep_all };
    let (manager, writer) = open(&place.log(), one);
    common::eventually("it is cold", || !place.log().join("FS.00000000.wal").exists());
    manager.shutdown(writer).unwrap();
    fs::write(place.log().join("FS.00000000.wal"), hot).unwrap();
    assert_holds(&place.log(), SEGMENT + 10);
    failed += sweep(&place, SEGMENT + 10, None);
    println!("{failed} opens failed by a read");
    failed += sweep_unproved_boots();
    record(Row {
        name: "recovery-read-errors",
        fault: "EIO at every read of a recovery, EMFILE at every file that it opens",
        test: "tests/faults/recovery_errors.rs",
        tried: failed,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[planted],
    });
}
