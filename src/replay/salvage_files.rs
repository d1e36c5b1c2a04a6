//! Which file of a log that may be damaged holds a segment. What cannot be read or believed is no
//! reason not to look at the rest.

use std::sync::Arc;

use crate::directory::{load_identity, read_header, Identity};
use crate::error::Result;
use crate::format::{file_name, BlockHeader, Layout, SegmentHeader, MAX_EVENT_ID};
use crate::format::{BLOCK_HEADER_SIZE, SEGMENT_HEADER_SIZE};
use crate::storage::{File, Open};

use super::frame::FrameContent;
use super::log_files::{is_held, Kind, LogFiles, Look, Seen, Segment};
use super::open_segment::ActiveSegment;
use super::salvage::SalvagedSegment;
use super::Site;

impl LogFiles {
    /// Looks for a segment to be read around its damage. Of two files the hot one is taken, unless
    /// neither its header nor that of its first block is valid.
    pub(super) fn look_salvaging(&self, index: u32, floor: u64) -> Result<Look> {
        let name = file_name::hot(index);
        let hot = self.wal.open(&name, Open::Read)?;
        let cold = self.wal.open(&file_name::cold(index), Open::Read)?;
        let found = |kind, seen| Ok(Look::Found(Box::new(Segment { index, kind, seen })));
        let Some(file) = hot else {
            let Some(file) = cold else {
                let nowhere = self.wal.open(&name, Open::Read)?.is_none();
                return Ok(if nowhere { Look::Nowhere } else { Look::Moving });
            };
            let walk = self.salvage_cold(index, file, floor)?;
            return found(Kind::Salvaged(Box::new(walk)), Seen::default());
        };
        if !is_held(&*self.wal, &name, &*file)? {
            return Ok(Look::Moving);
        }
        let read = read_header(&*file);
        let header = read.as_ref().map_or(None, |header| *header);
        if let (None, Some(cold)) = (header, cold) {
            if self.first_event_of(index) == 0 {
                let walk = self.salvage_cold(index, cold, floor)?;
                return found(Kind::Salvaged(Box::new(walk)), Seen::default());
            }
        }
        let mut identity = None;
        if !header.is_some_and(|header| header.is_closed()) {
            let now = load_identity(&*self.wal).unwrap_or(Identity::Unreadable);
            let active = self.find_active(&now, index).ok().flatten();
            if let Some(active) = active {
                let seen = Seen { header: None, identity: Some(now) };
                return found(Kind::Active(ActiveSegment::new(active, floor)?), seen);
            }
            identity = Some(now);
        }
        let walk = self.salvage_hot(index, Arc::clone(&file), read, floor)?;
        found(Kind::Salvaged(Box::new(walk)), Seen { header: Some((file, header)), identity })
    }

    /// A walk through a hot segment's file on disk.
    pub(super) fn salvage_hot(
        &self,
        index: u32,
        file: Arc<dyn File>,
        read: Result<Option<SegmentHeader>>,
        floor: u64,
    ) -> Result<SalvagedSegment> {
        let header = read.as_ref().map_or(None, |header| *header);
        let site = Site { index, name: self.path_of(index).display().to_string() };
        let misnamed = header.is_some_and(|header| header.segment_index != index);
        if misnamed || self.counts_as_closed(index, header) {
            return SalvagedSegment::hot(site, file, read, floor);
        }
        // What is durable of this segment: no more than lies before the next one.
        let durable_id = self.durable_id_from(index).unwrap_or(0).min(MAX_EVENT_ID);
        let next = index.checked_add(1).map_or(0, |next| self.first_event_of(next));
        let goes_on = next > floor && next <= durable_id;
        let durable_here = if goes_on { next - 1 } else { durable_id };
        let by_cpp = header.is_none() && self.is_open_by_cpp(&*file);
        let mut walk = SalvagedSegment::open(site, file, durable_here, goes_on, floor)?;
        match read {
            Err(error) => walk.miss_header(error),
            Ok(None) if !by_cpp => walk.doubt_header("the header is not valid"),
            Ok(_) => {}
        }
        Ok(walk)
    }

    /// A walk through a cold segment.
    pub(super) fn salvage_cold(
        &self,
        index: u32,
        file: Arc<dyn File>,
        floor: u64,
    ) -> Result<SalvagedSegment> {
        let name = self.wal.path_of(&file_name::cold(index)).display().to_string();
        SalvagedSegment::cold(Site { index, name }, file, floor)
    }

    /// Whether a hot segment with this header is closed, or must have been: segments are closed in
    /// their order.
    pub(super) fn counts_as_closed(&self, index: u32, header: Option<SegmentHeader>) -> bool {
        let next_closed = || index.checked_add(1).is_some_and(|next| self.is_closed_or_not(next));
        header.is_some_and(|header| header.is_closed()) || next_closed()
    }

    fn is_closed_or_not(&self, index: u32) -> bool {
        self.is_closed(index).unwrap_or(false)
    }

    /// The C++ recorder writes a segment's header when it closes it.
    fn is_open_by_cpp(&self, file: &dyn File) -> bool {
        let mut first = [0];
        let read = file.read_at(&mut first, 0).unwrap_or(0);
        let no_identity = matches!(load_identity(&*self.wal), Ok(Identity::Missing));
        no_identity && read == 1 && first == [0]
    }

    /// The first event of a segment by a header that is right; 0 = none, or not known.
    fn first_event_of(&self, index: u32) -> u64 {
        let hot = self.wal.open(&file_name::hot(index), Open::Read).ok().flatten();
        let Some(file) = hot else {
            let cold = self.wal.open(&file_name::cold(index), Open::Read).ok().flatten();
            let Some(mut content) = cold.and_then(|file| FrameContent::open(file).ok()) else {
                return 0;
            };
            let mut bytes = [0; SEGMENT_HEADER_SIZE];
            content.read_at(&mut bytes, 0);
            return SegmentHeader::decode(&bytes).map_or(0, |header| header.first_event_id);
        };
        match read_header(&*file) {
            Ok(Some(header)) if header.segment_index != index => return 0,
            Ok(Some(header)) if header.is_closed() => return header.first_event_id,
            _ => {}
        }
        let mut bytes = [0; BLOCK_HEADER_SIZE];
        match file.read_at(&mut bytes, Layout::block_offset(0)) {
            Ok(BLOCK_HEADER_SIZE) => BlockHeader::decode(&bytes).map_or(0, |h| h.first_event_id),
            _ => 0,
        }
    }
}
