//! Worker: compresses expired hot segments. A cold file replaces the hot one only after it was
//! synced, renamed, read back, and found to hold what was compressed.
//!
//! The hot file is read once. Each block is checked while it is in memory, and from there goes into
//! the frame and into a digest of all that went in. The cold file proves itself by that: what comes
//! out of it, read back and decompressed, must have the same length and the same XXH64. Two
//! contents that differ have that by one chance in 2^64; and the frame has checksums of its own.
//!
//! # Several at once
//!
//! A log has several freezers, two for each processor they may use: one computes while the other
//! waits for the disk. They take segments from one ring: the first whenever there is one, the
//! others when so many wait that it falls behind. So an older segment may be done after a newer
//! one. No order is lost by that, because none is relied on:
//!
//! - Each has the files of its own segment to itself. The maintainer hands out no segment that a
//!   freezer has, and touches none.
//! - A cold segment behind a hot one was always possible: a segment that could not be compressed is
//!   tried again later, while newer ones go on. So retention deletes nothing behind the oldest hot
//!   segment, and recovery and readers take each index in the file it is in.
//! - Names are synced before the maintainer hears of a cold file, and before it removes a hot one.
//!   Which of two cold files a power cut leaves does not matter: the hot file of the other one is
//!   still there.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::cold_frame::{digest_of, Compressor, Digest};
use crate::format::{file_name, Layout, SegmentHeader, BLOCK_SIZE, SEGMENT_HEADER_SIZE};
use crate::segment::{closed, Cursor, DamageKind, Site, Step as Walk};
use crate::storage::{create_temporary, move_aside, Directory, Open, PieceWriter};

use super::cold_file::{check_stop, ColdReader};
use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::{Frozen, Outcome};
use crate::recorder::threads::{Signal, Step};

/// Bytes that are read or written at a time. The persister's write waits for one such request.
const PIECE: usize = 64 * 1024;
/// The same while more segments wait: the disk takes more of larger ones.
const LARGE_PIECE: usize = 256 * 1024;
/// Time until a push to a full ring is tried again.
const FULL_RING_WAIT: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct SegmentFreezer {
    log: Arc<Log>,
    /// It takes a segment only when more than so many wait: 0 for the first freezer of a log.
    may_wait: usize,
    /// Its own: says when it is to stop.
    signal: Arc<Signal>,
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
        let to_freeze = &self.log.queues.to_freeze;
        // Every push raises all, so whoever rests here looks again when more of them wait.
        if to_freeze.len() <= self.may_wait {
            return Ok(Step::Rest);
        }
        let Some(index) = to_freeze.pop() else { return Ok(Step::Rest) };
        debug_assert!(self.frozen.is_none());
        let outcome = freeze_one(&self.log, index, &self.signal);
        self.frozen = Some(Frozen { index, outcome });
        Ok(Step::Busy)
    }
}

