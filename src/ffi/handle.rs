//! What a `fs_wal *` points at, and how calls reach it.
//!
//! Many threads use a handle at once: one of them, the writer, through [`with_writer`], the others
//! through [`with_log`]. Only the first touches the [`Writer`]. Calls of the second are counted,
//! so that shutting down can wait for those still inside before it frees the handle.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::recorder::{Log, Manager, Writer};

use super::argument::{self, refused};
use super::guard::guard_or;
use super::status::{Status, FS_WAL_ERR_INTERNAL, FS_WAL_ERR_INVALID_ARGUMENT, FS_WAL_OK};
use super::{fork, last_error, signals};

/// A log open for writing. `fs_wal_open` makes the handle and `fs_wal_shutdown` frees it.
pub struct Wal {
    writing: Writing,
    shared: Shared,
    inside: Calls,
    manager: UnsafeCell<ManuallyDrop<Manager>>,
}

/// The writer's half. In C's order, `magic` and the writer's first fields share a cache line; they
/// are all that an append reads of a handle.
#[repr(C, align(128))]
struct Writing {
    magic: AtomicU32,
    writer: UnsafeCell<ManuallyDrop<Writer>>,
}

/// What calls from other threads read. It is not beside the writer's half, because each such call
/// would take that cache line from the writer: with a thread that polled the watermark, appends
/// took 140 ns longer at p99.
#[repr(align(128))]
struct Shared {
    magic: AtomicU32,
    log: Arc<Log>,
}

/// Calls of [`with_log`] that have not returned. On cache lines of its own (two, because they are
/// fetched in pairs): every such call writes it, and reads what would be beside it.
#[derive(Default)]
#[repr(align(128))]
struct Calls(AtomicUsize);

/// Marks a live handle. It reveals a pointer to something else, or to a freed handle whose memory
/// is not used again yet. Any other bad pointer is undefined behaviour.
const LIVE: u32 = 0x4c57_5346;
const SHUT_DOWN: u32 = 0x7857_5346;

impl Wal {
    /// A handle for C to hold.
    pub(super) fn into_raw(manager: Manager, writer: Writer) -> *mut Wal {
        let log = Arc::clone(manager.log());
        fork::register(&log);
        Box::into_raw(Box::new(Wal {
            writing: Writing {
                magic: AtomicU32::new(LIVE),
                writer: UnsafeCell::new(ManuallyDrop::new(writer)),
            },
            shared: Shared { magic: AtomicU32::new(LIVE), log },
            inside: Calls::default(),
            manager: UnsafeCell::new(ManuallyDrop::new(manager)),
        }))
    }

    /// The handle behind a pointer. `None` when there is none: this thread's last error says why,
    /// and the call returns `FS_WAL_ERR_INVALID_ARGUMENT`.
    ///
    /// # Safety
    /// `wal` is NULL or comes from [`Wal::into_raw`] and is not freed while the reference is used.
    #[inline(always)]
    unsafe fn borrow<'a>(wal: *const Wal) -> Option<&'a Wal> {
        // SAFETY: the caller's promise. Nothing in a handle is written to but through cells.
        let error = match unsafe { argument::borrow(wal, "wal") } {
            Ok(handle) if handle.shared.magic.load(Ordering::Relaxed) == LIVE => {
                return Some(handle)
            }
            Ok(_other) => not_a_handle(),
            Err(error) => error,
        };
        last_error::record(&error);
        None
    }

    /// The error that a call returns. In a forked child it is always that the log is the parent's.
    #[cold]
    #[inline(never)]
    fn refusal(&self, error: Error) -> Error {
        self.check_not_forked().err().unwrap_or(error)
    }

    fn check_not_forked(&self) -> Result<()> {
        if self.shared.log.poison().is_forked() {
            return self.shared.log.poison().check();
        }
        Ok(())
    }
}

#[cold]
#[inline(never)]
fn not_a_handle() -> Error {
    refused("wal is not an open log: it was shut down, or never was one".to_owned())
}

/// Counts a call as inside the handle until dropped.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn enter(handle: &'a Wal) -> Self {
        handle.inside.0.fetch_add(1, Ordering::Relaxed);
        Inside(&handle.inside.0)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Release: whatever the call did with the handle comes before it is freed.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A call that any thread may make.
