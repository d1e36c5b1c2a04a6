//! Models of readers that stand in memory which is used again, for loom.

use std::sync::Arc;

use loom::sync::atomic::{fence, AtomicU64, Ordering};
use loom::thread;

use super::models::bounded;

/// An active file of one slot: the word of its header that holds the segment's index, and an event
/// of two words.
struct ActiveSlot {
    index: AtomicU64,
    id: AtomicU64,
    body: AtomicU64,
}

impl ActiveSlot {
    /// As `segment::memory`: the committed event of segment `index`, or `None` when there is none
    /// or the file has become another segment's.
    fn read(&self, index: u64) -> Option<(u64, u64)> {
        let id = self.id.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let event = (self.id.load(Ordering::Relaxed), self.body.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let is_own = self.index.load(Ordering::Relaxed) == index;
        (is_own && id != 0 && event.0 == id).then_some(event)
    }
}

/// A reader without a lock stands in an active file that the preparer makes another segment's and
/// the writer fills again. It gets the event of its own segment or nothing.
#[test]
fn a_reader_never_takes_an_event_that_was_overwritten() {
    bounded(3).check(|| {
        let slot = Arc::new(ActiveSlot {
            index: AtomicU64::new(3),
            id: AtomicU64::new(30),
            body: AtomicU64::new(300),
        });
        let prepared = Arc::new(AtomicU64::new(0));
        let (to_reuse, ring) = (Arc::clone(&slot), Arc::clone(&prepared));
        let preparer = thread::spawn(move || {
            to_reuse.index.store(7, Ordering::Relaxed);
            fence(Ordering::Release);
            to_reuse.body.store(0, Ordering::Relaxed);
            to_reuse.id.store(0, Ordering::Relaxed);
            ring.store(1, Ordering::Release);
        });
        let (to_fill, ring) = (Arc::clone(&slot), Arc::clone(&prepared));
        let writer = thread::spawn(move || {
            if ring.load(Ordering::Acquire) == 1 {
                fence(Ordering::Release);
                to_fill.body.store(700, Ordering::Relaxed);
                to_fill.id.store(70, Ordering::Release);
            }
        });
        assert!(matches!(slot.read(3), None | Some((30, 300))));
        // The file gets the new segment's name, by which readers find it, when it is prepared.
        if prepared.load(Ordering::Acquire) == 1 {
            assert!(matches!(slot.read(7), None | Some((70, 700))));
        }
        preparer.join().unwrap();
        writer.join().unwrap();
    });
}

impl ActiveSlot {
    /// As `segment::memory` of a follower, in mapped memory: one copy. `checks`: it looks
    /// afterwards whether the segment is its own.
    fn read_mapped(&self, index: u64, floor: u64, checks: bool) -> Option<(u64, u64)> {
        let id = self.id.load(Ordering::Acquire);
        if id <= floor {
            return None;
        }
        let event = (id, self.body.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (!checks || self.index.load(Ordering::Relaxed) == index).then_some(event)
    }
}

/// A follower waits in mapped memory for the event 31 of segment 3, while the writer appends it and
/// the file is then used for segment 7, or given back. It gets that event, whole, or none.
fn follow(is_used_again: bool, checks: bool) {
    bounded(3).check(move || {
        let slot = Arc::new(ActiveSlot {
            index: AtomicU64::new(3),
            id: AtomicU64::new(0),
            body: AtomicU64::new(0),
        });
        let appended = Arc::new(AtomicU64::new(0));
        let (to_fill, ring) = (Arc::clone(&slot), Arc::clone(&appended));
        let writer = thread::spawn(move || {
            to_fill.body.store(310, Ordering::Relaxed);
            to_fill.id.store(31, Ordering::Release);
            ring.store(1, Ordering::Release);
        });
        let (to_reuse, ring) = (Arc::clone(&slot), appended);
        let preparer = thread::spawn(move || {
            if ring.load(Ordering::Acquire) == 1 {
                to_reuse.index.store(if is_used_again { 7 } else { 0 }, Ordering::Relaxed);
                fence(Ordering::Release);
                // Cleared, or a hole; then what the writer stores for the new segment.
                to_reuse.body.store(0, Ordering::Relaxed);
                to_reuse.id.store(0, Ordering::Relaxed);
                if is_used_again {
                    to_reuse.body.store(700, Ordering::Relaxed);
                    to_reuse.id.store(70, Ordering::Release);
                }
            }
        });
        assert!(matches!(slot.read_mapped(3, 30, checks), None | Some((31, 310))));
        writer.join().unwrap();
        preparer.join().unwrap();
    });
}

#[test]
fn a_follower_never_takes_an_event_of_another_segment_in_the_model() {
    follow(true, true);
}

#[test]
fn a_follower_never_takes_a_hole_for_an_event_in_the_model() {
    follow(false, true);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_follower_that_does_not_look_again_is_caught_by_the_model() {
    follow(true, false);
}
