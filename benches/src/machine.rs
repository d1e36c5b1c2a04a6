//! What a run was made on: for the report.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::processors::{self, Processors};

#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
    /// Of the directory that is measured in.
    pub filesystem: String,
    pub append_processor: usize,
    pub disk_interrupt_processor: Option<usize>,
    /// One-minute load average before the run: 0 is a quiet machine.
    pub load_before: f64,
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
            kernel: first_line("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: output(
                "findmnt",
                &["-n", "-o", "FSTYPE", "-T", &directory.to_string_lossy()],
            ),
            append_processor: processors.append,
            disk_interrupt_processor: processors.disk_interrupts,
            load_before: load.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        }
    }
}

/// The time now.
pub fn date() -> String {
    output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

/// The commit, and whether files differ from it.
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
