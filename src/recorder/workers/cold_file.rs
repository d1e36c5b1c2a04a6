//! A cold file while it is made: written and read back piece by piece, past the page cache.
//!
//! The persister writes to the same disk without a pause, and what is in front of its write it
//! waits for. So nothing here asks the disk for much at a time, and nothing is left in the page
//! cache that a sync would have to write in one go.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::recorder::threads::Signal;
use crate::segment::as_io;
use crate::storage::{File, Pages};

/// Writes a new file front to back.
pub struct ColdWriter {
    file: Arc<dyn File>,
    piece: Pages,
    filled: usize,
    /// Where in the file the piece begins.
    offset: u64,
}

impl ColdWriter {
    /// A writer at the beginning of an empty file, of so many bytes at a time.
    pub fn new(file: Arc<dyn File>, piece: usize) -> Self {
        ColdWriter { file, piece: Pages::new(piece), filled: 0, offset: 0 }
    }

    /// Writes what is left and syncs the file. Returns its size.
    pub fn finish(self) -> Result<u64> {
        self.file.write_at(&self.piece[..self.filled], self.offset)?;
        self.file.sync()?;
        Ok(self.offset + self.filled as u64)
    }
}

impl Write for ColdWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.piece.len() - self.filled);
        self.piece[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == self.piece.len() {
            let written = self.file.write_pages(&self.piece, 0..self.filled, self.offset);
            written.map_err(|error| as_io(&error))?;
            self.offset += self.filled as u64;
            self.filled = 0;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
