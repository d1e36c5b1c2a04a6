//! The disk by itself: how long a small write takes until it is durable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

use super::interrupts::{Device, Served};
use super::machine::{pin, Processors};
use super::scratch::Interrupt;
use super::times::{Percentiles, Times};

const SMALL: usize = 4096;
const FILE_SIZE: usize = 16 << 20;

/// Overwrites 4 KiB and syncs, again and again, from the first processor and then from the last.
pub fn sync_times(
    scratch: &Path,
    time: Duration,
    processors: &Processors,
    device: Option<&Device>,
    interrupt: &Interrupt,
) -> Outcome<(Percentiles, Served)> {
    let path = scratch.join("disk");
    let failed = |error| {
        let message = format!("{}: {error}", path.display());
        Failure::unreadable(message).next("make room, or look at `dmesg`")
    };
    let file = written_file(&path).map_err(failed)?;
    let ends = processors.ends();
    let (mut times, mut seen, mut offset) = (Times::new(), Vec::new(), 0);
    for &processor in &ends {
        pin(processor)?;
        let counts = || device.map(Device::counts).unwrap_or_default();
        let (before, begin) = (counts(), Instant::now());
        while begin.elapsed() < time / ends.len() as u32 {
            interrupt.check()?;
            let start = Instant::now();
            let written = file.write_all_at(&[7; SMALL], offset as u64);
            written.and_then(|()| file.sync_data()).map_err(failed)?;
            times.add(start.elapsed());
            offset = (offset + SMALL) % FILE_SIZE;
        }
        seen.push((processor, before, counts()));
    }
    processors.unpin()?;
    Ok((times.percentiles(), Served::of(&seen)))
}

/// A file whose blocks are there, so that a sync of one that is written again needs no others.
fn written_file(path: &Path) -> std::io::Result<File> {
    let file = File::options().write(true).create_new(true).open(path)?;
    let piece = vec![1; 1 << 20];
    for offset in (0..FILE_SIZE).step_by(piece.len()) {
        file.write_all_at(&piece, offset as u64)?;
    }
    file.sync_all()?;
    Ok(file)
}
