//! Worker: compresses expired hot segments. A cold file replaces the hot one only after it was
//! synced, renamed, read back and compared with it.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::cold_frame::{digest_of, Compressor, Digest};
use crate::format::{file_name, Layout, SegmentHeader, BLOCK_SIZE, SEGMENT_HEADER_SIZE};
use crate::segment::{as_io, closed, Cursor, Site, Step as Walk};
use crate::storage::{create_temporary, move_aside, Directory, File, Open, Pages};

use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::{Frozen, Outcome};
use crate::recorder::threads::Step;

/// Blocks of a hot file that are read at a time, 64 KiB.
const BLOCKS_PER_READ: usize = 4;
/// Bytes of a cold file that are written and read back at a time.
const PIECE: usize = 64 * 1024;
/// Bytes of a hot file between two pauses: LZ4 compresses them in about half a millisecond.
const HOT_BYTES_PER_PAUSE: u64 = 256 * 1024;
/// Just long enough to give the processor to others. Yielding instead costs a thread of low
/// priority its whole turn, and compression came to a standstill on a busy machine.
const PAUSE: Duration = Duration::from_micros(1);
/// Time until a push to a full ring is tried again.
const FULL_RING_WAIT: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct SegmentFreezer {
    log: Arc<Log>,
    /// A result for which the ring to the maintainer had no room.
    frozen: Option<Frozen>,
}

impl Worker for SegmentFreezer {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        // Whoever takes the results has ended before. What is left is hot, or both: the next open
        // goes on from there.
        if stopping {
            return Ok(Step::Done);
        }
        if !self.report() {
            return Ok(Step::RestFor(FULL_RING_WAIT));
        }
        let Some(index) = self.log.queues.to_freeze.pop() else { return Ok(Step::Rest) };
        debug_assert!(self.frozen.is_none());
        let outcome = freeze_one(&self.log, index);
        self.frozen = Some(Frozen { index, outcome });
        Ok(Step::Busy)
    }
}

impl SegmentFreezer {
    pub fn new(log: Arc<Log>) -> Self {
        SegmentFreezer { log, frozen: None }
    }

    /// Hands the last result to the maintainer. Returns whether there was room for it.
    fn report(&mut self) -> bool {
        if let Some(frozen) = self.frozen.take() {
            self.frozen = self.log.queues.to_free.push(frozen).err();
        }
        self.frozen.is_none()
    }
}

/// Whatever comes out but [`Outcome::Done`], the hot file stays as it is.
fn freeze_one(log: &Log, index: u32) -> Outcome {
    let frozen = log.counters().compression.of(|| freeze(log, index));
    let error = match frozen {
        Ok((bytes_in, bytes_out)) => {
            log.counters().compression_bytes_in.add(bytes_in);
            log.counters().compression_bytes_out.add(bytes_out);
            log.notices.compression(index, None);
            return Outcome::Done;
        }
        Err(error) => error,
    };
    let is_given_up = log.signals.freezer.is_stopping();
    let _ = log.wal.remove(&file_name::temporary(&file_name::cold(index)));
    match error.cause() {
        Some(Cause::NotFound) => Outcome::Missing,
        Some(Cause::Corrupt) => {
            log.config.log.error(&format!("it is not compressed, and stays as it is: {error}"));
            Outcome::Damaged
        }
        _ if is_given_up => Outcome::Failed,
        _ => {
            log.counters().compression_failures.add(1);
            log.notices.compression(index, Some(&error));
            Outcome::Failed
        }
    }
}

/// Makes the cold file of a closed hot segment and proves that it holds the same. Returns the bytes
/// before and after.
fn freeze(log: &Log, index: u32) -> Result<(u64, u64)> {
    let wal = &*log.wal;
    let hot = Hot::open(wal, index)?;
    let size = hot.size;
    let cold_name = file_name::cold(index);
    let temporary = file_name::temporary(&cold_name);
    let file = create_temporary(wal, &temporary)?;
    let (digest, packed) = compress(log, hot, ColdWriter::new(Arc::clone(&file))?, &temporary)?;
    file.sync()?;
    if wal.status_of(&cold_name)?.is_some() {
        let aside = move_aside(wal, &cold_name)?;
        log.config.log.warn(&format!("{cold_name} was not made by this log: it is {aside} now"));
    }
    wal.rename(&temporary, &cold_name)?;
    log.sync_names()?;
    let same = is_frozen(log, index, digest);
    if !matches!(same, Ok(true)) {
        // Left there it would be taken for somebody else's at the next try.
        wal.remove(&cold_name)?;
        same?;
        let message = format!("{cold_name}: reads back different from what was compressed");
        return Err(Error::new(Cause::Io, message));
    }
    debug_assert!(packed > 0, "even an empty frame has a header");
    Ok((size, packed))
}

