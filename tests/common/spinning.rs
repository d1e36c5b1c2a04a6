//! A writer that never sleeps, for tests of the cost of an append.

use std::hint::spin_loop;
use std::path::Path;

use flashstrike_wal::config::{Backpressure, Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::recorder::{Manager, Writer};

use super::{event, open, small};

/// A log that never makes the writer sleep: when the disk is behind, the test spins.
pub fn open_spinning(log: &Path, memory: &Path) -> (Manager, Writer) {
    let config = Config {
        backpressure: Backpressure::FailFast,
        prepared_segments: 16,
        max_segments: Keep::AtMost(400),
        ..small(memory)
    };
    let opened = open(log, config);
    // Write everything back now, so that later writeback does not touch the active segments.
    rustix::fs::sync();
    opened
}

/// Appends `ids`, trying again while the disk is behind.
pub fn append_spinning(writer: &mut Writer, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        let event = event(id);
        loop {
            match writer.append(&event) {
                Ok(()) => break,
                Err(Error::WouldBlock) => spin_loop(),
                Err(_) => std::process::abort(),
            }
        }
    }
}
