//! The events of a segment in the active directory: memory, written in program order by a process
//! that may be writing at this moment.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{Layout, RequestEvent, EVENT_SIZE, MAX_EVENT_ID};
use crate::storage::{File, Mapping};

/// An active segment's file, mapped.
pub struct Memory {
    /// The file with its shared lock: as long as it is held, the writer does not use it again.
    _file: Arc<dyn File>,
    mapping: Mapping,
    layout: Layout,
}

impl Memory {
    /// The segment in a file that the caller has locked.
    pub fn new(file: Arc<dyn File>) -> Result<Self> {
        let layout = Layout::of_file(file.size()?);
        let mapping = file.map(layout.file_size(), false)?;
        Ok(Memory { _file: file, mapping, layout })
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What stands as an id in the first slot; 0 = no events.
    pub fn first_slot(&self) -> u64 {
        match self.layout.blocks {
            0 => 0,
            _ => self.mapping.load_word(Layout::event_offset(0) as usize),
        }
    }

    /// The committed event in a slot, if its id is above `floor`.
    pub fn event(&self, slot: u32, floor: u64) -> Option<RequestEvent> {
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
