//! Which file holds a segment right now. The writer closes, recycles and freezes segments while
//! readers look for them, so every look is checked after the lock is held, and repeated when it
//! was too late.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::directory::{
    durable_stamp, load_identity, load_meta, open_active, open_cold, read_header, FileStream,
    Identity, Inventory,
};
use crate::error::{Cause, Error, Place, Result};
use crate::format::{cold_frame, file_name, RequestEvent, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENT_SIZE, SEGMENT_HEADER_SIZE};
use crate::storage::{Directory, File, Links, Open, Storage};

use super::segment_reader::{stream_error, ActiveReader, DiskReader, SealedReader, Step};

const TRIES: u32 = 100;
const RETRY_INTERVAL: Duration = Duration::from_millis(1);
const STREAM_BUFFER: usize = 256 * 1024;

/// A segment being read.
pub enum SegmentSource {
    /// Closed, hot or cold.
    Sealed(SealedReader),
    /// Open, and nobody is writing.
    Disk(DiskReader),
    /// Open, in memory.
    Active(ActiveReader),
}

impl SegmentSource {
    /// Adds the next events, which are all above `floor`.
    pub fn step(&mut self, floor: u64, events: &mut Vec<RequestEvent>) -> Result<Step> {
        match self {
            SegmentSource::Sealed(reader) => reader.step(floor, events),
            SegmentSource::Disk(reader) => reader.step(events),
            SegmentSource::Active(reader) => Ok(reader.step(floor, events)),
        }
    }

    /// Whether the reader must look for the segment anew before it asks again at the end.
    pub fn is_spent(&self) -> bool {
        match self {
            SegmentSource::Active(reader) => reader.is_abandoned(),
            SegmentSource::Sealed(_) | SegmentSource::Disk(_) => true,
        }
    }
}

/// A log as readers see it.
#[derive(Debug)]
pub struct LogFiles {
    storage: Arc<dyn Storage>,
    wal: Arc<dyn Directory>,
    verify: bool,
}

/// A file in the active directory, and that.
type ActiveFile = (Arc<dyn File>, Arc<dyn Directory>);

/// Where a segment was found.
enum Found {
    Hot(Arc<dyn File>, Option<SegmentHeader>),
    Active(Arc<dyn File>, Arc<dyn Directory>),
    Cold,
    Nowhere,
}

impl LogFiles {
    /// Opens a WAL directory for reading.
    pub fn open(storage: Arc<dyn Storage>, path: &Path, verify: bool) -> Result<Self> {
        let wal = storage.open_directory(path, Links::Follow)?.ok_or_else(|| {
            let message = format!("{}: there is no such directory", path.display());
            Error::new(Cause::NotFound, message)
        })?;
        Ok(LogFiles { storage, wal, verify })
    }

    /// The files there are.
    pub fn inventory(&self) -> Result<Inventory> {
        Inventory::of(&*self.wal)
    }

    /// The path of a segment, for messages.
    pub fn path_of(&self, index: u32) -> PathBuf {
        self.wal.path_of(&file_name::hot(index))
    }

    /// Opens a segment whose events must be above `floor`; `None` when it is nowhere.
    pub fn open_segment(&self, index: u32, floor: u64) -> Result<Option<SegmentSource>> {
        match self.find(index)? {
            Found::Nowhere => Ok(None),
            Found::Cold => self.sealed_cold(index),
            Found::Active(file, directory) => {
                Ok(Some(SegmentSource::Active(ActiveReader::new(file, directory)?)))
            }
            Found::Hot(file, Some(header)) if header.is_closed() => {
                let name = self.path_of(index).display().to_string();
                let mut stream = Box::new(BufReader::with_capacity(
                    STREAM_BUFFER,
                    FileStream::new(Arc::clone(&file)),
                ));
                skip_header(&mut stream, &name)?;
                let sealed = SealedReader::new(name, Some(file), stream, header, self.verify);
                Ok(Some(SegmentSource::Sealed(sealed)))
            }
            Found::Hot(file, _) => {
                let durable_id = self.durable_id(index)?;
                let reader = DiskReader::new(file, durable_id, floor)?;
                Ok(Some(SegmentSource::Disk(reader)))
            }
        }
    }

    /// The first event id of a segment; 0 when it has none, `None` when it is nowhere.
    pub fn first_event_id(&self, index: u32) -> Result<Option<u64>> {
        match self.find(index)? {
            Found::Nowhere => Ok(None),
            Found::Cold => Ok(self.cold_header(index)?.map(|(header, _)| header.first_event_id)),
            Found::Hot(file, Some(header)) if header.is_closed() => {
                drop(file);
                Ok(Some(header.first_event_id))
            }
            Found::Hot(file, _) | Found::Active(file, _) => {
                let mut bytes = [0; EVENT_SIZE];
                let at = SEGMENT_HEADER_SIZE + BLOCK_HEADER_SIZE;
                let read = file.read_at(&mut bytes, at as u64)?;
                let whole = read == EVENT_SIZE;
                Ok(Some(if whole { RequestEvent::decode(&bytes).event_id } else { 0 }))
            }
        }
    }

