//! Worker: compresses expired hot segments. A cold file replaces the hot one only after it was
//! synced, renamed, read back and compared with it.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::{cold_frame, file_name, Layout, SegmentHeader, BLOCK_SIZE};
use crate::segment::{as_io, closed, read_header, Cursor, FileStream, Site, Step as Walk};
use crate::storage::{create_temporary, move_aside, Directory, File, Open};

use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::{Frozen, Outcome};
use crate::recorder::threads::Step;

/// Bytes of a cold file between two syncs. A thread of low priority waits for the processor after
/// each; with more of them it hardly gets on when the machine is busy.
const COLD_BYTES_PER_SYNC: u64 = 512 * 1024;
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

/// Reads all of a closed hot segment, and checks its checksums, its chain and its ids: what a cold
/// file replaces must be known to be whole, or damage would be kept for good.
fn verify(log: &Log, index: u32) -> Result<()> {
    let wal = &*log.wal;
    let (file, header, _) = open_hot(wal, index)?;
    let site = Site { index, name: wal.path_of(&file_name::hot(index)).display().to_string() };
    let mut cursor = Cursor::hot(site, file, header, 0, true)?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while cursor.step(0, &mut events)? == Walk::Block {
        events.clear();
        bytes += BLOCK_SIZE as u64;
        if bytes % HOT_BYTES_PER_PAUSE < BLOCK_SIZE as u64 {
            pause(log)?;
        }
    }
    Ok(())
}

/// Makes the cold file of a closed hot segment and compares it with that. Returns the bytes before
/// and after.
fn freeze(log: &Log, index: u32) -> Result<(u64, u64)> {
    let wal = &*log.wal;
    verify(log, index)?;
    let (hot, _, size) = open_hot(wal, index)?;
    let cold_name = file_name::cold(index);
    let temporary = file_name::temporary(&cold_name);
    let file = create_temporary(wal, &temporary)?;
    let stream = FileStream::new(Arc::clone(&file));
    let mut out = SyncedWriter { file: Arc::clone(&file), stream, synced: 0 };
    cold_frame::compress(&mut PausingReader::new(log, hot), size, &mut out)
        .map_err(|error| at(wal, &temporary, &error))?;
    file.sync()?;
    if wal.status_of(&cold_name)?.is_some() {
        let aside = move_aside(wal, &cold_name)?;
        log.config.log.warn(&format!("{cold_name} was not made by this log: it is {aside} now"));
    }
    wal.rename(&temporary, &cold_name)?;
    log.sync_names()?;
    let same = is_frozen(log, index);
    if !matches!(same, Ok(true)) {
        // Left there it would be taken for somebody else's at the next try.
        wal.remove(&cold_name)?;
        same?;
        let message = format!("{cold_name}: reads back different from what was compressed");
        return Err(Error::new(Cause::Io, message));
    }
    debug_assert!(out.stream.offset() > 0, "even an empty frame has a header");
    Ok((size, out.stream.offset()))
}

/// Whether the cold file of a hot segment has exactly its content.
fn is_frozen(log: &Log, index: u32) -> Result<bool> {
    let wal = &*log.wal;
    let (hot, _, size) = open_hot(wal, index)?;
    let Some(cold) = wal.open(&file_name::cold(index), Open::Read)? else { return Ok(false) };
    let mut hot = Read::take(PausingReader::new(log, hot), size);
    match cold_frame::holds(FileStream::new(cold), &mut hot) {
        Ok(same) => Ok(same),
        // An error that is not the system's is the decoder's: the file is not a whole frame.
        Err(error) if error.raw_os_error().is_none() => Ok(false),
        Err(error) => Err(at(wal, &file_name::cold(index), &error)),
    }
}

/// Opens a closed hot segment. Returns also its header, and how many bytes of it are in use.
fn open_hot(wal: &dyn Directory, index: u32) -> Result<(Arc<dyn File>, SegmentHeader, u64)> {
    let name = file_name::hot(index);
    let failed =
        |cause, what: &str| Error::new(cause, format!("{}: {what}", wal.path_of(&name).display()));
    let file = wal.open(&name, Open::Read)?;
    let file = file.ok_or_else(|| failed(Cause::NotFound, "the file is gone"))?;
    let header = closed(read_header(&*file)?, index).ok_or_else(|| {
        failed(Cause::Corrupt, "the header is not that of a closed segment of this index")
    })?;
    Ok((file, header, Layout { blocks: header.block_count }.file_size()))
}

/// Writes a cold file and syncs it every 512 KiB, so that the persister never waits for all of it.
struct SyncedWriter {
    file: Arc<dyn File>,
    stream: FileStream,
    synced: u64,
}

impl Write for SyncedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        debug_assert!(self.synced <= self.stream.offset());
        if self.stream.offset() - self.synced >= COLD_BYTES_PER_SYNC {
            self.file.sync().map_err(|error| as_io(&error))?;
            self.synced = self.stream.offset();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a hot file with pauses: otherwise a persister that the disk has just woken waits up to
/// 3 ms for the scheduler to stop us. No pauses while more segments wait: the disk would fill up.
/// At a shutdown the reading fails, and so does the compression.
struct PausingReader<'a> {
    log: &'a Log,
    stream: FileStream,
    /// Bytes read at the last pause.
    paused: u64,
}

impl<'a> PausingReader<'a> {
    fn new(log: &'a Log, file: Arc<dyn File>) -> Self {
        PausingReader { log, stream: FileStream::new(file), paused: 0 }
    }
}

impl Read for PausingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stream.offset() - self.paused >= HOT_BYTES_PER_PAUSE {
            pause(self.log).map_err(|error| as_io(&error))?;
            self.paused = self.stream.offset();
        }
        self.stream.read(buffer)
    }
}

fn pause(log: &Log) -> Result<()> {
    if log.signals.freezer.is_stopping() {
        return Err(Error::new(Cause::Io, "left to the next open: the log is being shut down"));
    }
    if log.queues.to_freeze.is_empty() {
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn at(wal: &dyn Directory, name: &str, error: &io::Error) -> Error {
    Error::io(format_args!("{}", wal.path_of(name).display()), error)
}
