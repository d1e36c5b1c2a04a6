//! Measures the library against floors and other logs (`make bench`). The module of each aim says
//! what its figures mean. README.md says how everything is measured.

mod abi;
mod aims;
mod allocations;
mod bench;
mod clock;
mod contestants;
mod disk;
mod latencies;
mod machine;
mod pace;
mod processors;
mod reader;
mod report;
mod snapshot;
mod system_calls;
mod thread_counts;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench::{Bench, Scale};
use machine::Machine;
use processors::Processors;
use report::Report;

const USAGE: &str = "\
FLASHSTRIKE_WAL_LIB=libflashstrike_wal.so  the library, of a release build
BENCH_DIR=directory                        where files are written: on the disk to be measured
BENCH_OUT=directory                        where bench.json and the pictures go
QUICK=1                                    a minute and a half, to see that it works
ONLY=P4                                    only the aims whose names begin so";

fn main() -> ExitCode {
    let set = |name: &str| {
        env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set\n\n{USAGE}"))
    };
    let run = || -> Result<(), String> {
        abi::load(&set("FLASHSTRIKE_WAL_LIB")?)?;
        let arguments: Vec<String> = env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => all(&set("BENCH_DIR")?, &set("BENCH_OUT")?),
            ["writer", directory, size] => {
                aims::open::writer(directory.into(), number(size)? as u32);
            }
            ["follower", way, place, events] => {
                aims::following::child(way, place.as_ref(), number(events)?);
            }
            ["footprint", directory, logs, seconds] => {
                let rest = Duration::from_secs(number(seconds)?);
                aims::footprint::child(directory.into(), number(logs)? as usize, rest);
            }
            _ => return Err(USAGE.to_owned()),
        }
        Ok(())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn all(directory: &Path, out: &Path) {
    let directory = directory.join("flashstrike-bench");
    // A run that was stopped leaves its files.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory to measure in");
    fs::create_dir_all(out).expect("a directory for the report");
    let begin = Instant::now();
    let quick = env::var_os("QUICK").is_some_and(|value| !value.is_empty() && value != "0");
    let processors = Processors::choose(&directory);
    processors.pin_append_thread();
    let machine = Machine::describe(&directory, &processors);
    let report = Report {
        date: machine::date(),
        commit: machine::commit(),
        quick,
        seconds: 0,
        machine,
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    let scale = if quick { Scale::QUICK } else { Scale::FULL };
    let pictures = out.to_owned();
    let mut bench = Bench { directory, pictures, processors, scale, report };
    // First what a reader asks first: an engine is pinned, opens a log and appends.
    type Step = (&'static str, fn(&mut Bench));
    let steps: [Step; 12] = [
        ("P2 latency", aims::latency::run),
        ("P2 after an idle spell", aims::latency::run_after_idle),
        ("P2 over time", aims::timeline::run),
        ("P1 throughput", aims::throughput::run),
        ("P3 sustained", aims::sustained::run),
        ("P4 time to durable", aims::time_to_durable::run),
        ("P5 the append thread", aims::hot_thread::run),
        ("P6 open", aims::open::run),
        ("P7 replay", aims::replay::run),
        ("P8 footprint", aims::footprint::run),
        ("P10 following", aims::following::run),
        ("P11 recovery", aims::recovery::run),
    ];
    let only = env::var("ONLY").unwrap_or_default();
    for (name, run) in steps.into_iter().filter(|(name, _)| name.starts_with(&only)) {
        eprintln!("{:>4} s  {name}", begin.elapsed().as_secs());
        run(&mut bench);
    }
    let _ = fs::remove_dir_all(&bench.directory);
    bench.report.seconds = begin.elapsed().as_secs();
    let json = serde_json::to_string_pretty(&bench.report).expect("plain data");
    fs::write(out.join("bench.json"), json + "\n").expect("room for the report");
    report::print(&bench.report);
    println!("\n{} s; {} and pictures", bench.report.seconds, out.join("bench.json").display());
}
