//! The calls on a reader.

use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::RequestEvent;
use crate::replay::Look;

use super::any_reader::AnyReader;
use super::argument::{self, refused};
use super::cancel::HeldOff;
use super::guard::{guard, guard_or};
use super::last_error;
use super::reader_metrics::WalReaderMetrics;
use super::reader_options::{setup, ReaderConfig};
use super::sized;
use super::status::Status;

/// A place in a log. `fs_wal_reader_open` makes it and `fs_wal_reader_close` frees it.
///
/// It writes nothing and never delays the writer. One thread at a time.
pub struct WalReader {
    state: AtomicU32,
    reader: UnsafeCell<AnyReader>,
}

const OPEN: u32 = 0x4c52_5346;
/// Open, but a panic has left the reader in an unknown state.
const BROKEN: u32 = 0x7852_5346;

/// A call on a reader, which may open, close or wait.
///
/// # Safety
/// `reader` is NULL or an open reader, and no other thread is in a call on it.
#[inline]
unsafe fn with_reader(
    reader: *mut WalReader,
    call: impl FnOnce(&mut AnyReader) -> Result<()>,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { call_reader(reader, |reader| held_off(reader, call)) }
}

/// Holds cancellation off where the reader may make system calls.
#[inline]
fn held_off<T>(
    reader: &mut AnyReader,
    call: impl FnOnce(&mut AnyReader) -> Result<T>,
) -> Result<T> {
    let _held_off = (!reader.has_read_ahead()).then(HeldOff::new);
    call(reader)
}

/// A call on a reader.
///
/// # Safety
/// As for [`with_reader`].
#[inline]
unsafe fn call_reader(
    reader: *mut WalReader,
    call: impl FnOnce(&mut AnyReader) -> Result<()>,
) -> Status {
    // SAFETY: the caller's promise.
    let handle = match unsafe { borrow(reader) } {
        Ok(handle) => handle,
        Err(error) => return last_error::record(&error),
    };
    if handle.state.load(Ordering::Relaxed) == BROKEN {
        let message = "the reader has met a defect of the library before: close it";
        return last_error::record(&Error::new(Cause::Internal, message));
    }
    // SAFETY: the caller promises that no other call uses the reader now.
    let reader = unsafe { &mut *handle.reader.get() };
    guard_or(|| call(reader), |_panic| handle.state.store(BROKEN, Ordering::Relaxed))
}

/// # Safety
/// As for [`with_reader`].
#[inline]
unsafe fn borrow<'a>(reader: *const WalReader) -> Result<&'a WalReader> {
    // SAFETY: the caller's promise.
    let handle = unsafe { argument::borrow(reader, "reader") }?;
    match handle.state.load(Ordering::Relaxed) {
        OPEN | BROKEN => Ok(handle),
        _ => Err(refused("reader is not open: it was closed, or never was one".to_owned())),
    }
}

/// Opens the log in directory `dir` for reading, at its oldest event. The log may be open for
/// writing, in this process or another, or not at all. What is wrong with the log's files is
/// reported by the first read, not here. With `FS_WAL_READER_FOLLOW` there need not be a log yet.
///
/// `config` may be NULL: all defaults, every block is verified. On success `*out` is a reader that
/// the caller owns and gives to `fs_wal_reader_close`.
///
/// Who may read the directory but not the log's active directory gets every event that is durable,
/// then `FS_WAL_END`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no log in the directory,
/// or no directory; with a hold, no log that this library has had open for writing), with a hold
/// also what `fs_wal_hold_open` returns, `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE`
/// (descriptors or memory) or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_reader_open(
    dir: *const c_char,
    config: *const ReaderConfig,
    out: *mut *mut WalReader,
) -> Status {
    // SAFETY: the header asks for a C string, for NULL or a config as long as it says, and for a
    // pointer that can be written.
    guard(|| unsafe {
        let (dir, setup) = (argument::path(dir, "dir")?, setup(config)?);
        argument::set(out, "out", || {
            let reader = setup.open(dir)?;
            let (state, reader) = (AtomicU32::new(OPEN), UnsafeCell::new(reader));
            Ok(Box::into_raw(Box::new(WalReader { state, reader })))
        })
    })
}

/// Copies the next event to `*out`. At the end of the log it returns `FS_WAL_END`, or, when it
/// follows, `FS_WAL_ERR_WOULD_BLOCK`. A later call goes on from there, if events have been appended
/// since.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_END`, `FS_WAL_ERR_WOULD_BLOCK`,
/// `FS_WAL_ERR_NOT_FOUND` (another log is in the place of the followed one), `FS_WAL_ERR_CORRUPT`,
/// `FS_WAL_ERR_GAP`, `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory),
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_reader_next(
    reader: *mut WalReader,
    out: *mut RequestEvent,
) -> Status {
    // SAFETY: the header asks for an open reader, for one thread at a time, and for a pointer that
    // can be written.
    unsafe {
        call_reader(reader, |reader| {
            argument::set(out, "out", || match reader.look() {
                Look::Event(event) => Ok(event),
                Look::Nothing => Err(Error::WouldBlock),
                Look::Elsewhere => held_off(reader, AnyReader::next),
            })
        })
    }
}

