//! Worker: compresses expired hot segments. A cold file replaces the hot one only after it was
//! synced, renamed, read back and compared with it.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::{cold_frame, file_name, Layout};
use crate::segment::{as_io, closed, read_header, FileStream};
use crate::storage::{create, Directory, File, Open};

use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::Frozen;
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
        let done = freeze_one(&self.log, index);
        self.frozen = Some(Frozen { index, done });
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

/// Returns whether the segment is cold now. After a failure the hot file stays, and the maintainer
/// asks again later.
fn freeze_one(log: &Log, index: u32) -> bool {
    match log.counters().compression.of(|| freeze(log, index)) {
        Ok((bytes_in, bytes_out)) => {
            log.counters().compression_bytes_in.add(bytes_in);
            log.counters().compression_bytes_out.add(bytes_out);
            log.notices.compression(index, None);
            true
        }
        Err(error) => {
            if !log.signals.freezer.is_stopping() {
                log.counters().compression_failures.add(1);
                log.notices.compression(index, Some(&error));
            }
            let _ = log.wal.remove(&file_name::temporary(&file_name::cold(index)));
            false
        }
    }
}

/// Makes the cold file of a closed hot segment and compares it with that. Returns the bytes before
/// and after.
fn freeze(log: &Log, index: u32) -> Result<(u64, u64)> {
    let wal = &*log.wal;
    let (hot, size) = open_hot(wal, index)?;
    let cold_name = file_name::cold(index);
    let temporary = file_name::temporary(&cold_name);
    wal.remove(&temporary)?;
    let file = create(wal, &temporary)?;
    let stream = FileStream::new(Arc::clone(&file));
    let mut out = SyncedWriter { file: Arc::clone(&file), stream, synced: 0 };
    cold_frame::compress(&mut PausingReader::new(log, hot), size, &mut out)
        .map_err(|error| at(wal, &temporary, &error))?;
    file.sync()?;
    wal.rename(&temporary, &cold_name)?;
    log.sync_names()?;
    if !is_frozen(log, index)? {
        wal.remove(&cold_name)?;
        let message = format!("{cold_name}: reads back different from what was compressed");
        return Err(Error::new(Cause::Io, message));
    }
    debug_assert!(out.stream.offset() > 0, "even an empty frame has a header");
    Ok((size, out.stream.offset()))
}

/// Whether the cold file of a hot segment has exactly its content.
fn is_frozen(log: &Log, index: u32) -> Result<bool> {
    let wal = &*log.wal;
    let (hot, size) = open_hot(wal, index)?;
    let Some(cold) = wal.open(&file_name::cold(index), Open::Read)? else { return Ok(false) };
    let mut hot = Read::take(PausingReader::new(log, hot), size);
    match cold_frame::holds(FileStream::new(cold), &mut hot) {
        Ok(same) => Ok(same),
        // An error that is not the system's is the decoder's: the file is not a whole frame.
        Err(error) if error.raw_os_error().is_none() => Ok(false),
        Err(error) => Err(at(wal, &file_name::cold(index), &error)),
    }
}

/// Opens a closed hot segment. Returns also how many bytes of it are in use.
fn open_hot(wal: &dyn Directory, index: u32) -> Result<(Arc<dyn File>, u64)> {
    let name = file_name::hot(index);
    let damaged = |what: &str| {
        Error::new(Cause::Corrupt, format!("{}: {what}", wal.path_of(&name).display()))
    };
    let file = wal.open(&name, Open::Read)?.ok_or_else(|| damaged("the file is gone"))?;
    let header = closed(read_header(&*file)?, index)
        .ok_or_else(|| damaged("the header is not that of a closed segment of this index"))?;
    Ok((file, Layout { blocks: header.block_count }.file_size()))
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
            if self.log.signals.freezer.is_stopping() {
                return Err(io::Error::other("left to the next open: the log is being shut down"));
            }
            if self.log.queues.to_freeze.is_empty() {
                std::thread::sleep(PAUSE);
            }
            self.paused = self.stream.offset();
        }
        self.stream.read(buffer)
    }
}

fn at(wal: &dyn Directory, name: &str, error: &io::Error) -> Error {
    Error::io(format_args!("{}", wal.path_of(name).display()), error)
}
