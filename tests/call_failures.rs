//! G5, G7: any call that reads or changes files fails, once, with any error it can give, in any
//! thread. A failed write or sync of the log's own data is final; a full disk is waited for; a cold
//! file is made again. Whatever was hit, nothing that was acknowledged is lost, and the next open
//! says honestly what it found.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Acquire;
use std::time::Instant;

use common::crash::SEGMENT;
use common::flow::{Lives, Shared};
use common::inject::{can_inject, play, Fault, Whose};
use common::ledger::{record, times, Row};
use common::victim::{self, Orders, CLEAN, OPEN_FAILED, POISONED, SHUTDOWN_FAILED};
use common::{decision, names, open, paths, scenario, Place};

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

const OPENAT: Call = ("openat", "open", &[EIO, EACCES, EMFILE, ENFILE, ENOSPC, EROFS, EINTR]);
const PWRITE: Call = ("pwrite64", "write", &[EIO, ENOSPC, EDQUOT, EINTR]);
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
const FSTAT: Call = ("fstat", "stat", &[EIO]);
const FSTATFS: Call = ("fstatfs", "statfs", &[EIO]);
const MKDIR: Call = ("mkdir,mkdirat", "create directory", &[EIO, ENOSPC, EACCES]);
const GETDENTS: Call = ("getdents64", "list", &[EIO]);

/// What each thread calls.
const OPENING: &[Call] = &[
    OPENAT, PWRITE, PREAD, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FALLOCATE, MMAP, MLOCK, MADVISE,
    FLOCK, FSTAT, FSTATFS, MKDIR, GETDENTS,
];
const THREADS: [(Whose, &[Call]); 6] = [
    (Whose::Worker("wal-persister"), &[PWRITE, FDATASYNC]),
    (
        Whose::Worker("wal-preparer"),
        &[OPENAT, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FALLOCATE, FLOCK, FSTAT, FSTATFS],
    ),
    (
        Whose::Worker("wal-maintainer"),
        &[OPENAT, PREAD, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, FLOCK, FSTAT],
    ),
    (Whose::Worker("wal-freezer"), &[OPENAT, PREAD, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT]),
    (Whose::Worker("wal-meta"), &[OPENAT, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT]),
    (Whose::ShuttingDown, &[OPENAT, PWRITE, FDATASYNC, FSYNC, RENAMEAT, UNLINKAT, GETDENTS]),
];

/// A log in memory: that is fast, and what fails here is not the disk.
struct Bench {
    test: &'static str,
    place: Place,
    log: PathBuf,
    active: PathBuf,
    shared: Shared,
    failed: u64,
    ended: BTreeMap<i32, u64>,
}

impl Bench {
    fn new(test: &'static str) -> Self {
        let place = Place::new();
        let (log, active) = (place.memory().join("log"), place.memory().join("active"));
        fs::create_dir(&active).unwrap();
        let shared = Shared::open(&place.memory().join("shared"));
        Bench { test, place, log, active, shared, failed: 0, ended: Default::default() }
    }

