//! Files that are read piece by piece, past the page cache, while a segment is frozen. The cold one
//! is written in the same way (`storage::PieceWriter`).

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::recorder::threads::Signal;
use crate::storage::{as_io, File, Pages};

/// Reads a file front to back, from the disk itself where the filesystem can. Fails once the
/// freezer is to stop.
pub struct ColdReader<'a> {
    file: Arc<dyn File>,
    stop: &'a Signal,
    piece: Pages,
    /// What of the piece was not given out yet.
    left: Range<usize>,
    /// Where in the file the next piece begins.
    offset: u64,
}

impl<'a> ColdReader<'a> {
    /// A reader at the beginning of a file, of so many bytes at a time.
    pub fn new(file: Arc<dyn File>, piece: usize, stop: &'a Signal) -> Self {
        ColdReader { file, stop, piece: Pages::new(piece), left: 0..0, offset: 0 }
    }

    fn next_piece(&mut self) -> Result<()> {
        check_stop(self.stop)?;
        let len = self.piece.len();
        let read = self.file.read_pages(&mut self.piece, len, self.offset)?;
        self.offset += read as u64;
        self.left = 0..read;
        Ok(())
    }
}

impl Read for ColdReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A piece that was not full was the last one.
        let is_last = self.offset % self.piece.len() as u64 != 0;
        if self.left.is_empty() && !is_last {
            self.next_piece().map_err(|error| as_io(&error))?;
        }
        let read = self.left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.piece[self.left.start..][..read]);
        self.left.start += read;
        Ok(read)
    }
}

/// Fails at a shutdown, and so does the compression.
pub fn check_stop(stop: &Signal) -> Result<()> {
    if stop.is_stopping() {
        return Err(Error::new(Cause::Io, "left to the next open: the log is being shut down"));
    }
    Ok(())
}
