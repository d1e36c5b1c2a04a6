//! The calls that record: each a translation of its arguments and one call of the recorder.

use std::ffi::c_char;
use std::time::Duration;

use crate::format::{MetaState, RequestEvent};
use crate::recorder::{Manager, Writer};

use super::argument::{self, refused};
use super::config::{log_options, WalConfig};
use super::guard::guard;
use super::handle::{self, try_with_writer, with_log, with_writer, Wal};
use super::status::{Status, FS_WAL_OK};
use super::{fork, last_error, signals};

/// Opens the log in directory `dir` for writing: makes the directory if need be, locks it, recovers
/// what an earlier process left, makes segments ready and starts the workers.
///
/// `config` may be NULL: all defaults. `dir` and `config` are copied. On success `*out` is a handle
/// that the caller owns and gives back to `fs_wal_shutdown`. On failure `*out` is not touched; what
/// recovery cannot prove it refuses, changing nothing.
///
/// A child made by fork() cannot use its parent's handle (`FS_WAL_ERR_CLOSED`) but may open others.
///
/// Threads: any.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_INVALID_ARGUMENT` (naming the field), `FS_WAL_ERR_UNSUPPORTED`
/// (a field or filesystem this version does not support), `FS_WAL_ERR_LOCKED` (naming the owner's
/// process id), `FS_WAL_ERR_CORRUPT` (saying where; see `FS_WAL_FLAG_ACCEPT_LOSS`),
/// `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NOT_FOUND`, `FS_WAL_ERR_IO`,
/// `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_open(
    dir: *const c_char,
    config: *const WalConfig,
    out: *mut *mut Wal,
) -> Status {
    guard(
        || {
            // SAFETY: the header asks for a C string, for NULL or a config as long as it says, and
            // for a pointer that can be written.
            let (dir, options, out) = unsafe {
                (argument::path(dir, "dir")?, log_options(config)?, argument::out(out, "out")?)
            };
            fork::install()?;
            let _blocked = signals::Blocked::new();
            let (manager, writer) = Manager::open(dir, options)?;
            out.set(Wal::into_raw(manager, writer));
            Ok(())
        },
        |_panic| (),
    )
}

/// Appends one event. The hot path: no system call, no allocation, no lock, no page fault while a
/// prepared segment is ready. When it has returned `FS_WAL_OK` the event survives the death of the
/// process at any later instruction; when the durable watermark has passed it, a power cut too.
///
/// `event` is copied: all 64 bytes, of which only `event_id` is interpreted. Ids rise.
///
/// Threads: the writer.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_OUT_OF_ORDER`, `FS_WAL_ERR_WOULD_BLOCK` (only with
/// `FS_WAL_BACKPRESSURE_FAIL_FAST`), `FS_WAL_ERR_NO_SPACE` (try again when there is space),
/// `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INVALID_ARGUMENT`,
/// `FS_WAL_ERR_INTERNAL`. Unless it is OK, nothing was appended.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_append(wal: *mut Wal, event: *const RequestEvent) -> Status {
    // SAFETY: the header asks for an open handle, for the writer's thread, and for an event that
    // can be read.
    unsafe {
        let fast =
            |writer: &mut Writer| writer.try_append(argument::try_borrow(event)?).then_some(());
        match try_with_writer(wal, fast) {
            Some(()) => FS_WAL_OK,
            None => append_slowly(wal, event),
        }
    }
}

/// All of an append, from the beginning. A call in the last place, out of line, that cannot unwind,
/// so that the hot path needs no stack and saves no register.
///
/// # Safety
/// As for [`fs_wal_append`].
#[cold]
#[inline(never)]
unsafe extern "C" fn append_slowly(wal: *mut Wal, event: *const RequestEvent) -> Status {
    // SAFETY: the caller's promise.
    unsafe { with_writer(wal, |writer| writer.append(argument::borrow(event, "event")?)) }
}

/// Appends `count` events in order, as many calls of `fs_wal_append` would, in less time. With
/// `count` 0, `events` may be NULL.
///
/// `*appended`, unless `appended` is NULL, is always set: how many went in, on an error too. They
/// are the first ones, and they are in the log for good.
///
/// Threads: the writer.
///
/// Returns as `fs_wal_append`, for the first event that did not go in.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_append_batch(
    wal: *mut Wal,
    events: *const RequestEvent,
    count: usize,
    appended: *mut usize,
) -> Status {
    if !appended.is_null() && !appended.is_aligned() {
        return last_error::record(&refused("appended is not aligned".to_owned()));
    }
    let mut went_in = 0;
    // SAFETY: the header asks for an open handle, for the writer's thread, and for `count` events
    // that can be read.
    let status = unsafe {
        with_writer(wal, |writer| {
            writer.append_batch(argument::slice(events, count, "events")?, &mut went_in)
        })
    };
    if !appended.is_null() {
        // SAFETY: aligned, as was checked, and writable, as the header asks.
        unsafe { appended.write(went_in) };
    }
    status
}

/// Gives out the place of the next event in the log, to be filled in place: `*slot` points at its
/// 64 bytes. Fill all but `event_id` (they hold whatever was there), leave `event_id` alone, and
/// call `fs_wal_commit`, which stores the id and so makes the event exist.
///
/// The slot belongs to the library. It is valid until the next call of append, append_batch, claim,
/// commit or shutdown; an abandoned claim leaves no trace.
///
/// Threads: the writer.
///
/// Returns `FS_WAL_OK`, or the errors of `fs_wal_append` but `FS_WAL_ERR_OUT_OF_ORDER`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_claim(wal: *mut Wal, slot: *mut *mut RequestEvent) -> Status {
    // SAFETY: the header asks for an open handle, for the writer's thread, and for a pointer that
    // can be written.
    unsafe {
        let fast = |writer: &mut Writer| {
            let slot = argument::try_out(slot)?;
            slot.set(writer.try_claim()?);
            Some(())
        };
        match try_with_writer(wal, fast) {
            Some(()) => FS_WAL_OK,
            None => claim_slowly(wal, slot),
        }
    }
}

