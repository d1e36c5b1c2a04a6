//! Progress in memory: what was appended last and what is durable, as triples that are never torn.
//!
//! Each triple has one writing thread (the appender or the persister) and any number of readers,
//! which take no lock, never wait, and never delay the writer.

use crate::format::MetaState;
use crate::storage::Pair;

/// Packs a segment index and the offset just past an event into one word.
pub fn pack(segment_index: u32, offset: u32) -> u64 {
    u64::from(segment_index) << 32 | u64::from(offset)
}

/// One published triple: the event's id, and its packed position.
#[derive(Debug)]
#[repr(transparent)]
pub struct Progress(Pair);

impl Progress {
    #[cfg(all(test, loom))]
    pub fn new(state: MetaState) -> Self {
        let progress = Progress(Pair::new(0, 0));
        progress.begin(state);
        progress
    }

    /// Begins at `state`, whatever it was. Only while nobody reads.
    pub fn begin(&self, state: MetaState) {
        let (event_id, position) = state.to_pair();
        self.0.store(event_id, position);
    }

    /// Publishes `event_id`, above every one before. Only for the one writing thread.
    ///
    /// This also publishes the event's bytes, and all events before it: whoever sees the id may
    /// read them.
    #[inline(always)]
    pub fn publish(&self, position: u64, event_id: u64) {
        self.debug_check_rises(position, event_id);
        self.0.store(event_id, position);
    }

    #[inline(always)]
    pub fn debug_check_rises(&self, position: u64, event_id: u64) {
        debug_assert!(event_id > self.0.load().0, "ids rise");
        debug_assert!(position > self.0.load().1, "positions rise");
    }

    /// The last published triple.
    pub fn snapshot(&self) -> MetaState {
        MetaState::of_pair(self.0.load())
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::sync::Arc;

    /// All interleavings, and all reorderings the orderings allow, of a writer and a reader.
    #[test]
    fn a_triple_is_never_torn() {
        loom::model(|| {
            let progress = Arc::new(Progress::new(MetaState::default()));
            let data = Arc::new(AtomicU64::new(0));
            let writer = {
                let (progress, data) = (progress.clone(), data.clone());
                loom::thread::spawn(move || {
                    for id in [5, 6] {
                        data.store(id, Ordering::Relaxed);
                        progress.publish(pack(id as u32, id as u32), id);
                    }
                })
            };
            let seen = progress.snapshot();
            assert_eq!(u64::from(seen.last_segment_index), seen.last_event_id);
            assert_eq!(u64::from(seen.last_offset), seen.last_event_id);
            assert!(data.load(Ordering::Relaxed) >= seen.last_event_id, "its bytes are visible");
            writer.join().unwrap();
        });
    }
}
