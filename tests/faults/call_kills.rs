//! G2: a process is killed at each call with which one of its threads changes files: preparing,
//! persisting, closing, compressing, deleting, meta, shutdown. Afterwards the log holds every
//! acknowledged event, and at most the call in flight besides.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::Acquire;
use std::time::Instant;

use common::crash::{identity, SEGMENT};
use common::flow::Lives;
use common::inject::{can_inject, Fault, Whose, PERSISTER};
use common::ledger::{record, times, Row};
use common::planted::Bug;
use common::victim::{self, Bench, CLEAN};
use common::{must_fail, names, open};

const THREADS: [(Whose, &[&str]); 6] = [
    (
        Whose::Opening,
        &[
            "openat",
            "pwrite64",
            "fdatasync",
            "fsync",
            "renameat",
            "unlinkat",
            "fallocate",
            "mkdirat",
        ],
    ),
    (PERSISTER, &["pwrite64", "pwritev2", "fdatasync"]),
    (
        Whose::Worker("wal-preparer"),
        &["openat", "pwrite64", "fdatasync", "fsync", "renameat", "unlinkat", "fallocate"],
    ),
    (
        Whose::Worker("wal-maintainer"),
        &["openat", "pwrite64", "fdatasync", "fsync", "renameat", "unlinkat"],
    ),
    (
        Whose::Worker("wal-freezer"),
        &["openat", "pwrite64", "pwritev2", "fdatasync", "fsync", "renameat", "unlinkat"],
    ),
    (
        Whose::ShuttingDown,
        &["openat", "pwrite64", "fdatasync", "fsync", "renameat", "unlinkat", "fallocate"],
    ),
];
const EVENTS: u64 = 5 * SEGMENT + 100;

/// Kills a victim at a call and checks what it left; `false` = there was no such call. The kills
/// follow one another in the same log.
fn kill(bench: &Bench, fault: Fault<'_>, life: u32, lives: &mut Lives, last: &mut u64) -> bool {
    let output = bench.hit(fault, (life, EVENTS), (0, "")).output;
    let killed = output.status.signal() == Some(libc::SIGKILL);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.code() == Some(CLEAN), "{fault:?}: {}: {said}", output.status);
    lives.begin(life, *last);
    let acknowledged = bench.shared.acknowledged().load(Acquire).max(*last);
    let attempted = bench.shared.attempted().load(Acquire).max(*last);
    let found = lives.check(&bench.log, false).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    // Killed before the directory had its name, there is no log to read.
    assert!((acknowledged..=attempted).contains(&found), "{fault:?}: {found} of {acknowledged}");
    *last = found;
    killed
}

/// Opens the log, which must hold everything; the next kill then starts from a clean log.
fn recover(bench: &Bench, fault: Fault<'_>, lives: &Lives, last: u64) {
    let (manager, writer) = open(&bench.log, victim::config(&bench.active));
    assert_eq!(manager.log().appended().last_event_id, last, "{fault:?}");
    manager.shutdown(writer).unwrap();
    assert_eq!(lives.check(&bench.log, false), Ok(last), "{fault:?}");
    // An active directory of a log that was killed before it had an identity belongs to nobody.
    let ours = format!("-{:032x}-", identity(&bench.log).id);
    let left: Vec<_> = names(&bench.active).into_iter().filter(|n| n.contains(&ours)).collect();
    assert!(left.is_empty(), "{fault:?}: {left:?}");
}

/// The same harness with a recorder that skips a block.
fn planted(bench: &mut Bench) -> &'static str {
    bench.clear();
    bench.bug = Some(Bug::SkippedBlock);
    must_fail(Bug::SkippedBlock, || {
        let (mut lives, mut last) = (Lives::default(), 0);
        for n in 1..=6 {
            let whose = Whose::Worker("wal-maintainer");
            let fault = Fault { whose, call: "fdatasync", what: "signal=SIGKILL", n };
            kill(bench, fault, n, &mut lives, &mut last);
            recover(bench, fault, &lives, last);
        }
    })
}

#[test]
fn g2_killed_at_any_call_that_changes_files_nothing_acknowledged_is_lost() {
    if !can_inject() {
        return;
    }
    let mut bench = Bench::new();
    let (begin, mut kills, mut life) = (Instant::now(), 0, 0);
    for (whose, calls) in THREADS {
        let before = kills;
        for call in calls {
            bench.clear();
            let (mut lives, mut last, mut n) = (Lives::default(), 0, 1);
            loop {
                life += 1;
                let fault = Fault { whose, call, what: "signal=SIGKILL", n };
                if !kill(&bench, fault, life, &mut lives, &mut last) {
                    break;
                }
                kills += 1;
                // Every other time the next victim opens what this one left.
                if n % 2 == 0 {
                    recover(&bench, fault, &lives, last);
                }
                n += 1 + n / times(16, 100) as u32;
            }
            assert!(n > 1, "{whose:?} calls {call}");
        }
        println!("{whose:?}: {} kills, {:?}", kills - before, begin.elapsed());
    }
    let planted = planted(&mut bench);
    record(Row {
        name: "kills-at-calls",
        fault: "SIGKILL at a system call that changes files",
        test: "tests/faults/call_kills.rs",
        tried: kills,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[planted],
    });
}
