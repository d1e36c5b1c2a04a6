//! New files that are written front to back, piece by piece, past the page cache: cold segments and
//! snapshots.
//!
//! The persister writes to the same disk without a pause, and what is in front of its write it
//! waits for. So nothing here asks the disk for much at a time, and nothing is left in the page
//! cache that a sync would have to write in one go.

use std::io::{self, Write};
use std::sync::Arc;

use super::pages::Pages;
use super::traits::File;
use crate::error::{Error, Result};

/// Writes a new file front to back.
pub struct PieceWriter {
    file: Arc<dyn File>,
    piece: Pages,
    filled: usize,
    /// Where in the file the piece begins.
    offset: u64,
}

impl PieceWriter {
    /// A writer at the beginning of an empty file, of so many bytes at a time.
    pub fn new(file: Arc<dyn File>, piece: usize) -> Self {
        PieceWriter { file, piece: Pages::new(piece), filled: 0, offset: 0 }
    }

    /// Writes what is left and syncs the file. Returns its size.
    pub fn finish(self) -> Result<u64> {
        self.finish_with(&[])
    }

    /// The same, after the first bytes of the file were replaced by `begin`.
    pub fn finish_with(self, begin: &[u8]) -> Result<u64> {
        self.file.write_at(&self.piece[..self.filled], self.offset)?;
        if !begin.is_empty() {
            self.file.write_at(begin, 0)?;
        }
        self.file.sync()?;
        Ok(self.offset + self.filled as u64)
    }
}

impl Write for PieceWriter {
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

/// A storage error as one of the standard library: with its number, so that a full disk is still
/// known as one; without a number, wrapped, so that it is not taken for the decoder's.
pub fn as_io(error: &Error) -> io::Error {
    match error.errno() {
        0 => io::Error::other(error.clone()),
        errno => io::Error::from_raw_os_error(errno),
    }
}
