//! Structs that say how long they are, so that a program and a library of different versions
//! understand each other: fields are only ever added at the end, and 0 is a new field's default.

use std::mem::MaybeUninit;

use crate::error::{Cause, Error, Result};

use super::argument::{borrow, refused};

/// Longest options that are accepted: anything above is a `struct_size` that was never set.
pub(super) const MAX_SIZE: u32 = 4096;

/// A struct whose first field is its length.
///
/// # Safety
/// The type is `repr(C)`, its first field is `struct_size: u32`, and any bytes are a value of it.
pub(super) unsafe trait CStruct: Copy {
    /// Shortest that is accepted. Options: as long as in their first version, because nobody has
    /// shorter ones. Reports: `struct_size` and one field.
    const MIN_SIZE: u32 = 8;

    /// All fields 0.
    fn zeroed() -> Self {
        // SAFETY: any bytes are a value of it.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// Reads the options an argument points at; NULL is all zeros. Fields that the caller's version
/// lacks are zero, and those that ours lacks must be zero.
///
/// # Safety
/// A pointer that is not NULL must point at a `u32` and, if that is from `T::MIN_SIZE` to
/// [`MAX_SIZE`], at as many bytes, the `u32` included.
pub(super) unsafe fn read<T: CStruct>(pointer: *const T, name: &str) -> Result<T> {
    let mut value = T::zeroed();
    if pointer.is_null() {
        return Ok(value);
    }
    // SAFETY: the caller's promise; its struct has `size` bytes.
    let bytes = unsafe {
        let size = check_size(pointer, name, MAX_SIZE)?;
        std::slice::from_raw_parts(pointer.cast::<u8>(), size as usize)
    };
    let (known, unknown) = bytes.split_at(bytes.len().min(size_of::<T>()));
    if unknown.iter().any(|byte| *byte != 0) {
        let message = format!(
            "{name}.struct_size is {}, and a field beyond the {} bytes this version ({}) knows is \
             not zero",
            bytes.len(),
            size_of::<T>(),
            env!("CARGO_PKG_VERSION"),
        );
        return Err(Error::new(Cause::Unsupported, message));
    }
    let to = std::ptr::from_mut(&mut value).cast::<u8>();
    // SAFETY: `known` is at most a `T` long, and any bytes are a `T`.
    unsafe { to.copy_from_nonoverlapping(known.as_ptr(), known.len()) };
    Ok(value)
}

/// The size of the caller's struct, unless it makes no sense.
///
/// # Safety
/// A pointer that is not NULL must point at a `u32`.
pub(super) unsafe fn check_size<T: CStruct>(
    pointer: *const T,
    name: &str,
    max_size: u32,
) -> Result<u32> {
    // SAFETY: a `T` begins with a u32 and is aligned at least as it is; see above.
    let size = unsafe { *borrow(pointer.cast::<u32>(), name)? };
    if !(T::MIN_SIZE..=max_size).contains(&size) {
        let size_of = format!("set it to sizeof *{name}, {}", size_of::<T>());
        return Err(refused(format!("{name}.struct_size is {size}: {size_of}")));
    }
    Ok(size)
}

/// Writes a report: as much of it as the caller's struct holds, and how much that was.
///
/// # Safety
/// A pointer that is not NULL must point at a `u32`, and if that is at least `T::MIN_SIZE`, at as
/// many bytes that can be written, the `u32` included.
pub(super) unsafe fn write<T: CStruct>(pointer: *mut T, name: &str, value: T) -> Result<()> {
    // SAFETY: the caller's promise. No reference is left when something is written.
    let size = unsafe { check_size(pointer, name, u32::MAX) }?;
    let written = size.min(size_of::<T>() as u32);
    let from = std::ptr::from_ref(&value).cast::<u8>();
    // SAFETY: the caller's struct has `size` bytes and `value` size_of::<T>(); neither is
    // exceeded.
    unsafe {
        pointer.cast::<u8>().copy_from_nonoverlapping(from, written as usize);
        pointer.cast::<u32>().write(written);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(C)]
    struct Known {
        struct_size: u32,
        a: u32,
        b: u64,
    }

    // SAFETY: as the trait asks.
    unsafe impl CStruct for Known {}

    /// A caller's struct of `size` bytes in room for more, filled with a pattern.
    fn caller(size: u32) -> [u64; 4] {
        let pattern = u64::from_ne_bytes([0xaa; 8]);
        let mut first = pattern.to_ne_bytes();
        first[..4].copy_from_slice(&size.to_ne_bytes());
        [u64::from_ne_bytes(first), pattern, pattern, pattern]
    }

    fn read_from(caller: &[u64; 4]) -> Result<Known> {
        // SAFETY: the array is longer than any size the tests give it.
        unsafe { read(caller.as_ptr().cast(), "config") }
    }

    #[test]
    fn an_older_callers_struct_is_completed_with_zeros() {
        assert_eq!(read_from(&caller(8)).unwrap(), Known { struct_size: 8, a: 0xaaaa_aaaa, b: 0 });
        assert_eq!(read_from(&caller(12)).unwrap().b, 0xaaaa_aaaa);
    }

    #[test]
    fn a_newer_callers_struct_is_accepted_if_the_fields_we_do_not_know_are_zero() {
        let mut newer = caller(24);
        let error = read_from(&newer).unwrap_err();
        assert_eq!(error.cause(), Some(Cause::Unsupported));
        assert!(error.to_string().contains("beyond the 16 bytes"), "{error}");
        newer[2] = 0;
        assert_eq!(read_from(&newer).unwrap().struct_size, 24);
        newer[2] = 1 << 63;
        assert!(read_from(&newer).is_err(), "the last byte counts");
    }

    #[test]
    fn a_size_that_makes_no_sense_is_refused() {
        for size in [0, 1, 7, MAX_SIZE + 1, u32::MAX] {
            let error = read_from(&caller(size)).unwrap_err();
            assert_eq!(error.cause(), Some(Cause::InvalidArgument));
            assert!(error.to_string().starts_with(&format!("config.struct_size is {size}: ")));
        }
    }

    #[test]
    fn a_report_is_never_written_beyond_the_callers_struct() {
        let value = Known { struct_size: 16, a: 1, b: 2 };
        for size in 8..=32 {
            let mut out = caller(size);
            // SAFETY: the array is 32 bytes long.
            unsafe { write(out.as_mut_ptr().cast(), "out", value) }.unwrap();
            let written = size.min(16) as usize;
            let bytes: Vec<u8> = out.iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!(bytes[..4], (written as u32).to_ne_bytes());
            assert_eq!(bytes[4..8], 1_u32.to_ne_bytes());
            assert_eq!(bytes[8..written], 2_u64.to_ne_bytes()[..written - 8]);
            assert!(bytes[written..].iter().all(|byte| *byte == 0xaa), "size {size}");
        }
    }
}