    /// Makes each of these calls of a thread fail with each of its errors: every one where they are
    /// few, and ever fewer of them the more there are.
    fn sweep(&mut self, whose: Whose, calls: &[Call], events: u64, begin: impl Fn(&Self) -> Lives) {
        for (call, word, errors) in calls {
            for (what, errno) in *errors {
                let mut n = 1;
                loop {
                    let lives = begin(self);
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
        let before = lives.check(&self.log, false).unwrap();
        self.shared.reset();
        let shared = self.place.memory().join("shared");
        let (log, active) = (&self.log, &self.active);
        let orders = Orders { log, active, shared: &shared, events, life: LIFE, errno, word };
        let injected = play(self.test, &orders.encode(), fault, &self.shared, self.place.memory());
        if injected.calls.is_empty() {
            return false;
        }
        let said = String::from_utf8_lossy(&injected.output.stderr).into_owned();
        let calls = &injected.calls;
        let code = injected.output.status.code().unwrap_or(-1);
        // Without memory for itself it may give up.
        let aborted = injected.output.status.signal() == Some(libc::SIGABRT);
        let known = (aborted && fault.call == "mmap")
            || [CLEAN, POISONED, OPEN_FAILED, SHUTDOWN_FAILED].contains(&code);
        assert!(known, "{fault:?}: {}: {said} {calls:?}", injected.output.status);
        expect_outcome(calls, errno, code);
        lives.begin(LIFE, before);
        self.recover(fault, calls, code, &lives, before);
        self.failed += calls.len() as u64;
        *self.ended.entry(code).or_default() += 1;
        true
    }

    /// The next open finds all that was acknowledged, and says truly how the log was left.
    fn recover(&self, fault: Fault<'_>, calls: &[String], code: i32, lives: &Lives, before: u64) {
        let context = || format!("{fault:?}: {calls:?}: ended with {code}");
        let (manager, writer) = open(&self.log, victim::config(&self.active));
        let last = manager.log().appended().last_event_id;
        let acknowledged = self.shared.acknowledged().load(Acquire).max(before);
        let attempted = self.shared.attempted().load(Acquire).max(before);
        assert!((acknowledged..=attempted).contains(&last), "{last}: {}", context());
        let report = manager.log().recovery_report();
        if code == CLEAN {
            assert_eq!(report.clean, 1, "{}", context());
        }
        if code == POISONED {
            assert_eq!(report.clean, 0, "{}", context());
            let label = decision(&manager);
            assert!(label.starts_with("process-crash"), "{label}: {}", context());
        }
        manager.shutdown(writer).unwrap();
        assert_eq!(lives.check(&self.log, false), Ok(last), "{}", context());
        let hot = names(&self.log).iter().filter(|name| name.ends_with(".wal")).count();
        assert!(hot <= 2, "what could not be frozen is frozen later: {hot}: {}", context());
    }

    /// A log that was killed in the middle of its fifth segment.
    fn crash(&self) -> Snapshot {
        let shared = self.place.memory().join("shared");
        let (log, active) = (&self.log, &self.active);
        let orders = Orders {
            log,
            active,
            shared: &shared,
            events: 5 * SEGMENT,
            life: 1,
            errno: 0,
            word: "",
        };
        let whose = Whose::Worker("wal-maintainer");
        let fault = Fault { whose, call: "fdatasync", what: "signal=SIGKILL", n: 4 };
        self.shared.reset();
        let killed =
            play(self.test, &orders.encode(), fault, &self.shared, self.place.memory()).output;
        assert_eq!(killed.status.signal(), Some(libc::SIGKILL));
        let mut lives = Lives::default();
        lives.begin(1, 0);
        Snapshot::take(self, lives)
    }

    fn clear(&self) {
        for directory in [&self.log, &self.active] {
            if directory.exists() {
                fs::remove_dir_all(directory).unwrap();
            }
        }
        fs::create_dir(&self.active).unwrap();
    }
}

/// What must come of the failure of these calls, and what must not.
fn expect_outcome(calls: &[String], errno: i32, code: i32) {
    let about = |what: &str| calls.iter().all(|call| call.contains(what));
    let call = |name: &str| calls.iter().all(|call| call.starts_with(name));
    let context = || format!("{calls:?}: ended with {code}");
    let writes = call("pwrite64") || call("fdatasync");
    let of_the_log =
        (writes && about("/log/FS.") && about(".wal>")) || (call("fsync") && about("/log>"));
    if errno == libc::EINTR || call("mlock") {
        assert_eq!(code, CLEAN, "tried again, or done without: {}", context());
    } else if of_the_log {
        assert_ne!(code, CLEAN, "final: {}", context());
    } else if about(".wal.lz4") || about("wal_meta.dat") {
        assert_ne!(code, POISONED, "made again: {}", context());
    }
    let full = [libc::ENOSPC, libc::EDQUOT, libc::EMFILE, libc::ENFILE].contains(&errno);
    let prepares = call("fallocate") || about(".wal.tmp");
    if full && prepares && !call("renameat") {
        assert_ne!(code, POISONED, "waited for: {}", context());
    }
}

/// A crashed log, to be put back where it was: elsewhere it would be a copy.
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

/// In a child: the process that is hit.
fn play_victim() {
    if let Some(scenario) = scenario() {
        let orders = Orders::decode(&scenario).unwrap_or_else(|| panic!("{scenario}"));
        victim::record(orders);
    }
}

fn no_log(bench: &Bench) -> Lives {
    bench.clear();
    Lives::default()
}

fn write_row(name: &str, fault: &str, bench: &Bench) {
    record(Row {
        name,
        fault,
        test: "tests/call_failures.rs",
        tried: bench.failed,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[],
    });
}

#[test]
fn g5_g7_any_call_of_a_log_that_records_fails() {
    play_victim();
    if !can_inject() {
        return;
    }
    let begin = Instant::now();
    let mut bench = Bench::new("g5_g7_any_call_of_a_log_that_records_fails");
    for (whose, calls) in THREADS {
        bench.sweep(whose, calls, 5 * SEGMENT + 100, no_log);
        println!("{whose:?}: {} in {:?}: {:?}", bench.failed, begin.elapsed(), bench.ended);
    }
    assert!(bench.ended[&CLEAN] > 50 && bench.ended[&POISONED] > 50, "{:?}", bench.ended);
    write_row("call-failures", "a system call of a recording log fails", &bench);
}

#[test]
fn g6_any_call_of_an_open_fails() {
    play_victim();
    if !can_inject() {
        return;
    }
    let begin = Instant::now();
    let mut bench = Bench::new("g6_any_call_of_an_open_fails");
    bench.sweep(Whose::Opening, OPENING, 20, no_log);
    println!("a new log: {} in {:?}: {:?}", bench.failed, begin.elapsed(), bench.ended);
    bench.clear();
    let crashed = bench.crash();
    bench.sweep(Whose::Opening, OPENING, 20, |bench| crashed.put_back(bench));
    println!("a crashed log: {} in {:?}: {:?}", bench.failed, begin.elapsed(), bench.ended);
    assert!(bench.ended[&CLEAN] > 20 && bench.ended[&OPEN_FAILED] > 50, "{:?}", bench.ended);
    write_row("call-failures-open", "a system call of an open fails", &bench);
}
