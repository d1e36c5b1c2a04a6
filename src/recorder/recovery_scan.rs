//! Recovery, first half: looks at everything and changes nothing.
//!
//! Only the end of the log is read: segments from the newest closed one on. What lies before was
//! durable before the first block of a later segment was sealed, and is `verify`'s business.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::directory::{
    durable_stamp, for_each_block, load_identity, load_meta, open_active, read_header,
    scan_segment, Identity, Inventory,
};
use crate::error::{Cause, Error, Place, Result};
use crate::format::file_name;
use crate::format::{IdentityRecord, Layout, LogEnd, MetaState, Rule, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::{Directory, File, Open, Storage};

use super::recovery::{self, EndFound, Ending, IdentityFound, Origin};
use super::segment_maintainer::cold_header;

/// A segment at the end of the log.
#[derive(Debug)]
pub struct TailSegment {
    /// The number in its name.
    pub index: u32,
    /// Its disk file.
    pub disk: Arc<dyn File>,
    /// Its room.
    pub layout: Layout,
    /// Its header, if that is valid.
    pub header: Option<SegmentHeader>,
    /// Its file in the active directory, if the log was left by a crash of the process.
    pub active: Option<Arc<dyn File>>,
    /// The events of it that belong to the log.
    pub end: LogEnd,
    /// How many of them the disk file proves by itself.
    pub on_disk: u32,
    /// Slots behind the end of the log that hold events.
    pub beyond: u32,
}

impl TailSegment {
    /// Whether its header says that it is closed with just these events.
    pub fn is_closed(&self) -> bool {
        self.header.is_some_and(|h| h.is_closed() && h.event_count == self.end.event_count)
    }

    fn is_full(&self) -> bool {
        self.end.event_count == self.layout.capacity()
    }
}

/// Everything recovery decides by.
#[derive(Debug)]
pub struct Survey {
    /// Files of the WAL directory.
    pub inventory: Inventory,
    /// The identity, where there is a whole one.
    pub identity: Option<IdentityRecord>,
    /// Row of the first half of the table.
    pub origin: Origin,
    /// Row of the second half.
    pub ending: Ending,
    /// What `wal_meta.dat` says, if it can be trusted.
    pub meta: Option<MetaState>,
    /// D.
    pub durable_event_id: u64,
    /// Last event of the log.
    pub last_event_id: u64,
    /// Events behind it.
    pub events_beyond: u64,
    /// Segments at the end of the log, by index.
    pub tail: Vec<TailSegment>,
    /// The active directory of the crashed process.
    pub active: Option<Arc<dyn Directory>>,
    /// What else was noticed.
    pub notes: Vec<String>,
    /// Where the break is, for a refusal.
    pub place: Place,
}

/// Looks at a directory.
pub fn survey(storage: &dyn Storage, wal: &dyn Directory) -> Result<Survey> {
    let inventory = Inventory::of(wal)?;
    let mut notes = Vec::new();
    let (found, identity, active) = find_identity(storage, wal, &mut notes)?;
    let origin = recovery::origin(found, !inventory.is_empty());
    let mut tail = open_tail(wal, &inventory)?;
    let meta = find_meta(wal, &mut notes)?;
    let durable_event_id = find_durable(meta, &tail)?;
    let mut found = EndFound { durable_event_id, ..EndFound::default() };
    let mut active_files = match (&active, origin) {
        (Some(directory), Origin::ProcessCrash) => open_active_files(&**directory)?,
        _ => BTreeMap::new(),
    };
    let floor = floor_before(wal, &inventory, &tail, durable_event_id, &mut notes)?;
    let crashed = origin == Origin::ProcessCrash;
    let mut place = walk(&mut tail, &mut active_files, floor, crashed, &mut found)?;
    // What is left are active files that no disk file goes with.
    for (&index, file) in &active_files {
        let after_tail = tail.last().is_none_or(|last| index > last.index);
        let events = scan_segment(&**file, Rule::Memory, found.last_event_id)?.event_count;
        if after_tail && events > 0 {
            found.missing_segment = true;
            place.segment_index = Some(index);
        }
    }
    if let Some(index) = first_gap(&inventory, &tail) {
        found.missing_segment = true;
        place = Place { segment_index: Some(index), ..Place::default() };
    }
    let ending = recovery::ending(found);
    if found.last_event_id < found.durable_event_id {
        place.event_ids = Some((found.last_event_id + 1, found.durable_event_id));
    }
    Ok(Survey {
        inventory,
        identity,
        origin,
        ending,
        meta,
        durable_event_id,
        last_event_id: found.last_event_id,
        events_beyond: found.events_beyond,
        tail,
        active,
        notes,
        place,
    })
}

type FoundIdentity = (IdentityFound, Option<IdentityRecord>, Option<Arc<dyn Directory>>);

fn find_identity(
    storage: &dyn Storage,
    wal: &dyn Directory,
    notes: &mut Vec<String>,
) -> Result<FoundIdentity> {
    let record = match load_identity(wal)? {
        Identity::Missing => {
            notes.push("wal_identity is missing".into());
            return Ok((IdentityFound::Missing, None, None));
        }
        Identity::Unreadable => {
            notes.push("wal_identity is not readable".into());
            return Ok((IdentityFound::Unreadable, None, None));
        }
        Identity::Known(record) => record,
    };
    let here = wal.status()?;
    if (record.wal_dev, record.wal_ino) != (here.dev, here.ino) {
        return Ok((IdentityFound::OtherDirectory, Some(record), None));
    }
    if record.clean {
        return Ok((IdentityFound::Clean, Some(record), None));
    }
    if record.boot_id != storage.boot_id()? {
        return Ok((IdentityFound::OtherBoot, Some(record), None));
    }
    let active = open_active(storage, &record, here.uid)?;
    let found = IdentityFound::SameBoot { active_found: active.is_some() };
    Ok((found, Some(record), active))
}

/// Opens the hot segments from the newest closed one on, and reads their headers.
fn open_tail(wal: &dyn Directory, inventory: &Inventory) -> Result<Vec<TailSegment>> {
    let mut tail = Vec::new();
    for &index in inventory.hot.iter().rev() {
        let Some(disk) = wal.open(&file_name::hot(index), Open::Write)? else { continue };
        let header = read_header(&*disk)?;
        let closed = header.is_some_and(|h| h.is_closed() && h.segment_index == index);
        let layout = Layout::of_file(disk.size()?);
        let end = LogEnd::default();
        tail.push(TailSegment {
            index,
            disk,
            layout,
            header,
            active: None,
            end,
            on_disk: 0,
            beyond: 0,
        });
        if closed {
            break;
        }
    }
    tail.reverse();
    Ok(tail)
}

fn find_meta(wal: &dyn Directory, notes: &mut Vec<String>) -> Result<Option<MetaState>> {
    let found = load_meta(wal)?;
    match found {
        None => notes.push("wal_meta.dat is missing".into()),
        Some(None) => notes.push("wal_meta.dat is not readable".into()),
        Some(Some(_)) => {}
    }
    Ok(found.flatten())
}

/// D: what meta and the stamps of valid block headers know to be durable.
fn find_durable(meta: Option<MetaState>, tail: &[TailSegment]) -> Result<u64> {
    let mut durable = meta.map_or(0, |state| state.last_event_id);
    for segment in tail {
        durable = durable.max(durable_stamp(&*segment.disk)?);
    }
    Ok(durable)
}

/// The active files, each under the index in its name. One whose header states another index holds
/// nothing that can be trusted, and then neither can the directory. A header that is not valid
/// states nothing: events decide.
fn open_active_files(active: &dyn Directory) -> Result<BTreeMap<u32, Arc<dyn File>>> {
    let mut files = BTreeMap::new();
    for index in Inventory::of(active)?.hot {
        let name = file_name::hot(index);
        let Some(file) = active.open(&name, Open::Read)? else { continue };
        if read_header(&*file)?.is_some_and(|header| header.segment_index != index) {
            let path = active.path_of(&name);
            let message = format!("{}: the header is not that of segment {index}", path.display());
            let place = Place { segment_index: Some(index), offset: Some(0), event_ids: None };
            return Err(Error::new(Cause::Corrupt, message).at(place));
        }
        files.insert(index, file);
    }
    Ok(files)
}

/// The last event id before the tail: events of the tail must be above it.
fn floor_before(
    wal: &dyn Directory,
    inventory: &Inventory,
    tail: &[TailSegment],
    durable_event_id: u64,
    notes: &mut Vec<String>,
) -> Result<u64> {
    if let Some(header) = tail.first().and_then(|first| first.header) {
        if header.is_closed() && header.first_event_id > 0 {
            return Ok(header.first_event_id - 1);
        }
    }
    let is_before = |index: &&u32| tail.first().is_none_or(|first| **index < first.index);
    let Some(&index) = inventory.cold.iter().rev().find(is_before) else { return Ok(0) };
    if let Some(header) = cold_header(wal, index)? {
        return Ok(header.last_event_id);
    }
    notes.push(format!("{} cannot be read", file_name::cold(index)));
    // With nothing behind it, the log ends where it is known to have ended.
    Ok(if tail.is_empty() { durable_event_id } else { 0 })
}

/// Follows the log through the tail. Returns where it ends.
fn walk(
    tail: &mut [TailSegment],
    active_files: &mut BTreeMap<u32, Arc<dyn File>>,
    floor: u64,
    crashed: bool,
    found: &mut EndFound,
) -> Result<Place> {
    found.last_event_id = floor;
    let mut place = Place::default();
    let mut ended = false;
    for segment in tail {
        segment.active = active_files.remove(&segment.index);
        if ended {
            segment.beyond = count_beyond(segment, found.last_event_id)?;
            // In memory nothing can follow the end: the writer fills segments one by one.
            found.contradiction |= segment.active.is_some() && segment.beyond > 0;
        } else {
            accept(segment, found)?;
            segment.beyond = segment.end.events_beyond;
            let offset = Layout::event_offset(segment.end.event_count);
            place =
                Place { segment_index: Some(segment.index), offset: Some(offset), event_ids: None };
            let closed = segment.is_closed() && segment.beyond == 0;
            ended = !(segment.is_full() || closed);
            // A segment has its active file before its disk file, and until it is full and durable.
            found.active_missing |= ended && crashed && segment.active.is_none();
        }
        found.events_beyond += u64::from(segment.beyond);
    }
    Ok(place)
}

/// Decides which events of a segment belong to the log: by the disk, or by memory if there is.
fn accept(segment: &mut TailSegment, found: &mut EndFound) -> Result<()> {
    let floor = found.last_event_id;
    let rule = Rule::Disk { durable_id: found.durable_event_id };
    let disk = scan_segment(&*segment.disk, rule, floor)?;
    segment.on_disk = disk.event_count;
    segment.end = disk;
    if let Some(active) = &segment.active {
        segment.end = scan_segment(&**active, Rule::Memory, floor)?;
        let agree = segment.layout == Layout::of_file(active.size()?)
            && disk.event_count <= segment.end.event_count
            && same_events(&*segment.disk, &**active, disk.event_count)?;
        found.contradiction |= !agree || segment.end.events_beyond > 0;
    }
    let named_right = segment.header.is_none_or(|header| header.segment_index == segment.index);
    found.misnamed |= !named_right && segment.end.event_count > 0;
    found.last_event_id = segment.end.last_event_id;
    Ok(())
}

/// Events of a segment behind the end of the log.
fn count_beyond(segment: &TailSegment, last_event_id: u64) -> Result<u32> {
    let file = segment.active.as_ref().unwrap_or(&segment.disk);
    let end = scan_segment(&**file, Rule::Memory, last_event_id)?;
    Ok(end.event_count + end.events_beyond)
}

/// Whether two files have the same first `count` events.
fn same_events(a: &dyn File, b: &dyn File, count: u32) -> Result<bool> {
    let mut same = true;
    let mut left = count as usize;
    for_each_block(a, 0, |block, ours| {
        let len = left.min(EVENTS_PER_BLOCK) * EVENT_SIZE;
        let mut theirs = vec![0; len];
        let at = Layout::block_offset(block) + BLOCK_HEADER_SIZE as u64;
        let read = b.read_at(&mut theirs, at)?;
        same = read == len && theirs == ours[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + len];
        left -= len / EVENT_SIZE;
        Ok(same && left > 0)
    })?;
    Ok(same)
}

/// The first index that is missing between segments that hold events.
fn first_gap(inventory: &Inventory, tail: &[TailSegment]) -> Option<u32> {
    let in_use = |index: &u32| {
        let segment = tail.iter().find(|segment| segment.index == *index);
        segment.is_none_or(|segment| segment.end.event_count > 0)
    };
    let indexes: Vec<u32> = inventory.indexes().into_iter().filter(in_use).collect();
    indexes.windows(2).find(|pair| pair[1] - pair[0] > 1).map(|pair| pair[0] + 1)
}

/// The path of the active directory the identity names, for messages.
pub fn active_path(survey: &Survey) -> &Path {
    Path::new(survey.identity.as_ref().map_or("", |identity| &identity.active_path))
}