impl SegmentFreezer {
    /// The freezer with this number, counted from 0.
    pub fn new(log: Arc<Log>, signal: Arc<Signal>, nth: u8) -> Self {
        SegmentFreezer { log, may_wait: usize::from(nth), signal, frozen: None }
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
fn freeze_one(log: &Log, index: u32, stop: &Signal) -> Outcome {
    let counters = log.counters();
    let frozen = counters
        .freezers
        .compression
        .and(&counters.histograms.compression, || freeze(log, index, stop));
    let error = match frozen {
        Ok((bytes_in, bytes_out)) => {
            log.counters().freezers.compression_bytes_in.add(bytes_in);
            log.counters().freezers.compression_bytes_out.add(bytes_out);
            log.notices.compression(index, None);
            return Outcome::Done;
        }
        Err(error) => error,
    };
    let is_given_up = stop.is_stopping();
    let _ = log.wal.remove(&file_name::temporary(&file_name::cold(index)));
    match error.cause() {
        Some(Cause::NotFound) => Outcome::Missing,
        Some(Cause::Corrupt) => {
            log.config.log.error(&format!("it is not compressed, and stays as it is: {error}"));
            Outcome::Damaged(DamageKind::of(&error).unwrap_or(DamageKind::SegmentHeader))
        }
        _ if is_given_up => Outcome::Failed,
        _ => {
            log.counters().freezers.compression_failures.add(1);
            log.notices.compression(index, Some(&error));
            Outcome::Failed
        }
    }
}

/// Makes the cold file of a closed hot segment and proves that it holds the same. Returns the bytes
/// before and after.
fn freeze(log: &Log, index: u32, stop: &Signal) -> Result<(u64, u64)> {
    let wal = &*log.wal;
    let piece = if log.queues.to_freeze.is_empty() { PIECE } else { LARGE_PIECE };
    let hot = HotSegment::open(wal, index, piece)?;
    let size = hot.size;
    let cold_name = file_name::cold(index);
    let temporary = file_name::temporary(&cold_name);
    let to = PieceWriter::new(create_temporary(wal, &temporary)?, piece);
    let named = |error: io::Error| at(wal, &temporary, &error);
    let (digest, packed) = hot.compress(to, stop, named)?;
    if wal.status_of(&cold_name)?.is_some() {
        let aside = move_aside(wal, &cold_name)?;
        log.config.log.warn(&format!("{cold_name} was not made by this log: it is {aside} now"));
    }
    wal.rename(&temporary, &cold_name)?;
    log.sync_names()?;
    let same = holds(wal, &cold_name, digest, piece, stop);
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

/// Whether a cold file, read back, holds a content of this digest.
fn holds(
    wal: &dyn Directory,
    name: &str,
    digest: Digest,
    piece: usize,
    stop: &Signal,
) -> Result<bool> {
    let Some(file) = wal.open(name, Open::Read)? else { return Ok(false) };
    match digest_of(ColdReader::new(file, piece, stop)) {
        Ok(back) => Ok(back == digest),
        // An error that is not the system's is the decoder's: the file is not a whole frame.
        Err(error) if error.raw_os_error().is_none() => check_stop(stop).map(|()| false),
        Err(error) => Err(at(wal, name, &error)),
    }
}

/// A closed hot segment that is about to be read.
struct HotSegment {
    /// The header as it stands in the file.
    header: [u8; SEGMENT_HEADER_SIZE],
    /// How many bytes of the file are in use.
    size: u64,
    /// Stands before the first block.
    cursor: Cursor,
}

impl HotSegment {
    fn open(wal: &dyn Directory, index: u32, piece: usize) -> Result<Self> {
        let name = wal.path_of(&file_name::hot(index)).display().to_string();
        let failed = |cause, what: &str| Error::new(cause, format!("{name}: {what}"));
        let file = wal.open(&file_name::hot(index), Open::Read)?;
        let file = file.ok_or_else(|| failed(Cause::NotFound, "the file is gone"))?;
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let read = file.read_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes).filter(|_| read == bytes.len());
        let header = closed(header, index).ok_or_else(|| {
            failed(Cause::Corrupt, "the header is not that of a closed segment of this index")
        })?;
        let size = Layout { blocks: header.block_count }.file_size();
        let cursor =
            Cursor::hot_direct(Site { index, name }, file, header, piece.div_ceil(BLOCK_SIZE))?;
        Ok(HotSegment { header: bytes, size, cursor })
    }

    /// Compresses all of it, and checks each block before it goes in: its checksum, its chain and
    /// its ids. What a cold file replaces must be known to be whole, or damage would be kept for
    /// good. Returns the digest of what went in, and the size of the synced file. `named` makes
    /// errors of the cold file.
    fn compress(
        mut self,
        to: PieceWriter,
        stop: &Signal,
        named: impl Fn(io::Error) -> Error,
    ) -> Result<(Digest, u64)> {
        let mut frame = Compressor::new(self.size, to).map_err(&named)?;
        frame.write_all(&self.header).map_err(&named)?;
        while self.cursor.step(0)? == Walk::Block {
            frame.write_all(self.cursor.block_bytes()).map_err(&named)?;
            check_stop(stop)?;
        }
        let (digest, to) = frame.finish().map_err(&named)?;
        Ok((digest, to.finish()?))
    }
}

fn at(wal: &dyn Directory, name: &str, error: &io::Error) -> Error {
    Error::io(format_args!("{}", wal.path_of(name).display()), error)
}
