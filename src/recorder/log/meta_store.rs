//! Progress in memory: what was appended last and what is durable, as triples that are never torn.
//!
//! Each triple has one writing thread (the appender or the persister) and any number of readers,
//! which take no lock and never delay the writer.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::MetaState;

/// Packs a segment index and the offset just past an event into one word.
pub fn pack(segment_index: u32, offset: u32) -> u64 {
    u64::from(segment_index) << 32 | u64::from(offset)
}

/// One published triple.
///
/// It is a sequence lock whose sequence is the event id itself: ids only rise, so if `begun` and
/// `ended` are equal, what was read between them belongs to that id. The writer pays three plain
/// stores to one cache line, which holds nothing else.
#[derive(Debug)]
#[repr(align(128))]
pub struct Progress {
    begun: AtomicU64,
    position: AtomicU64,
    ended: AtomicU64,
}

impl Progress {
    pub fn new(state: MetaState) -> Self {
        Progress {
            begun: AtomicU64::new(state.last_event_id),
            position: AtomicU64::new(pack(state.last_segment_index, state.last_offset)),
            ended: AtomicU64::new(state.last_event_id),
        }
    }

    /// Publishes `event_id`, above every one before. Only for the one writing thread.
    ///
    /// Release on `ended` also publishes the event's bytes, and all events before it: whoever
    /// sees the id may read them.
    #[inline(always)]
    pub fn publish(&self, position: u64, event_id: u64) {
        debug_assert!(event_id > self.ended.load(Ordering::Relaxed), "ids rise");
        debug_assert!(position > self.position.load(Ordering::Relaxed), "positions rise");
        self.begun.store(event_id, Ordering::Relaxed);
        self.position.store(position, Ordering::Release);
        self.ended.store(event_id, Ordering::Release);
    }

    /// The last published triple.
    ///
    /// Why the orderings suffice: after acquiring `ended` = k, the position read next is that of k
    /// or of a later id. If it is a later one's, its release store came after that id was stored
    /// in `begun`, and acquiring the position makes that id visible: `begun` is then not k.
    pub fn snapshot(&self) -> MetaState {
        loop {
            let ended = self.ended.load(Ordering::Acquire);
            let position = self.position.load(Ordering::Acquire);
            if self.begun.load(Ordering::Relaxed) == ended {
                return MetaState {
                    last_segment_index: (position >> 32) as u32,
                    last_offset: position as u32,
                    last_event_id: ended,
                };
            }
            #[cfg(all(test, loom))]
            loom::thread::yield_now();
            #[cfg(not(all(test, loom)))]
            std::hint::spin_loop();
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
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