    /// Looks for a segment until what was found is still so with the lock held.
    fn find(&self, index: u32) -> Result<Found> {
        let name = file_name::hot(index);
        for _ in 0..TRIES {
            let Some(file) = self.wal.open(&name, Open::Read)? else {
                return match self.wal.open(&file_name::cold(index), Open::Read)? {
                    Some(_) => Ok(Found::Cold),
                    // Not there, unless it was frozen between the two looks.
                    None if self.wal.open(&name, Open::Read)?.is_none() => Ok(Found::Nowhere),
                    None => continue,
                };
            };
            if !is_held(&*self.wal, &name, &*file)? {
                std::thread::sleep(RETRY_INTERVAL);
                continue;
            }
            let header = read_header(&*file)?;
            if header.is_some_and(|header| header.is_closed()) {
                self.check_index(index, header)?;
                return Ok(Found::Hot(file, header));
            }
            if let Some((active, directory)) = self.find_active(index)? {
                return Ok(Found::Active(active, directory));
            }
            // Closed while we looked into the active directory?
            let again = read_header(&*file)?;
            if again == header {
                self.check_index(index, header)?;
                return Ok(Found::Hot(file, header));
            }
        }
        let message = format!("{}: is in use again and again", self.path_of(index).display());
        Err(Error::new(Cause::Io, message).at(place(index)))
    }

    fn check_index(&self, index: u32, header: Option<SegmentHeader>) -> Result<()> {
        match header {
            Some(header) if header.segment_index != index => {
                let path = self.path_of(index);
                let other = header.segment_index;
                let message = format!("{}: the header is segment {other}'s", path.display());
                Err(Error::new(Cause::Corrupt, message).at(place(index)))
            }
            _ => Ok(()),
        }
    }

    /// The segment's file in the active directory, locked, if there is one that counts.
    fn find_active(&self, index: u32) -> Result<Option<ActiveFile>> {
        let Identity::Known(identity) = load_identity(&*self.wal)? else { return Ok(None) };
        let here = self.wal.status()?;
        let same_place = (identity.wal_dev, identity.wal_ino) == (here.dev, here.ino);
        if identity.clean || !same_place || identity.boot_id != self.storage.boot_id()? {
            return Ok(None);
        }
        let Some(directory) = open_active(&*self.storage, &identity, here.uid)? else {
            return Ok(None);
        };
        let name = file_name::hot(index);
        let Some(file) = directory.open(&name, Open::Read)? else { return Ok(None) };
        let held = is_held(&*directory, &name, &*file)?;
        let right = read_header(&*file)?.is_some_and(|header| header.segment_index == index);
        Ok((held && right).then_some((file, directory)))
    }

    fn sealed_cold(&self, index: u32) -> Result<Option<SegmentSource>> {
        let Some((header, stream)) = self.cold_header(index)? else { return Ok(None) };
        let name = self.wal.path_of(&file_name::cold(index)).display().to_string();
        let sealed = SealedReader::new(name, None, stream, header, self.verify);
        Ok(Some(SegmentSource::Sealed(sealed)))
    }

    /// The header of a cold segment, and the stream behind it.
    fn cold_header(&self, index: u32) -> Result<Option<(SegmentHeader, Box<dyn Read + Send>)>> {
        let Some(mut stream) = open_cold(&*self.wal, index)? else { return Ok(None) };
        let name = self.wal.path_of(&file_name::cold(index)).display().to_string();
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let read = cold_frame::read_full(&mut stream, &mut bytes)
            .map_err(|error| stream_error(&name, &error).at(place(index)))?;
        let header = SegmentHeader::decode(&bytes)
            .filter(|header| read == bytes.len() && header.segment_index == index);
        match header {
            Some(header) => Ok(Some((header, Box::new(stream)))),
            None => {
                let message = format!("{name}: offset 0: the segment header is not valid");
                Err(Error::new(Cause::Corrupt, message).at(place(index)))
            }
        }
    }

    /// What is known durable, from meta and from the stamps of this and later open segments.
    fn durable_id(&self, index: u32) -> Result<u64> {
        let mut durable = load_meta(&*self.wal)?.flatten().map_or(0, |state| state.last_event_id);
        for &later in self.inventory()?.hot.range(index..) {
            if let Some(file) = self.wal.open(&file_name::hot(later), Open::Read)? {
                durable = durable.max(durable_stamp(&*file)?);
            }
        }
        Ok(durable)
    }
}

/// Takes the shared lock, and looks whether the name still stands for the file.
fn is_held(directory: &dyn Directory, name: &str, file: &dyn File) -> Result<bool> {
    if !file.try_lock_shared()? {
        return Ok(false);
    }
    match directory.open(name, Open::Read)? {
        Some(now) => Ok(now.inode()? == file.inode()?),
        None => Ok(false),
    }
}

fn skip_header(stream: &mut impl Read, name: &str) -> Result<()> {
    let mut bytes = [0; SEGMENT_HEADER_SIZE];
    cold_frame::read_full(stream, &mut bytes).map_err(|error| stream_error(name, &error))?;
    Ok(())
}

fn place(index: u32) -> Place {
    Place { segment_index: Some(index), ..Place::default() }
}
