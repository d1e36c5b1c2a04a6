//! The boundary: no panic crosses it, and pointers are checked on this side.

use std::ffi::{c_char, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use super::last_error::keep;
use super::status::{fs_wal_status, FS_WAL_OK};
use crate::error::{Cause, Error, Result};
use crate::recorder::{panic_text, Log};

/// Largest size a caller's struct can sensibly have.
const MAX_STRUCT_SIZE: u32 = 4096;

/// Runs the body of an exported function. A panic becomes `FS_WAL_ERR_INTERNAL`, and poisons the
/// log if there is one: what it left half done must not be built upon.
pub fn guard(log: Option<&Log>, body: impl FnOnce() -> Result<()>) -> fs_wal_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => FS_WAL_OK,
        Ok(Err(error)) => keep(&error),
        Err(panic) => {
            let message = format!("defect: panic at the boundary: {}", panic_text(&*panic));
            let error = Error::new(Cause::Internal, message);
            if let Some(log) = log {
                log.fail(&error);
            }
            keep(&error)
        }
    }
}

/// An argument that must not be NULL is.
pub fn null(name: &str) -> Error {
    Error::new(Cause::InvalidArgument, format!("{name} is NULL"))
}

/// Writes a result where the caller wants it.
///
/// # Safety
/// `out` is NULL or points to room for a `T`, aligned for it.
pub unsafe fn put<T>(out: *mut T, name: &str, value: T) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, so the caller's promise holds.
    unsafe { out.write(value) };
    Ok(())
}

/// The path in a C string. Bytes need not be UTF-8.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives as long as the result.
pub unsafe fn path<'a>(text: *const c_char, name: &str) -> Result<&'a Path> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, so the caller's promise holds.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    if bytes.is_empty() {
        return Err(Error::new(Cause::InvalidArgument, format!("{name} is empty")));
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// Reads the `struct_size` every versioned struct begins with, and refuses an absurd one.
///
/// # Safety
/// `of` points to at least 4 readable bytes.
pub unsafe fn struct_size(of: *const u8, least: usize, name: &str) -> Result<usize> {
    // SAFETY: the caller's promise; the bytes need not be aligned.
    let size = unsafe { of.cast::<u32>().read_unaligned() };
    if size < least as u32 || size > MAX_STRUCT_SIZE {
        let message =
            format!("{name} is {size}: it must be the size of the struct, {least} or more");
        return Err(Error::new(Cause::InvalidArgument, message));
    }
    Ok(size as usize)
}

/// Copies a report that begins with its `u32 struct_size` into a caller's struct that begins with
/// its own: no more bytes than both have, and the size says how many.
///
/// # Safety
/// `out` points to as many writable bytes as the `u32` at its beginning says. `T` is `repr(C)`,
/// without padding, and begins with a `u32`.
pub unsafe fn copy_sized<T: Copy>(report: &T, out: *mut u8, name: &str) -> Result<()> {
    const LEAST: usize = 8;
    // SAFETY: the caller's promise.
    let size = unsafe { struct_size(out, LEAST, name) }?.min(size_of::<T>());
    let from = std::ptr::from_ref(report).cast::<u8>();
    // SAFETY: `size` is at most what either side has; the library's own report cannot overlap a
    // caller's struct. The size is written last, unaligned like it was read.
    unsafe {
        out.copy_from_nonoverlapping(from, size);
        out.cast::<u32>().write_unaligned(size as u32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::status::{FS_WAL_ERR_INTERNAL, FS_WAL_ERR_INVALID_ARGUMENT};
    use super::*;

    #[test]
    fn a_panic_is_a_code() {
        assert_eq!(guard(None, || panic!("planted")), FS_WAL_ERR_INTERNAL);
        assert_eq!(guard(None, || Err(null("event"))), FS_WAL_ERR_INVALID_ARGUMENT);
        assert_eq!(guard(None, || Ok(())), FS_WAL_OK);
    }

    #[test]
    fn no_more_is_written_than_the_caller_has() {
        #[derive(Clone, Copy)]
        #[repr(C)]
        struct Report(u32, u32, u64);
        let report = Report(16, 7, 8);
        let mut out = [0xAA_u8; 24];
        out[..4].copy_from_slice(&12_u32.to_ne_bytes());
        // SAFETY: the array has more bytes than it says.
        unsafe { copy_sized(&report, out.as_mut_ptr(), "size") }.unwrap();
        assert_eq!(out[..4], 12_u32.to_ne_bytes());
        assert_eq!(out[4..8], 7_u32.to_ne_bytes());
        assert!(out[12..].iter().all(|&byte| byte == 0xAA));
        out[..4].copy_from_slice(&20_u32.to_ne_bytes());
        // SAFETY: the array has more bytes than it says.
        unsafe { copy_sized(&report, out.as_mut_ptr(), "size") }.unwrap();
        assert_eq!(out[..4], 16_u32.to_ne_bytes(), "a larger struct learns what was written");
        assert!(out[16..].iter().all(|&byte| byte == 0xAA));
        for absurd in [0_u32, 7, 4097, u32::MAX] {
            out[..4].copy_from_slice(&absurd.to_ne_bytes());
            // SAFETY: refused before anything beyond the first four bytes is touched.
            let result = unsafe { copy_sized(&report, out.as_mut_ptr(), "size") };
            assert!(result.is_err(), "{absurd}");
        }
    }
}
