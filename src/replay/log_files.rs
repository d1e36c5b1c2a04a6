//! Which file holds a segment right now. The writer closes, recycles and freezes segments while
//! readers look for them, so every look is checked with the lock held, and repeated when it came
//! too late.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::directory::{
    begins_among, durable_stamp, load_identity, load_meta, open_active, read_header,
    ActiveDirectory, FileStream, Identity, Inventory,
};
use crate::error::{Cause, Error, Place, Result};
use crate::format::{
    cold_frame, file_name, Layout, RequestEvent, SegmentHeader, SEGMENT_HEADER_SIZE,
};
use crate::storage::{Directory, File, Links, Open, Storage};

use super::damage::Damage;
use super::open_segment::{ActiveSegment, DiskSegment};
use super::salvage::SalvagedSegment;
use super::sealed_segment::{Blocks, SealedSegment};
use super::{Site, Step};

/// Looks at files in motion, before they are given up on: what the writer does to one takes it a
/// few syncs at most.
const TRIES: u32 = 200;
const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The events of a segment, and what was seen when it was opened.
pub struct Segment {
    /// Its number.
    pub index: u32,
    pub(super) kind: Kind,
    pub(super) seen: Seen,
}

pub(super) enum Kind {
    Sealed(SealedSegment),
    Disk(DiskSegment),
    Active(ActiveSegment),
    Salvaged(Box<SalvagedSegment>),
}

/// As long as this is how things are, a segment is read from where it was found.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) header: Option<(Arc<dyn File>, Option<SegmentHeader>)>,
    pub(super) identity: Option<Identity>,
}

pub(super) enum Look {
    Found(Box<Segment>),
    Nowhere,
    Moving,
}

impl Segment {
    /// Reads the next block and adds its events from the id `from` on.
    pub fn step(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Result<Step> {
        match &mut self.kind {
            Kind::Sealed(segment) => segment.step(from, events),
            Kind::Disk(segment) => segment.step(from, events),
            Kind::Active(segment) => Ok(segment.step(from, events)),
            Kind::Salvaged(segment) => Ok(segment.step(from, events)),
        }
    }

    /// What stands in the first slot; 0 = no events.
    pub fn first_event_id(&self) -> Result<u64> {
        match &self.kind {
            Kind::Sealed(segment) => Ok(segment.first_event_id()),
            Kind::Disk(segment) => segment.first_event_id(),
            Kind::Active(segment) => Ok(segment.first_event_id()),
            Kind::Salvaged(segment) => Ok(segment.first_event_id()),
        }
    }

    /// The last event read, or the last one before the segment.
    pub fn last_event_id(&self) -> u64 {
        match &self.kind {
            Kind::Sealed(segment) => segment.last_event_id(),
            Kind::Disk(segment) => segment.last_event_id(),
            Kind::Active(segment) => segment.last_event_id(),
            Kind::Salvaged(segment) => segment.last_event_id(),
        }
    }

    /// Whether the segment was closed when it was opened.
    pub fn is_sealed(&self) -> bool {
        match &self.kind {
            Kind::Sealed(_) => true,
            Kind::Salvaged(segment) => segment.is_sealed(),
            Kind::Disk(_) | Kind::Active(_) => false,
        }
    }

    /// Whether the log may yet go on in it: it is closed, hot and not full.
    pub fn has_room(&self) -> Result<bool> {
        match &self.kind {
            Kind::Sealed(segment) => segment.has_room(),
            Kind::Salvaged(segment) => Ok(segment.has_room()),
            Kind::Disk(_) | Kind::Active(_) => Ok(false),
        }
    }

    /// Whether something is wrong with it, as far as that was seen when it was opened.
    pub fn is_damaged(&self) -> bool {
        matches!(&self.kind, Kind::Salvaged(segment) if segment.is_damaged())
    }

    /// Whether [`Segment::take_damage`] has something.
    pub fn has_damage_to_tell(&self) -> bool {
        matches!(&self.kind, Kind::Salvaged(segment) if segment.has_damage_to_tell())
    }

    /// What was found to be wrong with the segment and is not told yet.
    pub fn take_damage(&mut self) -> Option<Damage> {
        match &mut self.kind {
            Kind::Salvaged(segment) => segment.take_damage(),
            _ => None,
        }
    }

    /// Whether it is open, and read from its disk file.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.kind, Kind::Disk(_))
    }

    /// Whether events appended later can be read from here, without opening the segment anew.
    pub fn is_live(&self) -> bool {
        matches!(self.kind, Kind::Active(_))
    }
}

/// A log's files as a reader sees them.
#[derive(Debug)]
pub struct LogFiles {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) wal: Arc<dyn Directory>,
    how: How,
}

/// How segments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As far as they are right.
    Checked,
    /// The same, without looking at the checksums of events.
    Unverified,
    /// Around whatever is wrong.
    Salvage,
}

