//! P8: memory, threads and processor time of logs at rest, measured in a child process for each
//! measurement. The child reads `/proc/self` and prints what it finds as a line of JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::abi::Config;
use crate::bench::Bench;
use crate::contestants::{Contestant, Entrant, Entry, Library, LAP};
use crate::processors::Processors;
use crate::thread_counts::process_cpu_seconds;

const MANY: usize = 64;
const EVENTS: u64 = 4_096_000;
const MB: f64 = 1e6;

/// What a child measures.
#[derive(Debug, Serialize, Deserialize)]
struct Footprint {
    /// Shared memory, which is that of the active sets.
    active_set: f64,
    /// All other memory, less that of the process before it opened logs.
    overhead: f64,
    /// The growth of that memory during the second half of the events.
    growth: f64,
    threads: f64,
    /// Percent of a processor that the logs use at rest.
    idle: f64,
}

pub fn run(bench: &mut Bench) {
    let mut rounds = Vec::new();
    for _ in 0..bench.scale.rounds.min(3) {
        rounds.push(ask(&bench.fresh("p8"), 1, bench.scale.rest));
    }
    let many = ask(&bench.fresh("p8"), MANY, bench.scale.rest);
    bench.remove(&["p8"]);

    let mut table = bench.report.table("P8", "Footprint, of logs at rest");
    let of = |pick: fn(&Footprint) -> f64| rounds.iter().map(pick).collect::<Vec<_>>();
    let one = "one log";
    table.add(one, "active set", "MB", &of(|footprint| footprint.active_set));
    table.add(one, "other memory", "MB", &of(|footprint| footprint.overhead)).at_most(8.0);
    table.add(one, "of it, in the last 2 M events", "MB", &of(|footprint| footprint.growth));
    table.add(one, "threads", "", &of(|footprint| footprint.threads));
    table.add(one, "processor", "% of one", &of(|footprint| footprint.idle)).at_most(0.5);
    let subject = format!("{MANY} logs in one process");
    table.add(&subject, "active set", "MB", &[many.active_set]);
    table.add(&subject, "other memory", "MB", &[many.overhead]);
    // One per log, and some that all logs share.
    table.add(&subject, "threads", "", &[many.threads]).at_most(MANY as f64 + 8.0);
    table.add(&subject, "processor", "% of one", &[many.idle]);
    let text = format!(
        "Memory is measured after {EVENTS} events (1 log) and in logs just opened ({MANY}). \
         That it is flat over hours is not measured here."
    );
    bench.report.remark("P8", text);
}

fn ask(directory: &Path, logs: usize, rest: Duration) -> Footprint {
    let program = std::env::current_exe().expect("this program's path");
    let output = Command::new(program)
        .arg("footprint")
        .arg(directory)
        .arg(logs.to_string())
        .arg(rest.as_secs().to_string())
        .output()
        .expect("this program can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the child's JSON")
}

/// The child: opens the logs, appends to a single one, rests, and prints the footprint.
pub fn child(directory: PathBuf, logs: usize, rest: Duration) {
    Processors::choose(&directory).pin_append_thread();
    let (_, before) = resident();
    // Many logs are small ones, because 64 default logs would need 1.6 GB of shared memory.
    let num_blocks = if logs == 1 { 0 } else { 16 };
    let config = Config { num_blocks, ..Config::default() };
    let open = |n: usize| Library::open(&directory.join(format!("log-{n}")), &config);
    let mut entries: Vec<_> =
        (0..logs).map(|n| Entry { name: "log", contestant: open(n), next_id: 1 }).collect();
    let mut memory = [(0.0, 0.0); 2];
    for memory in &mut memory {
        if let [alone] = entries.as_mut_slice() {
            alone.tight(EVENTS / 2 / LAP);
            alone.contestant.settle();
        }
        *memory = resident();
    }
    // Lets background work end first.
    std::thread::sleep(Duration::from_secs(1));
    let (cpu, begin) = (process_cpu_seconds(), Instant::now());
    std::thread::sleep(rest);
    let idle = 100.0 * (process_cpu_seconds() - cpu) / begin.elapsed().as_secs_f64();
    let threads = fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count() - 1) as f64;
    let [(_, half), (active_set, all)] = memory;
    let footprint = Footprint {
        active_set: active_set / MB,
        overhead: (all - before) / MB,
        growth: (all - half) / MB,
        threads,
        idle,
    };
    println!("{}", serde_json::to_string(&footprint).expect("plain numbers"));
}

/// Resident bytes of this process, from `/proc/self/status`: shared memory, and everything else.
fn resident() -> (f64, f64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kb.unwrap_or(0.0) * 1024.0
    };
    (bytes("RssShmem:"), bytes("RssAnon:") + bytes("RssFile:"))
}