/// As [`append_slowly`].
///
/// # Safety
/// As for [`fs_wal_claim`].
#[cold]
#[inline(never)]
unsafe extern "C" fn claim_slowly(wal: *mut Wal, slot: *mut *mut RequestEvent) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        with_writer(wal, |writer| {
            let slot = argument::out(slot, "slot")?;
            slot.set(writer.claim()?);
            Ok(())
        })
    }
}

/// Makes the event in the claimed slot exist, under this id; promises what `fs_wal_append` does.
/// After `FS_WAL_ERR_OUT_OF_ORDER` the claim still holds.
///
/// Threads: the writer.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_INVALID_ARGUMENT` (nothing is claimed),
/// `FS_WAL_ERR_OUT_OF_ORDER`, `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_commit(wal: *mut Wal, event_id: u64) -> Status {
    // SAFETY: the header asks for an open handle and for the writer's thread.
    unsafe {
        match try_with_writer(wal, |writer| writer.try_commit(event_id).then_some(())) {
            Some(()) => FS_WAL_OK,
            None => commit_slowly(wal, event_id),
        }
    }
}

/// As [`append_slowly`].
///
/// # Safety
/// As for [`fs_wal_commit`].
#[cold]
#[inline(never)]
unsafe extern "C" fn commit_slowly(wal: *mut Wal, event_id: u64) -> Status {
    // SAFETY: the caller's promise.
    unsafe { with_writer(wal, |writer| writer.commit(event_id)) }
}

/// The last event appended: segment, offset just past it, id, as one consistent triple. All 0 while
/// the log is empty. Never waits.
///
/// Threads: any.
///
/// Returns `FS_WAL_OK`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_meta(wal: *const Wal, out: *mut MetaState) -> Status {
    // SAFETY: the header asks for an open handle and for a pointer that can be written.
    unsafe {
        with_log(wal, |log| {
            argument::out(out, "out")?.set(log.appended());
            Ok(())
        })
    }
}

/// The durable watermark: the last event on stable storage, like `fs_wal_meta`. It and everything
/// before it survives a power cut. Never waits.
///
/// Threads: any.
///
/// Returns `FS_WAL_OK`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_durable(wal: *const Wal, out: *mut MetaState) -> Status {
    // SAFETY: the header asks for an open handle and for a pointer that can be written.
    unsafe {
        with_log(wal, |log| {
            argument::out(out, "out")?.set(log.durable());
            Ok(())
        })
    }
}

/// Makes everything appended before this call durable, and returns when it is.
///
/// Threads: any. On the writer's thread it holds up the writer.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_POISONED` (a sync has failed: what is above the watermark may
/// not survive a power cut, ever), `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INVALID_ARGUMENT`,
/// `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_sync(wal: *mut Wal) -> Status {
    // SAFETY: the header asks for an open handle.
    unsafe { with_log(wal, |log| log.sync()) }
}

/// Waits until `event_id` is durable, at most `timeout_ns` (`UINT64_MAX`: for ever; 0: only looks).
/// Asks for a sync when the policy would not soon bring one. The id need not be appended yet.
///
/// Threads: any.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_TIMEOUT`, `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_CLOSED` (shut down
/// by another thread meanwhile), `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_wait_durable(
    wal: *mut Wal,
    event_id: u64,
    timeout_ns: u64,
) -> Status {
    // SAFETY: the header asks for an open handle.
    unsafe { with_log(wal, |log| log.wait_durable(event_id, Duration::from_nanos(timeout_ns))) }
}

/// Moves the retention floor (first `fs_wal_config.retention_floor`): once this has returned OK,
/// nothing at or above `event_id` is deleted; 0 = no floor. Raised, it lets retention go on at once;
/// lowered, it protects from now on what is still there. The segment that holds `event_id` is kept
/// whole. It is not remembered: give it to the next open, in the config.
///
/// May wait for the removal of one file, but not for a sync. Never holds up the writer: what is
/// kept for the floor takes disk space beyond `max_segments` and `max_compressed_segments`.
///
/// Threads: any.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_POISONED` (nothing is deleted any more), `FS_WAL_ERR_CLOSED`,
/// `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_set_retention_floor(wal: *mut Wal, event_id: u64) -> Status {
    // SAFETY: the header asks for an open handle.
    unsafe { with_log(wal, |log| log.set_retention_floor(event_id)) }
}

/// Shuts the log down: seals, makes everything durable, drains every queue, stops the workers,
/// releases the lock and frees the handle. Threads waiting in `fs_wal_sync` or
/// `fs_wal_wait_durable` get `FS_WAL_ERR_CLOSED`, and calls still inside are waited for. To begin a
/// call on the handle once this one has begun is an error that cannot be detected. NULL is fine.
///
/// The handle is freed whatever is returned, except `FS_WAL_ERR_INVALID_ARGUMENT` (no handle) and
/// `FS_WAL_ERR_INTERNAL`. In a forked child it returns `FS_WAL_ERR_CLOSED` and does nothing else.
///
/// Threads: the writer, or any once the writer has stopped for good.
///
/// Returns `FS_WAL_OK`: everything appended is on stable storage. Else what went wrong:
/// `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION`,
/// `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_shutdown(wal: *mut Wal) -> Status {
    // SAFETY: the header asks for NULL or an open handle that no call is begun on any more, and for
    // a writer that has stopped.
    unsafe { handle::shut_down(wal) }
}