impl LogFiles {
    /// Opens a WAL directory for reading.
    pub fn open(storage: Arc<dyn Storage>, path: &Path, how: How) -> Result<Self> {
        let wal = storage.open_directory(path, Links::Follow)?.ok_or_else(|| {
            let message = format!("{}: there is no such directory", path.display());
            Error::new(Cause::NotFound, message)
        })?;
        Ok(LogFiles { storage, wal, how })
    }

    /// Indexes of the segments there are, rising.
    pub fn indexes(&self) -> Result<Vec<u32>> {
        Ok(Inventory::of(&*self.wal)?.indexes().into_iter().collect())
    }

    /// The path of a hot segment, for messages.
    pub fn path_of(&self, index: u32) -> PathBuf {
        self.wal.path_of(&file_name::hot(index))
    }

    /// The highest id that meta says is durable; 0 = nothing known.
    pub fn durable_id(&self) -> Result<u64> {
        Ok(load_meta(&*self.wal)?.flatten().map_or(0, |state| state.last_event_id))
    }

    /// Opens a segment whose events must be above `floor`; `None` when it is nowhere.
    pub fn open_segment(&self, index: u32, floor: u64) -> Result<Option<Box<Segment>>> {
        for _ in 0..TRIES {
            let look = match self.how {
                How::Salvage => self.look_salvaging(index, floor)?,
                How::Checked | How::Unverified => self.look(index, floor)?,
            };
            match look {
                Look::Found(segment) => return Ok(Some(segment)),
                Look::Nowhere => return Ok(None),
                Look::Moving => self.pause(),
            }
        }
        let path = self.path_of(index);
        let message = format!("{}: another process holds it locked", path.display());
        Err(Error::new(Cause::Locked, message).at(place(index)))
    }

    /// Gives the writer time to finish what it is doing to a file.
    pub fn pause(&self) {
        std::thread::sleep(RETRY_INTERVAL);
    }

    /// Whether everything is as it was when the segment was opened.
    pub fn is_as_seen(&self, segment: &Segment) -> Result<bool> {
        if let Some((file, header)) = &segment.seen.header {
            if read_header(&**file)? != *header {
                return Ok(false);
            }
        }
        match &segment.seen.identity {
            Some(identity) => Ok(load_identity(&*self.wal)? == *identity),
            None => Ok(true),
        }
    }

    fn verifies(&self) -> bool {
        self.how == How::Checked
    }

    fn look(&self, index: u32, floor: u64) -> Result<Look> {
        let name = file_name::hot(index);
        let Some(file) = self.wal.open(&name, Open::Read)? else {
            if let Some(segment) = self.open_cold(index, floor)? {
                return Ok(Look::Found(segment));
            }
            let nowhere = self.wal.open(&name, Open::Read)?.is_none();
            return Ok(if nowhere { Look::Nowhere } else { Look::Moving });
        };
        if !is_held(&*self.wal, &name, &*file)? {
            return Ok(Look::Moving);
        }
        let header = read_header(&*file)?;
        let site = Site { index, name: self.path_of(index).display().to_string() };
        match header {
            Some(header) if header.segment_index != index => {
                let what = format!("the header is that of segment {}", header.segment_index);
                Err(site.damaged(0, (header.first_event_id, header.last_event_id), &what))
            }
            Some(closed) if closed.is_closed() => {
                let blocks = Blocks::File(Arc::clone(&file));
                let sealed = SealedSegment::new(site, blocks, closed, floor, self.verifies())?;
                let seen = Seen { header: Some((file, header)), identity: None };
                Ok(Look::Found(Box::new(Segment { index, kind: Kind::Sealed(sealed), seen })))
            }
            _ => self.look_at_open(site, file, header, floor),
        }
    }

    /// A segment that counts nothing: in memory, if its log is in this boot's, else on disk.
    fn look_at_open(
        &self,
        site: Site,
        file: Arc<dyn File>,
        header: Option<SegmentHeader>,
        floor: u64,
    ) -> Result<Look> {
        let index = site.index;
        let identity = load_identity(&*self.wal)?;
        if let Some(active) = self.find_active(&identity, index)? {
            let kind = Kind::Active(ActiveSegment::new(active, floor)?);
            let seen = Seen { header: None, identity: Some(identity) };
            return Ok(Look::Found(Box::new(Segment { index, kind, seen })));
        }
        let durable_id = self.durable_id_from(index)?;
        let closed_later = index.checked_add(1).map_or(Ok(false), |next| self.is_closed(next))?;
        // Closed, or opened again by another process, while we looked elsewhere?
        if read_header(&*file)? != header || load_identity(&*self.wal)? != identity {
            return Ok(Look::Moving);
        }
        if closed_later {
            // Segments are closed in their order.
            let what = "the header is not that of a closed segment, though the next one is closed";
            return Err(site.damaged(0, (0, 0), what));
        }
        let disk = DiskSegment::new(site, Arc::clone(&file), durable_id, floor)?;
        let seen = Seen { header: Some((file, header)), identity: Some(identity) };
        Ok(Look::Found(Box::new(Segment { index, kind: Kind::Disk(disk), seen })))
    }

