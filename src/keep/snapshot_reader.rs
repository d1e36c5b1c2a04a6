//! Finds the newest snapshot that is good, and reads it. Every byte of it is checked before it is
//! chosen: an engine must not find out in the middle that its state is damaged.

use std::io::{self, Read};
use std::sync::Arc;

use crate::directory::Inventory;
use crate::error::{Cause, Error, Result};
use crate::format::cold_frame::{decompress, digest_of};
use crate::format::{file_name, SnapshotHeader, SNAPSHOT_HEADER_SIZE};
use crate::storage::{as_io, Directory, File, Open};

use super::snapshot::{check_belongs, check_following};
use super::wal_directory::WalDirectory;

/// What a snapshot says of itself, and what was passed over for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The state is that after this event.
    pub event_id: u64,
    /// When it was begun: wall clock, nanoseconds since 1970.
    pub created_ns: u64,
    /// Bytes of the state.
    pub size: u64,
    /// Newer snapshots that are not good, and were passed over.
    pub passed_over: u32,
}

/// A snapshot that is being read.
pub struct SnapshotReader {
    info: SnapshotInfo,
    content: Box<dyn Read + Send>,
    left: u64,
    name: String,
}

impl SnapshotReader {
    /// Opens the newest good snapshot at or below `at_most` (0 = the newest). Gives with it why the
    /// newest of those that were passed over is not good.
    pub fn open(directory: &WalDirectory, at_most: u64) -> Result<(Self, Option<Error>)> {
        let mut passed_over: Option<Error> = None;
        let mut count = 0;
        for event_id in candidates(directory, at_most)? {
            match Self::examine(directory, event_id) {
                Ok(Some(mut reader)) => {
                    reader.info.passed_over = count;
                    return Ok((reader, passed_over));
                }
                // Expired since it was listed.
                Ok(None) => {}
                Err(error) if is_its_own(&error) => {
                    count += 1;
                    passed_over = passed_over.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(passed_over.unwrap_or_else(|| {
            let below = match at_most {
                0 => String::new(),
                at_most => format!(" at or below event {at_most}"),
            };
            let message = format!("{}: no snapshot{below}", directory.wal.path().display());
            Error::new(Cause::NotFound, message)
        }))
    }

    /// What it says of itself.
    pub fn info(&self) -> SnapshotInfo {
        self.info
    }

    /// Reads into the buffer until it is full or the state ends; at its end, [`Error::End`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.left == 0 {
            return Err(Error::End);
        }
        let mut read = 0;
        while read < buffer.len() && self.left > 0 {
            let n = self.content.read(&mut buffer[read..]).map_err(|e| damaged(&self.name, &e))?;
            if n == 0 || n as u64 > self.left {
                let message = format!("{}: changed while it was read", self.name);
                return Err(Error::new(Cause::Corrupt, message));
            }
            read += n;
            self.left -= n as u64;
        }
        Ok(read)
    }

    /// The snapshot of this event, if it is good; `None` when it is gone.
    fn examine(directory: &WalDirectory, event_id: u64) -> Result<Option<Self>> {
        let file_name = file_name::snapshot(event_id);
        let name = directory.path_of(&file_name).display().to_string();
        let Some(file) = directory.wal.open(&file_name, Open::Read)? else { return Ok(None) };
        let header = read_header(&*file, event_id, &name)?;
        check_belongs(&header, &directory.identity()?, &name)?;
        check_following(directory, event_id, &name)?;
        let content = |file: &Arc<dyn File>| FromFile {
            file: Arc::clone(file),
            offset: SNAPSHOT_HEADER_SIZE as u64,
        };
        let digest = digest_of(content(&file)).map_err(|error| damaged(&name, &error))?;
        if digest.size() != header.size {
            let (holds, size) = (digest.size(), header.size);
            let message = format!("{name}: holds {holds} bytes, its header says {size}");
            return Err(Error::new(Cause::Corrupt, message));
        }
        let frame = decompress(content(&file)).map_err(|error| damaged(&name, &error))?;
        let SnapshotHeader { created_ns, size, .. } = header;
        let info = SnapshotInfo { event_id, created_ns, size, passed_over: 0 };
        Ok(Some(SnapshotReader { info, content: Box::new(frame), left: size, name }))
    }
}

/// The snapshots that may be opened, the newest first.
fn candidates(directory: &WalDirectory, at_most: u64) -> Result<Vec<u64>> {
    let there = Inventory::of(&*directory.wal)?.snapshots;
    let highest = if at_most == 0 { u64::MAX } else { at_most };
    Ok(there.range(..=highest).rev().copied().collect())
}

/// The header of a snapshot's file, whose name must say the same.
pub(super) fn read_header(file: &dyn File, event_id: u64, name: &str) -> Result<SnapshotHeader> {
    let mut bytes = [0; SNAPSHOT_HEADER_SIZE];
    let read = file.read_at(&mut bytes, 0)?;
    let header = SnapshotHeader::decode(&bytes).filter(|_| read == bytes.len());
    header.filter(|header| header.event_id == event_id).ok_or_else(|| {
        Error::new(Cause::Corrupt, format!("{name}: the header is not that of this snapshot"))
    })
}

/// The header of the snapshot of an event; `None` when it is gone.
pub(super) fn header_of(wal: &dyn Directory, event_id: u64) -> Result<Option<SnapshotHeader>> {
    let name = file_name::snapshot(event_id);
    let Some(file) = wal.open(&name, Open::Read)? else { return Ok(None) };
    read_header(&*file, event_id, &wal.path_of(&name).display().to_string()).map(Some)
}

/// Whether an error is that of one snapshot, and says nothing of others: it is not good, or the
/// disk cannot read it.
pub(super) fn is_its_own(error: &Error) -> bool {
    matches!(error.cause(), Some(Cause::Corrupt | Cause::Gap | Cause::Io))
}

fn damaged(name: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => Error::io(format_args!("read {name}"), error),
        // The decoder's.
        None => Error::new(Cause::Corrupt, format!("{name}: the state is damaged: {error}")),
    }
}

/// A file as a stream, from an offset on.
struct FromFile {
    file: Arc<dyn File>,
    offset: u64,
}

impl Read for FromFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset).map_err(|error| as_io(&error))?;
        self.offset += read as u64;
        Ok(read)
    }
}
