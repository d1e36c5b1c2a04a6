//! A bounded queue between threads that counts when it was full and when it was empty.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::recorder::threads::Signal;

use super::control::{Control, RingEnd, SharedControl};

/// Where the two ends of a ring are counted.
#[derive(Debug)]
pub struct Counted {
    pub control: SharedControl,
    /// Which of the rings in `Limits::ring_capacity`.
    pub number: usize,
    /// The end that entries go into.
    pub into: fn(&Control) -> &RingEnd,
    /// The end that they come out of.
    pub out: fn(&Control) -> &RingEnd,
}

/// A bounded queue. It never waits: what to do when it is full or empty is the caller's decision.
#[derive(Debug)]
pub struct Ring<T> {
    queue: ArrayQueue<T>,
    counted: Option<Counted>,
    /// Raised by every push.
    emptied_by: Vec<Arc<Signal>>,
}

impl<T> Ring<T> {
    /// A ring with room for `capacity` entries, and the signals of the workers that empty it.
    pub fn new<'a>(capacity: usize, emptied_by: impl IntoIterator<Item = &'a Arc<Signal>>) -> Self {
        let emptied_by = emptied_by.into_iter().cloned().collect();
        Ring { queue: ArrayQueue::new(capacity), counted: None, emptied_by }
    }

    /// The same ring, counted in the control file.
    pub fn counted(self, counted: Counted) -> Self {
        let capacity = self.queue.capacity() as u64;
        counted.control.limits.ring_capacity[counted.number].set(capacity);
        Ring { counted: Some(counted), ..self }
    }

    /// Puts an entry in, or gives it back when there is no room, and counts that. Raises whoever
    /// empties the ring either way.
    pub fn push(&self, entry: T) -> Result<(), T> {
        let pushed = self.queue.push(entry);
        if let Some(Counted { control, into, .. }) = &self.counted {
            count(into(control), pushed.is_ok());
        }
        self.emptied_by.iter().for_each(|signal| signal.raise());
        pushed
    }

    pub fn pop(&self) -> Option<T> {
        let popped = self.queue.pop();
        if let (Some(_), Some(Counted { control, out, .. })) = (&popped, &self.counted) {
            out(control).moved.add(1);
        }
        popped
    }

    /// Takes the oldest entry, or counts that there is none and the caller has to wait.
    pub fn pop_wanted(&self) -> Option<T> {
        self.pop().or_else(|| {
            if let Some(Counted { control, out, .. }) = &self.counted {
                out(control).missed.add(1);
            }
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
}

fn count(end: &RingEnd, moved: bool) {
    let counter = if moved { &end.moved } else { &end.missed };
    counter.add(1);
}
