//! A bounded queue between two threads that counts what happens at its ends.

use crossbeam_queue::ArrayQueue;

use crate::telemetry::{Counter, RingSnapshot};

/// A bounded queue. Full and empty are answers, not waits: what follows is each owner's decision.
#[derive(Debug)]
pub struct Ring<T> {
    queue: ArrayQueue<T>,
    full: Counter,
    empty: Counter,
}

impl<T> Ring<T> {
    /// A ring with room for `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Ring {
            queue: ArrayQueue::new(capacity),
            full: Counter::default(),
            empty: Counter::default(),
        }
    }

    /// Puts an entry in, or gives it back when there is no room, and counts that.
    pub fn push(&self, entry: T) -> Result<(), T> {
        self.queue.push(entry).inspect_err(|_| self.full.add(1))
    }

    /// Takes the oldest entry, if there is one.
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Takes the oldest entry; that there is none is counted: somebody has to wait for it.
    pub fn pop_wanted(&self) -> Option<T> {
        let entry = self.queue.pop();
        if entry.is_none() {
            self.empty.add(1);
        }
        entry
    }

    /// Whether a push would find no room.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Whether a pop would find nothing.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The ring at this moment.
    pub fn snapshot(&self) -> RingSnapshot {
        RingSnapshot {
            fill: self.queue.len() as u64,
            capacity: self.queue.capacity() as u64,
            full: self.full.get(),
            empty: self.empty.get(),
        }
    }
}
