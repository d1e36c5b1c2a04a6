//! The calls on a log open for writing. Each checks its arguments and makes one call of the
//! recorder.

use std::ffi::{c_char, c_int};
use std::os::fd::IntoRawFd;
use std::time::Duration;

use crate::format::{MetaState, RequestEvent};
use crate::recorder::Manager;

use super::argument;
use super::checks::Lent;
use super::config::{checks, log_options, WalConfig};
use super::guard::guard;
use super::handle::{self, try_with_writer, wait_with_log, with_log, with_writer, Wal};
use super::room::Room;
use super::status::{Status, FS_WAL_OK};
use super::{fork, last_error, signals};

/// Opens the log in directory `dir` for writing: creates the directory if it does not exist, locks
/// it (the directory itself and the file `wal_lock` in it), recovers what an earlier process left,
/// prepares segments and starts the worker threads. Where recovery cannot prove what belongs to the
/// log it refuses to open, and changes nothing.
///
/// `config` may be NULL: all defaults. On success `*out` is a handle that the caller owns and gives
/// to `fs_wal_shutdown`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_UNSUPPORTED` (a field or filesystem that this
/// version does not support), `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_CORRUPT` (see
/// `FS_WAL_FLAG_ACCEPT_LOSS`), `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION`,
/// `FS_WAL_ERR_NOT_FOUND` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_open(
    dir: *const c_char,
    config: *const WalConfig,
    out: *mut *mut Wal,
) -> Status {
    // SAFETY: the header asks for a C string, for NULL or a config as long as it says, and for a
    // pointer that can be written.
    guard(|| unsafe {
        let (dir, options) = (argument::path(dir, "dir")?, log_options(config)?);
        let checks = checks(config)?;
        argument::set(out, "out", || {
            fork::install()?;
            let _blocked = signals::Blocked::new();
            let room = Room::take()?;
            let (manager, writer) = Manager::open(dir, options)?;
            Ok(Wal::fill(room, manager, writer, checks))
        })
    })
}

/// Appends one event. `event` is copied, all 64 bytes. Its `event_id` must be above that of the
/// last event.
///
/// Threads: the writer. Returns a common status, `FS_WAL_ERR_OUT_OF_ORDER`,
/// `FS_WAL_ERR_WOULD_BLOCK` (only with `FS_WAL_BACKPRESSURE_FAIL_FAST`), `FS_WAL_ERR_NO_SPACE` (try
/// again when there is space) or `FS_WAL_ERR_POISONED`. Unless it returns `FS_WAL_OK`, nothing was
/// appended.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_append(wal: *mut Wal, event: *const RequestEvent) -> Status {
    // SAFETY: the header asks for an open handle, for the writer's thread, and for an event that
    // can be read.
    unsafe {
        try_with_writer(wal, |writer| {
            writer.try_append(argument::try_borrow(event)?).then_some(FS_WAL_OK)
        })
        .unwrap_or_else(|| append_slowly(wal, event))
    }
}

/// A whole append, from the beginning. The hot path ends in this call, which is out of line and
/// cannot unwind, so that the hot path itself needs no stack frame and saves no registers.
///
/// # Safety
/// As for [`fs_wal_append`].
#[cold]
#[inline(never)]
unsafe extern "C" fn append_slowly(wal: *mut Wal, event: *const RequestEvent) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        with_writer(wal, |writer, lent| {
            lent.into_iter().for_each(Lent::take_back);
            writer.append(argument::borrow(event, "event")?)
        })
    }
}

/// Appends the `count` events at `events` in order, as `count` calls of `fs_wal_append` would, in
/// less time. `events` may be NULL when `count` is 0.
///
/// `appended` may be NULL. Otherwise `*appended` is set, also on failure, to the number of events
/// that were appended: the first ones of the batch, which are in the log for good.
///
/// Threads: the writer. Returns what `fs_wal_append` returns, for the first event that was not
/// appended.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_append_batch(
    wal: *mut Wal,
    events: *const RequestEvent,
    count: usize,
    appended: *mut usize,
) -> Status {
    let mut ignored = 0;
    let appended = if appended.is_null() { &raw mut ignored } else { appended };
    // SAFETY: the header asks for an open handle, for the writer's thread, for `count` events that
    // can be read, and for NULL or a number that can be written.
    unsafe {
        if let Err(error) = argument::set(appended, "appended", || Ok(0)) {
            return last_error::record(&error);
        }
        with_writer(wal, |writer, lent| {
            lent.into_iter().for_each(Lent::take_back);
            writer.append_batch(argument::slice(events, count, "events")?, &mut *appended)
        })
    }
}