    /// The segment's file in the active directory, locked, if there is one that counts.
    pub(super) fn find_active(
        &self,
        identity: &Identity,
        index: u32,
    ) -> Result<Option<Arc<dyn File>>> {
        let Identity::Known(identity) = identity else { return Ok(None) };
        let here = self.wal.status()?;
        let same_place = (identity.wal_dev, identity.wal_ino) == (here.dev, here.ino);
        if identity.clean || !same_place || identity.boot_id != self.storage.boot_id()? {
            return Ok(None);
        }
        let ActiveDirectory::Ours(directory) = open_active(&*self.storage, identity, &here)? else {
            return Ok(None);
        };
        let name = file_name::hot(index);
        let Some(file) = directory.open(&name, Open::Read)? else { return Ok(None) };
        let held = is_held(&*directory, &name, &*file)?;
        let right = read_header(&*file)?.is_some_and(|header| header.segment_index == index);
        Ok((held && right).then_some(file))
    }

    fn open_cold(&self, index: u32, floor: u64) -> Result<Option<Box<Segment>>> {
        let name = file_name::cold(index);
        let Some(file) = self.wal.open(&name, Open::Read)? else { return Ok(None) };
        let site = Site { index, name: self.wal.path_of(&name).display().to_string() };
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let mut stream = cold_frame::decompress(FileStream::new(file))
            .map_err(|error| site.frame_error(0, (0, 0), &error))?;
        let read = cold_frame::read_full(&mut stream, &mut bytes)
            .map_err(|error| site.frame_error(0, (0, 0), &error))?;
        let header = SegmentHeader::decode(&bytes).filter(|_| read == bytes.len());
        let Some(header) = header.filter(SegmentHeader::is_closed) else {
            return Err(site.damaged(0, (0, 0), "the header is not that of a closed segment"));
        };
        if header.segment_index != index {
            let what = format!("the header is that of segment {}", header.segment_index);
            return Err(site.damaged(0, (header.first_event_id, header.last_event_id), &what));
        }
        let blocks = Blocks::Stream(Box::new(stream));
        let sealed = SealedSegment::new(site, blocks, header, floor, self.verifies())?;
        let seen = Seen::default();
        Ok(Some(Box::new(Segment { index, kind: Kind::Sealed(sealed), seen })))
    }

    /// Whether a segment is cold, or hot and closed.
    pub(super) fn is_closed(&self, index: u32) -> Result<bool> {
        match self.wal.open(&file_name::hot(index), Open::Read)? {
            Some(file) => Ok(read_header(&*file)?.is_some_and(|header| header.is_closed())),
            None => Ok(self.wal.open(&file_name::cold(index), Open::Read)?.is_some()),
        }
    }

    /// The error, when the log ends with the event `end` in an open segment whose events are above
    /// `floor`, and a later one begins between them: then the last block is another one's.
    pub(super) fn overlap(&self, index: u32, floor: u64, end: u64) -> Result<Option<Error>> {
        for &later in Inventory::of(&*self.wal)?.hot.range(index..).skip(1) {
            let Some(file) = self.wal.open(&file_name::hot(later), Open::Read)? else { continue };
            let header = read_header(&*file)?;
            if let Some(first) = begins_among(&*file, header, later, (floor, end))? {
                let site = Site { index: later, name: self.path_of(later).display().to_string() };
                let what =
                    format!("begins with event {first}, though segment {index} ends with {end}");
                return Ok(Some(site.damaged(Layout::event_offset(0), (first, end), &what)));
            }
        }
        Ok(None)
    }

    /// What is known durable, from meta and from the stamps of this and later segments.
    pub(super) fn durable_id_from(&self, index: u32) -> Result<u64> {
        let mut durable = self.durable_id()?;
        for later in Inventory::of(&*self.wal)?.hot.range(index..) {
            if let Some(file) = self.wal.open(&file_name::hot(*later), Open::Read)? {
                durable = durable.max(durable_stamp(&*file)?);
            }
        }
        Ok(durable)
    }
}

/// Takes the shared lock, and looks whether the name still stands for the file.
pub(super) fn is_held(directory: &dyn Directory, name: &str, file: &dyn File) -> Result<bool> {
    if !file.try_lock_shared()? {
        return Ok(false);
    }
    match directory.open(name, Open::Read)? {
        Some(now) => Ok(now.inode()? == file.inode()?),
        None => Ok(false),
    }
}

fn place(index: u32) -> Place {
    Place { segment_index: Some(index), ..Place::default() }
}
