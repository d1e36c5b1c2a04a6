//! Who is inside a handle, and whether it still lets anybody in.
//!
//! The memory of a handle is never unmapped and serves other logs later (`room`). So a call that
//! comes too late, even one that looked at the handle before the shutdown began and comes in after
//! the memory has been given to another log, finds the gate closed or of another number.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicU64, Ordering};

const NUMBER: u64 = 1 << 32;

/// In the lower half the calls inside. In the upper half a number that rises when the gate opens
/// and when it closes: odd while it is open. One word, so that nobody gets in while it closes.
///
/// On cache lines of its own (two, because they are fetched in pairs): every call writes it.
#[repr(align(128))]
pub(super) struct Gate(AtomicU64);

/// Counts a call as inside until dropped.
pub(super) struct Inside<'a>(&'a Gate);

impl Gate {
    #[cfg(all(test, loom))]
    pub(super) fn new() -> Self {
        Gate(AtomicU64::new(0))
    }

    /// Lets calls in, from now on.
    pub(super) fn open(&self) {
        // Release: a call that gets in sees what the handle was filled with.
        let before = self.0.fetch_add(NUMBER, Ordering::Release);
        debug_assert!(!is_open(before), "it was closed, or is new");
    }

    /// The number of this opening; `None` while the gate is closed.
    #[inline(always)]
    pub(super) fn number(&self) -> Option<u32> {
        let now = self.0.load(Ordering::Relaxed);
        is_open(now).then_some((now / NUMBER) as u32)
    }

    /// Gets in, unless the gate was closed since it had this number.
    #[inline(always)]
    pub(super) fn enter(&self, number: u32) -> Option<Inside<'_>> {
        let before = self.0.fetch_add(1, Ordering::Acquire);
        let inside = Inside(self);
        ((before / NUMBER) as u32 == number).then_some(inside)
    }

    /// Lets nobody in any more. `false` if it was closed already.
    pub(super) fn close(&self) -> bool {
        let close = |now: u64| is_open(now).then(|| now.wrapping_add(NUMBER));
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, close).is_ok()
    }

    /// Whether all calls have left.
    pub(super) fn is_empty(&self) -> bool {
        // Acquire: pairs with the release at the end of each call inside.
        self.0.load(Ordering::Acquire) % NUMBER == 0
    }
}

fn is_open(word: u64) -> bool {
    word / NUMBER % 2 == 1
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Release: whatever the call did with the handle comes before it is freed.
        self.0 .0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Handle {
        gate: Gate,
        log: UnsafeCell<u32>,
    }

    // SAFETY: the gate decides who touches the cell, and loom reports two who do so at once.
    unsafe impl Sync for Handle {}

    impl Handle {
        fn set_log(&self, log: u32) {
            // SAFETY: no call is inside: the handle was shut down and is not open again. Loom
            // reports one that is.
            self.log.with_mut(|place| unsafe { *place = log });
        }

        /// By a call that is inside.
        fn log(&self) -> u32 {
            // SAFETY: `set_log` is not called while a call is inside. Loom reports it if it is.
            self.log.with(|place| unsafe { *place })
        }
    }

    fn shut_down(handle: &Handle) {
        assert!(handle.gate.close());
        while !handle.gate.is_empty() {
            thread::yield_now();
        }
        handle.set_log(0);
    }

    /// A call that has seen the first log's handle reaches that log or none, although the handle is
    /// shut down and given to a second log meanwhile.
    #[test]
    fn a_late_call_reaches_no_freed_and_no_other_log() {
        loom::model(|| {
            let handle = Arc::new(Handle { gate: Gate::new(), log: UnsafeCell::new(1) });
            handle.gate.open();
            let own = Arc::clone(&handle);
            let number = handle.gate.number().unwrap();
            let caller = thread::spawn(move || {
                if let Some(_inside) = own.gate.enter(number) {
                    assert_eq!(own.log(), 1);
                }
            });
            shut_down(&handle);
            handle.set_log(2);
            handle.gate.open();
            let number = handle.gate.number().unwrap();
            {
                let _inside = handle.gate.enter(number).unwrap();
                assert_eq!(handle.log(), 2);
            }
            caller.join().unwrap();
            shut_down(&handle);
        });
    }
}
