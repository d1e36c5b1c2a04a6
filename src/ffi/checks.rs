//! Checks of how an engine uses its log, for its tests: they find misuse that would cost the hot
//! path something to notice (`fs_wal_config.checks`). With any of them on, no call takes the fast
//! path.

use std::cell::UnsafeCell;
use std::mem::size_of;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Result;
use crate::format::RequestEvent;
use crate::recorder::Writer;

use super::argument::refused;

/// A second thread in a call that only the writer may make gets `FS_WAL_ERR_INVALID_ARGUMENT`, with
/// the ids of both threads in the text, and nothing is appended by that call. So does
/// `fs_wal_shutdown` while the writer is in a call: the log stays open. Without this check two
/// threads that append at once overwrite each other's events, and no call says so; an append beside
/// a shutdown may write to memory that is gone.
pub const FS_WAL_CHECK_ONE_WRITER: u32 = 1;
/// `fs_wal_claim` hands out a place beside the log, and `fs_wal_commit` copies it. What is written
/// there when it is not claimed any more is reported by the writer's next call, with
/// `FS_WAL_ERR_INVALID_ARGUMENT` and the id of the event, and does not change the log. Without this
/// check it changes an event that exists, and possibly one that is durable.
pub const FS_WAL_CHECK_SLOTS: u32 = 2;

/// What a handle checks. All zeros: nothing.
pub(super) struct Checks {
    flags: AtomicU32,
    /// The thread in a call of the writer, 0 = none. Only with [`FS_WAL_CHECK_ONE_WRITER`].
    inside: AtomicU32,
    lent: UnsafeCell<Lent>,
}

/// A place beside the log for the next event. Only with [`FS_WAL_CHECK_SLOTS`].
#[repr(C)]
pub(super) struct Lent {
    event: UnsafeCell<RequestEvent>,
    is_on: bool,
    is_claimed: bool,
    /// The event that was committed last through it, 0 = none.
    committed_id: u64,
}

/// Fills a place that is not claimed. No engine writes exactly this.
const UNTOUCHED: [u8; size_of::<RequestEvent>()] = [0xa5; size_of::<RequestEvent>()];

/// The only thread in a call of the writer, until dropped.
pub(super) struct Alone<'a>(Option<&'a AtomicU32>);

impl Alone<'_> {
    /// Nobody asks whether it is the only one.
    pub(super) const UNCHECKED: Self = Self(None);
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Some(inside) = self.0 {
            inside.store(0, Ordering::Release);
        }
    }
}

impl Checks {
    /// Begins with these flags, before the handle is given out.
    ///
    /// # Safety
    /// Nobody else uses the handle.
    pub(super) unsafe fn begin(&self, flags: u32) {
        self.flags.store(flags, Ordering::Relaxed);
        self.inside.store(0, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        let lent = unsafe { &mut *self.lent.get() };
        lent.is_on = flags & FS_WAL_CHECK_SLOTS != 0;
        lent.committed_id = 0;
        lent.take_back();
    }

    /// Lets one thread in.
    #[inline(always)]
    pub(super) fn enter(&self) -> Result<Alone<'_>> {
        self.enter_with(|own, other| {
            format!(
                "two threads append at once: thread {own} has called while thread {other} was in \
                 a call. A log has one writer"
            )
        })
    }

    /// Lets the thread in that shuts the log down. Those after it find a log that is shut down.
    pub(super) fn enter_last(&self) -> Result<Alone<'_>> {
        self.enter_with(|own, other| {
            format!(
                "the log is shut down while thread {other} is in a call: thread {own} must wait \
                 until the writer has stopped. Nothing was done"
            )
        })
    }

    #[inline(always)]
    fn enter_with(&self, words: impl FnOnce(u32, u32) -> String) -> Result<Alone<'_>> {
        if self.flags.load(Ordering::Relaxed) & FS_WAL_CHECK_ONE_WRITER == 0 {
            return Ok(Alone::UNCHECKED);
        }
        let own = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        match self.inside.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Alone(Some(&self.inside))),
            Err(other) => Err(refused(words(own, other))),
        }
    }

    /// The place beside the log, of the writer.
    pub(super) fn lent(&self) -> *mut Lent {
        self.lent.get()
    }
}

impl Lent {
    /// Refuses a call of the writer, once, when the place was written although it was not claimed.
    pub(super) fn check(&mut self) -> Result<()> {
        if !self.is_on || self.is_claimed || *self.bytes() == UNTOUCHED {
            return Ok(());
        }
        self.take_back();
        Err(refused(format!(
            "the slot that fs_wal_claim gave was written after it was given back (last committed \
             event: {})",
            self.committed_id
        )))
    }

    /// The engine may not write there any more.
    pub(super) fn take_back(&mut self) {
        if self.is_on {
            self.is_claimed = false;
            *self.bytes() = UNTOUCHED;
        }
    }

    /// [`Writer::claim`], or the place beside the log instead.
    pub(super) fn claim(&mut self, writer: &mut Writer) -> Result<*mut RequestEvent> {
        self.take_back();
        let slot = writer.claim()?;
        if !self.is_on {
            return Ok(slot);
        }
        *self.bytes() = [0; size_of::<RequestEvent>()];
        self.is_claimed = true;
        Ok(self.event.get())
    }

    /// [`Writer::commit`] of either.
    pub(super) fn commit(&mut self, writer: &mut Writer, event_id: u64) -> Result<()> {
        if !self.is_claimed {
            if self.is_on {
                // What the writer has claimed for this place has never been filled.
                writer.give_up_claim();
            }
            return writer.commit(event_id);
        }
        writer.append(&RequestEvent { event_id, ..*self.event.get_mut() })?;
        self.committed_id = event_id;
        self.take_back();
        Ok(())
    }

    fn bytes(&mut self) -> &mut [u8; size_of::<RequestEvent>()] {
        // SAFETY: an event is 64 bytes without padding, and any bytes are an event.
        unsafe { &mut *self.event.get().cast() }
    }
}
