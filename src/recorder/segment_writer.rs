//! The hot path. While a prepared segment is ready, nothing here makes a system call, allocates,
//! locks or faults.

use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::format::{Layout, RequestEvent, MAX_EVENT_ID};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::format::{MAX_BLOCKS, MIN_BLOCKS};

use super::clock::ticks;
use super::log::{pack, Control, Log};
use super::next_segment::{check_open, take_prepared};
use super::sampling::Sampling;
use super::segment::{ActiveFile, Segment};
use super::slot::{store, store_id};

/// The writer of a log. One thread uses it at a time; it may move between threads.
///
/// `repr(C)` keeps the fields in order: those that an append touches come first, so that they share
/// a cache line with the 8 bytes that a handle has before its writer.
#[derive(Debug)]
#[repr(C)]
pub struct Writer {
    /// Where the next event goes; equal to `block_end` when there is no room in the block.
    slot: *mut u8,
    /// End of the block `slot` is in, or what `sampling` lets be seen of it.
    block_end: *mut u8,
    /// The last event id plus 1. An id is accepted when `id + 1 > least_id`, wrapping: one compare
    /// turns away 0, ids that do not rise, and 2^64-1, which wraps to 0.
    least_id: u64,
    /// Added to an address in the mapping, it gives segment and offset, packed. So the position is
    /// not kept beside `slot`, which saves a store.
    bias: u64,
    /// The part of `log` that an append touches: it reads whether the log is open, and publishes
    /// the event. Reached through the `Arc`, it would cost an instruction to find the address.
    control: *const Control,
    log: Arc<Log>,
    /// The slot that was claimed. The claim holds only while that is still the next slot.
    claimed: *mut u8,
    /// Blocks of the segment after this one. While appends are sampled, none is seen.
    blocks_left: u32,
    /// Keeps the memory behind `slot` mapped. `None` until the first append.
    active: Option<Arc<ActiveFile>>,
    segment_index: u32,
    capacity: u32,
    sampling: Sampling,
}

// SAFETY: the raw pointers are what keeps `Writer` from being `Send`; all other fields are. They
// point into the mapping that `active` keeps alive and that no thread owns, and into the log that
// `log` keeps alive and that all its threads share. They are used through
// `&mut self` only, so after a move the old thread uses them no more, and whatever moved the writer
// has ordered its stores before those of the new thread.
unsafe impl Send for Writer {}

impl Writer {
    /// The writer of a log that ends with event `last_event_id`. It goes on in `segment` after its
    /// first `event_count` events, or in the first prepared segment.
    pub(super) fn new(log: Arc<Log>, last_event_id: u64, segment: Option<(&Segment, u32)>) -> Self {
        debug_assert!(last_event_id <= MAX_EVENT_ID);
        debug_assert_eq!(last_event_id, log.appended().last_event_id);
        let mut writer = Writer {
            slot: std::ptr::null_mut(),
            block_end: std::ptr::null_mut(),
            least_id: last_event_id + 1,
            bias: 0,
            sampling: Sampling::new(log.config.sample_appends),
            control: &raw const **log.control,
            log,
            claimed: std::ptr::null_mut(),
            active: None,
            segment_index: 0,
            blocks_left: 0,
            capacity: 0,
        };
        if let Some((segment, event_count)) = segment {
            writer.enter(segment, event_count);
        }
        writer.hide_room();
        writer
    }

    /// Appends one event.
    #[inline(always)]
    pub fn append(&mut self, event: &RequestEvent) -> Result<()> {
        if self.try_append(event) {
            return Ok(());
        }
        self.append_slowly(event)
    }

    /// Appends an event if there is room in the segment and nothing is wrong. Returns whether it
    /// did; if not, nothing is stored, and [`Writer::append`] finds out why. It cannot panic.
    #[inline(always)]
    pub fn try_append(&mut self, event: &RequestEvent) -> bool {
        let rises = event.event_id.wrapping_add(1) > self.least_id;
        let goes = rises && self.make_room() && self.control().is_open();
        if goes {
            self.store(event);
            self.publish();
        }
        goes
    }

    /// Moves the cursor to the next slot of an event: at the end of a block, over the next block's
    /// header. `false` when the segment is full. Here and not in the slow path, whose code is no
    /// longer in cache. That took more than 55 ns for one block in eight, and now does for one in
    /// a hundred (docs/experiments/latency.md).
    #[inline(always)]
    fn make_room(&mut self) -> bool {
        if self.slot == self.block_end {
            cold();
            if self.blocks_left == 0 {
                return false;
            }
            self.step_over_header();
        }
        true
    }

    /// Goes to the next block of the segment.
    #[inline(always)]
    fn step_over_header(&mut self) {
        debug_assert!(self.slot == self.block_end && self.blocks_left > 0);
        self.blocks_left -= 1;
        self.slot = self.slot.wrapping_add(BLOCK_HEADER_SIZE);
        self.block_end = self.slot.wrapping_add(BLOCK_SIZE - BLOCK_HEADER_SIZE);
    }