/// Claims the next event's place in the log, to be filled without a copy. `*slot` then points at
/// its 64 bytes, which hold whatever was there before. Fill all but `event_id`, and call
/// `fs_wal_commit`, which stores the id: that makes the event exist. Do not write `event_id`
/// yourself.
///
/// The slot belongs to the library. It is valid until the next append, append_batch, claim, commit
/// or shutdown. A claim that is not committed leaves no trace.
///
/// Threads: the writer. Returns what `fs_wal_append` returns, except `FS_WAL_ERR_OUT_OF_ORDER`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_claim(wal: *mut Wal, slot: *mut *mut RequestEvent) -> Status {
    // SAFETY: the header asks for an open handle, for the writer's thread, and for a pointer that
    // can be written.
    unsafe {
        try_with_writer(wal, |writer| {
            let claimed = if argument::is_usable(slot) { writer.try_claim() } else { None };
            slot.write(claimed?);
            Some(FS_WAL_OK)
        })
        .unwrap_or_else(|| claim_slowly(wal, slot))
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
        with_writer(wal, |writer, lent| {
            argument::set(slot, "slot", || match lent {
                Some(lent) => lent.claim(writer),
                None => writer.claim(),
            })
        })
    }
}

/// Makes the event in the claimed slot exist, with this id. It then survives as an event of
/// `fs_wal_append` does. After `FS_WAL_ERR_OUT_OF_ORDER` the claim still holds.
///
/// Threads: the writer. Returns a common status (`FS_WAL_ERR_INVALID_ARGUMENT` when nothing is
/// claimed), `FS_WAL_ERR_OUT_OF_ORDER` or `FS_WAL_ERR_POISONED`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_commit(wal: *mut Wal, event_id: u64) -> Status {
    // SAFETY: the header asks for an open handle and for the writer's thread.
    unsafe {
        try_with_writer(wal, |writer| writer.try_commit(event_id).then_some(FS_WAL_OK))
            .unwrap_or_else(|| commit_slowly(wal, event_id))
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
    unsafe {
        with_writer(wal, |writer, lent| match lent {
            Some(lent) => lent.commit(writer, event_id),
            None => writer.commit(event_id),
        })
    }
}

/// The last event appended: its segment, the offset just past it, and its id, all of the same
/// moment. All 0 while the log is empty. Never waits. Threads: any. Returns a common status.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_meta(wal: *const Wal, out: *mut MetaState) -> Status {
    // SAFETY: the header asks for an open handle and for a pointer that can be written.
    unsafe { with_log(wal, |log| argument::set(out, "out", || Ok(log.appended()))) }
}

/// The durable watermark: the last event on stable storage, given as `fs_wal_meta` gives the last
/// event appended. It and every event before it survive a power cut. Never waits. Threads: any;
/// also in a signal handler. Returns a common status.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_durable(wal: *const Wal, out: *mut MetaState) -> Status {
    // SAFETY: the header asks for an open handle and for a pointer that can be written.
    unsafe { with_log(wal, |log| argument::set(out, "out", || Ok(log.durable()))) }
}

/// Makes everything that was appended before this call durable, and returns when it is.
///
/// Threads: any. When the writer calls it, the writer waits. Returns a common status or
/// `FS_WAL_ERR_POISONED` (a write or sync has failed: what is above the watermark may never survive
/// a power cut).
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_sync(wal: *mut Wal) -> Status {
    // SAFETY: the header asks for an open handle.
    unsafe { wait_with_log(wal, |log| log.sync()) }
}

