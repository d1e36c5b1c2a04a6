//! How a persister that finds nothing new goes to sleep: it leaves the watcher a note.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicU64, Ordering};

/// The last event id that a parked persister has seen.
#[derive(Debug)]
pub struct Parking(AtomicU64);

/// The value while the persister is not parked: no event has this id.
const AWAKE: u64 = u64::MAX;

impl Default for Parking {
    fn default() -> Self {
        Parking(AtomicU64::new(AWAKE))
    }
}

/// Only the persister stores. Relaxed is enough: a watcher that is raised after `park` reads what
/// was stored (the signal's mutex orders the two). One that reads an older value looks once too
/// often, or wakes a persister that is awake.
impl Parking {
    /// The persister rests until something is appended after this id.
    pub fn park(&self, seen_id: u64) {
        debug_assert_ne!(seen_id, AWAKE);
        self.0.store(seen_id, Ordering::Relaxed);
    }

    /// The persister is awake and looks for new events itself.
    pub fn leave(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether the persister must be woken, now that `appended_id` is the last event.
    pub fn check(&self, appended_id: u64) -> ParkState {
        match self.0.load(Ordering::Relaxed) {
            AWAKE => ParkState::Awake,
            seen if seen == appended_id => ParkState::NothingNew,
            _ => ParkState::NewEvents,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkState {
    /// The persister is awake.
    Awake,
    /// Nothing was appended since it parked.
    NothingNew,
    /// Something was: it must be woken.
    NewEvents,
}
