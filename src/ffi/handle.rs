//! What a `fs_wal *` points at, and how calls reach it.
//!
//! Many threads use a handle at once: one of them, the writer, through [`with_writer`], the others
//! through [`with_log`]. Only the first touches the [`Writer`]. Calls of the second go through a
//! gate, so that shutting down can wait for those still inside before it frees the handle, and
//! those that come later are turned away.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::result::Result as StdResult;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::recorder::{Log, Manager, Writer};

use super::argument::{self, refused};
use super::cancel::HeldOff;
use super::checks::{Alone, Checks, Lent};
use super::gate::Gate;
use super::guard::guard_or;
use super::last_error::Fixed;
use super::room::{self, Room};
use super::status::{Status, FS_WAL_ERR_CLOSED, FS_WAL_ERR_INTERNAL};
use super::status::{FS_WAL_ERR_INVALID_ARGUMENT, FS_WAL_OK};
use super::{fork, last_error, signals};

/// A log open for writing. `fs_wal_open` makes the handle and `fs_wal_shutdown` frees it.
pub struct Wal(Handle);

/// In C's order: what children do not get is the first page.
#[repr(C)]
struct Handle {
    own: Own,
    shared: Shared,
    gate: Gate,
    checks: Checks,
    manager: UnsafeCell<MaybeUninit<Manager>>,
}

/// What no child of this process gets: there it is all zeros (`room`).
#[repr(C, align(4096))]
struct Own {
    writing: Writing,
    mark: Mark,
}

/// The writer's half. In C's order, `magic` and the writer's first fields share a cache line; they
/// are all that an append reads of a handle.
#[repr(C, align(128))]
struct Writing {
    magic: AtomicU32,
    writer: UnsafeCell<MaybeUninit<Writer>>,
}

/// [`LIVE`] in the process that opened the log. Calls from other threads look here and not at the
/// writer's half, because each such call would take that cache line from the writer: with a thread
/// that polled the watermark, appends took 140 ns longer at p99.
#[repr(align(128))]
struct Mark(AtomicU32);

/// What calls from other threads read.
#[repr(align(128))]
struct Shared {
    magic: AtomicU32,
    log: UnsafeCell<MaybeUninit<Arc<Log>>>,
}

/// Marks a handle. It reveals a pointer to something else. Any other bad pointer is undefined
/// behaviour.
const LIVE: u32 = 0x4c57_5346;
const CHECKED: u32 = 0x6357_5346;
const SHUT_DOWN: u32 = 0x7857_5346;

// Why a handle cannot be used.
static IS_NULL: Fixed = (FS_WAL_ERR_INVALID_ARGUMENT, c"wal is NULL");
static IS_MISALIGNED: Fixed = (FS_WAL_ERR_INVALID_ARGUMENT, c"wal is not aligned: it is no handle");
static IS_NOT_OPEN: Fixed =
    (FS_WAL_ERR_INVALID_ARGUMENT, c"wal is not an open log: it was shut down, or never was one");
static IS_THE_PARENTS: Fixed =
    (FS_WAL_ERR_CLOSED, c"the log was opened before fork(): it belongs to the parent process");

impl Wal {
    /// A handle for C to hold.
    pub(super) fn fill(room: Room, manager: Manager, writer: Writer, checks: u32) -> *mut Wal {
        let log = Arc::clone(manager.log());
        fork::register(&log);
        const { assert!(size_of::<Wal>() <= room::SIZE && align_of::<Wal>() <= room::PAGE) };
        let wal = room.into_raw().cast::<Wal>();
        // SAFETY: a handle fits into a room, which is never unmapped. That was zeros once, which
        // every field can be. Its cells are ours alone until the gate opens.
        unsafe {
            let Wal(handle) = wal.as_ref();
            *handle.shared.log.get() = MaybeUninit::new(log);
            *handle.manager.get() = MaybeUninit::new(manager);
            *handle.own.writing.writer.get() = MaybeUninit::new(writer);
            handle.shared.magic.store(LIVE, Ordering::Relaxed);
            handle.own.mark.0.store(LIVE, Ordering::Relaxed);
            handle.checks.begin(checks);
            // With checks, no call takes the fast path.
            let magic = if checks == 0 { LIVE } else { CHECKED };
            handle.own.writing.magic.store(magic, Ordering::Relaxed);
            handle.gate.open();
        }
        wal.as_ptr()
    }

