//! An open segment: its header counts nothing, its events are found by the rules of
//! `format::log_end`.

use std::sync::Arc;

use crate::directory::first_slot;
use crate::error::Result;
use crate::format::{Layout, RequestEvent, Rule, SegmentScan};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE, MAX_EVENT_ID};
use crate::storage::{File, Mapping};

use super::{Site, Step};

/// On disk alone: after a reboot, in a copied directory, or because its active file has been
/// persisted and is in use for another segment already.
pub struct DiskSegment {
    site: Site,
    file: Arc<dyn File>,
    durable_id: u64,
    scan: SegmentScan,
    layout: Layout,
    /// The file has not been cut.
    is_exact: bool,
    block: u32,
    buffer: Vec<u8>,
}

impl DiskSegment {
    /// The segment, of a log of which everything up to `durable_id` is known durable.
    pub fn new(site: Site, file: Arc<dyn File>, durable_id: u64, floor: u64) -> Result<Self> {
        let size = file.size()?;
        let layout = Layout::of_file(size);
        let is_exact = layout.is_exact(size);
        let scan = SegmentScan::new(Rule::Disk { durable_id }, floor);
        let buffer = vec![0; BLOCK_SIZE];
        Ok(DiskSegment { site, file, durable_id, scan, layout, is_exact, block: 0, buffer })
    }

    /// What stands in the first slot; 0 = no events.
    pub fn first_event_id(&self) -> Result<u64> {
        first_slot(&*self.file)
    }

    /// The last event read, or the floor.
    pub fn last_event_id(&self) -> u64 {
        self.scan.end().last_event_id
    }

    /// Reads the next block and adds its events from the id `from` on.
    pub fn step(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Result<Step> {
        if self.scan.has_ended() {
            return self.end();
        }
        if self.block == self.layout.blocks {
            // Behind a cut nothing can be told to follow.
            return if self.is_exact { Ok(Step::Complete) } else { self.end() };
        }
        let offset = Layout::block_offset(self.block);
        let read = self.file.read_at(&mut self.buffer, offset);
        let read = read.map_err(|error| self.site.located(error))?;
        self.buffer[read..].fill(0);
        let accepted = self.scan.block(&self.buffer);
        let slots = self.buffer[BLOCK_HEADER_SIZE..].chunks_exact(EVENT_SIZE).take(accepted);
        let first_new = events.len();
        events.extend(
            slots.map(|slot| RequestEvent::decode(slot.try_into().expect("a chunk of that size"))),
        );
        if let Some(ids) = self.scan.damaged() {
            return Err(self.site.damaged(offset, ids, "the block checksum does not match"));
        }
        let below = events[first_new..].partition_point(|event| event.event_id < from);
        events.drain(first_new..first_new + below);
        self.block += 1;
        Ok(Step::Block)
    }

    fn end(&self) -> Result<Step> {
        let end = self.scan.end();
        if end.last_event_id >= self.durable_id {
            return Ok(Step::End);
        }
        let offset = Layout::event_offset(end.event_count);
        let ids = (end.last_event_id + 1, self.durable_id);
        Err(self.site.damaged(offset, ids, "events that were durable are gone"))
    }
}

/// In the active directory: memory, written in program order by a process that may be writing at
/// this moment.
pub struct ActiveSegment {
    /// The file with its shared lock: as long as it is held, the writer does not use it again.
    _file: Arc<dyn File>,
    mapping: Mapping,
    layout: Layout,
    /// Events read.
    read: u32,
    last_event_id: u64,
}

impl ActiveSegment {
    /// The segment, locked by the caller; its events must be above `floor`.
    pub fn new(file: Arc<dyn File>, floor: u64) -> Result<Self> {
        let layout = Layout::of_file(file.size()?);
        let mapping = file.map(layout.file_size(), false)?;
        Ok(ActiveSegment { _file: file, mapping, layout, read: 0, last_event_id: floor })
    }

    /// What stands in the first slot; 0 = no events.
    pub fn first_event_id(&self) -> u64 {
        if self.layout.blocks == 0 {
            return 0;
        }
        self.mapping.load_word(Layout::event_offset(0) as usize)
    }

    /// The last event read, or the floor.
    pub fn last_event_id(&self) -> u64 {
        self.last_event_id
    }

    /// Reads what is committed in the current block and adds its events from the id `from` on.
    pub fn step(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Step {
        if self.read == self.layout.capacity() {
            return Step::Complete;
        }
        let before = self.read;
        let in_block = EVENTS_PER_BLOCK as u32 - self.read % EVENTS_PER_BLOCK as u32;
        for _ in 0..in_block {
            let offset = Layout::event_offset(self.read) as usize;
            // The id with acquire ordering, before the rest: it is stored last, so the other 56
            // bytes are the ones that belong to it.
            let id = self.mapping.load_word(offset);
            if id <= self.last_event_id || id > MAX_EVENT_ID {
                break;
            }
            if id >= from {
                let mut bytes = [0; EVENT_SIZE];
                self.mapping.load(offset, &mut bytes);
                events.push(RequestEvent::decode(&bytes));
            }
            self.last_event_id = id;
            self.read += 1;
        }
        if self.read > before {
            Step::Block
        } else {
            Step::End
        }
    }
}
