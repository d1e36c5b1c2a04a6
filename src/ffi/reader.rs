//! The calls on a reader, and its options.

use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Cause, Error, Result};
use crate::format::RequestEvent;
use crate::replay::{Reader, ReaderOptions};

use super::argument::{self, refuse_unknown_flags, refused};
use super::cancel::HeldOff;
use super::guard::{guard, guard_or};
use super::last_error;
use super::sized::{self, CStruct};
use super::status::Status;

/// Follow a live log. Not in this version: `FS_WAL_ERR_UNSUPPORTED`.
pub const FS_WAL_READER_FOLLOW: u32 = 1;
/// Read around damage; see above how it is reported. Not together with `FS_WAL_READER_NO_VERIFY`.
pub const FS_WAL_READER_SALVAGE: u32 = 2;
/// Do not verify the checksums of sealed blocks.
pub const FS_WAL_READER_NO_VERIFY: u32 = 4;
/// Stop at the durable watermark. Not in this version: `FS_WAL_ERR_UNSUPPORTED`.
pub const FS_WAL_READER_DURABLE_ONLY: u32 = 8;

/// Options of `fs_wal_reader_open`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ReaderConfig {
    /// Set it to `sizeof(fs_wal_reader_config)`. Fields beyond it have their defaults.
    pub struct_size: u32,
    /// Any of `FS_WAL_READER_`, or-ed. Default: none.
    pub flags: u32,
}

// SAFETY: repr(C), `struct_size` first, integers only.
unsafe impl CStruct for ReaderConfig {}

/// A place in a log. `fs_wal_reader_open` makes it and `fs_wal_reader_close` frees it.
///
/// It writes nothing and never delays the writer. One thread at a time.
pub struct WalReader {
    state: AtomicU32,
    reader: UnsafeCell<Reader>,
}

const OPEN: u32 = 0x4c52_5346;
/// Open, but a panic has left the reader in an unknown state.
const BROKEN: u32 = 0x7852_5346;

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
    let _held_off = (!reader.has_read_ahead()).then(HeldOff::new);
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

/// What a reader does at damage: stop, or read around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderKind {
    Plain(ReaderOptions),
    Salvaging,
}

/// The options of a reader; NULL is all defaults.
///
/// # Safety
/// `config` is NULL or a struct as long as it says.
unsafe fn reader_kind(config: *const ReaderConfig) -> Result<ReaderKind> {
    // SAFETY: the caller's promise.
    let given = unsafe { sized::read(config, "config") }?;
    refuse_unknown_flags("config.flags", given.flags, KNOWN_READER_FLAGS)?;
    let later = [
        (FS_WAL_READER_FOLLOW, "FS_WAL_READER_FOLLOW"),
        (FS_WAL_READER_DURABLE_ONLY, "FS_WAL_READER_DURABLE_ONLY"),
    ];
    if let Some((_, name)) = later.iter().find(|(flag, _)| given.flags & flag != 0) {
        let version = env!("CARGO_PKG_VERSION");
        let message = format!("config.flags has {name}: version {version} cannot do that");
        return Err(Error::new(Cause::Unsupported, message));
    }
    let verify = given.flags & FS_WAL_READER_NO_VERIFY == 0;
    if given.flags & FS_WAL_READER_SALVAGE == 0 {
        return Ok(ReaderKind::Plain(ReaderOptions { verify }));
    }
    if !verify {
        let message = "config.flags has FS_WAL_READER_SALVAGE and FS_WAL_READER_NO_VERIFY: \
                       what is not verified cannot be salvaged";
        return Err(refused(message.to_owned()));
    }
    Ok(ReaderKind::Salvaging)
}

const KNOWN_READER_FLAGS: u32 = FS_WAL_READER_FOLLOW
    | FS_WAL_READER_SALVAGE
    | FS_WAL_READER_NO_VERIFY
    | FS_WAL_READER_DURABLE_ONLY;

