//! The place of an event in a mapping, as the hot path stores into it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::{RequestEvent, EVENT_SIZE};

/// How far ahead of the cursor lines are fetched for writing: a page, which hides the page walk at
/// each new page. In a tight loop p99 falls from 200 to 30 ns.
const PREFETCH_DISTANCE: usize = 4096;

/// Stores an event in its place, its id last.
///
/// # Safety
///
/// `slot` must be the place of an event in a mapping: 64 bytes, aligned to 64, that only this
/// thread writes, and of which nobody reads more than the id before the id is stored.
#[inline(always)]
pub unsafe fn store(event: &RequestEvent, slot: *mut u8) {
    debug_assert!(slot as usize % EVENT_SIZE == 0);
    let event_id = event.event_id;
    // 8 bytes and then three times 16, aligned as the fields are. What the engine has just stored,
    // field by field or 16 bytes at a time, is forwarded to these loads more often than to loads
    // from bytes 8, 24 and 40, which would span two such stores: 7 % and 27 % of an append. All
    // loads come before all stores: a load waits for an earlier store to the same place of another
    // page, however long that takes (docs/experiments/latency.md).
    // SAFETY: `from` comes from a reference, so its 64 bytes can be read; the event has no padding,
    // so all of them have a value. The caller promises that the 64 at `slot` can be written.
    // The 8-byte accesses are aligned: both are aligned to 8, and 8 is added. The 16-byte accesses
    // need no alignment. All is read before any is written, so the event may be the slot itself.
    // Nobody else reads or writes bytes 8 to 63 meanwhile (the caller's promise), so the plain
    // stores race with nothing.
    unsafe {
        let from = std::ptr::from_ref(event).cast::<u8>();
        let first = from.add(8).cast::<u64>().read();
        let second = from.add(16).cast::<u128>().read_unaligned();
        let third = from.add(32).cast::<u128>().read_unaligned();
        let fourth = from.add(48).cast::<u128>().read_unaligned();
        slot.add(8).cast::<u64>().write(first);
        slot.add(16).cast::<u128>().write_unaligned(second);
        slot.add(32).cast::<u128>().write_unaligned(third);
        slot.add(48).cast::<u128>().write_unaligned(fourth);
        store_id(slot, event_id);
    }
}

/// Stores the id, which commits the event: from now on it survives the death of the process.
///
/// # Safety
///
/// The same as for [`store`].
#[inline(always)]
pub unsafe fn store_id(slot: *mut u8, event_id: u64) {
    // SAFETY: the caller promises that `slot` can be written and is aligned to 64, so to 8. Others
    // may load this word at any time, also in other processes; they do so atomically, as it is
    // stored here. Release orders it after the other 56 bytes.
    unsafe { (*slot.cast::<AtomicU64>()).store(event_id.to_le(), Ordering::Release) };
    prefetch_ahead(slot.wrapping_add(EVENT_SIZE));
}

/// Fetches the cache line [`PREFETCH_DISTANCE`] past `address` for writing. Never faults.
#[inline(always)]
fn prefetch_ahead(address: *const u8) {
    // SAFETY: PREFETCHW changes no register, no flag and no memory, and ignores addresses that are
    // not mapped; processors without it treat it as a no-op.
    unsafe {
        std::arch::asm!("prefetchw [{} + {}]", in(reg) address, const PREFETCH_DISTANCE,
            options(nostack, preserves_flags, readonly));
    }
}
