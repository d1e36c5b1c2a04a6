//! Where a backup goes, as those see it who fill it.

use flashstrike_wal::format::SegmentHeader;
use flashstrike_wal::storage::File;

use crate::failure::{Failure, Outcome};

use super::report::Report;

/// Bytes that are copied at a time: they are still in the processor's cache when they are written.
pub const PIECE: usize = 128 * 1024;

/// A directory or a stream.
pub trait Target {
    /// Adds a file that is the same as this one, and tells how many bytes were copied.
    fn copy(&mut self, name: &str, from: &dyn File, tell: &mut dyn FnMut(u64)) -> Outcome<()>;

    /// Adds a file of these bytes, and zeros up to `size`.
    fn write(&mut self, name: &str, parts: [&[u8]; 2], size: u64) -> Outcome<()>;

    /// Keeps the segments of an earlier backup that are older than all of the log's.
    fn keep_older(&mut self, _oldest: u32, _report: &mut Report) -> Outcome<()> {
        Ok(())
    }

    /// Keeps a segment of an earlier backup, if that is the same. `false` when there is none.
    fn keep(&mut self, _header: &SegmentHeader) -> Outcome<bool> {
        Ok(false)
    }

    /// The id of the earlier backup that this one replaces.
    fn id(&self) -> Option<u128> {
        None
    }
}

/// A file of the log was cut while it was copied.
pub fn was_cut(name: &str) -> Failure {
    Failure::wrong(format!("{name}: was cut while it was copied"))
        .next("somebody changes the log's files: find who")
}
