//! G5, G7: any call that reads or changes files fails once, with any error it can give, in any
//! thread. A failed write or sync of the log's own data is final; for a full disk the log waits; a
//! cold file is made again. Whatever failed, no acknowledged event is lost, and the next open
//! reports correctly what it found.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Acquire;
use std::time::Instant;

use common::crash::SEGMENT;
use common::flow::{successor, Lives};
use common::inject::{can_inject, Fault, Whose, PERSISTER};
use common::ledger::{record, times, Row};
use common::planted::Bug;
use common::victim::{self, Bench};
use common::victim::{CLEAN, OPEN_FAILED, POISONED, SHUTDOWN_FAILED};
use common::{decision, must_fail, names, open, paths};

/// A call, the word for it in messages, and the errors it can give.
type Call = (&'static str, &'static str, &'static [(&'static str, i32)]);

const EIO: (&str, i32) = ("error=EIO", libc::EIO);
const ENOSPC: (&str, i32) = ("error=ENOSPC", libc::ENOSPC);
const EDQUOT: (&str, i32) = ("error=EDQUOT", libc::EDQUOT);
const EACCES: (&str, i32) = ("error=EACCES", libc::EACCES);
const EROFS: (&str, i32) = ("error=EROFS", libc::EROFS);
const EMFILE: (&str, i32) = ("error=EMFILE", libc::EMFILE);
const ENFILE: (&str, i32) = ("error=ENFILE", libc::ENFILE);
const ENOMEM: (&str, i32) = ("error=ENOMEM", libc::ENOMEM);
const EAGAIN: (&str, i32) = ("error=EAGAIN", libc::EAGAIN);
const ENOLCK: (&str, i32) = ("error=ENOLCK", libc::ENOLCK);
const EINTR: (&str, i32) = ("error=EINTR", libc::EINTR);
const EPERM: (&str, i32) = ("error=EPERM", libc::EPERM);
const ENOSYS: (&str, i32) = ("error=ENOSYS", libc::ENOSYS);
const EINVAL: (&str, i32) = ("error=EINVAL", libc::EINVAL);
const EOPNOTSUPP: (&str, i32) = ("error=EOPNOTSUPP", libc::EOPNOTSUPP);

const OPENAT: Call = ("openat", "open", &[EIO, EACCES, EMFILE, ENFILE, ENOSPC, EROFS, EINTR]);
const PWRITE: Call = ("pwrite64", "write", &[EIO, ENOSPC, EDQUOT, EINTR]);
/// Direct writes. Where they are not known, events are written through the page cache.
const PWRITEV2: Call =
    ("pwritev2", "write", &[EIO, ENOSPC, EDQUOT, EINTR, EINVAL, EOPNOTSUPP, EPERM, ENOSYS]);
/// Sets whether writes are direct.
const FCNTL: Call = ("fcntl", "fcntl", &[EINVAL]);
const PREAD: Call = ("pread64", "read", &[EIO, EINTR]);
const FDATASYNC: Call = ("fdatasync", "fdatasync", &[EIO, ENOSPC, EDQUOT]);
const FSYNC: Call = ("fsync", "fsync directory", &[EIO, ENOSPC, EINTR]);
const RENAMEAT: Call = ("renameat", "rename", &[EIO, ENOSPC, EDQUOT, EROFS]);
const UNLINKAT: Call = ("unlinkat", "remove", &[EIO, EACCES, EROFS]);
const FALLOCATE: Call = ("fallocate", "allocate", &[EIO, ENOSPC, EDQUOT, EINTR]);
const MMAP: Call = ("mmap", "", &[ENOMEM]);
const MLOCK: Call = ("mlock", "lock", &[ENOMEM, EAGAIN]);
const MADVISE: Call = ("madvise", "", &[ENOMEM, EAGAIN]);
const FLOCK: Call = ("flock", "lock", &[ENOLCK, EINTR]);
const STATX: Call = ("statx", "stat", &[EIO]);
const FSTATFS: Call = ("fstatfs", "statfs", &[EIO]);
const MKDIR: Call = ("mkdir,mkdirat", "create directory", &[EIO, ENOSPC, EACCES]);
const GETDENTS: Call = ("getdents64", "list", &[EIO]);

/// The calls of each thread.
const OPENING: &[Call] = &[
    OPENAT, PWRITE, PREAD, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FALLOCATE, MMAP, MLOCK, MADVISE,
    FLOCK, STATX, FSTATFS, MKDIR, GETDENTS,
];
const THREADS: [(Whose, &[Call]); 5] = [
    (PERSISTER, &[PWRITE, PWRITEV2, FDATASYNC, STATX, FCNTL]),
    (
        Whose::Worker("wal-preparer"),
        &[OPENAT, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FALLOCATE, FLOCK, STATX, FSTATFS],
    ),
    (
        Whose::Worker("wal-maintainer"),
        &[OPENAT, PREAD, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FLOCK, STATX],
    ),
    (
        Whose::Worker("wal-freezer"),
        &[OPENAT, PREAD, PWRITE, PWRITEV2, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FCNTL],
    ),
    (Whose::ShuttingDown, &[OPENAT, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, GETDENTS]),
];

