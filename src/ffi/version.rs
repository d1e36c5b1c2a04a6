//! The version, in the header and at run time.

use std::ffi::c_char;

/// Major version of this header. A different major version of the library is not compatible.
pub const FS_WAL_VERSION_MAJOR: u32 = 0;
/// Minor version of this header.
pub const FS_WAL_VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const FS_WAL_VERSION_PATCH: u32 = 0;

// Cargo.toml is the one place the version is decided; the header needs it as literals.
const _: () = assert!(is(env!("CARGO_PKG_VERSION_MAJOR"), FS_WAL_VERSION_MAJOR));
const _: () = assert!(is(env!("CARGO_PKG_VERSION_MINOR"), FS_WAL_VERSION_MINOR));
const _: () = assert!(is(env!("CARGO_PKG_VERSION_PATCH"), FS_WAL_VERSION_PATCH));

const fn is(digits: &str, number: u32) -> bool {
    matches!(u32::from_str_radix(digits, 10), Ok(value) if value == number)
}

/// The version of the library at run time, as text: "0.1.0". Never NULL. The text is static and
/// belongs to the library. Threads: any.
#[no_mangle]
pub extern "C" fn fs_wal_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
