//! The machine of a run, for the report.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::contestants::SharedMemory;
use crate::processors::{self, Processors};

#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
    /// The file system of the directory that is measured.
    pub filesystem: String,
    pub append_processor: usize,
    pub disk_interrupt_processor: Option<usize>,
    /// One-minute load average before the run; near 0 on a quiet machine.
    pub load_before: f64,
    pub taken: Taken,
}

/// How much memory the host takes away from a virtual machine. The first store into a page that was
/// taken waits until the host gives it back, and the guest counts no page fault.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// Share of the pages whose first store took over 20 µs after they were unused for a second.
    pub percent: f64,
    /// The median time of those stores, in µs.
    pub wait_us: f64,
}

impl Taken {
    fn measure() -> Taken {
        const PAGE: usize = 4096;
        const PAGES: usize = 4096;
        const ROUNDS: usize = 5;
        let mut memory = SharedMemory::new(PAGES * PAGE);
        let mut waits = Vec::new();
        for _ in 0..ROUNDS {
            std::thread::sleep(Duration::from_secs(1));
            for page in 0..PAGES {
                let begin = clock::now();
                // SAFETY: a byte of the mapping, which nobody else uses.
                unsafe { memory.at(page * PAGE).write_volatile(1) };
                std::sync::atomic::fence(Ordering::SeqCst);
                let us = clock::to_ns((clock::now() - begin) as f64) / 1e3;
                waits.extend((us > 20.0).then_some(us));
            }
        }
        let percent = 100.0 * waits.len() as f64 / (ROUNDS * PAGES) as f64;
        waits.sort_by(f64::total_cmp);
        Taken { percent, wait_us: waits.get(waits.len() / 2).copied().unwrap_or(0.0) }
    }
}

impl Machine {
    pub fn describe(directory: &Path, processors: &Processors) -> Machine {
        let first_line = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = first_line("/proc/cpuinfo");
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let load = first_line("/proc/loadavg");
        Machine {
            processor: model.unwrap_or("unknown").trim().to_owned(),
            processors: processors::online(),
            kernel: kernel(),
            filesystem: output(
                "findmnt",
                &["-n", "-o", "FSTYPE", "-T", &directory.to_string_lossy()],
            ),
            append_processor: processors.append,
            disk_interrupt_processor: processors.disk_interrupts,
            load_before: load.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
            taken: Taken::measure(),
        }
    }
}

/// The kernel's version, without what a distribution or a host has added to it.
fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

/// The date and time of now.
pub fn date() -> String {
    output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

/// The commit, with a mark if files differ from it.
pub fn commit() -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    output("git", &["-C", root, "describe", "--always", "--dirty", "--abbrev=12"])
}

/// What a program prints, or "unknown".
fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(out) if out.status.success() => String::from_utf8_lossy(&out.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
