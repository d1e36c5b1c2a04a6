//! The events of a segment in the active directory: memory, written in program order by a process
//! that may be writing at this moment.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{Layout, RequestEvent, EVENTS_PER_BLOCK, EVENT_SIZE, MAX_EVENT_ID};
use crate::storage::{File, Mapping};

use super::cursor::Step;

/// A walk through an active segment.
pub struct MemoryCursor {
    /// The file with its shared lock: as long as it is held, the writer does not use it again.
    _file: Arc<dyn File>,
    mapping: Mapping,
    layout: Layout,
    /// Events read.
    read: u32,
    last_event_id: u64,
}

impl MemoryCursor {
    /// A walk through the segment in a file that the caller has locked; its events must be above
    /// `floor`.
    pub fn new(file: Arc<dyn File>, floor: u64) -> Result<Self> {
        let layout = Layout::of_file(file.size()?);
        let mapping = file.map(layout.file_size(), false)?;
        Ok(MemoryCursor { _file: file, mapping, layout, read: 0, last_event_id: floor })
    }

    /// What stands as an id in the first slot; 0 = no events.
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
        debug_assert!(self.read <= self.layout.capacity());
        if self.read > before {
            Step::Block
        } else {
            Step::End
        }
    }
}
