//! The calls that give the counters of a log, as numbers and as Prometheus text.

use std::ffi::c_char;

use crate::directory::metrics_of;
use crate::error::Result;
use crate::recorder::Log;
use crate::storage::PosixStorage;
use crate::telemetry::{prometheus_text, MetricsSnapshot};

use super::argument::{self, refused};
use super::guard::guard;
use super::handle::{with_log, Wal};
use super::sized::{self, CStruct};
use super::status::{Status, FS_WAL_OK};

// SAFETY: repr(C), integers only, in nested structs too, `struct_size` first.
unsafe impl CStruct for MetricsSnapshot {}

/// The counters of the log now. Each counter is right by itself; they are not all read at the same
/// instant. Never waits. Threads: any; also in a signal handler. Returns a common status.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_metrics(wal: *const Wal, out: *mut MetricsSnapshot) -> Status {
    // SAFETY: the header asks for an open handle and for NULL or a struct as long as it says.
    unsafe { with_log(wal, |log| sized::write(out, "out", log.metrics())) }
}

/// The counters of the log in the directory `dir`, which any process may have open, as
/// `fs_wal_metrics` gives them there. Of a log whose writer has died they are those of its last
/// moment, until the log is opened again: then `heartbeat_age_ns` grows. It delays nobody.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no log, or it is closed,
/// or it is a copy or was left by an earlier boot), `FS_WAL_ERR_PERMISSION` (the active directory
/// is not this user's to read), `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_UNSUPPORTED` (another version of
/// the library has it open) or `FS_WAL_ERR_IO`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_metrics_of(
    dir: *const c_char,
    out: *mut MetricsSnapshot,
) -> Status {
    // SAFETY: the header asks for a C string, and for NULL or a struct as long as it says.
    guard(|| unsafe {
        let dir = argument::path(dir, "dir")?;
        sized::check_size(out, "out", u32::MAX)?;
        sized::write(out, "out", metrics_of(&PosixStorage::for_reading(), dir)?)
    })
}

/// Writes the counters in the Prometheus text format, NUL-terminated, into the `len` bytes at
/// `buf`. When the text does not fit, `buf` is not written and the call returns
/// `FS_WAL_ERR_INVALID_ARGUMENT`.
///
/// Every sample has a label `log`: the directory as it was given to `fs_wal_open`. A scrape may
/// hold one such text only; for several logs there is `fs_wal_metrics_prometheus_of_all`.
///
/// `needed` may be NULL. Otherwise `*needed` is set to the size of the text with its NUL, also
/// when it does not fit. To ask for the size alone, give `buf` NULL and `len` 0. Numbers grow: the
/// next call may need a few bytes more. Threads: any. Returns a common status.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_metrics_prometheus(
    wal: *const Wal,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> Status {
    // SAFETY: the header asks for an open handle, for NULL or `len` bytes that can be written, and
    // for NULL or a size that can be written.
    unsafe {
        with_log(wal, |log| write_text(&prometheus_text(&[log.log_metrics()]), buf, len, needed))
    }
}

/// The same of `count` logs in one text, each of them with its own label `log`. `wals` has `count`
/// handles, none of them twice; the logs must have been opened by different paths.
///
/// Threads: any, while none of the logs is shut down. Returns a common status.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_metrics_prometheus_of_all(
    wals: *const *const Wal,
    count: usize,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> Status {
    let mut refusal = FS_WAL_OK;
    let status = guard(|| {
        let mut logs = Vec::new();
        // SAFETY: the header asks for `count` handles.
        for &wal in unsafe { argument::slice(wals, count, "wals") }? {
            let mut take = |log: &Log| {
                logs.push(log.log_metrics());
                Ok(())
            };
            // SAFETY: the header asks for open handles.
            refusal = unsafe { with_log(wal, &mut take) };
            if refusal != FS_WAL_OK {
                return Ok(());
            }
        }
        // SAFETY: the header asks for NULL or `len` bytes that can be written, and for NULL or a
        // size that can be written.
        unsafe { write_text(&prometheus_text(&logs), buf, len, needed) }
    });
    match refusal {
        FS_WAL_OK => status,
        refusal => refusal,
    }
}

/// # Safety
/// `buf` is NULL or `len` bytes that can be written, `needed` NULL or a size that can be written.
unsafe fn write_text(text: &str, buf: *mut c_char, len: usize, needed: *mut usize) -> Result<()> {
    let size = text.len() + 1;
    let asks_for_size = buf.is_null() && len == 0;
    if asks_for_size || !needed.is_null() {
        // SAFETY: the caller's promise.
        unsafe { argument::set(needed, "needed", || Ok(size)) }?;
    }
    if asks_for_size {
        return Ok(());
    }
    argument::check(buf, "buf")?;
    if len < size {
        return Err(refused(format!("len is {len}: the text needs {size} bytes")));
    }
    // SAFETY: `buf` has `len` bytes, which are at least `size`.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buf, text.len());
        buf.add(text.len()).write(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;
    use std::ptr;

    const UNTOUCHED: c_char = 0x55;

    /// Gives "abc" to a buffer of `len` bytes.
    fn give(len: usize) -> (Result<()>, [c_char; 6], usize) {
        let (mut buf, mut needed) = ([UNTOUCHED; 6], 99);
        // SAFETY: `len` is at most 6 in the tests, and both pointers are to locals.
        let result = unsafe { write_text("abc", buf.as_mut_ptr(), len, &mut needed) };
        (result, buf, needed)
    }

    #[test]
    fn the_size_alone_can_be_asked_for() {
        let mut needed = 0;
        // SAFETY: no buffer, and a size that can be written.
        unsafe { write_text("abc", ptr::null_mut(), 0, &mut needed) }.unwrap();
        assert_eq!(needed, 4);
        // SAFETY: NULL is refused before it is followed.
        let error = unsafe { write_text("abc", ptr::null_mut(), 0, ptr::null_mut()) }.unwrap_err();
        assert_eq!(error.to_string(), "needed is NULL");
    }

    #[test]
    fn a_text_is_written_whole_or_not_at_all() {
        for len in 0..4 {
            let (result, buf, needed) = give(len);
            let error = result.unwrap_err();
            assert_eq!(error.cause(), Some(Cause::InvalidArgument));
            assert_eq!(error.to_string(), format!("len is {len}: the text needs 4 bytes"));
            assert_eq!((buf, needed), ([UNTOUCHED; 6], 4));
        }
        for len in 4..=6 {
            let (result, buf, needed) = give(len);
            result.unwrap();
            let bytes = buf.map(|c| c as u8);
            assert_eq!((bytes, needed), (*b"abc\0UU", 4));
        }
    }

    #[test]
    fn a_buffer_that_is_null_and_long_is_refused() {
        // SAFETY: NULL is refused before it is followed.
        let error = unsafe { write_text("abc", ptr::null_mut(), 9, ptr::null_mut()) }.unwrap_err();
        assert_eq!(error.to_string(), "buf is NULL");
    }
}
