//! What the files around a segment say of it: its other file, the segments that follow, the small
//! records.

use std::sync::Arc;

use crate::directory::{load_identity, Identity, Inventory};
use crate::error::{Error, Result};
use crate::format::{file_name, Layout, SegmentHeader};
use crate::segment::{
    begins_among, closed, cold_header, durable_id, examine_pair, is_reopened_by_cpp,
    read_block_header, read_header, Damage, DamageKind, FrameContent, HeaderState,
};
use crate::storage::{File, Open};

use super::log_files::LogFiles;

impl LogFiles {
    /// The cold file of a segment, if that is the one which counts although there is a hot one:
    /// that one is of an older state, or holds nothing. Decided by what is in both, as recovery
    /// does. Only where their headers say the same, as while a segment is being frozen, the hot one
    /// is taken without a look at the rest.
    pub(super) fn cold_instead(&self, index: u32, hot: &dyn File) -> Result<Option<Arc<dyn File>>> {
        let Some(cold) = self.wal.open(&file_name::cold(index), Open::Read)? else {
            return Ok(None);
        };
        let header = read_header(hot)?;
        let whole = closed(header, index).filter(|header| {
            hot.size().is_ok_and(|size| Layout::of_file(size).blocks >= header.block_count)
        });
        if whole.is_some() {
            match cold_header(&*self.wal, index) {
                Ok(Some(cold)) if header != Some(cold) => {}
                // They say the same, or the cold one cannot be read.
                _ => return Ok(None),
            }
        }
        // What the writer is storing into is not old.
        if self.active_segment(&load_identity(&*self.wal)?, index)?.is_some() {
            return Ok(None);
        }
        let found = match examine_pair(&*self.wal, index, hot, Arc::clone(&cold)) {
            Err(_) if whole.is_some() => return Ok(None),
            found => found?,
        };
        Ok(found.cold_counts().then_some(cold))
    }

    /// Whether a hot segment with this header is closed, or must have been: segments are closed in
    /// their order.
    pub(super) fn counts_as_closed(
        &self,
        index: u32,
        file: &dyn File,
        header: Option<SegmentHeader>,
    ) -> bool {
        let closed = header.filter(SegmentHeader::is_closed);
        let next_is_closed =
            || index.checked_add(1).is_some_and(|next| self.is_closed(next).unwrap_or(false));
        closed.is_some_and(|header| !self.is_reopened(file, &header)) || next_is_closed()
    }

    /// The error, when the log ends with the event `end` in an open segment whose events are above
    /// `floor`, and a later one begins among them: then the last block is another segment's.
    pub(super) fn overlap(&self, index: u32, floor: u64, end: u64) -> Result<Option<Error>> {
        for &later in Inventory::of(&*self.wal)?.hot.range(index..).skip(1) {
            let Some(file) = self.wal.open(&file_name::hot(later), Open::Read)? else { continue };
            let header = read_header(&*file)?;
            if let Some(first) = begins_among(&*file, header, later, (floor, end))? {
                let what =
                    format!("begins with event {first}, though segment {index} ends with {end}");
                let offset = Layout::event_offset(0);
                let kind = DamageKind::Block;
                let damage = Damage::at(&self.site(later), kind, offset, (first, end), &what);
                return Ok(Some(damage.to_error()));
            }
        }
        Ok(None)
    }

    /// The next segment that is known to have events above `floor`, and its first one.
    pub(super) fn next_with_events(&self, index: u32, floor: u64) -> Result<Option<(u32, u64)>> {
        let identity = load_identity(&*self.wal).unwrap_or(Identity::Unreadable);
        let first_of = |later| match self.first_event_of(later) {
            0 => (later, self.first_in_memory(later, &identity)),
            first => (later, first),
        };
        let later = self.indexes()?.into_iter().filter(|&other| other > index);
        Ok(later.map(first_of).find(|(_, first)| *first > floor))
    }

    /// The first event of a segment by a header that is right; 0 = none, or not known.
    pub(super) fn first_event_of(&self, index: u32) -> u64 {
        let hot = self.wal.open(&file_name::hot(index), Open::Read).ok().flatten();
        let counts = |hot: &Arc<dyn File>| !matches!(self.cold_instead(index, &**hot), Ok(Some(_)));
        let Some(file) = hot.filter(counts) else {
            let cold = self.wal.open(&file_name::cold(index), Open::Read).ok().flatten();
            let content = cold.and_then(|file| FrameContent::open_doubting(file).ok());
            let header = content.and_then(|mut content| content.header_despite_faults());
            return header.map_or(0, |header| header.first_event_id);
        };
        let header = read_header(&*file).ok().flatten();
        match (HeaderState::of(header, index), header) {
            (HeaderState::OtherIndex, _) => return 0,
            (HeaderState::Closed, Some(header)) => return header.first_event_id,
            _ => {}
        }
        let block = read_block_header(&*file, 0).ok().flatten();
        block.map_or(0, |header| header.first_event_id)
    }

    /// Whether a segment is cold, or hot and closed.
    pub(super) fn is_closed(&self, index: u32) -> Result<bool> {
        match self.wal.open(&file_name::hot(index), Open::Read)? {
            Some(file) => {
                let is_closed = read_header(&*file)?.is_some_and(|header| header.is_closed());
                Ok(is_closed || self.cold_instead(index, &*file)?.is_some())
            }
            None => Ok(self.wal.open(&file_name::cold(index), Open::Read)?.is_some()),
        }
    }

    /// Whether the log goes on behind what the header of a closed segment counts. What cannot be
    /// read does not show that; the walk through the segment reports it.
    fn is_reopened(&self, file: &dyn File, closed: &SegmentHeader) -> bool {
        let size = file.size().unwrap_or(0);
        let has_room = closed.event_count < Layout::of_file(size).capacity();
        has_room && self.is_by_cpp() && is_reopened_by_cpp(file, closed).unwrap_or(false)
    }

    /// Whether the log may be the C++ recorder's, which writes no identity.
    pub(super) fn is_by_cpp(&self) -> bool {
        matches!(load_identity(&*self.wal), Ok(Identity::Missing))
    }

    /// Whether a header that was read is damaged, so that it does not say whether its segment was
    /// closed. The C++ recorder leaves that of an open one unwritten.
    pub(super) fn is_damaged(&self, read: &Result<Option<SegmentHeader>>) -> bool {
        matches!(read, Ok(None)) && !self.is_by_cpp()
    }

    /// D, as far as meta and this and later segments know it.
    pub(super) fn durable_id_from(&self, index: u32) -> Result<u64> {
        let hot = Inventory::of(&*self.wal)?.hot;
        let later = hot.range(index..).map(|&later| file_name::hot(later));
        durable_id(self.meta()?, later.map(|name| self.wal.open(&name, Open::Read)))
    }
}
