//! Where a backup goes, as those see it who fill it.

use flashstrike_wal::format::SegmentHeader;
use flashstrike_wal::storage::File;

use crate::failure::{Failure, Outcome};

use super::report::Report;

/// Bytes that are copied at a time: they are still in the processor's cache when they are written.
const PIECE: usize = 128 * 1024;

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

/// Calls `put` with the first `size` bytes of a file of the log, piece by piece, and their offsets,
/// and `tell` with how many those were.
pub fn for_each_piece(
    name: &str,
    from: &dyn File,
    size: u64,
    tell: &mut dyn FnMut(u64),
    mut put: impl FnMut(u64, &[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < size {
        let wanted = (size - offset).min(PIECE as u64) as usize;
        let read = from.read_at(&mut piece[..wanted], offset)?;
        if read == 0 {
            return Err(Failure::wrong(format!("{name}: was cut while it was copied"))
                .next("somebody changes the log's files: find who"));
        }
        put(offset, &piece[..read])?;
        offset += read as u64;
        tell(read as u64);
    }
    Ok(())
}