    /// Appends many events. `appended` is set to how many of them were, from the first on.
    #[inline]
    pub fn append_batch(&mut self, events: &[RequestEvent], appended: &mut usize) -> Result<()> {
        *appended = 0;
        while *appended < events.len() {
            let rest = &events[*appended..];
            // Appending the first event of each block makes room for the others.
            self.append(&rest[0])?;
            *appended += 1 + self.append_to_block(&rest[1..]);
        }
        Ok(())
    }

    /// Stores events until the block is full or an id does not rise, and publishes once. Keeping
    /// cursor and last id in registers saves two stores and five instructions an event.
    #[inline(always)]
    fn append_to_block(&mut self, events: &[RequestEvent]) -> usize {
        let room = (self.block_end as usize - self.slot as usize) / EVENT_SIZE;
        debug_assert!(room < EVENTS_PER_BLOCK, "the caller has stored the block's first event");
        let fitting = &events[..room.min(events.len())];
        let (mut slot, mut least_id) = (self.slot, self.least_id);
        for event in fitting {
            let rises = event.event_id.wrapping_add(1);
            if rises <= least_id {
                break;
            }
            // SAFETY: `slot` began at the cursor, the place of the next event, and moves by whole
            // events. There are no more of them in `fitting` than fit before `block_end`.
            unsafe { store(event, slot) };
            slot = slot.wrapping_add(EVENT_SIZE);
            least_id = rises;
        }
        let stored = (slot as usize - self.slot as usize) / EVENT_SIZE;
        if stored > 0 {
            self.slot = slot;
            self.least_id = least_id;
            self.publish();
        }
        stored
    }

    /// Returns the place of the next event. The caller fills bytes 8 to 63 and then commits. Any
    /// other call ends the claim.
    pub fn claim(&mut self) -> Result<*mut RequestEvent> {
        if let Some(slot) = self.try_claim() {
            return Ok(slot);
        }
        check_open(&self.log)?;
        if self.slot == self.block_end {
            self.make_room_slowly()?;
            if self.sampling.is_due() {
                self.sampling.begin_again();
            }
            self.hide_room();
        }
        self.claimed = self.slot;
        Ok(self.slot.cast())
    }

    /// [`Writer::claim`], under the conditions of [`Writer::try_append`].
    #[inline(always)]
    pub fn try_claim(&mut self) -> Option<*mut RequestEvent> {
        if !self.make_room() || !self.control().is_open() {
            return None;
        }
        self.claimed = self.slot;
        Some(self.slot.cast())
    }

    /// Ends a claim without a trace.
    pub fn give_up_claim(&mut self) {
        self.claimed = std::ptr::null_mut();
    }

