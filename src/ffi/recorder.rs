//! Opening, appending, durability, shutdown.

use std::ffi::c_char;
use std::time::Duration;

use super::config::{fs_wal_config, translate};
use super::fork;
use super::guard::{guard, null, path, put};
use super::handle::fs_wal;
use super::status::{fs_wal_status, FS_WAL_OK};
use crate::error::{Error, Result};
use crate::format::{MetaState, RequestEvent};
use crate::recorder::Manager;

/// Opens a log for writing: makes the directory if it is missing, locks it, recovers, prepares
/// segments and starts the workers. `config` may be NULL: all defaults. On success `*out` is a
/// handle that fs_wal_shutdown frees. Any thread.
///
/// Returns FS_WAL_OK; FS_WAL_ERR_INVALID_ARGUMENT (the text names the argument or field); _LOCKED
/// (the text has the owner's pid); _PERMISSION; _NO_SPACE; _CORRUPT (recovery refuses, and has
/// changed nothing; FS_WAL_FLAG_ACCEPT_LOSS may open); _UNSUPPORTED; _IO; _INTERNAL.
///
/// # Safety
/// `dir` is a NUL-terminated string; `config` is NULL or as large as its struct_size says; `out` can
/// be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_open(
    dir: *const c_char,
    config: *const fs_wal_config,
    out: *mut *mut fs_wal,
) -> fs_wal_status {
    guard(None, || {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: the caller's promises about `dir`, `config` and `out`.
        unsafe {
            let directory = path(dir, "dir")?;
            let (manager, writer) = Manager::open(directory, translate(config)?)?;
            fork::register(manager.log())?;
            put(out, "out", Box::into_raw(Box::new(fs_wal::new(manager, writer))))
        }
    })
}

/// Appends one event: the hot path. `event` is copied; it must be aligned to 8. When this returns
/// FS_WAL_OK the event survives the death of the process; for power loss see fs_wal_durable. Makes
/// no system call while a prepared segment is ready. The one writer.
///
/// Returns FS_WAL_OK; FS_WAL_ERR_OUT_OF_ORDER (the id is not above the last one, or 0, or 2^64-1);
/// _WOULD_BLOCK (FS_WAL_BACKPRESSURE_FAIL_FAST only); _NO_SPACE; _POISONED; _CLOSED (in a forked
/// child); _INVALID_ARGUMENT. On any but FS_WAL_OK nothing was appended.
///
/// # Safety
/// `wal` is an open handle and this thread its one writer; `event` points to an event.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_append(
    wal: *mut fs_wal,
    event: *const RequestEvent,
) -> fs_wal_status {
    if !wal.is_null() && !event.is_null() {
        // SAFETY: neither is NULL, so the caller's promises hold. The fast path cannot panic, and
        // so needs no guard.
        if unsafe { (*wal).writer().append_fast(&*event) } {
            return FS_WAL_OK;
        }
    }
    // SAFETY: as the caller promised this function.
    unsafe { append_slowly(wal, event) }
}

/// # Safety
/// As `fs_wal_append`.
#[cold]
#[inline(never)]
unsafe fn append_slowly(wal: *mut fs_wal, event: *const RequestEvent) -> fs_wal_status {
    // SAFETY: as `fs_wal_append`'s caller promised.
    unsafe {
        write(wal, |wal| {
            let event = event.as_ref().ok_or_else(|| null("event"))?;
            wal.writer().append(event)
        })
    }
}

/// Appends `count` events in order. `*appended`, if not NULL, is always set: how many went in, a
/// prefix; on FS_WAL_OK all of them. The one writer.
///
/// Returns as fs_wal_append, for the first event that was not appended.
///
/// # Safety
/// `wal` is an open handle and this thread its one writer; `events` points to `count` events;
/// `appended` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_append_batch(
    wal: *mut fs_wal,
    events: *const RequestEvent,
    count: usize,
    appended: *mut usize,
) -> fs_wal_status {
    let mut done = 0;
    // SAFETY: the caller's promises; an empty batch is not looked at.
    let status = unsafe {
        write(wal, |wal| {
            if count == 0 {
                return Ok(());
            }
            if events.is_null() {
                return Err(null("events"));
            }
            let events = std::slice::from_raw_parts(events, count);
            wal.writer().append_batch(events, &mut done)
        })
    };
    if !appended.is_null() {
        // SAFETY: not NULL, so the caller's promise holds.
        unsafe { appended.write(done) };
    }
    status
}

/// Gives out the place of the next event in the log itself: fill bytes 8 to 63 of `**slot`, never
/// the id, then commit. The slot is the caller's until its next call on the handle; a claim that
/// is not committed leaves no trace. The one writer.
///
/// Returns as fs_wal_append, but for _OUT_OF_ORDER.
///
/// # Safety
/// `wal` is an open handle and this thread its one writer; `slot` can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_claim(
    wal: *mut fs_wal,
    slot: *mut *mut RequestEvent,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe {
        write(wal, |wal| {
            if slot.is_null() {
                return Err(null("slot"));
            }
            put(slot, "slot", wal.writer().claim()?)
        })
    }
}

