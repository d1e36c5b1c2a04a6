//! `bench`: what a disk and a machine give a log. `disk`, `machine` and `log` measure, `interrupts`
//! finds who is interrupted, `advice` says what it means, `show` says it to people.

mod advice;
mod disk;
mod interrupts;
mod log;
mod machine;
mod scratch;
mod show;
mod times;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flashstrike_wal::config::DEFAULT_ACTIVE_PARENT;
use flashstrike_wal::directory::{
    check_filesystem, filesystem_name, is_memory, load_identity, Identity, Inventory,
};
use flashstrike_wal::storage::{Links, PosixStorage, Storage};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::directory::open;
use crate::failure::{Failure, Outcome, Verdict};
use crate::output::Output;

use advice::{Grade, Reason, Setting};
use interrupts::{Device, Served};
use log::Logs;
use machine::{Host, Memory, ProcessorTime, Processors};
use scratch::{Interrupt, Scratch};
use times::{Percentiles, Times};

/// Is this disk, and this machine, good for a log? Which settings fit them?
///
/// Measures how long a sync takes, what appends take, how many events become durable in a second,
/// and what the host takes back; finds the processor that the disk interrupts; and names the fields
/// of fs_wal_config to set. DIR is an existing directory on that disk, without a log: some hundred
/// megabytes are written there and removed again. It loads the disk and the processors: not beside
/// an engine that is at work.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A directory on the disk, without a log: the one that the log's directory is to be in
    dir: PathBuf,
    /// How long it may measure, about
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How many events a second the engine appends
    #[arg(long, value_name = "EVENTS", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// The engine's active_dir, if it is not /dev/shm
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ACTIVE_PARENT)]
    active_dir: PathBuf,
}

/// What was seen.
#[derive(Debug, Default)]
struct Measured {
    dir: String,
    filesystem: &'static str,
    in_memory: bool,
    device: Option<String>,
    served: Served,
    /// How many this process may use, and the one that is for the engine's thread.
    processors: usize,
    engine: usize,
    sync: Percentiles,
    /// One event after a rest, until it is durable.
    woken: Percentiles,
    /// The rate that was wanted, and that which was had.
    rate: u64,
    paced: f64,
    append: Percentiles,
    /// What looking at the clock takes, which is in each append.
    clock_ns: u64,
    /// Events a second made durable.
    sustained: f64,
    host: Host,
    /// To make a segment ready; the longest that the disk stopped.
    prepare_ns: u64,
    longest_stall_ns: u64,
    active_dir_free: u64,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    dir: &'a str,
    verdict: Grade,
    reasons: &'a [Reason],
    settings: &'a [Setting],
    filesystem: &'a str,
    device: Option<&'a str>,
    /// The processor that the disk interrupts, if it is always the same one.
    interrupt_processor: Option<usize>,
    processors: usize,
    sync: Percentiles,
    woken: Percentiles,
    rate: f64,
    append: Percentiles,
    clock_ns: u64,
    durable_events_per_second: f64,
    host: Host,
    longest_stall_ns: u64,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    refuse(&arguments.dir)?;
    let interrupt = Interrupt::watch()?;
    let measured = measure(arguments, &interrupt);
    // By now all that it made is gone.
    interrupt.obey()?;
    let seen = measured?;
    let (reasons, settings) = (advice::reasons(&seen), advice::settings(&seen));
    let verdict = reasons.iter().map(|reason| reason.grade).max().unwrap_or(Grade::Good);
    if !output.is_json() {
        show::show(&seen, verdict, &reasons, &settings, output)?;
        return Ok(Verdict::Well);
    }
    output.object(&Report {
        dir: &seen.dir,
        verdict,
        reasons: &reasons,
        settings: &settings,
        filesystem: seen.filesystem,
        device: seen.device.as_deref(),
        interrupt_processor: match seen.served {
            Served::On(processor) => Some(processor),
            Served::ByWriter | Served::NotKnown => None,
        },
        processors: seen.processors,
        sync: seen.sync,
        woken: seen.woken,
        rate: seen.paced,
        append: seen.append,
        clock_ns: seen.clock_ns,
        durable_events_per_second: seen.sustained,
        host: seen.host,
        longest_stall_ns: seen.longest_stall_ns,
    })?;
    Ok(Verdict::Well)
}