    /// The handle behind a pointer, and the number of its opening.
    ///
    /// # Safety
    /// `wal` is NULL or comes from [`Wal::fill`].
    #[inline(always)]
    unsafe fn borrow<'a>(wal: *const Wal) -> StdResult<(&'a Handle, u32), &'static Fixed> {
        // SAFETY: the caller's promise. Nothing in a handle is written to but through cells.
        let Some(Wal(handle)) = (unsafe { argument::try_borrow(wal) }) else {
            return Err(if wal.is_null() { &IS_NULL } else { &IS_MISALIGNED });
        };
        if handle.shared.magic.load(Ordering::Relaxed) != LIVE {
            return Err(&IS_NOT_OPEN);
        }
        if handle.own.mark.0.load(Ordering::Relaxed) == 0 {
            return Err(&IS_THE_PARENTS);
        }
        let number = handle.gate.number().ok_or(&IS_NOT_OPEN)?;
        Ok((handle, number))
    }
}

impl Handle {
    /// # Safety
    /// The handle is not freed while the reference is used: this call is inside its gate, or the
    /// caller has promised so.
    #[inline(always)]
    unsafe fn log(&self) -> &Arc<Log> {
        // SAFETY: the caller's promise; a handle that is not freed has a log.
        unsafe { (*self.shared.log.get()).assume_init_ref() }
    }
}

/// The error that a call returns. In a forked child it is always that the log is the parent's.
#[cold]
#[inline(never)]
fn refusal(log: &Log, error: Error) -> Error {
    check_not_forked(log).err().unwrap_or(error)
}

fn check_not_forked(log: &Log) -> Result<()> {
    if log.poison().is_forked() {
        return log.poison().check();
    }
    Ok(())
}

/// A call that any thread may make.
///
/// # Safety
/// `wal` is NULL or a handle. Another thread may shut it down: this call is refused or waited for.
pub(super) unsafe fn with_log(wal: *const Wal, call: impl FnOnce(&Log) -> Result<()>) -> Status {
    // SAFETY: the caller's promise.
    let (handle, number) = match unsafe { Wal::borrow(wal) } {
        Ok(found) => found,
        Err(refused) => return last_error::record_fixed(refused),
    };
    let Some(_inside) = handle.gate.enter(number) else {
        return last_error::record_fixed(&IS_NOT_OPEN);
    };
    // SAFETY: shutting down waits for `_inside` before it frees the log.
    let log = unsafe { handle.log() };
    guard_or(
        || {
            check_not_forked(log)?;
            call(log)
        },
        |panic| log.fail(panic),
    )
}

/// [`with_log`], of a call that may wait.
///
/// # Safety
/// As for [`with_log`].
pub(super) unsafe fn wait_with_log(
    wal: *const Wal,
    call: impl FnOnce(&Log) -> Result<()>,
) -> Status {
    let _held_off = HeldOff::new();
    // SAFETY: the caller's promise.
    unsafe { with_log(wal, call) }
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
    let Wal(handle) = unsafe { argument::try_borrow(wal) }?;
    if handle.own.writing.magic.load(Ordering::Relaxed) != LIVE {
        return None;
    }
    // SAFETY: as in `with_writer`.
    call(unsafe { (*handle.own.writing.writer.get()).assume_init_mut() })
}

