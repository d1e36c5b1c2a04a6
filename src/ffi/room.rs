//! The memory of handles.
//!
//! It is never unmapped: a call that comes too late for its log still finds a handle, and sees that
//! it is not its own (`gate`). When a log is shut down, its room is used for the next one.
//!
//! The first page of a room is one that the kernel gives to no child: there it reads as zeros,
//! whichever way the child was made, `_Fork` and `clone` included, which call no fork handlers.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// The part of a room that children do not get.
pub(super) const PAGE: usize = 4096;
/// Bytes of a room. It begins at a page.
pub(super) const SIZE: usize = 2 * PAGE;

/// Rooms that are not used now. They are handed from one log to the next under the lock.
pub(super) struct Free(Vec<NonNull<u8>>);

// SAFETY: nobody uses the memory of a room while it is free, except for its gate, whose words are
// atomics.
unsafe impl Send for Free {}

static FREE: Mutex<Free> = Mutex::new(Free(Vec::new()));

/// The free rooms, locked. The thread that forks holds the lock, so the child finds it free.
pub(super) fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Room for a handle, given back when dropped.
pub(super) struct Room(NonNull<u8>);

impl Room {
    /// Finds or makes one. New ones are filled with zeros.
    pub(super) fn take() -> Result<Self> {
        // Not while the lock is held: mapping memory may wait.
        let free = free().0.pop();
        free.map_or_else(map, Ok).map(Room)
    }

    /// The room of a handle that is shut down.
    ///
    /// # Safety
    /// It came from [`Room::into_raw`], once, and what was in it is not used any more.
    pub(super) unsafe fn from_raw(start: NonNull<u8>) -> Self {
        Room(start)
    }

    pub(super) fn into_raw(self) -> NonNull<u8> {
        let start = self.0;
        std::mem::forget(self);
        start
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        free().0.push(self.0);
    }
}

fn map() -> Result<NonNull<u8>> {
    // SAFETY: a new mapping of private memory, at an address that the kernel chooses.
    let mapped = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(ptr::null_mut(), SIZE, access, kind, -1, 0)
    };
    match NonNull::new(mapped.cast::<u8>()) {
        Some(room) if mapped != libc::MAP_FAILED => {
            // A kernel before 4.14 cannot do it. Then a child knows what the fork handlers tell it.
            // SAFETY: the first page of the mapping that was just made.
            let _ = unsafe { libc::madvise(mapped, PAGE, libc::MADV_WIPEONFORK) };
            Ok(room)
        }
        _ => Err(Error::io("map memory for a handle", &io::Error::last_os_error())),
    }
}
