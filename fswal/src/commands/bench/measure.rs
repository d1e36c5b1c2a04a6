//! All of it, in its order: the disk by itself, the host, then the library, as an engine would use
//! it.

use std::path::Path;
use std::time::{Duration, Instant};

use flashstrike_wal::directory::{filesystem_name, filesystem_note, is_memory, Use};
use flashstrike_wal::storage::{Links, PosixStorage, Storage};
use indicatif::ProgressBar;

use crate::directory::open;
use crate::failure::{Failure, Outcome};

use super::disk::sync_times;
use super::interrupts::{Device, Served};
use super::log::Logs;
use super::machine::{find_pauses, pin, Host, Memory, ProcessorTime, Processors};
use super::scratch::{Interrupt, Scratch};
use super::times::{Percentiles, Times};

/// What was seen.
#[derive(Debug, Default)]
pub struct Measured {
    pub dir: String,
    pub filesystem: &'static str,
    pub in_memory: bool,
    /// What the library would note of the filesystem.
    pub note: Option<String>,
    pub device: Option<String>,
    pub served: Served,
    /// How many this process may use, and the one that is for the engine's thread.
    pub processors: usize,
    pub engine: usize,
    pub sync: Percentiles,
    /// One event after a rest, until it is durable.
    pub woken: Percentiles,
    /// The rate that was wanted, and that which was had.
    pub rate: u64,
    pub paced: f64,
    pub append: Percentiles,
    /// What looking at the clock takes, which is in each append.
    pub clock_ns: u64,
    /// Events a second made durable.
    pub sustained: f64,
    pub host: Host,
    /// To make a segment ready; the longest that the disk stopped.
    pub prepare_ns: u64,
    pub longest_stall_ns: u64,
    pub active_dir_free: u64,
}

/// What an engine of this rate would have here, in about so many seconds.
pub fn measure(
    dir: &Path,
    active_dir: &Path,
    rate: u64,
    seconds: u64,
    interrupt: &Interrupt,
) -> Outcome<Measured> {
    let storage = PosixStorage::for_reading();
    let directory = open(&storage, dir)?;
    let status = directory.status()?;
    let active_dir_free = match storage.open_directory(active_dir, Links::Follow)? {
        Some(directory) => directory.status()?.available,
        None => {
            let message = format!("{}: there is no such directory", active_dir.display());
            return Err(Failure::usage(message).next("name that of the engine with --active-dir"));
        }
    };
    let (device, processors) = (Device::of(dir), Processors::allowed()?);
    let mut seen = Measured {
        dir: dir.display().to_string(),
        filesystem: filesystem_name(status.filesystem),
        in_memory: is_memory(status.filesystem),
        note: filesystem_note(&*directory, Use::Wal)?,
        device: device.as_ref().map(|device| device.name.clone()),
        processors: processors.count(),
        rate,
        clock_ns: clock_ns(),
        active_dir_free,
        ..Measured::default()
    };
    let scratch = Scratch::make(dir)?;
    let share = |percent: u64| Duration::from_millis(seconds * percent * 10);
    let bar = ProgressBar::new_spinner();
    let begin = ProcessorTime::now();
    let mut memory = Memory::present();
    bar.set_message("times to sync");
    (seen.sync, seen.served) =
        sync_times(scratch.path(), share(25), &processors, device.as_ref(), interrupt)?;
    seen.host.memory_taken_percent = memory.taken_percent();
    // From here on as an engine would: pinned first, so that the library's threads keep away.
    seen.engine = processors.for_engine(seen.served);
    pin(seen.engine)?;
    bar.set_message("pauses");
    find_pauses(share(15), interrupt, &mut seen.host)?;
    let logs = Logs { scratch: scratch.path(), active_dir, interrupt };
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

/// The median time between two looks at the clock.
fn clock_ns() -> u64 {
    let mut times = Times::new();
    for _ in 0..10_000 {
        times.add(Instant::now().elapsed());
    }
    times.percentiles().p50_ns
}
