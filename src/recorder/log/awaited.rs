//! Ids that somebody waits for and that are not appended yet: their sync is asked for as soon as
//! they are.

use std::collections::BTreeMap;

#[cfg(all(test, loom))]
use loom::sync::{
    atomic::{AtomicU64, Ordering},
    Mutex, MutexGuard,
};
use std::sync::PoisonError;
#[cfg(not(all(test, loom)))]
use std::sync::{
    atomic::{AtomicU64, Ordering},
    Mutex, MutexGuard,
};

/// No event has this id.
const NONE: u64 = u64::MAX;

/// The lowest of the ids is in `lowest`, for the persister to look at after each append it sees.
///
/// Who waits enters the id and then raises the persister, whose signal orders the two: the step
/// after that sees it. Relaxed is enough for what it does not see by then.
#[derive(Debug)]
pub struct Awaited {
    lowest: AtomicU64,
    /// How many threads wait for each id.
    ids: Mutex<BTreeMap<u64, usize>>,
}

impl Default for Awaited {
    fn default() -> Self {
        Awaited { lowest: AtomicU64::new(NONE), ids: Mutex::default() }
    }
}

/// An id that is waited for until this is dropped.
pub struct Entry<'a>(&'a Awaited, u64);

impl Awaited {
    pub fn enter(&self, event_id: u64) -> Entry<'_> {
        let mut ids = self.lock();
        *ids.entry(event_id).or_default() += 1;
        self.update(&ids);
        Entry(self, event_id)
    }

    /// The lowest id that somebody waits for; one that is never reached when nobody waits.
    pub fn lowest(&self) -> u64 {
        self.lowest.load(Ordering::Relaxed)
    }

    /// Whether somebody waits for an event that is not appended yet, or only just was.
    pub fn is_any(&self) -> bool {
        self.lowest() != NONE
    }

    fn update(&self, ids: &BTreeMap<u64, usize>) {
        self.lowest.store(ids.keys().next().copied().unwrap_or(NONE), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Entry(awaited, event_id) = *self;
        let mut ids = awaited.lock();
        if let Some(count) = ids.get_mut(&event_id) {
            *count -= 1;
            if *count == 0 {
                ids.remove(&event_id);
            }
        }
        awaited.update(&ids);
    }
}