/// Compresses a hot segment, of which each block is checked before it goes in: its checksum, its
/// chain and its ids. What a cold file replaces must be known to be whole, or damage would be kept
/// for good. Returns the digest of what went in, and the size of the frame.
fn compress(log: &Log, mut hot: Hot, to: ColdWriter, name: &str) -> Result<(Digest, u64)> {
    let failed = |error: io::Error| at(&*log.wal, name, &error);
    let mut frame = Compressor::new(hot.size, to).map_err(failed)?;
    frame.write_all(&hot.header).map_err(failed)?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while hot.cursor.step(0, &mut events)? == Walk::Block {
        events.clear();
        frame.write_all(hot.cursor.block_bytes()).map_err(failed)?;
        bytes += BLOCK_SIZE as u64;
        if bytes % HOT_BYTES_PER_PAUSE < BLOCK_SIZE as u64 {
            pause(log)?;
        }
    }
    let (digest, to) = frame.finish().map_err(failed)?;
    Ok((digest, to.finish()?))
}

/// Whether the cold file of a segment, read back, has exactly this content.
fn is_frozen(log: &Log, index: u32, digest: Digest) -> Result<bool> {
    let wal = &*log.wal;
    let name = file_name::cold(index);
    let Some(cold) = wal.open(&name, Open::Read)? else { return Ok(false) };
    match digest_of(ColdReader::new(log, cold)?) {
        Ok(back) => Ok(back == digest),
        // An error that is not the system's is the decoder's: the file is not a whole frame.
        Err(error) if is_decoders(&error) => Ok(false),
        Err(error) => Err(at(wal, &name, &error)),
    }
}

/// A closed hot segment that is about to be read.
struct Hot {
    /// The bytes of the file's header.
    header: [u8; SEGMENT_HEADER_SIZE],
    /// How many bytes of the file are in use.
    size: u64,
    /// Stands before the first block.
    cursor: Cursor,
}

impl Hot {
    fn open(wal: &dyn Directory, index: u32) -> Result<Self> {
        let name = file_name::hot(index);
        let path = wal.path_of(&name).display().to_string();
        let failed = |cause, what: &str| Error::new(cause, format!("{path}: {what}"));
        let file = wal.open(&name, Open::Read)?;
        let file = file.ok_or_else(|| failed(Cause::NotFound, "the file is gone"))?;
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let read = file.read_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes).filter(|_| read == bytes.len());
        let header = closed(header, index).ok_or_else(|| {
            failed(Cause::Corrupt, "the header is not that of a closed segment of this index")
        })?;
        let site = Site { index, name: path };
        let cursor = Cursor::hot_direct(site, file, header, BLOCKS_PER_READ)?;
        let size = Layout { blocks: header.block_count }.file_size();
        Ok(Hot { header: bytes, size, cursor })
    }
}

/// Writes a cold file piece by piece past the page cache, so that no sync has much to write and the
/// persister never waits long.
struct ColdWriter {
    file: Arc<dyn File>,
    piece: Pages,
    filled: usize,
    /// Where in the file the piece begins.
    offset: u64,
}

impl ColdWriter {
    fn new(file: Arc<dyn File>) -> Result<Self> {
        Ok(ColdWriter { file, piece: Pages::new(PIECE)?, filled: 0, offset: 0 })
    }

    /// Writes what is left. Returns the size of the file.
    fn finish(self) -> Result<u64> {
        self.file.write_at(&self.piece[..self.filled], self.offset)?;
        Ok(self.offset + self.filled as u64)
    }
}

impl Write for ColdWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.filled);
        self.piece[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == PIECE {
            let written = self.file.write_pages(&self.piece, 0..PIECE, self.offset);
            written.map_err(|error| as_io(&error))?;
            self.offset += PIECE as u64;
            self.filled = 0;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a cold file piece by piece, with pauses. At a shutdown it fails.
struct ColdReader<'a> {
    log: &'a Log,
    file: Arc<dyn File>,
    piece: Pages,
    /// What of the piece was not given out yet.
    left: Range<usize>,
    /// Where in the file the next piece begins.
    offset: u64,
}

impl<'a> ColdReader<'a> {
    fn new(log: &'a Log, file: Arc<dyn File>) -> Result<Self> {
        Ok(ColdReader { log, file, piece: Pages::new(PIECE)?, left: 0..0, offset: 0 })
    }

    fn next_piece(&mut self) -> Result<()> {
        pause(self.log)?;
        let read = self.file.read_pages(&mut self.piece, PIECE, self.offset)?;
        self.offset += read as u64;
        self.left = 0..read;
        Ok(())
    }
}

impl Read for ColdReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_at_end = self.offset % PIECE as u64 != 0;
        if self.left.is_empty() && !is_at_end {
            self.next_piece().map_err(|error| as_io(&error))?;
        }
        let read = self.left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.piece[self.left.start..][..read]);
        self.left.start += read;
        Ok(read)
    }
}

/// Otherwise a persister that the disk has just woken waits up to 3 ms for the scheduler to stop
/// us. No pauses while more segments wait: the disk would fill up. At a shutdown it fails, and so
/// does the compression.
fn pause(log: &Log) -> Result<()> {
    if log.signals.freezer.is_stopping() {
        return Err(Error::new(Cause::Io, "left to the next open: the log is being shut down"));
    }
    Ok(())
}

fn is_decoders(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

fn at(wal: &dyn Directory, name: &str, error: &io::Error) -> Error {
    Error::io(format_args!("{}", wal.path_of(name).display()), error)
}
