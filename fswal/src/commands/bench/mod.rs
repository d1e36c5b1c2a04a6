//! `bench`: what a disk and a machine give a log. `measure` goes through it all: `disk`, `machine`
//! and `log` measure, `interrupts` finds who is interrupted. `advice` says what it means, `show`
//! says it to people.

mod advice;
mod disk;
mod interrupts;
mod log;
mod machine;
mod measure;
mod scratch;
mod show;
mod times;

use std::path::{Path, PathBuf};

use flashstrike_wal::config::DEFAULT_ACTIVE_PARENT;
use flashstrike_wal::directory::{check_filesystem, load_identity, Identity, Inventory};
use flashstrike_wal::storage::PosixStorage;
use serde::Serialize;

use crate::directory::open;
use crate::failure::{Failure, Outcome, Verdict};
use crate::output::Output;

use advice::{Grade, Reason, Setting};
use interrupts::Served;
use machine::Host;
use measure::measure;
use scratch::Interrupt;
use times::Percentiles;

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

#[derive(Debug, Serialize)]
struct Report<'a> {
    dir: &'a str,
    verdict: Grade,
    reasons: &'a [Reason],
    settings: &'a [Setting],
    filesystem: &'a str,
    note: Option<&'a str>,
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
    let Arguments { dir, seconds, rate, active_dir } = arguments;
    let measured = measure(dir, active_dir, *rate, *seconds, &interrupt);
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
        note: seen.note.as_deref(),
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
