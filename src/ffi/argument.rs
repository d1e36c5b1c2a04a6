//! Checks the arguments that C passes, as far as a pointer can be checked.

use std::ffi::{c_char, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Cause, Error, Result};

/// The error for an argument that is refused.
#[cold]
#[inline(never)]
pub(super) fn refused(message: String) -> Error {
    Error::new(Cause::InvalidArgument, message)
}

/// Refuses flags that mean nothing.
pub(super) fn refuse_unknown_flags(name: &str, flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(refused(format!("{name} is {flags:#x}: {unknown:#x} is not a flag"))),
    }
}

#[cold]
#[inline(never)]
fn bad_pointer(name: &str, address: usize, alignment: usize) -> Error {
    match address {
        0 => refused(format!("{name} is NULL")),
        _ => refused(format!("{name} is {address:#x}: not aligned to {alignment} bytes")),
    }
}

#[inline(always)]
pub(super) fn is_usable<T>(pointer: *const T) -> bool {
    !pointer.is_null() && pointer.is_aligned()
}

#[inline(always)]
pub(super) fn check<T>(pointer: *const T, name: &str) -> Result<()> {
    match is_usable(pointer) {
        true => Ok(()),
        false => Err(bad_pointer(name, pointer as usize, align_of::<T>())),
    }
}

/// Borrows what an argument points at.
///
/// # Safety
/// A pointer that is not NULL and is aligned must point at a `T` that is not written to as long as
/// the reference is used.
#[inline(always)]
pub(super) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    check(pointer, name)?;
    // SAFETY: checked to be neither NULL nor misaligned; the rest is the caller's promise.
    Ok(unsafe { &*pointer })
}

/// Like [`borrow`], without saying what is wrong: the hot path leaves that to its slow version.
///
/// # Safety
/// As for [`borrow`].
#[inline(always)]
pub(super) unsafe fn try_borrow<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as in `borrow`.
    is_usable(pointer).then(|| unsafe { &*pointer })
}

/// Borrows the `count` values an argument points at. With `count` 0 the pointer does not matter.
///
/// # Safety
/// As for [`borrow`], of `count` values.
#[inline(always)]
pub(super) unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    check(pointer, name)?;
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(refused(format!("count is {count}: more than memory can hold")));
    }
    // SAFETY: neither NULL nor misaligned, and not longer than an object can be; the rest is the
    // caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Borrows the `count` values an argument points at, to be written. With `count` 0 the pointer does
/// not matter.
///
/// # Safety
/// As for [`slice`], and nobody else uses them meanwhile.
pub(super) unsafe fn slice_mut<'a, T>(
    pointer: *mut T,
    count: usize,
    name: &str,
) -> Result<&'a mut [T]> {
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the caller's promise. Checks the arguments, and is not used.
    unsafe { slice(pointer.cast_const(), count, name) }?;
    // SAFETY: neither NULL nor misaligned, and not longer than an object can be; the rest is the
    // caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// Checks an out-parameter, calls `make`, and if that succeeds stores what it made. What was there
/// before is not dropped: for Rust it is uninitialised.
///
/// # Safety
/// A pointer that is not NULL and is aligned must be valid for writing a `T`.
pub(super) unsafe fn set<T>(
    pointer: *mut T,
    name: &str,
    make: impl FnOnce() -> Result<T>,
) -> Result<()> {
    check(pointer, name)?;
    let value = make()?;
    // SAFETY: checked to be neither NULL nor misaligned; the rest is the caller's promise.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Borrows a path: any bytes up to the NUL, but at least one.
///
/// # Safety
/// A pointer that is not NULL must point at a NUL-terminated string that is not written to as long
/// as the path is used.
pub(super) unsafe fn path<'a>(pointer: *const c_char, name: &str) -> Result<&'a Path> {
    check(pointer, name)?;
    // SAFETY: not NULL; that it ends in a NUL is the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    if bytes.is_empty() {
        return Err(refused(format!("{name} is empty: it must be a path")));
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn null_and_misaligned_pointers_are_named() {
        let words = [0_u64; 2];
        let misaligned = ptr::from_ref(&words).cast::<u8>().wrapping_add(4).cast::<u64>();
        // SAFETY: both are refused before they are followed.
        let (null, odd) =
            unsafe { (borrow::<u64>(ptr::null(), "event"), borrow(misaligned, "event")) };
        assert_eq!(null.unwrap_err().to_string(), "event is NULL");
        assert!(odd.unwrap_err().to_string().ends_with("not aligned to 8 bytes"));
    }

    #[test]
    fn a_slice_of_none_needs_no_pointer_and_an_endless_one_is_refused() {
        let one = 7_u64;
        // SAFETY: the first is empty, the second is refused before it is followed, the third is
        // one value that exists.
        unsafe {
            assert!(slice::<u64>(ptr::null(), 0, "events").unwrap().is_empty());
            let endless = slice(&one, usize::MAX / 8, "events").unwrap_err().to_string();
            assert!(endless.starts_with("count is 2305843009213693951"), "{endless}");
            assert_eq!(slice(&one, 1, "events").unwrap(), [7]);
        }
    }

    #[test]
    fn a_path_is_bytes_and_not_empty() {
        // SAFETY: C string literals.
        unsafe {
            let bytes = path(c"\xff/\xfe".as_ptr(), "dir").unwrap().as_os_str().as_bytes();
            assert_eq!(bytes, b"\xff/\xfe");
            let empty = path(c"".as_ptr(), "dir").unwrap_err().to_string();
            assert_eq!(empty, "dir is empty: it must be a path");
        }
    }
}
