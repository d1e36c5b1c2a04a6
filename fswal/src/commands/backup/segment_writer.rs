//! Segments that are sealed anew, event by event.

use flashstrike_wal::format::{
    file_name, BlockHeader, Layout, MetaState, RequestEvent, SegmentHeader, EVENTS_PER_BLOCK,
    EVENT_SIZE,
};
use flashstrike_wal::storage::now_ns;

use crate::failure::{Failure, Outcome};

use super::target::Target;

/// Writes events into segments, each closed when it is full. Stamps in them name only events of
/// segments before, which the backup has.
pub struct SegmentWriter<'a> {
    target: &'a mut dyn Target,
    layout: Layout,
    index: u32,
    /// Sealed blocks and the events of the next one.
    blocks: Vec<u8>,
    events: Vec<u8>,
    header: SegmentHeader,
    /// The last event of the segment before.
    floor: u64,
    end: MetaState,
}

impl<'a> SegmentWriter<'a> {
    /// Begins with this segment, behind the place `before`.
    pub fn new(target: &'a mut dyn Target, index: u32, layout: Layout, before: MetaState) -> Self {
        SegmentWriter {
            target,
            layout,
            index,
            blocks: Vec::new(),
            events: Vec::new(),
            header: SegmentHeader::open(index, now_ns()),
            floor: before.last_event_id,
            end: before,
        }
    }

    pub fn add(&mut self, event: &RequestEvent) -> Outcome<()> {
        if self.header.event_count == 0 {
            self.header.first_event_id = event.event_id;
        }
        self.header.event_count += 1;
        self.header.last_event_id = event.event_id;
        self.events.extend_from_slice(&event.encode());
        if self.events.len() == EVENTS_PER_BLOCK * EVENT_SIZE {
            self.seal();
        }
        if self.header.event_count == self.layout.capacity() {
            self.close()?;
        }
        Ok(())
    }

    /// Closes the last segment, and gives the place behind the last event.
    pub fn finish(mut self) -> Outcome<MetaState> {
        if self.header.event_count > 0 {
            self.close()?;
        }
        Ok(self.end)
    }

    fn seal(&mut self) {
        let (block, chained) = (self.header.block_count, self.header.last_chained_checksum);
        let seal = BlockHeader::seal(block, &self.events, chained, self.floor);
        self.blocks.extend_from_slice(&seal.encode());
        self.blocks.append(&mut self.events);
        self.header.block_count += 1;
        self.header.last_chained_checksum = seal.chained_checksum;
    }

    fn close(&mut self) -> Outcome<()> {
        if !self.events.is_empty() {
            self.seal();
        }
        self.header.closed_ts_ns = now_ns();
        let (name, size) = (file_name::hot(self.index), self.layout.file_size());
        self.target.write(&name, [&self.header.encode(), &self.blocks], size)?;
        self.end = place_behind(&self.header);
        self.floor = self.end.last_event_id;
        self.blocks.clear();
        self.index = self.index.checked_add(1).ok_or_else(|| {
            Failure::wrong("there are no segment indexes left").next("begin a new log")
        })?;
        self.header = SegmentHeader::open(self.index, now_ns());
        Ok(())
    }
}

/// The place behind the last event of a closed segment.
pub fn place_behind(header: &SegmentHeader) -> MetaState {
    MetaState {
        last_segment_index: header.segment_index,
        last_offset: Layout::end_offset(header.event_count),
        last_event_id: header.last_event_id,
    }
}
