//! The events of a segment in the active directory: memory, written in program order by a process
//! that may be writing at this moment.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{Layout, RequestEvent, EVENTS_PER_BLOCK, EVENT_SIZE, MAX_EVENT_ID};
use crate::storage::{File, Mapping};

use super::blocks::Source;
use super::cursor::{Authority, Cursor, Step};
use super::damage::Site;

/// An active segment's file, mapped.
pub struct Memory {
    /// The file with its shared lock: as long as it is held, the writer does not use it again.
    _file: Arc<dyn File>,
    mapping: Mapping,
    layout: Layout,
}

impl Memory {
    /// What stands as an id in the first slot; 0 = no events.
    pub fn first_slot(&self) -> u64 {
        match self.layout.blocks {
            0 => 0,
            _ => self.mapping.load_word(Layout::event_offset(0) as usize),
        }
    }

    /// The committed event in a slot, if its id is above `floor`.
    fn event(&self, slot: u32, floor: u64) -> Option<RequestEvent> {
        let offset = Layout::event_offset(slot) as usize;
        // The id with acquire ordering, before the rest: it is stored last, so the other 56 bytes
        // are the ones that belong to it.
        let id = self.mapping.load_word(offset);
        if id <= floor || id > MAX_EVENT_ID {
            return None;
        }
        let mut bytes = [0; EVENT_SIZE];
        self.mapping.load(offset, &mut bytes);
        Some(RequestEvent::decode(&bytes))
    }
}

impl Cursor {
    /// A walk through an active segment, in a file that the caller has locked.
    pub fn memory(site: Site, file: Arc<dyn File>, floor: u64) -> Result<Self> {
        let layout = Layout::of_file(file.size()?);
        let mapping = file.map(layout.file_size(), false)?;
        let source = Source::Memory(Memory { _file: file, mapping, layout });
        let authority = Authority::Events { durable_id: 0, goes_on: false };
        Ok(Cursor { block_limit: layout.blocks, ..Self::new(site, source, authority, floor) })
    }

    /// Reads what is committed in the current block and adds its events from the id `from` on.
    pub(super) fn memory_block(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Step {
        let Source::Memory(memory) = &self.blocks.source else { return Step::End };
        let begin = self.seen.events as u32;
        if begin == memory.layout.capacity() {
            return Step::Complete;
        }
        let end = (begin / EVENTS_PER_BLOCK as u32 + 1) * EVENTS_PER_BLOCK as u32;
        debug_assert!(end <= memory.layout.capacity());
        let mut slot = begin;
        while let Some(event) = memory.event(slot, self.last_event_id) {
            self.last_event_id = event.event_id;
            if event.event_id >= from {
                events.push(event);
            }
            slot += 1;
            if slot == end {
                break;
            }
        }
        self.seen.events = u64::from(slot);
        if slot > begin {
            Step::Block
        } else {
            Step::End
        }
    }
}
