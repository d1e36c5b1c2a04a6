//! Segments that are read around their damage: which of their files, and how much of it counts.

use std::sync::Arc;

use crate::directory::{load_identity, Identity};
use crate::error::Result;
use crate::format::{file_name, SegmentHeader, MAX_EVENT_ID};
use crate::segment::{
    is_unfinished_by_cpp, last_covered, last_sealed, read_header, seals_go_on, Cursor, DamageKind,
    HeaderState,
};
use crate::storage::{File, Open};

use super::log_files::{here, Found, FoundAs, LogFiles, Segment};

impl LogFiles {
    /// A segment to be read around its damage. Of two files the hot one is taken, unless neither
    /// its header nor that of its first block is valid.
    pub(super) fn find_salvaging(
        &self,
        index: u32,
        file: Arc<dyn File>,
        floor: u64,
    ) -> Result<Found> {
        let read = read_header(&*file);
        let header = read.as_ref().map_or(None, |header| *header);
        if header.is_none() && self.first_event_of(index) == 0 {
            if let Some(cold) = self.wal.open(&file_name::cold(index), Open::Read)? {
                return self.cold(index, cold, floor);
            }
        }
        // Not of an open one: what its file lacks was perhaps not written yet.
        let state = HeaderState::of(header, index);
        let may_be_closed = matches!(state, HeaderState::Closed | HeaderState::OtherIndex);
        if let Some(memory) = may_be_closed.then(|| self.retired(index)).flatten() {
            let cursor = Cursor::salvage_hot(self.site(index), Arc::clone(&file), read, floor)?;
            let found = FoundAs { header: Some((file, header)), ..FoundAs::default() };
            return Ok(here(index, cursor.or_in_memory(memory), found));
        }
        let mut identity = None;
        if !header.is_some_and(|header| header.is_closed()) {
            let now = load_identity(&*self.wal).unwrap_or(Identity::Unreadable);
            if let Some(memory) = self.memory_beside(&*file, &now, index).ok().flatten() {
                let mut cursor = Cursor::memory(self.site(index), memory, floor);
                if self.memory_parent.is_some() {
                    cursor.prefer_sealed(Arc::clone(&file));
                }
                let found = FoundAs { header: None, identity: Some(now), disk: Some(file) };
                return Ok(here(index, cursor, found));
            }
            identity = Some(now);
        }
        // Nobody knows whether it was closed, nor what was durable: where blocks are sealed behind
        // damage, those decide.
        let by_seals = self.is_damaged(&read)
            && self.durable_id_from(index).unwrap_or(0) == 0
            && seals_go_on(&*file, floor).unwrap_or(false);
        let cursor = match by_seals {
            true => Cursor::salvage_hot(self.site(index), Arc::clone(&file), read, floor)?,
            false => self.salvage_hot(index, Arc::clone(&file), read, floor)?,
        };
        Ok(here(index, cursor, FoundAs { header: Some((file, header)), identity, disk: None }))
    }

    /// Finds a segment of which there is no file on disk in what memory still has of it.
    pub(super) fn find_retired(&self, index: u32, floor: u64) -> Option<Found> {
        let memory = self.retired(index)?;
        let what = "the file is not there: the segment's events are in memory";
        let kind = DamageKind::MissingSegment;
        let cursor = Cursor::retired(self.site(index), memory, kind, what, floor);
        Some(here(index, cursor, FoundAs::default()))
    }

    /// The disk file of a segment that was read from memory, for a salvaging reader.
    pub(super) fn salvage_on_disk(
        &self,
        segment: &Segment,
        floor: u64,
    ) -> Result<Option<Box<Segment>>> {
        let Some(disk) = &segment.found.disk else { return Ok(None) };
        let read = read_header(&**disk);
        let cursor = self.salvage_hot(segment.index, Arc::clone(disk), read, floor)?;
        let found = FoundAs { header: None, ..segment.found.clone() };
        Ok(Some(Box::new(Segment { index: segment.index, cursor, found })))
    }

    /// A salvaging walk through a hot segment's file on disk.
    pub(super) fn salvage_hot(
        &self,
        index: u32,
        file: Arc<dyn File>,
        read: Result<Option<SegmentHeader>>,
        floor: u64,
    ) -> Result<Cursor> {
        let header = read.as_ref().map_or(None, |header| *header);
        let misnamed = HeaderState::of(header, index) == HeaderState::OtherIndex;
        if misnamed || self.counts_as_closed(index, &*file, header) {
            return Cursor::salvage_hot(self.site(index), file, read, floor);
        }
        let takes_all = self.memory_parent.is_some();
        let mut durable_id = self.durable_id_from(index).unwrap_or(0);
        if takes_all && !matches!(self.meta(), Ok(Some(_))) {
            // Without meta that is too low.
            durable_id = durable_id.max(last_covered(&*file, floor).unwrap_or(0));
        }
        let durable_id = durable_id.min(MAX_EVENT_ID);
        // That the log goes on behind a damaged header says that the segment was closed.
        let next = self.next_with_events(index, floor)?;
        if takes_all && self.is_damaged(&read) && next.is_some_and(|next| next.1 <= durable_id) {
            // All of its blocks were sealed then.
            return Cursor::salvage_hot(self.site(index), file, read, floor);
        }
        let next = next.filter(|next| next.1 <= durable_id || self.is_damaged(&read));
        let goes_on = next.is_some();
        // What is durable of this segment: no more than lies before the next one.
        let durable_here = match next {
            Some((next, first)) if next - 1 == index => first - 1,
            // The rest may have been in the segments between, which are missing or damaged.
            Some((_, first)) => last_sealed(&*file, floor).unwrap_or(floor).min(first - 1),
            None => durable_id,
        };
        let by_cpp =
            header.is_none() && self.is_by_cpp() && is_unfinished_by_cpp(&*file).unwrap_or(false);
        let (site, size) = (self.site(index), file.size()?);
        let mut walk = Cursor::salvage_open(site, file, durable_here, goes_on, floor)?;
        if takes_all {
            walk = walk.with_cut_block();
            if goes_on && header.is_some() && self.is_shorter_than_next(index, size) {
                walk.was_cut();
            }
        }
        match read {
            Err(error) => walk.miss_header(error),
            Ok(None) if !by_cpp => walk.doubt_header("the header is not valid"),
            Ok(_) => {}
        }
        Ok(walk)
    }

    /// Whether the hot file of an open segment is shorter than the next one's. Both are of one
    /// open of the log, which makes its files of one size.
    fn is_shorter_than_next(&self, index: u32, size: u64) -> bool {
        let next = index.checked_add(1).map(file_name::hot);
        let status = next.and_then(|next| self.wal.status_of(&next).ok().flatten());
        status.is_some_and(|next| size < next.size)
    }

    /// A salvaging walk through a cold segment.
    pub(super) fn salvage_cold(
        &self,
        index: u32,
        file: Arc<dyn File>,
        floor: u64,
    ) -> Result<Cursor> {
        let cursor = Cursor::salvage_cold(self.cold_site(index), file, floor)?;
        Ok(match self.retired(index) {
            Some(memory) => cursor.or_in_memory(memory),
            None => cursor,
        })
    }
}
