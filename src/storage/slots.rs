//! Memory that blocks are read into, and whose events are given out where they lie.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use crate::format::{RequestEvent, EVENT_SIZE};

// Events lie in files as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little") && size_of::<RequestEvent>() == EVENT_SIZE);

/// Slots of 64 bytes: as bytes to read into, or as events. A block is 257 of them, the first one
/// its header.
#[derive(Debug, Default)]
pub struct Slots(Vec<RequestEvent>);

impl Slots {
    /// Zeroed memory of at least `len` bytes.
    pub fn new(len: usize) -> Self {
        Slots(vec![RequestEvent::default(); len.div_ceil(EVENT_SIZE)])
    }

    /// Some of the slots, as events.
    pub fn events(&self, slots: Range<usize>) -> &[RequestEvent] {
        &self.0[slots]
    }

    /// At least `len` bytes to write to. What others still read stays theirs: then one of the
    /// spares takes its place that nobody has, or new memory.
    pub fn to_fill<'a>(
        slots: &'a mut Arc<Slots>,
        spares: &mut Vec<Arc<Slots>>,
        len: usize,
    ) -> &'a mut Slots {
        let is_usable =
            |memory: &mut Arc<Slots>| Arc::get_mut(memory).is_some_and(|own| own.len() >= len);
        while !is_usable(slots) {
            *slots = spares.pop().unwrap_or_else(|| Arc::new(Slots::new(len)));
        }
        Arc::get_mut(slots).expect("nobody else has it")
    }
}

impl Deref for Slots {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let len = self.0.len() * EVENT_SIZE;
        // SAFETY: the memory of `len / 64` events, each 64 bytes without padding (checked with
        // their fields, in `format`), which live as long as the borrow of `self`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), len) }
    }
}

impl DerefMut for Slots {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.0.len() * EVENT_SIZE;
        // SAFETY: as in `deref`; the borrow is exclusive, and any bytes are events.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_read_in_come_out_as_events() {
        let event = RequestEvent { event_id: 7, side: 1, reserved: [9; 21], ..Default::default() };
        let mut slots = Slots::new(2 * EVENT_SIZE);
        slots[EVENT_SIZE..].copy_from_slice(&event.encode());
        assert_eq!(slots.events(0..2), [RequestEvent::default(), event]);
    }

    #[test]
    fn memory_that_somebody_reads_is_not_written_to() {
        let mut slots = Arc::new(Slots::new(64));
        let read = Arc::clone(&slots);
        let mut spares = Vec::new();
        Slots::to_fill(&mut slots, &mut spares, 64).fill(1);
        assert!(read.iter().all(|byte| *byte == 0));
        let own = Arc::as_ptr(&slots);
        Slots::to_fill(&mut slots, &mut spares, 64);
        assert_eq!(Arc::as_ptr(&slots), own, "nobody else reads it: it is used again");
        let still_read = Arc::clone(&slots);
        spares.push(Arc::clone(&read));
        Slots::to_fill(&mut slots, &mut spares, 64).fill(2);
        assert!(read.iter().all(|byte| *byte == 0), "a spare that is read is no spare");
        drop((read, still_read));
    }
}