/// Where a log may not be, nothing need be measured. In a log's own directory a bench would be in
/// its way, and leave foreign files there if it was killed.
fn refuse(dir: &Path) -> Outcome<()> {
    let wal = open(&PosixStorage::for_reading(), dir)?;
    check_filesystem(&*wal, false).map_err(|error| {
        Failure::usage(error.to_string()).next("name a directory on a local disk, ext4 or xfs")
    })?;
    if load_identity(&*wal)? == Identity::Missing && Inventory::of(&*wal)?.is_empty() {
        return Ok(());
    }
    let message = format!("{}: has a log; nothing is measured in it", dir.display());
    Err(Failure::usage(message).next("name another directory on the same disk, such as its parent"))
}

fn measure(arguments: &Arguments, interrupt: &Interrupt) -> Outcome<Measured> {
    let storage = PosixStorage::for_reading();
    let status = open(&storage, &arguments.dir)?.status()?;
    let active_dir_free = match storage.open_directory(&arguments.active_dir, Links::Follow)? {
        Some(directory) => directory.status()?.available,
        None => {
            let message = format!("{}: there is no such directory", arguments.active_dir.display());
            return Err(Failure::usage(message).next("name that of the engine with --active-dir"));
        }
    };
    let (device, processors) = (Device::of(&arguments.dir), Processors::allowed()?);
    let mut seen = Measured {
        dir: arguments.dir.display().to_string(),
        filesystem: filesystem_name(status.filesystem),
        in_memory: is_memory(status.filesystem),
        device: device.as_ref().map(|device| device.name.clone()),
        processors: processors.count(),
        rate: arguments.rate,
        clock_ns: clock_ns(),
        active_dir_free,
        ..Measured::default()
    };
    let scratch = Scratch::make(&arguments.dir)?;
    let share = |percent: u64| Duration::from_millis(arguments.seconds * percent * 10);
    let bar = ProgressBar::new_spinner();
    let begin = ProcessorTime::now();
    let mut memory = Memory::present();
    bar.set_message("times to sync");
    (seen.sync, seen.served) =
        disk::sync_times(scratch.path(), share(25), &processors, device.as_ref(), interrupt)?;
    seen.host.memory_taken_percent = memory.taken_percent();
    // From here on as an engine would: pinned first, so that the library's threads keep away.
    seen.engine = processors.for_engine(seen.served);
    machine::pin(seen.engine)?;
    bar.set_message("pauses");
    machine::find_pauses(share(15), interrupt, &mut seen.host)?;
    let logs = Logs { scratch: scratch.path(), active_dir: &arguments.active_dir, interrupt };
    bar.set_message("appends");
    measure_logs(&logs, share, &mut seen)?;
    bar.finish_and_clear();
    seen.host.steal_percent = ProcessorTime::now().steal_percent_since(begin);
    Ok(seen)
}

fn measure_logs(logs: &Logs, share: impl Fn(u64) -> Duration, seen: &mut Measured) -> Outcome<()> {
    seen.woken = logs.woken(share(10))?;
    let paced = logs.paced(share(25), seen.rate)?;
    (seen.append, seen.paced) = (paced.append, paced.rate);
    let (prepare, sync) = (paced.metrics.prepare, paced.metrics.sync);
    seen.prepare_ns = prepare.total_ns / prepare.count.max(1);
    seen.longest_stall_ns = seen.sync.max_ns.max(prepare.max_ns).max(sync.max_ns);
    seen.sustained = logs.sustained(share(25))?;
    Ok(())
}

/// The least time between two looks at the clock, half of the times.
fn clock_ns() -> u64 {
    let mut times = Times::new();
    for _ in 0..10_000 {
        times.add(Instant::now().elapsed());
    }
    times.percentiles().p50_ns
}