/// Waits until the event `event_id` is durable, at most `timeout_ns` nanoseconds (`UINT64_MAX`:
/// without limit; 0: only looks). When the sync mode would not soon bring a sync, it asks for one.
/// The event need not be appended yet: then a sync is asked for when it is, within a few
/// milliseconds, and none for the events before it. An id of 0 is durable at once.
///
/// Threads: any. Returns a common status (`FS_WAL_ERR_CLOSED` when another thread shut the log down
/// meanwhile; `FS_WAL_ERR_INVALID_ARGUMENT` for `UINT64_MAX`, which is no id),
/// `FS_WAL_ERR_TIMEOUT` or `FS_WAL_ERR_POISONED`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_wait_durable(
    wal: *mut Wal,
    event_id: u64,
    timeout_ns: u64,
) -> Status {
    let timeout = Duration::from_nanos(timeout_ns);
    // SAFETY: the header asks for an open handle.
    unsafe { wait_with_log(wal, |log| log.wait_durable(event_id, timeout)) }
}

/// Makes a descriptor, an eventfd, for an event loop (epoll, io_uring): it becomes readable each
/// time the durable watermark has moved, when the log fails, and a last time when it is shut down.
/// To read its 8 bytes is to have seen that; then ask `fs_wal_durable`. What has moved before this
/// returns is not told. After a spell of rest it becomes readable as late as the watermark moves:
/// within 15 ms of the append, or 2 ms while a thread waits in `fs_wal_wait_durable` or the
/// persister spins.
///
/// Each call makes one of its own, non-blocking and close-on-exec, so consumers do not take each
/// other's counts. The caller owns it and closes it, before or after the log is shut down; then the
/// library forgets it, too. What counts for that is the number that was given: keep it open while
/// copies of it are in use. A log for which this was never called makes no system call for it. A
/// forked child shares the descriptor with its parent.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NO_SPACE` (no descriptors are left),
/// `FS_WAL_ERR_POISONED` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_durable_fd(wal: *mut Wal, fd: *mut c_int) -> Status {
    // SAFETY: the header asks for an open handle and for a pointer that can be written.
    unsafe {
        wait_with_log(wal, |log| {
            argument::set(fd, "fd", || log.durable_fd().map(IntoRawFd::into_raw_fd))
        })
    }
}

/// Moves the retention floor, which `fs_wal_config.retention_floor` set first. Once this has
/// returned `FS_WAL_OK`, nothing at or above `event_id` is deleted; 0 = no floor. A higher floor
/// lets retention go on at once. A lower one protects, from now on, what is still there. The
/// segment that holds `event_id` is kept whole.
///
/// May wait for the removal of one file, but not for a sync. Never delays the writer. Threads: any.
/// Returns a common status or `FS_WAL_ERR_POISONED` (nothing is deleted any more).
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_set_retention_floor(wal: *mut Wal, event_id: u64) -> Status {
    // SAFETY: the header asks for an open handle.
    unsafe { wait_with_log(wal, |log| log.set_retention_floor(event_id)) }
}

/// Shuts the log down: makes everything appended durable, closes full segments, stops the worker
/// threads, releases the lock and frees the handle. `wal` may be NULL.
///
/// It takes as long as the disk needs for what is not durable yet, which is no more than the
/// active set, plus a second: that long, compression and retention go on. What they have not done
/// then is left to the next open. Other logs are not waited for. Where all processors are busy it
/// takes some seconds more, until the threads that compress, which have the lowest priority, have
/// got one to stop on. The calling thread does part of the work.
///
/// Threads that wait in `fs_wal_sync` or `fs_wal_wait_durable` get `FS_WAL_ERR_CLOSED`. Calls of
/// other threads that have begun are waited for, or return `FS_WAL_ERR_INVALID_ARGUMENT`. So do
/// calls that begin later, until a log opened afterwards has the same handle.
///
/// The handle is freed whatever is returned, except with `FS_WAL_ERR_INVALID_ARGUMENT` (it is no
/// handle; or, with `FS_WAL_CHECK_ONE_WRITER`, the writer is in a call: the log stays open) and
/// `FS_WAL_ERR_INTERNAL`, and except in a forked child, where `FS_WAL_ERR_CLOSED` is
/// returned and nothing is done.
///
/// Threads: the writer; or any, once the writer has stopped for good. Returns `FS_WAL_OK` when
/// everything appended is on stable storage. Otherwise what went wrong: `FS_WAL_ERR_POISONED`,
/// `FS_WAL_ERR_IO`, `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION` or a common status.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_shutdown(wal: *mut Wal) -> Status {
    // SAFETY: the header asks for NULL or an open handle that no call is begun on any more, and
    // for a writer that has stopped.
    unsafe { handle::shut_down(wal) }
}
