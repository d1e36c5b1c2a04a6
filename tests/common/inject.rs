//! Injects faults into the system calls of another process, with `strace`: the `n`th call of a kind
//! in one thread fails, or is the last thing the process does.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use super::child;
use super::flow::Shared;

/// Only a process that hangs takes longer.
const LONGEST: Duration = Duration::from_secs(120);

/// Which thread's calls are counted, and from when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Calls of the thread that opens, appends and shuts down, from before the open on.
    Opening,
    /// Calls of the same thread once the log is open: the only calls left are those of the
    /// shutdown.
    ShuttingDown,
    /// Calls of the worker thread of this name, once the log is open.
    Worker(&'static str),
}

/// The persister of a log in a directory named `log`.
pub const PERSISTER: Whose = Whose::Worker("wal-p-log");

impl Whose {
    /// The stage the victim reaches before strace is attached.
    fn stage(self) -> u64 {
        match self {
            Whose::Opening => 1,
            Whose::ShuttingDown | Whose::Worker(_) => 2,
        }
    }
}

/// What happens to which call.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    pub whose: Whose,
    pub call: &'a str,
    /// In strace's syntax: `error=EIO`, `signal=SIGKILL`.
    pub what: &'a str,
    /// Counted from 1.
    pub n: u32,
}

/// How a victim and its harness synchronize: words of the shared mapping that nothing else uses.
pub struct Meeting<'a>(pub &'a Shared);

impl Meeting<'_> {
    fn wanted(&self) -> &AtomicU64 {
        self.0.word(64)
    }

    fn reached(&self) -> &AtomicU64 {
        self.0.word(72)
    }

    fn gone_on(&self) -> &AtomicU64 {
        self.0.word(80)
    }

    fn thread(&self) -> &AtomicU64 {
        self.0.word(88)
    }

    fn stop_at(&self, stage: u64) {
        self.thread().store(rustix::thread::gettid().as_raw_nonzero().get() as u64, Release);
        if self.wanted().load(Acquire) == stage {
            self.reached().store(stage, Release);
            while self.gone_on().load(Acquire) != stage {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// Called by the victim before it opens the log.
    pub fn opening(&self) {
        self.stop_at(Whose::Opening.stage());
    }

    /// Called by the victim when it has opened the log.
    pub fn opened(&self) {
        self.stop_at(Whose::ShuttingDown.stage());
    }
}

/// Whether faults can be injected; if not, reports the test as skipped.
pub fn can_inject() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !found {
        crate::skipped("strace is not installed");
    }
    let root = rustix::process::geteuid().is_root();
    if !root {
        crate::skipped("attaching strace to another process needs root");
    }
    found && root
}

/// How a process ended, and the calls that a fault was injected into.
pub struct Injected {
    pub output: Output,
    /// In strace's format, with the paths of descriptors.
    pub calls: Vec<String>,
}

/// Runs a victim with these arguments and a fault. strace writes its output files into `base`.
pub fn play(
    arguments: &[&dyn Display],
    fault: Fault<'_>,
    shared: &Shared,
    base: &Path,
) -> Injected {
    play_role("victim", arguments, fault, shared, base)
}

/// The same with a child in another role, which must meet its harness ([`Meeting`]).
pub fn play_role(
    role: &str,
    arguments: &[&dyn Display],
    fault: Fault<'_>,
    shared: &Shared,
    base: &Path,
) -> Injected {
    let meeting = Meeting(shared);
    let stage = fault.whose.stage();
    meeting.wanted().store(stage, Release);
    let mut child = child::spawn(role, arguments);
    let pid = child.id();
    // A new thread sets its name only after it has started.
    let thread = || match fault.whose {
        _ if meeting.reached().load(Acquire) != stage => None,
        Whose::Worker(name) => worker(pid, name),
        _ => Some(meeting.thread().load(Acquire)),
    };
    wait_until(&mut child, fault, || thread().is_some() || has_ended(pid));
    let thread = thread().unwrap_or(0);
    let trace = base.join("trace");
    let _ = fs::remove_file(&trace);
    let Fault { call, what, n, .. } = fault;
    let mut strace = Command::new("strace")
        .args(["-y", "-qq", "-e", &format!("trace={call}"), "-e", "signal=none"])
        .args(["-e", &format!("inject={call}:{what}:when={n}")])
        .args(["-o", &trace.display().to_string(), "-p", &thread.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(&mut child, fault, || is_traced(pid, thread) || has_ended(pid));
    meeting.gone_on().store(stage, Release);
    wait_until(&mut child, fault, || has_ended(pid));
    let output = child.wait_with_output().unwrap();
    strace.wait().unwrap();
    let text = fs::read_to_string(&trace).unwrap_or_default();
    let tampered = |line: &&str| line.contains("(INJECTED)");
    Injected { output, calls: text.lines().filter(tampered).map(str::to_owned).collect() }
}

fn worker(pid: u32, name: &str) -> Option<u64> {
    let is_it = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let task = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().find(is_it)?;
    task.file_name().to_str()?.parse().ok()
}

fn is_traced(pid: u32, thread: u64) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status"));
    status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
}

/// Whether a process has died and was not yet waited for.
fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

fn wait_until(child: &mut Child, fault: Fault<'_>, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("{fault:?}: hangs");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
