//! A bounded queue between threads that counts when it was full and when it was empty.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::recorder::threads::Signal;
use crate::telemetry::{Counter, RingSnapshot};

/// A bounded queue. It never waits: what to do when it is full or empty is the caller's decision.
#[derive(Debug)]
pub struct Ring<T> {
    queue: ArrayQueue<T>,
    full: Counter,
    empty: Counter,
    /// Raised by every push.
    emptied_by: Vec<Arc<Signal>>,
}

impl<T> Ring<T> {
    /// A ring with room for `capacity` entries, and the signals of the workers that empty it.
    pub fn new<'a>(capacity: usize, emptied_by: impl IntoIterator<Item = &'a Arc<Signal>>) -> Self {
        Ring {
            queue: ArrayQueue::new(capacity),
            full: Counter::default(),
            empty: Counter::default(),
            emptied_by: emptied_by.into_iter().cloned().collect(),
        }
    }

    /// Puts an entry in, or gives it back when there is no room, and counts that. Raises whoever
    /// empties the ring either way.
    pub fn push(&self, entry: T) -> Result<(), T> {
        let pushed = self.queue.push(entry).inspect_err(|_| self.full.add(1));
        self.emptied_by.iter().for_each(|signal| signal.raise());
        pushed
    }

    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Takes the oldest entry, or counts that there is none and the caller has to wait.
    pub fn pop_wanted(&self) -> Option<T> {
        self.queue.pop().or_else(|| {
            self.empty.add(1);
            None
        })
    }

    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Fill and counters at this moment.
    pub fn snapshot(&self) -> RingSnapshot {
        RingSnapshot {
            fill: self.queue.len() as u64,
            capacity: self.queue.capacity() as u64,
            full: self.full.get(),
            empty: self.empty.get(),
        }
    }
}