/// The faults injected so far, and how the victims ended.
struct Failures {
    bench: Bench,
    failed: u64,
    ended: BTreeMap<i32, u64>,
}

impl Failures {
    fn new() -> Self {
        Failures { bench: Bench::new(), failed: 0, ended: BTreeMap::new() }
    }

    /// Makes each of these calls of a thread fail with each of its errors: every single call while
    /// they are few, then ever fewer of them.
    fn sweep(
        &mut self,
        whose: Whose,
        calls: &[Call],
        events: u64,
        begin: impl Fn(&Bench) -> Lives,
    ) {
        for (call, word, errors) in calls {
            for (what, errno) in *errors {
                let mut n = 1;
                loop {
                    let lives = begin(&self.bench);
                    let fault = Fault { whose, call, what, n };
                    if !self.fail(fault, (*errno, word), events, lives) {
                        break;
                    }
                    n += 1 + n / times(3, 40) as u32;
                }
            }
        }
    }

    /// Fails one call; `false` = there is no such call.
    fn fail(
        &mut self,
        fault: Fault<'_>,
        (errno, word): (i32, &str),
        events: u64,
        mut lives: Lives,
    ) -> bool {
        const LIFE: u32 = 77;
        let before = lives.check(&self.bench.log, false).unwrap();
        let injected = self.bench.hit(fault, (LIFE, events), (errno, word));
        let said = String::from_utf8_lossy(&injected.output.stderr).into_owned();
        let calls = &injected.calls;
        let code = injected.output.status.code().unwrap_or(-1);
        // Without memory the process may abort.
        let aborted = injected.output.status.signal() == Some(libc::SIGABRT);
        let known = (aborted && fault.call == "mmap")
            || [CLEAN, POISONED, OPEN_FAILED, SHUTDOWN_FAILED].contains(&code);
        assert!(known, "{fault:?}: {}: {said} {calls:?}", injected.output.status);
        if calls.is_empty() {
            assert_eq!(code, CLEAN, "{fault:?}: failed without a fault");
            return false;
        }
        expect_outcome(calls, errno, code);
        lives.begin(LIFE, before);
        self.recover(fault, calls, code, &lives, before);
        self.failed += calls.len() as u64;
        *self.ended.entry(code).or_default() += 1;
        true
    }

    /// The next open finds every acknowledged event, and reports correctly how the log was left.
    fn recover(&self, fault: Fault<'_>, calls: &[String], code: i32, lives: &Lives, before: u64) {
        let context = || format!("{fault:?}: {calls:?}: ended with {code}");
        let (manager, writer) = open(&self.bench.log, victim::config(&self.bench.active));
        let last = manager.log().appended().last_event_id;
        let acknowledged = self.bench.shared.acknowledged().load(Acquire).max(before);
        let attempted = self.bench.shared.attempted().load(Acquire).max(before);
        assert!((acknowledged..=attempted).contains(&last), "{last}: {}", context());
        let report = manager.log().recovery_report();
        if code == CLEAN {
            assert!(report.clean, "{}", context());
        }
        if code == POISONED {
            assert!(!report.clean, "{}", context());
            let label = decision(&manager);
            assert!(label.starts_with("process-crash"), "{label}: {}", context());
        }
        victim::settle(&manager);
        manager.shutdown(writer).unwrap();
        assert_eq!(lives.check(&self.bench.log, false), Ok(last), "{}", context());
        let hot = names(&self.bench.log).iter().filter(|name| name.ends_with(".wal")).count();
        assert!(hot <= 2, "{hot} hot segments: failed compression was not repeated: {}", context());
    }
}

/// A log that was killed in the middle of its fifth segment, at a write of the persister: how often
/// other threads call depends on timing. With which call it writes depends on the kernel.
fn crash(bench: &Bench) -> Snapshot {
    let id_of = |nth| (0..nth).fold(0, |id, _| successor(id));
    let fifth = id_of(4 * SEGMENT + 1)..id_of(5 * SEGMENT);
    for call in ["pwritev2", "pwrite64"] {
        for n in 1.. {
            bench.clear();
            let fault = Fault { whose: PERSISTER, call, what: "signal=SIGKILL", n };
            let killed = bench.hit(fault, (1, 5 * SEGMENT), (0, "")).output;
            if killed.status.signal() != Some(libc::SIGKILL) {
                break;
            }
            if fifth.contains(&bench.shared.acknowledged().load(Acquire)) {
                let mut lives = Lives::default();
                lives.begin(1, 0);
                return Snapshot::take(bench, lives);
            }
        }
    }
    panic!("the persister writes nothing in the middle of the fifth segment");
}