/// Opens the log in directory `dir` for reading, at its oldest event. The log may be open for
/// writing, in this process or another, or not at all. What is wrong with the log's files is
/// reported by the first read, not here.
///
/// `config` may be NULL: all defaults, every block is verified. On success `*out` is a reader that
/// the caller owns and gives to `fs_wal_reader_close`.
///
/// Who may read the directory but not the log's active directory gets every event that is durable,
/// then `FS_WAL_END`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no log in the directory,
/// or no directory), `FS_WAL_ERR_UNSUPPORTED` (a flag or field that this version does not support),
/// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory) or `FS_WAL_ERR_IO`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_open(
    dir: *const c_char,
    config: *const ReaderConfig,
    out: *mut *mut WalReader,
) -> Status {
    // SAFETY: the header asks for a C string, for NULL or a config as long as it says, and for a
    // pointer that can be written.
    guard(|| unsafe {
        let (dir, kind) = (argument::path(dir, "dir")?, reader_kind(config)?);
        argument::set(out, "out", || {
            let reader = match kind {
                ReaderKind::Plain(options) => Reader::open(dir, options)?,
                ReaderKind::Salvaging => Reader::open_salvaging(dir)?,
            };
            let (state, reader) = (AtomicU32::new(OPEN), UnsafeCell::new(reader));
            Ok(Box::into_raw(Box::new(WalReader { state, reader })))
        })
    })
}

/// Copies the next event to `*out`. At the end of the log it returns `FS_WAL_END`. A later call
/// goes on from there, if events have been appended since.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_END`, `FS_WAL_ERR_CORRUPT`,
/// `FS_WAL_ERR_GAP`, `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory),
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_next(
    reader: *mut WalReader,
    out: *mut RequestEvent,
) -> Status {
    // SAFETY: the header asks for an open reader, for one thread at a time, and for a pointer that
    // can be written.
    unsafe { with_reader(reader, |reader| argument::set(out, "out", || reader.next())) }
}

/// Gives some of the next events, at least one, without copying them: `*events` points at the
/// first and `*count` is their number. They belong to the reader and are valid until the next call
/// on it. Threads: one at a time. Returns what `fs_wal_reader_next` returns.
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
/// events that are still there. An id that retention has removed is not an error: look at the id
/// of the event that comes next. When there is no such event yet, the next call returns
/// `FS_WAL_END`. On failure the reader stays where it was.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_GAP`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_reader_seek(reader: *mut WalReader, event_id: u64) -> Status {
    let _held_off = HeldOff::new();
    // SAFETY: the header asks for an open reader and for one thread at a time.
    unsafe { with_reader(reader, |reader| reader.seek(event_id)) }
}

/// Closes and frees the reader, and with it the events that `fs_wal_reader_next_batch` gave.
/// `reader` may be NULL. Threads: one at a time; it is the last call on the reader.
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
        drop(handle);
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(flags: u32) -> Result<ReaderKind> {
        let given = ReaderConfig { struct_size: 8, flags };
        // SAFETY: `given` is a whole struct.
        unsafe { reader_kind(&given) }
    }

    #[test]
    fn reader_flags_are_accepted_refused_or_not_supported_yet() {
        let plain = |verify| ReaderKind::Plain(ReaderOptions { verify });
        assert_eq!(reader(0).unwrap(), plain(true));
        assert_eq!(reader(FS_WAL_READER_NO_VERIFY).unwrap(), plain(false));
        assert_eq!(reader(FS_WAL_READER_SALVAGE).unwrap(), ReaderKind::Salvaging);
        let error = reader(FS_WAL_READER_SALVAGE | FS_WAL_READER_NO_VERIFY).unwrap_err();
        assert_eq!(error.cause(), Some(Cause::InvalidArgument), "{error}");
        for flag in [FS_WAL_READER_FOLLOW, FS_WAL_READER_DURABLE_ONLY] {
            let error = reader(flag | FS_WAL_READER_NO_VERIFY).unwrap_err();
            assert_eq!(error.cause(), Some(Cause::Unsupported), "{error}");
            assert!(error.to_string().contains("FS_WAL_READER_"), "{error}");
        }
        let error = reader(16).unwrap_err();
        assert_eq!(error.cause(), Some(Cause::InvalidArgument));
        assert_eq!(error.to_string(), "config.flags is 0x10: 0x10 is not a flag");
    }
}
