//! The version, of the header and at run time.

use std::ffi::c_char;

/// The header's own version; compare it with fs_wal_version() to find a mismatched library.
pub const FS_WAL_VERSION_MAJOR: u32 = 0;
/// See `FS_WAL_VERSION_MAJOR`.
pub const FS_WAL_VERSION_MINOR: u32 = 1;
/// See `FS_WAL_VERSION_MAJOR`.
pub const FS_WAL_VERSION_PATCH: u32 = 0;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the library at run time, for example "0.1.0". Static, never NULL. Any thread.
#[no_mangle]
pub extern "C" fn fs_wal_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_the_manifest_says() {
        let header =
            format!("{FS_WAL_VERSION_MAJOR}.{FS_WAL_VERSION_MINOR}.{FS_WAL_VERSION_PATCH}");
        assert_eq!(VERSION.trim_end_matches('\0'), header);
    }
}
