//! The calls that replay.

use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Cause, Error, Result};
use crate::format::RequestEvent;
use crate::replay::Reader;

use super::argument::{self, refused};
use super::config::{reader_kind, ReaderConfig, ReaderKind};
use super::guard::guard;
use super::last_error;
use super::status::Status;

/// A reader of a log: made by `fs_wal_reader_open`, freed by `fs_wal_reader_close`.
///
/// Gives the events in order, over cold, hot and active segments, also while another thread or
/// process appends; it writes nothing and never holds the writer up. One thread at a time.
pub struct WalReader {
    magic: AtomicU32,
    inner: UnsafeCell<Inner>,
}

struct Inner {
    reader: Reader,
    /// A panic has left the reader half way through something.
    broken: bool,
}

const LIVE: u32 = 0x4c52_5346;

/// A call on a reader.
///
/// # Safety
/// `reader` is NULL or an open reader, and no other thread is in a call on it.
#[inline]
unsafe fn with_reader(
    reader: *mut WalReader,
    call: impl FnOnce(&mut Reader) -> Result<()>,
) -> Status {
    // SAFETY: the caller's promise.
    let inner = match unsafe { borrow(reader) } {
        Ok(inner) => inner,
        Err(error) => return last_error::record(&error),
    };
    let Inner { reader, broken } = inner;
    if *broken {
        let message = "the reader has met a defect of the library before: close it";
        return last_error::record(&Error::new(Cause::Internal, message));
    }
    guard(|| call(reader), |_panic| *broken = true)
}

/// # Safety
/// As for [`with_reader`].
#[inline]
unsafe fn borrow<'a>(reader: *mut WalReader) -> Result<&'a mut Inner> {
    // SAFETY: the caller's promise.
    let handle = unsafe { argument::borrow(reader.cast_const(), "reader") }?;
    if handle.magic.load(Ordering::Relaxed) != LIVE {
        return Err(refused("reader is not open: it was closed, or never was one".to_owned()));
    }
    // SAFETY: the caller promises that no other call uses the reader now.
    Ok(unsafe { &mut *handle.inner.get() })
}

/// Opens the log in directory `dir` for reading, at its oldest event. The log may be open for
/// writing, in this process or another, or not at all; nothing in it is changed. The reader holds
/// the segment it stands in: retention does not take that from it.
///
/// `config` may be NULL: every block is verified. `dir` and `config` are copied. On success `*out`
/// is a reader that the caller owns and gives back to `fs_wal_reader_close`; on failure `*out` is
/// not touched.
///
/// Threads: any.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_NOT_FOUND`, `FS_WAL_ERR_INVALID_ARGUMENT`,
/// `FS_WAL_ERR_UNSUPPORTED` (a flag or field this version does not support),
/// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory), `FS_WAL_ERR_IO`,
/// `FS_WAL_ERR_INTERNAL`. What is wrong with the log's files, the first read says.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_open(
    dir: *const c_char,
    config: *const ReaderConfig,
    out: *mut *mut WalReader,
) -> Status {
    guard(
        || {
            // SAFETY: the header asks for a C string, for NULL or a config as long as it says, and
            // for a pointer that can be written.
            let (dir, kind, out) = unsafe {
                (argument::path(dir, "dir")?, reader_kind(config)?, argument::out(out, "out")?)
            };
            let reader = match kind {
                ReaderKind::Plain(options) => Reader::open(dir, options)?,
                ReaderKind::Salvaging => Reader::open_salvaging(dir)?,
            };
            let inner = Inner { reader, broken: false };
            let handle = WalReader { magic: AtomicU32::new(LIVE), inner: UnsafeCell::new(inner) };
            out.set(Box::into_raw(Box::new(handle)));
            Ok(())
        },
        |_panic| (),
    )
}

/// Copies the next event to `*out`. At the end of the log it returns `FS_WAL_END`; asked again
/// later it goes on where it stopped, if events have been appended since.
///
/// Threads: one at a time.
///
/// Returns `FS_WAL_OK`, `FS_WAL_END`; `FS_WAL_ERR_CORRUPT` (saying where; it is not passed over, but
/// with `FS_WAL_READER_SALVAGE`, where it is told once), `FS_WAL_ERR_GAP` (see below),
/// `FS_WAL_ERR_LOCKED` (a program that is not this library holds a segment locked),
/// `FS_WAL_ERR_NO_SPACE` (descriptors or memory), `FS_WAL_ERR_PERMISSION`,
/// `FS_WAL_ERR_IO`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
///
/// `FS_WAL_ERR_GAP`: retention has removed events before they were read. Said once; the next call
/// gives the oldest event there is. `fs_wal_last_error_detail` has the first segment that is gone
/// and the ids, from the one after the last event given to the one before the next.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_next(
    reader: *mut WalReader,
    out: *mut RequestEvent,
) -> Status {
    // SAFETY: the header asks for an open reader, for one thread at a time, and for a pointer that
    // can be written.
    unsafe {
        with_reader(reader, |reader| {
            let out = argument::out(out, "out")?;
            out.set(reader.next()?);
            Ok(())
        })
    }
}

/// Some of the next events, at least one, without copying them: `*count` of them at `*events`. They
/// belong to the reader and are valid until the next call on it.
///
/// Threads: one at a time.
///
/// Returns as `fs_wal_reader_next`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_next_batch(
    reader: *mut WalReader,
    events: *mut *const RequestEvent,
    count: *mut usize,
) -> Status {
    // SAFETY: the header asks for an open reader, for one thread at a time, and for pointers that
    // can be written.
    unsafe {
        with_reader(reader, |reader| {
            let (events, count) =
                (argument::out(events, "events")?, argument::out(count, "count")?);
            let batch = reader.next_batch()?;
            events.set(batch.as_ptr());
            count.set(batch.len());
            Ok(())
        })
    }
}

/// Goes to the first event whose id is at least `event_id`, forwards or back, of those that are
/// still there: an id that retention removed before is not an error, look at the id that comes.
/// When there is none yet, the next call returns `FS_WAL_END`.
///
/// Threads: one at a time.
///
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_NO_SPACE`,
/// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_INVALID_ARGUMENT`,
/// `FS_WAL_ERR_INTERNAL`. On a failure the reader stands where it stood.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_seek(reader: *mut WalReader, event_id: u64) -> Status {
    // SAFETY: the header asks for an open reader and for one thread at a time.
    unsafe { with_reader(reader, |reader| reader.seek(event_id)) }
}

/// Closes and frees the reader, and what `fs_wal_reader_next_batch` gave out with it. NULL is fine.
///
/// Threads: one at a time, and the last.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_close(reader: *mut WalReader) {
    if reader.is_null() {
        return;
    }
    guard(
        || {
            // SAFETY: the header asks for an open reader that is not used any more. It is borrowed
            // to look at its magic number only, and then freed as the box it came from.
            let handle = unsafe {
                borrow(reader)?;
                Box::from_raw(reader)
            };
            handle.magic.store(0, Ordering::Relaxed);
            drop(handle);
            Ok(())
        },
        |_panic| (),
    );
}