/// Checks that the victim ended as the failure of these calls requires.
fn expect_outcome(calls: &[String], errno: i32, code: i32) {
    let about = |what: &str| calls.iter().all(|call| call.contains(what));
    let call = |name: &str| calls.iter().all(|call| call.starts_with(name));
    let context = || format!("{calls:?}: ended with {code}");
    let writes = call("pwrite") || call("fdatasync");
    let of_the_log =
        (writes && about("/log/FS.") && about(".wal>")) || (call("fsync") && about("/log>"));
    let not_known = call("pwritev2")
        && [libc::EINVAL, libc::EOPNOTSUPP, libc::EPERM, libc::ENOSYS].contains(&errno);
    if errno == libc::EINTR || call("mlock") || not_known {
        assert_eq!(code, CLEAN, "this failure must be retried or ignored: {}", context());
    } else if of_the_log {
        assert_ne!(code, CLEAN, "a final failure was ignored: {}", context());
    } else if about(".wal.lz4") || about("wal_meta.dat") {
        assert_ne!(
            code,
            POISONED,
            "a failed write of a cold file or of meta is not final: {}",
            context()
        );
    }
    let full = [libc::ENOSPC, libc::EDQUOT, libc::EMFILE, libc::ENFILE].contains(&errno);
    let prepares = call("fallocate") || about(".wal.tmp");
    if full && prepares && !call("renameat") {
        assert_ne!(code, POISONED, "a full disk poisoned the log: {}", context());
    }
}

/// A crashed log, to be restored to its place: anywhere else it would count as a copy.
struct Snapshot {
    files: Vec<(PathBuf, Vec<u8>)>,
    lives: Lives,
}

impl Snapshot {
    fn take(bench: &Bench, lives: Lives) -> Self {
        let active = paths(&bench.active).into_iter().flat_map(|directory| paths(&directory));
        let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
        Snapshot { files: paths(&bench.log).into_iter().chain(active).map(read).collect(), lives }
    }

    fn put_back(&self, bench: &Bench) -> Lives {
        for path in paths(&bench.log) {
            fs::remove_file(path).unwrap();
        }
        for directory in paths(&bench.active) {
            fs::remove_dir_all(directory).unwrap();
        }
        for (path, bytes) in &self.files {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        self.lives.clone()
    }
}

fn no_log(bench: &Bench) -> Lives {
    bench.clear();
    Lives::default()
}

/// The same harness with a recorder that retries a failed sync and accepts its success.
fn planted(failures: &mut Failures) -> &'static str {
    let lives = no_log(&failures.bench);
    failures.bench.bug = Some(Bug::SyncTriedAgain);
    must_fail(Bug::SyncTriedAgain, || {
        let whose = PERSISTER;
        let fault = Fault { whose, call: "pwritev2", what: "error=EIO", n: 1 };
        failures.fail(fault, (libc::EIO, "write"), 5 * SEGMENT, lives);
    })
}

fn write_row(name: &str, fault: &str, failures: &Failures, planted: &[&str]) {
    record(Row {
        name,
        fault,
        test: "tests/faults/call_failures.rs",
        tried: failures.failed,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted,
    });
}

#[test]
fn g5_g7_any_call_of_a_log_that_records_fails() {
    if !can_inject() {
        return;
    }
    let begin = Instant::now();
    let mut failures = Failures::new();
    for (whose, calls) in THREADS {
        failures.sweep(whose, calls, 5 * SEGMENT + 100, no_log);
        println!("{whose:?}: {} in {:?}: {:?}", failures.failed, begin.elapsed(), failures.ended);
    }
    assert!(failures.ended[&CLEAN] > 50 && failures.ended[&POISONED] > 50, "{:?}", failures.ended);
    let tried = "a system call of a recording log fails";
    let planted = planted(&mut failures);
    write_row("call-failures", tried, &failures, &[planted]);
}

#[test]
fn g6_any_call_of_an_open_fails() {
    if !can_inject() {
        return;
    }
    let begin = Instant::now();
    let mut failures = Failures::new();
    failures.sweep(Whose::Opening, OPENING, 20, no_log);
    println!("a new log: {} in {:?}: {:?}", failures.failed, begin.elapsed(), failures.ended);
    let crashed = crash(&failures.bench);
    failures.sweep(Whose::Opening, OPENING, 20, |bench| crashed.put_back(bench));
    println!("a crashed log: {} in {:?}: {:?}", failures.failed, begin.elapsed(), failures.ended);
    assert!(
        failures.ended[&CLEAN] > 20 && failures.ended[&OPEN_FAILED] > 50,
        "{:?}",
        failures.ended
    );
    failures.bench.bug = Some(Bug::SyncTriedAgain);
    let planted = must_fail(Bug::SyncTriedAgain, || {
        failures.sweep(Whose::Opening, &[FDATASYNC], 20, |bench| crashed.put_back(bench));
    });
    write_row("call-failures-open", "a system call of an open fails", &failures, &[planted]);
}
