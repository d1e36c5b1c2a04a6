//! Events that are given out where they were read.

use std::ops::Range;
use std::sync::Arc;

use crate::format::RequestEvent;
use crate::storage::Slots;

/// Events of one block, in the memory that they were read into. That is not written to as long as
/// the batch exists.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    memory: Option<Arc<Slots>>,
    slots: Range<usize>,
}

impl Batch {
    /// The events in these slots of `memory`.
    pub fn new(memory: &Arc<Slots>, slots: Range<usize>) -> Self {
        Batch { memory: Some(Arc::clone(memory)), slots }
    }

    /// The events, in order.
    #[inline]
    pub fn events(&self) -> &[RequestEvent] {
        self.memory.as_ref().map_or(&[], |memory| memory.events(self.slots.clone()))
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Drops its first `count` events.
    pub fn drop_first(&mut self, count: usize) {
        self.slots.start += count;
        debug_assert!(self.slots.start <= self.slots.end);
    }

    /// Keeps its first `count` events.
    pub fn keep_first(&mut self, count: usize) {
        self.slots.end = self.slots.end.min(self.slots.start + count);
    }

    /// The memory, if nobody else has a part of it: to be read into again.
    pub fn into_memory(self) -> Option<Arc<Slots>> {
        let mut memory = self.memory?;
        Arc::get_mut(&mut memory).is_some_and(|own| !own.is_empty()).then_some(memory)
    }
}
