//! Replay.

use std::ffi::c_char;

use super::guard::{guard, null, path, put, struct_size};
use super::status::fs_wal_status;
use crate::error::{Cause, Error, Result};
use crate::format::RequestEvent;
use crate::replay::{Reader, ReaderOptions};

/// Follow a live log. Not in this version.
pub const FS_WAL_READER_FOLLOW: u32 = 1;
/// Read around damage. Not in this version.
pub const FS_WAL_READER_SALVAGE: u32 = 2;
/// Do not check block checksums: faster, and what a disk changed is not noticed.
pub const FS_WAL_READER_NO_VERIFY: u32 = 4;
/// Give out only what is durable. Not in this version.
pub const FS_WAL_READER_DURABLE_ONLY: u32 = 8;

const LATER: u32 = FS_WAL_READER_FOLLOW | FS_WAL_READER_SALVAGE | FS_WAL_READER_DURABLE_ONLY;

/// Reads a log, in this or another process, while it is written or at rest. Writes nothing. Made by
/// fs_wal_reader_open, freed by fs_wal_reader_close; one thread at a time.
pub struct fs_wal_reader {
    reader: Reader,
}

/// Options of a reader.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct fs_wal_reader_config {
    /// sizeof(fs_wal_reader_config).
    pub struct_size: u32,
    /// FS_WAL_READER_...
    pub flags: u32,
}

/// Opens a log for reading, at its oldest event. `config` may be NULL. On success `*out` is a
/// handle that fs_wal_reader_close frees. Any thread.
///
/// Returns FS_WAL_OK, FS_WAL_ERR_NOT_FOUND (no such directory), _PERMISSION, _UNSUPPORTED (a flag
/// of a later version), _INVALID_ARGUMENT, _IO.
///
/// # Safety
/// `dir` is a NUL-terminated string; `config` is NULL or as large as its struct_size says; `out` can
/// be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_open(
    dir: *const c_char,
    config: *const fs_wal_reader_config,
    out: *mut *mut fs_wal_reader,
) -> fs_wal_status {
    guard(None, || {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: the caller's promises about `dir`, `config` and `out`.
        unsafe {
            let reader = Reader::open(path(dir, "dir")?, translate(config)?)?;
            put(out, "out", Box::into_raw(Box::new(fs_wal_reader { reader })))
        }
    })
}

/// The next event, copied to `*out`.
///
/// Returns FS_WAL_OK; FS_WAL_END: nothing more right now, a later call may find more;
/// FS_WAL_ERR_CORRUPT (fs_wal_last_error_detail says where; nothing damaged is given out); _GAP
/// (retention has removed what comes next); _IO; _INVALID_ARGUMENT.
///
/// # Safety
/// `reader` is an open reader, used by one thread; `out` can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_next(
    reader: *mut fs_wal_reader,
    out: *mut RequestEvent,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe {
        with(reader, |reader| {
            if out.is_null() {
                return Err(null("out"));
            }
            put(out, "out", reader.next()?)
        })
    }
}

/// The next events where they are, at least one: `*events` points to `*count` of them, the reader's
/// own, valid until the next call on it.
///
/// Returns as fs_wal_reader_next.
///
/// # Safety
/// `reader` is an open reader, used by one thread; `events` and `count` can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_next_batch(
    reader: *mut fs_wal_reader,
    events: *mut *const RequestEvent,
    count: *mut usize,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe {
        with(reader, |reader| {
            if events.is_null() {
                return Err(null("events"));
            }
            if count.is_null() {
                return Err(null("count"));
            }
            let batch = reader.next_batch()?;
            put(events, "events", batch.as_ptr())?;
            put(count, "count", batch.len())
        })
    }
}

/// Goes to the first event with this id or a higher one, forwards or backwards; 0 is the beginning.
///
/// Returns FS_WAL_OK, also when there is no such event yet: the next call then says FS_WAL_END.
/// FS_WAL_ERR_CORRUPT, _IO, _INVALID_ARGUMENT.
///
/// # Safety
/// `reader` is an open reader, used by one thread.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_seek(
    reader: *mut fs_wal_reader,
    event_id: u64,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe { with(reader, |reader| reader.seek(event_id)) }
}

/// Frees a reader. NULL is fine.
///
/// # Safety
/// `reader` is NULL or an open reader, which is not used again.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_close(reader: *mut fs_wal_reader) {
    if reader.is_null() {
        return;
    }
    guard(None, || {
        // SAFETY: made by Box::into_raw in fs_wal_reader_open, and not used again.
        drop(unsafe { Box::from_raw(reader) });
        Ok(())
    });
}

/// # Safety
/// `reader` is NULL or an open reader that no other thread uses.
unsafe fn with(
    reader: *mut fs_wal_reader,
    body: impl FnOnce(&mut Reader) -> Result<()>,
) -> fs_wal_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { reader.as_mut() };
    guard(None, || body(&mut handle.ok_or_else(|| null("reader"))?.reader))
}

/// # Safety
/// `config` is NULL or as large as its struct_size says.
unsafe fn translate(config: *const fs_wal_reader_config) -> Result<ReaderOptions> {
    if config.is_null() {
        return Ok(ReaderOptions { verify: true });
    }
    // SAFETY: the caller's promise covers the size, and once that is checked the struct.
    let flags = unsafe {
        struct_size(config.cast(), size_of::<fs_wal_reader_config>(), "config.struct_size")?;
        config.read_unaligned().flags
    };
    if flags & !(LATER | FS_WAL_READER_NO_VERIFY) != 0 {
        let message = format!("config.flags is {flags}: has unknown bits");
        return Err(Error::new(Cause::InvalidArgument, message));
    }
    if flags & LATER != 0 {
        let message = format!(
            "config.flags is {flags}: FOLLOW, SALVAGE and DURABLE_ONLY are not in this version"
        );
        return Err(Error::new(Cause::Unsupported, message));
    }
    Ok(ReaderOptions { verify: flags & FS_WAL_READER_NO_VERIFY == 0 })
}
