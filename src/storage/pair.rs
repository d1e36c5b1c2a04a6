//! Two words that are always read as they were written together.
//!
//! One thread writes, any number read, and nobody ever waits: a reader that has interrupted the
//! writer anywhere, in a signal handler or at a higher priority on its processor, sees the pair
//! before or the pair after. Every x86-64 processor with AVX stores and loads 16 aligned bytes in
//! one piece (both vendors promise it); [`check_processor`] refuses others. Three instructions to
//! write, as many as the three stores of a sequence lock, in which a reader may have to wait.

use std::arch::asm;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Cause, Error, Result};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("this library is for x86-64");

/// Fails on a processor that does not store 16 bytes in one piece.
pub fn check_processor() -> Result<()> {
    if is_x86_feature_detected!("avx") {
        return Ok(());
    }
    let message =
        "this processor has no AVX, which a log that is written needs (x86-64 since 2011)";
    Err(Error::new(Cause::Unsupported, message))
}

#[cfg(all(test, loom))]
pub use model::Pair;
#[cfg(not(all(test, loom)))]
pub use words::Pair;

/// Loads 16 bytes in one piece. The processor does not reorder it with later loads.
///
/// # Safety
/// `from` is aligned to 16, and 16 bytes can be read there. The processor has AVX.
unsafe fn load_both(from: *const u64) -> (u64, u64) {
    let (first, second);
    // SAFETY: the caller's promise. Whoever stores there at the same time stores as atomically.
    unsafe {
        asm!(
            "vmovdqa {x}, [{from}]",
            "vmovq {first}, {x}",
            "vpextrq {second}, {x}, 1",
            x = out(xmm_reg) _,
            first = out(reg) first,
            second = out(reg) second,
            from = in(reg) from,
            options(nostack, preserves_flags, readonly),
        );
    }
    (first, second)
}

/// The words of a pair whose first one only rises, on any processor.
pub(super) fn load_rising(words: &[AtomicU64; 2]) -> (u64, u64) {
    let from = words.as_ptr().cast::<u64>();
    assert!(from.addr() % 16 == 0, "a pair is aligned to 16");
    if is_x86_feature_detected!("avx") {
        // SAFETY: both words can be read, and begin at a multiple of 16, as was just checked.
        return unsafe { load_both(from) };
    }
    load_rising_by_words(words)
}

/// The same with loads of 8 bytes. Between two loads of the same first word it has not changed, or
/// it would have risen; so the second word, loaded in between, is the one stored with it.
fn load_rising_by_words(words: &[AtomicU64; 2]) -> (u64, u64) {
    let [first, second] = words;
    loop {
        let before = first.load(Ordering::Acquire);
        let between = second.load(Ordering::Acquire);
        if first.load(Ordering::Relaxed) == before {
            return (before, between);
        }
    }
}

#[cfg(not(all(test, loom)))]
mod words {
    use std::arch::asm;
    use std::cell::UnsafeCell;

    use super::load_both;

    /// Two words in one aligned place.
    #[derive(Debug)]
    #[repr(C, align(16))]
    pub struct Pair(UnsafeCell<[u64; 2]>);

    // SAFETY: the words are only touched by the two instructions below, each of which is one access
    // that cannot be torn.
    unsafe impl Sync for Pair {}

    impl Pair {
        /// A pair of its own.
        pub fn new(first: u64, second: u64) -> Self {
            Pair(UnsafeCell::new([first, second]))
        }

        /// Replaces both. Whoever loads them sees whatever this thread stored before.
        #[inline(always)]
        pub fn store(&self, first: u64, second: u64) {
            // SAFETY: the pair lies 0 bytes behind itself.
            unsafe { Pair::store_behind::<0>(self.0.get().cast(), first, second) }
        }

        /// The same, of the pair that lies so many bytes behind an address. Where that is in a
        /// register already, this saves the instruction that adds the two.
        ///
        /// # Safety
        /// A pair lies there.
        #[inline(always)]
        pub unsafe fn store_behind<const OFFSET: usize>(base: *const u8, first: u64, second: u64) {
            // SAFETY: a pair is aligned to 16; `check_processor` has seen AVX. The processor does
            // not reorder the store with earlier ones, and the compiler, to which this may touch
            // any memory, does not either.
            unsafe {
                asm!(
                    "vmovq {x}, {first}",
                    "vpinsrq {x}, {x}, {second}, 1",
                    "vmovdqa [{base} + {offset}], {x}",
                    x = out(xmm_reg) _,
                    first = in(reg) first,
                    second = in(reg) second,
                    base = in(reg) base,
                    offset = const OFFSET,
                    options(nostack, preserves_flags),
                );
            }
        }

        /// Both, as they were stored together last.
        pub fn load(&self) -> (u64, u64) {
            // SAFETY: a pair is aligned to 16; `check_processor` has seen AVX.
            unsafe { load_both(self.0.get().cast()) }
        }
    }
}

/// For the models: loom knows no 16-byte access. A lock that is held for no longer is never torn
/// either, so the models show what the users of a pair make of it, not that it is one: that rests
/// on the processor, and on a test that interrupts the writer at every instruction
/// (`tests/c/interrupted.c`).
#[cfg(all(test, loom))]
mod model {
    use loom::sync::Mutex;

    /// Two words.
    #[derive(Debug)]
    pub struct Pair(Mutex<(u64, u64)>);

    impl Pair {
        /// A pair of its own.
        pub fn new(first: u64, second: u64) -> Self {
            Pair(Mutex::new((first, second)))
        }

        /// Replaces both.
        pub fn store(&self, first: u64, second: u64) {
            *self.0.lock().unwrap() = (first, second);
        }

        /// The same.
        ///
        /// # Safety
        /// A pair lies there.
        pub unsafe fn store_behind<const OFFSET: usize>(base: *const u8, first: u64, second: u64) {
            // SAFETY: the caller's promise.
            unsafe { &*base.add(OFFSET).cast::<Pair>() }.store(first, second);
        }

        /// Both.
        pub fn load(&self) -> (u64, u64) {
            *self.0.lock().unwrap()
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Both ways of reading, beside a thread that stores without pause.
    #[test]
    fn words_that_were_stored_together_are_read_together() {
        let place = Pair::new(0, 0);
        // SAFETY: a pair is two words, which the test stores in one piece.
        let words = unsafe { &*std::ptr::from_ref(&place).cast::<[AtomicU64; 2]>() };
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=2_000_000).for_each(|n| place.store(n, n * 3)));
            let mut last = 0;
            while last < 2_000_000 {
                for (first, second) in [load_rising(words), load_rising_by_words(words)] {
                    assert_eq!(second, first * 3);
                    assert!(first >= last);
                    last = first;
                }
            }
        });
    }
}