/// A call that the writer alone may make.
///
/// # Safety
/// `wal` is NULL or a handle that is not shut down before this call returns, and no other thread
/// is in a call of this kind on it.
pub(super) unsafe fn with_writer(
    wal: *mut Wal,
    call: impl FnOnce(&mut Writer, Option<&mut Lent>) -> Result<()>,
) -> Status {
    // SAFETY: the caller's promise.
    let found = unsafe { argument::try_borrow(wal) };
    let magic = found.map_or(0, |Wal(handle)| handle.own.writing.magic.load(Ordering::Relaxed));
    let (handle, is_checked) = match (found, magic) {
        (Some(Wal(handle)), LIVE) => (handle, false),
        (Some(Wal(handle)), CHECKED) => (handle, true),
        // SAFETY: the caller's promise.
        _ => return unsafe { refuse(wal) },
    };
    // A second thread is turned away before there is a second reference.
    let alone = if is_checked { handle.checks.enter() } else { Ok(Alone::UNCHECKED) };
    let _alone = match alone {
        Ok(alone) => alone,
        Err(error) => return last_error::record(&error),
    };
    if is_checked && handle.own.writing.magic.load(Ordering::Relaxed) != CHECKED {
        // It was shut down since, and the thread that did was let in before this one.
        // SAFETY: the caller's promise.
        return unsafe { refuse(wal) };
    }
    // SAFETY: only calls of this kind and the shutdown touch the cells, and the caller promises
    // that there is no other one of them now. The references do not outlive this call.
    let (writer, mut lent) = unsafe {
        let writer = (*handle.own.writing.writer.get()).assume_init_mut();
        (writer, is_checked.then(|| &mut *handle.checks.lent()))
    };
    // SAFETY: the caller promises that the handle is not shut down before this call returns.
    let log = || unsafe { handle.log() };
    guard_or(
        || {
            lent.as_mut().map_or(Ok(()), |lent| lent.check())?;
            call(writer, lent).map_err(|error| refusal(log(), error))
        },
        |panic| log().fail(panic),
    )
}

/// Says why a handle is not good.
///
/// # Safety
/// As for [`with_writer`].
#[cold]
#[inline(never)]
unsafe fn refuse(wal: *const Wal) -> Status {
    // SAFETY: the caller's promise.
    let refused = unsafe { Wal::borrow(wal) }.err();
    last_error::record_fixed(refused.unwrap_or(&IS_NOT_OPEN))
}

/// How often the shutdown checks whether the last calls inside have ended. They have been woken,
/// or are about to return by themselves.
const INSIDE_POLL: Duration = Duration::from_micros(100);

/// Shuts the log down and frees the handle.
///
/// # Safety
/// `wal` is NULL or a handle from [`Wal::fill`]; the writer has stopped.
pub(super) unsafe fn shut_down(wal: *mut Wal) -> Status {
    if wal.is_null() {
        return FS_WAL_OK;
    }
    let _held_off = HeldOff::new();
    // SAFETY: the caller's promise.
    let (handle, number) = match unsafe { Wal::borrow(wal) } {
        Ok(found) => found,
        Err(refused) => return last_error::record_fixed(refused),
    };
    // Another thread may be shutting the same handle down, by mistake.
    let log = match handle.gate.enter(number) {
        // SAFETY: the log is not freed before this call has left.
        Some(_inside) => Arc::clone(unsafe { handle.log() }),
        None => return last_error::record_fixed(&IS_NOT_OPEN),
    };
    let mut closed = false;
    let status = guard_or(
        || {
            // The workers are threads of the parent: a child would wait for them for ever, so it
            // leaves everything as it is. Its descriptors are closed already.
            check_not_forked(&log)?;
            let _alone = handle.checks.enter_last()?;
            closed = handle.gate.close();
            if !closed {
                return Err(refused(IS_NOT_OPEN.1.to_string_lossy().into_owned()));
            }
            handle.own.writing.magic.store(SHUT_DOWN, Ordering::Relaxed);
            // SAFETY: closing succeeds once for each opening, so each is taken once. No other call
            // uses the writer any more (the caller's promise), and none but this one ever uses the
            // manager.
            let (manager, writer) = unsafe {
                let manager = (*handle.manager.get()).assume_init_read();
                (manager, (*handle.own.writing.writer.get()).assume_init_read())
            };
            let _blocked = signals::Blocked::new();
            let result = manager.shutdown(writer);
            fork::unregister(&log);
            result
        },
        |panic| log.fail(panic),
    );
    if !closed || status == FS_WAL_ERR_INTERNAL {
        // Not ours to free, or in an unknown state: leaking the memory is safer than freeing it.
        return status;
    }
    while !handle.gate.is_empty() {
        std::thread::sleep(INSIDE_POLL);
    }
    // SAFETY: this call alone has closed the gate, and nobody is inside: the log is not used any
    // more. The writer and the manager were taken. `wal` is not NULL and came from a room.
    unsafe {
        (*handle.shared.log.get()).assume_init_drop();
        drop(Room::from_raw(NonNull::new_unchecked(wal.cast())));
    }
    status
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