/// Gives some of the next events, at least one, without copying them: `*events` points at the
/// first and `*count` is their number. They belong to the reader and are valid until the next call
/// on it. Threads: one at a time. Returns what `fs_wal_reader_next` returns.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_reader_next_batch(
    reader: *mut WalReader,
    events: *mut *const RequestEvent,
    count: *mut usize,
) -> Status {
    // SAFETY: the header asks for an open reader, for one thread at a time, and for pointers that
    // can be written.
    unsafe {
        with_reader(reader, |reader| {
            argument::check(events, "events")?;
            argument::check(count, "count")?;
            let batch = reader.next_batch()?;
            events.write(batch.as_ptr());
            count.write(batch.len());
            Ok(())
        })
    }
}

/// Moves the reader, forwards or back, to the first event whose id is `event_id` or higher, of the
/// events that are still there. The place is found by headers; what lies before it is not read.
/// When the beginning of the log is gone and `event_id` with it, the next read returns
/// `FS_WAL_ERR_GAP` once, with the range, and the one after it gives the oldest event there is;
/// with `event_id` 0 it gives that at once. When there is no such event yet, the next read returns
/// what it does at the end. On failure the reader stays where it was. A follower that has ended,
/// because events were taken back or the log is another one, begins anew here.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_GAP`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_reader_seek(reader: *mut WalReader, event_id: u64) -> Status {
    let _held_off = HeldOff::new();
    // SAFETY: the header asks for an open reader and for one thread at a time.
    unsafe { with_reader(reader, |reader| reader.seek(event_id)) }
}

/// Moves the reader, forwards or back, to the first event whose `timestamp` is `timestamp_ns` or
/// higher, of the events that are still there. The place is found by a binary search, which is
/// exact if timestamps rise from event to event (equal ones are fine). If they do not, the reader
/// still begins with an event of that time or a later one; but there may be others before it. When
/// there is no such event yet, the next read returns `FS_WAL_END`. On failure the reader stays
/// where it was.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_GAP`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_reader_seek_time(
    reader: *mut WalReader,
    timestamp_ns: u64,
) -> Status {
    let _held_off = HeldOff::new();
    // SAFETY: the header asks for an open reader and for one thread at a time.
    unsafe { with_reader(reader, |reader| reader.seek_time(timestamp_ns)) }
}

/// Fills `*out` with what the reader has done so far. Threads: one at a time. Returns a common
/// status.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_metrics(
    reader: *mut WalReader,
    out: *mut WalReaderMetrics,
) -> Status {
    // SAFETY: the header asks for an open reader, for one thread at a time, and for a struct as
    // long as it says.
    unsafe {
        with_reader(reader, |reader| {
            sized::write(out, "out", WalReaderMetrics::of(&reader.metrics()))
        })
    }
}

/// Waits until a follower (`FS_WAL_READER_FOLLOW`) has an event to give, at most `timeout_ns`
/// nanoseconds (`UINT64_MAX`: without limit; 0: only looks). Spins for `spin_ns` of its options,
/// then sleeps between looks, at most 1 ms. A failure that the next read would return is returned
/// here instead, once where a read returns it once.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_WOULD_BLOCK`, or `FS_WAL_ERR_TIMEOUT`; `FS_WAL_ERR_INVALID_ARGUMENT` for a reader
/// that does not follow.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_wait(reader: *mut WalReader, timeout_ns: u64) -> Status {
    let timeout = (timeout_ns != u64::MAX).then(|| Duration::from_nanos(timeout_ns));
    // SAFETY: the header asks for an open reader and for one thread at a time.
    unsafe { with_reader(reader, |reader| reader.wait(timeout)) }
}

/// Closes and frees the reader, and with it the events that `fs_wal_reader_next_batch` gave.
/// `reader` may be NULL. Its hold is moved past the events that it gave, except those of the last
/// call that gave any, if no other call has followed that: they may not be finished. Threads: one
/// at a time; it is the last call on the reader.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_close(reader: *mut WalReader) {
    if reader.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: the header asks for an open reader that is not used any more. It is borrowed to
        // look at its state only, and then freed as the box it came from.
        let handle = unsafe {
            borrow(reader)?;
            Box::from_raw(reader)
        };
        handle.state.store(0, Ordering::Relaxed);
        // Whatever happens it is closed; the hold may stay where it was, and holds more.
        handle.reader.into_inner().finish()
    });
}
