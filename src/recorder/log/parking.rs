//! The note that a resting persister leaves for the watcher.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a persister leaves what it has seen when it parks.
#[derive(Debug)]
pub struct Parking(AtomicU64);

/// No event has this id.
const AWAKE: u64 = u64::MAX;

impl Default for Parking {
    fn default() -> Self {
        Parking(AtomicU64::new(AWAKE))
    }
}

/// Stored by the persister alone. Relaxed is enough: a watcher that is raised after `park` reads
/// what was stored (the signal's mutex orders the two), and one that reads an older value looks
/// once too often, or wakes a persister that is awake.
impl Parking {
    /// The persister rests until something is appended after this id.
    pub fn park(&self, seen_id: u64) {
        self.0.store(seen_id, Ordering::Relaxed);
    }

    /// The persister looks for itself.
    pub fn leave(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// What there is to be seen for the persister, when this id was appended last.
    pub fn look(&self, appended_id: u64) -> Look {
        match self.0.load(Ordering::Relaxed) {
            AWAKE => Look::Awake,
            seen if seen == appended_id => Look::Same,
            _ => Look::Moved,
        }
    }
}

/// What a look at a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Its persister looks for itself.
    Awake,
    /// Nothing was appended since that parked.
    Same,
    /// Something was.
    Moved,
}