///
/// # Safety
/// `wal` is NULL or a handle that is not yet shut down; if it is being shut down by
/// another thread, this call began before.
pub(super) unsafe fn with_log(wal: *const Wal, call: impl FnOnce(&Log) -> Result<()>) -> Status {
    // SAFETY: the caller's promise; shutting down waits for `_inside` before it frees the handle.
    let Some(handle) = (unsafe { Wal::borrow(wal) }) else { return FS_WAL_ERR_INVALID_ARGUMENT };
    let _inside = Inside::enter(handle);
    guard_or(
        || {
            handle.check_not_forked()?;
            call(&handle.shared.log)
        },
        |panic| handle.shared.log.fail(panic),
    )
}

/// The hot path: a test of the pointer and of the magic number, and then `call`, inlined, which
/// must not panic. `None` if the handle is not good: [`with_writer`] has the words for it.
///
/// # Safety
/// As for [`with_writer`].
#[inline(always)]
pub(super) unsafe fn try_with_writer<T>(
    wal: *mut Wal,
    call: impl FnOnce(&mut Writer) -> Option<T>,
) -> Option<T> {
    // SAFETY: the caller's promise.
    let handle = unsafe { argument::try_borrow(wal) }?;
    if handle.writing.magic.load(Ordering::Relaxed) != LIVE {
        return None;
    }
    // SAFETY: as in `with_writer`.
    call(unsafe { &mut *handle.writing.writer.get() })
}

/// A call that the writer alone may make.
///
/// # Safety
/// `wal` is NULL or a handle that is not shut down before this call returns, and no other thread
/// is in a call of this kind on it.
pub(super) unsafe fn with_writer(
    wal: *mut Wal,
    call: impl FnOnce(&mut Writer) -> Result<()>,
) -> Status {
    // SAFETY: the caller's promise.
    let Some(handle) = (unsafe { Wal::borrow(wal) }) else { return FS_WAL_ERR_INVALID_ARGUMENT };
    // SAFETY: only calls of this kind and the shutdown touch the cell, and the caller promises
    // that there is no other one of them now. The reference does not outlive this call.
    let writer = unsafe { &mut *handle.writing.writer.get() };
    guard_or(
        || call(writer).map_err(|error| handle.refusal(error)),
        |panic| handle.shared.log.fail(panic),
    )
}

/// How often the shutdown checks whether the last calls inside have ended. They have been woken,
/// or are about to return by themselves.
const INSIDE_POLL: Duration = Duration::from_micros(100);

/// Shuts the log down and frees the handle.
///
/// # Safety
/// `wal` is NULL or a handle from [`Wal::into_raw`]; the writer has stopped; no call on the handle
/// begins after this one.
pub(super) unsafe fn shut_down(wal: *mut Wal) -> Status {
    if wal.is_null() {
        return FS_WAL_OK;
    }
    // SAFETY: the caller's promise; it is this function that frees the handle, at its end.
    let Some(handle) = (unsafe { Wal::borrow(wal) }) else { return FS_WAL_ERR_INVALID_ARGUMENT };
    let status = guard_or(
        || {
            // The workers are threads of the parent: a child would wait for them for ever, so it
            // leaves everything as it is. Its descriptors are closed already.
            handle.check_not_forked()?;
            let magic = &handle.shared.magic;
            let swapped =
                magic.compare_exchange(LIVE, SHUT_DOWN, Ordering::AcqRel, Ordering::Relaxed);
            swapped.map_err(|_| not_a_handle())?;
            handle.writing.magic.store(SHUT_DOWN, Ordering::Relaxed);
            // SAFETY: the exchange lets one call through, once, so each is taken once. No other
            // call uses the writer any more (the caller's promise), and none but this one ever
            // uses the manager.
            let (manager, writer) = unsafe {
                let manager = ManuallyDrop::take(&mut *handle.manager.get());
                (manager, ManuallyDrop::take(&mut *handle.writing.writer.get()))
            };
            let _blocked = signals::Blocked::new();
            let result = manager.shutdown(writer);
            fork::unregister(&handle.shared.log);
            result
        },
        |panic| handle.shared.log.fail(panic),
    );
    if handle.shared.magic.load(Ordering::Relaxed) != SHUT_DOWN || status == FS_WAL_ERR_INTERNAL {
        // Not ours to free, or in an unknown state: leaking the memory is safer than freeing it.
        return status;
    }
    // Acquire: pairs with the release at the end of each call inside.
    while handle.inside.0.load(Ordering::Acquire) != 0 {
        std::thread::sleep(INSIDE_POLL);
    }
    // SAFETY: `wal` comes from a box, this call alone got past the exchange, and nobody is inside.
    // The writer and the manager were taken and are not dropped again.
    drop(unsafe { Box::from_raw(wal) });
    status
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