    /// Appends the claimed event by storing its id.
    pub fn commit(&mut self, event_id: u64) -> Result<()> {
        if self.try_commit(event_id) {
            return Ok(());
        }
        check_open(&self.log)?;
        if self.claimed != self.slot || self.slot.is_null() {
            let message = "commit without claim: there is no claimed slot";
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        Err(self.out_of_order(event_id))
    }

    /// [`Writer::commit`], under the conditions of [`Writer::try_append`].
    #[inline(always)]
    pub fn try_commit(&mut self, event_id: u64) -> bool {
        let claimed = self.claimed == self.slot && !self.slot.is_null();
        let rises = event_id.wrapping_add(1) > self.least_id;
        let goes = claimed && rises && self.control().is_open();
        if goes {
            // SAFETY: `slot` equals the claimed slot and is not null. A claim is only given out
            // where there is room, and `slot` has not moved since.
            unsafe { store_id(self.slot, event_id) };
            self.move_past(event_id);
            self.publish();
        }
        goes
    }

    /// Stores an event at the cursor, and moves the cursor.
    #[inline(always)]
    fn store(&mut self, event: &RequestEvent) {
        let event_id = event.event_id;
        debug_assert!(self.slot < self.block_end);
        // SAFETY: the callers have made sure that `slot` is not `block_end`. Then it is the place
        // of an event in the mapping that `active` keeps alive, and only this writer stores there.
        unsafe { store(event, self.slot) };
        self.move_past(event_id);
    }

    /// Moves the cursor past an event.
    #[inline(always)]
    fn move_past(&mut self, event_id: u64) {
        self.slot = self.slot.wrapping_add(EVENT_SIZE);
        self.least_id = event_id.wrapping_add(1);
    }

    #[inline(always)]
    fn control(&self) -> &Control {
        // SAFETY: it points into what `self.log` keeps mapped, and only shared references to that
        // exist.
        unsafe { &*self.control }
    }

    #[inline(always)]
    fn publish(&self) {
        let position = self.bias.wrapping_add(self.slot as u64);
        debug_assert_eq!(position >> 32, u64::from(self.segment_index));
        debug_assert!(position as u32 <= Layout::end_offset(self.capacity));
        self.control().publish_appended(position, self.least_id - 1);
    }

    #[cold]
    #[inline(never)]
    fn append_slowly(&mut self, event: &RequestEvent) -> Result<()> {
        check_open(&self.log)?;
        if event.event_id.wrapping_add(1) <= self.least_id {
            return Err(self.out_of_order(event.event_id));
        }
        let is_timed = self.sampling.is_due();
        let begin = if is_timed { ticks() } else { 0 };
        self.make_room_slowly()?;
        self.store(event);
        self.publish();
        if is_timed {
            self.log.counts.sampled_append(ticks().saturating_sub(begin));
            self.sampling.begin_again();
        }
        if self.sampling.is_on() {
            self.sampling.count();
        }
        self.hide_room();
        Ok(())
    }

    /// Makes room for an event, and shows all that there is.
    fn make_room_slowly(&mut self) -> Result<()> {
        let (events, blocks) = self.sampling.show();
        self.block_end = self.block_end.wrapping_add(events as usize * EVENT_SIZE);
        self.blocks_left += blocks;
        if self.slot == self.block_end {
            let next = self.next_block();
            if next.is_err() {
                self.hide_room();
            }
            return next;
        }
        Ok(())
    }

    /// Hides room from the hot path, if appends are sampled: behind it is one that is timed.
    fn hide_room(&mut self) {
        if self.sampling.is_on() {
            let events = (self.block_end as usize - self.slot as usize) / EVENT_SIZE;
            let seen = self.sampling.hide(events as u32, self.blocks_left);
            self.block_end = self.slot.wrapping_add(seen as usize * EVENT_SIZE);
            self.blocks_left = 0;
        }
    }

    /// Goes on to the next block, in the next segment if this one is full.
    fn next_block(&mut self) -> Result<()> {
        if self.blocks_left == 0 {
            return self.rotate();
        }
        self.step_over_header();
        Ok(())
    }

    /// Enters a prepared segment and hands it to the persister, which follows the writer through
    /// it. The persister has a reference to the full one already, and sees where that ends.
    #[cold]
    fn rotate(&mut self) -> Result<()> {
        debug_assert!(self.slot == self.block_end && self.blocks_left == 0);
        let segment = take_prepared(&self.log)?;
        debug_assert!(self.capacity == 0 || segment.index > self.segment_index, "indexes rise");
        // Readers may still stand in the file as another segment's: what is stored from here on
        // comes after the new index that the preparer has put into its header (`segment::memory`).
        fence(Ordering::Release);
        let begin = ticks();
        self.log.hand_to_persister(segment.clone())?;
        self.log.counts.enter_segment(segment.index, self.capacity);
        self.enter(&segment, 0);
        // While the log is healthy, neither this reference nor the one to the old `ActiveFile`,
        // which `enter` has dropped, was the last: the persister has the segment, and the preparer
        // keeps the old file. So nothing is freed, unmapped or closed on this thread.
        drop(segment);
        self.log.counts.rotation(ticks().saturating_sub(begin));
        Ok(())
    }

    /// Points the cursor past the first `event_count` events of a segment.
    fn enter(&mut self, segment: &Segment, event_count: u32) {
        // A recovered segment may have been cut to fewer blocks than a new one has.
        debug_assert!(event_count > 0 || segment.layout.blocks >= MIN_BLOCKS);
        debug_assert!(segment.layout.blocks <= MAX_BLOCKS);
        debug_assert!(event_count <= segment.layout.capacity());
        debug_assert_eq!(segment.active.mapping.size() as u64, segment.layout.file_size());
        let block = event_count / EVENTS_PER_BLOCK as u32;
        let in_block = event_count as usize % EVENTS_PER_BLOCK;
        let start = segment.active.mapping.as_mut_ptr();
        self.segment_index = segment.index;
        self.capacity = segment.layout.capacity();
        self.blocks_left = segment.layout.blocks;
        let mut offset = Layout::block_offset(block) as usize;
        self.block_end = start.wrapping_add(offset);
        if in_block == 0 {
            // Between two blocks: `next_block` steps over the header.
            self.blocks_left -= block;
        } else {
            self.blocks_left -= block + 1;
            self.block_end = self.block_end.wrapping_add(BLOCK_SIZE);
            offset += BLOCK_HEADER_SIZE + in_block * EVENT_SIZE;
        }
        self.slot = start.wrapping_add(offset);
        self.bias = pack(segment.index, 0).wrapping_sub(start as u64);
        self.claimed = std::ptr::null_mut();
        self.active = Some(Arc::clone(&segment.active));
        if event_count == 0 {
            // A new segment has at least 16 blocks, so this does not rotate again.
            let _ = self.next_block();
        }
        debug_assert!(self.slot <= self.block_end);
        debug_assert!(event_count > 0 || self.blocks_left + 1 == segment.layout.blocks);
    }

    #[cold]
    fn out_of_order(&self, event_id: u64) -> Error {
        let last = self.least_id - 1;
        let message = if event_id == 0 || event_id > MAX_EVENT_ID {
            format!("event id {event_id} is not an id: ids are from 1 to 2^64-2")
        } else {
            format!("event id {event_id} is not above the last one, {last}")
        };
        Error::new(Cause::OutOfOrder, message)
    }
}

/// Marks what happens once in a block as unlikely.
#[cold]
#[inline(always)]
fn cold() {}
