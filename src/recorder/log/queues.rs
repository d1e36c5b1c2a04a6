//! The rings between the threads of a log. Whoever puts something into one raises the worker that
//! empties it; only the appending thread wakes nobody.

use std::sync::Arc;

use crate::config::Config;
use crate::recorder::segment::{ActiveFile, Finished, Frozen, Segment, SpareFile};
use crate::recorder::threads::Signal;
use crate::telemetry::RingSnapshot;

use super::ring::Ring;
use super::signals::Signals;

/// Full segments that may wait to be closed before the persister waits.
const CLOSE_CAPACITY: usize = 64;
/// Expired segments handed to the freezer ahead of time; the rest wait in the maintainer's lists.
const FREEZE_CAPACITY: usize = 16;

/// A ring and whoever empties it.
#[derive(Debug)]
pub struct Queue<T> {
    ring: Ring<T>,
    emptied_by: Arc<Signal>,
}

impl<T> Queue<T> {
    fn new(capacity: usize, emptied_by: &Arc<Signal>) -> Self {
        Queue { ring: Ring::new(capacity), emptied_by: Arc::clone(emptied_by) }
    }

    /// Puts an entry in, or gives it back when there is no room; the other end looks either way.
    pub fn push(&self, entry: T) -> Result<(), T> {
        let pushed = self.ring.push(entry);
        self.emptied_by.raise();
        pushed
    }

    /// Takes the oldest entry, if there is one.
    pub fn pop(&self) -> Option<T> {
        self.ring.pop()
    }

    /// Whether a push would find no room.
    pub fn is_full(&self) -> bool {
        self.ring.is_full()
    }

    /// Whether a pop would find nothing.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The ring at this moment.
    pub fn snapshot(&self) -> RingSnapshot {
        self.ring.snapshot()
    }
}

/// Every ring of a log.
#[derive(Debug)]
pub struct Queues {
    /// Segments ready to be written to, preparer to writer.
    pub prepared: Ring<Segment>,
    /// Segments that the writer has entered, writer to persister. The writer raises nobody.
    pub to_persist: Ring<Segment>,
    /// Full segments, persister to maintainer.
    pub to_close: Queue<Finished>,
    /// Expired hot segments, maintainer to freezer.
    pub to_freeze: Queue<u32>,
    /// What became of them, freezer to maintainer.
    pub to_free: Queue<Frozen>,
    /// Persisted mapped files, persister to preparer.
    pub active_to_reuse: Queue<Arc<ActiveFile>>,
    /// Disk files, maintainer to preparer.
    pub spare_files: Queue<SpareFile>,
}

impl Queues {
    /// Empty ones.
    pub fn new(config: &Config, signals: &Signals) -> Self {
        let (prepared, active_set) = (config.prepared_segments as usize, config.active_set());
        Queues {
            prepared: Ring::new(prepared),
            to_persist: Ring::new(active_set + 1),
            to_close: Queue::new(CLOSE_CAPACITY, &signals.maintainer),
            to_freeze: Queue::new(FREEZE_CAPACITY, &signals.freezer),
            to_free: Queue::new(FREEZE_CAPACITY, &signals.maintainer),
            active_to_reuse: Queue::new(active_set + 1, &signals.preparer),
            spare_files: Queue::new(prepared, &signals.preparer),
        }
    }
}