/// Makes the claimed event exist, by storing its id, last. The one writer.
///
/// Returns as fs_wal_append; FS_WAL_ERR_INVALID_ARGUMENT also when nothing is claimed. After
/// _OUT_OF_ORDER the claim still stands.
///
/// # Safety
/// `wal` is an open handle and this thread its one writer.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_commit(wal: *mut fs_wal, event_id: u64) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe { write(wal, |wal| wal.writer().commit(event_id)) }
}

/// What was appended last: segment, offset just past it, id, as one consistent triple; all zero in
/// an empty log. Any thread, also while the writer appends.
///
/// Returns FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT, or FS_WAL_ERR_CLOSED in a forked child.
///
/// # Safety
/// `wal` is an open handle; `out` can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_meta(wal: *const fs_wal, out: *mut MetaState) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe { call(wal, |wal| put(out, "out", wal.log().appended())) }
}

/// The durable watermark: every event up to this one survives a power cut. Any thread.
///
/// Returns as fs_wal_meta.
///
/// # Safety
/// `wal` is an open handle; `out` can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_durable(wal: *const fs_wal, out: *mut MetaState) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe { call(wal, |wal| put(out, "out", wal.log().durable())) }
}

/// Makes everything appended so far durable, and returns when it is. Any thread; not the hot path.
///
/// Returns FS_WAL_OK, _POISONED (the sync failed, now or before), _CLOSED, _INVALID_ARGUMENT.
///
/// # Safety
/// `wal` is an open handle.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_sync(wal: *mut fs_wal) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe { call(wal, |wal| wal.log().sync()) }
}

/// Waits until the watermark has reached `event_id`, and asks for a sync if the policy would not
/// soon bring one. A timeout of 0 only looks; UINT64_MAX waits for ever. Any thread.
///
/// Returns FS_WAL_OK, _TIMEOUT, _POISONED, _CLOSED (shut down meanwhile), _INVALID_ARGUMENT.
///
/// # Safety
/// `wal` is an open handle.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_wait_durable(
    wal: *mut fs_wal,
    event_id: u64,
    timeout_ns: u64,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe { call(wal, |wal| wal.log().wait_durable(event_id, Duration::from_nanos(timeout_ns))) }
}

/// Seals, makes everything durable, drains every queue, flushes meta and identity, stops the
/// workers, releases the lock and frees the handle, also when it returns an error. Wakes waiting
/// calls with FS_WAL_ERR_CLOSED and waits until they are out. NULL is fine. The writer, or any
/// thread once the writer has stopped; no call may be begun on the handle any more.
///
/// Returns FS_WAL_OK: everything is safe. _POISONED: the log failed, the text has the first cause,
/// the next open will recover. _CLOSED: in a forked child; nothing was done. _NO_SPACE, _IO: the
/// events are durable, but the clean shutdown could not be noted; the next open will recover.
///
/// # Safety
/// `wal` is NULL or an open handle, which is not used again.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_shutdown(wal: *mut fs_wal) -> fs_wal_status {
    if wal.is_null() {
        return FS_WAL_OK;
    }
    guard(None, || {
        // SAFETY: an open handle, made by Box::into_raw in fs_wal_open.
        let handle = unsafe { &*wal };
        if handle.log().poison().is_forked() {
            // The threads are the parent's: nothing can be joined, and nothing is freed.
            return handle.log().poison().check();
        }
        // SAFETY: no call is begun any more, so this is the last use of the writer, and when
        // shut_down has returned nobody is inside and the box can be freed.
        unsafe {
            let result = handle.shut_down();
            drop(Box::from_raw(wal));
            result
        }
    })
}

/// A call of the one writer: a panic poisons the log.
///
/// # Safety
/// `wal` is NULL or an open handle.
unsafe fn write(wal: *const fs_wal, body: impl FnOnce(&fs_wal) -> Result<()>) -> fs_wal_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { wal.as_ref() };
    guard(handle.map(fs_wal::log), || body(handle.ok_or_else(no_handle)?))
}

/// A call of any thread: shutdown waits for it.
///
/// # Safety
/// `wal` is NULL or an open handle.
pub(super) unsafe fn call(
    wal: *const fs_wal,
    body: impl FnOnce(&fs_wal) -> Result<()>,
) -> fs_wal_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { wal.as_ref() };
    guard(handle.map(fs_wal::log), || {
        let handle = handle.ok_or_else(no_handle)?;
        let _inside = handle.enter()?;
        body(handle)
    })
}

fn no_handle() -> Error {
    null("wal")
}
