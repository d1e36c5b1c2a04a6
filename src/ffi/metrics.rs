//! Telemetry and the recovery report.

use std::ffi::c_char;

use super::guard::{copy_sized, null};
use super::handle::fs_wal;
use super::recorder::call;
use super::status::fs_wal_status;
use crate::error::{Cause, Error};
use crate::recorder::RecoveryReport;
use crate::telemetry::{prometheus_text, MetricsSnapshot};

/// What fs_wal_open found and did. The caller sets `out->struct_size`; no more than that is
/// written. Any thread.
///
/// Returns FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT, or FS_WAL_ERR_CLOSED in a forked child.
///
/// # Safety
/// `wal` is an open handle; `out` points to as many bytes as its struct_size says.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_recovery_report(
    wal: *const fs_wal,
    out: *mut RecoveryReport,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe {
        call(wal, |wal| match out.is_null() {
            true => Err(null("out")),
            false => copy_sized(&wal.log().recovery_report(), out.cast(), "out->struct_size"),
        })
    }
}

/// The log's counters now. The caller sets `out->struct_size`; no more than that is written. Any
/// thread.
///
/// Returns FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT, or FS_WAL_ERR_CLOSED in a forked child.
///
/// # Safety
/// `wal` is an open handle; `out` points to as many bytes as its struct_size says.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_metrics(
    wal: *const fs_wal,
    out: *mut MetricsSnapshot,
) -> fs_wal_status {
    // SAFETY: the caller's promises.
    unsafe {
        call(wal, |wal| match out.is_null() {
            true => Err(null("out")),
            false => copy_sized(&wal.log().metrics(), out.cast(), "out->struct_size"),
        })
    }
}

/// The counters in the Prometheus text format, NUL-terminated. `*needed`, if not NULL, is set to
/// the bytes the whole text takes, the NUL included. NULL for `buf` with 0 for `len` only asks for
/// that. Any thread.
///
/// Returns FS_WAL_OK; FS_WAL_ERR_INVALID_ARGUMENT when `buf` is too small: nothing was written to
/// it, the text says how much is needed, and it may be a little more next time; FS_WAL_ERR_CLOSED
/// in a forked child.
///
/// # Safety
/// `wal` is an open handle; `buf` points to `len` writable bytes; `needed` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_metrics_prometheus(
    wal: *const fs_wal,
    buf: *mut c_char,
    len: usize,
    needed: *mut usize,
) -> fs_wal_status {
    // SAFETY: the caller's promises; `buf` is written only after it was found large enough.
    unsafe {
        call(wal, |wal| {
            if buf.is_null() && len > 0 {
                return Err(null("buf"));
            }
            let mut text = prometheus_text(&wal.log().metrics()).into_bytes();
            text.push(0);
            if !needed.is_null() {
                needed.write(text.len());
            }
            if buf.is_null() {
                return Ok(());
            }
            if len < text.len() {
                let message = format!("len is {len}: the text takes {} bytes", text.len());
                return Err(Error::new(Cause::InvalidArgument, message));
            }
            buf.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
            Ok(())
        })
    }
}
