//! The codes, and which error gets which.

use std::ffi::{c_char, CStr};

use crate::error::{Cause, Error};

/// What a function came to: 0 is success.
pub type fs_wal_status = i32;

/// Success.
pub const FS_WAL_OK: fs_wal_status = 0;
/// An argument is NULL or out of its range; the text names it.
pub const FS_WAL_ERR_INVALID_ARGUMENT: fs_wal_status = 1;
/// The directory does not exist.
pub const FS_WAL_ERR_NOT_FOUND: fs_wal_status = 2;
/// The log is open for writing elsewhere; the text has the owner's pid.
pub const FS_WAL_ERR_LOCKED: fs_wal_status = 3;
/// The operating system denies access.
pub const FS_WAL_ERR_PERMISSION: fs_wal_status = 4;
/// The disk, a quota or the active directory is full. Appends work again when there is space.
pub const FS_WAL_ERR_NO_SPACE: fs_wal_status = 5;
/// The operating system reports an I/O error.
pub const FS_WAL_ERR_IO: fs_wal_status = 6;
/// The files contradict what must have been written; nothing was changed.
pub const FS_WAL_ERR_CORRUPT: fs_wal_status = 7;
/// The event id is not above the last one, or is 0 or 2^64-1; nothing was written.
pub const FS_WAL_ERR_OUT_OF_ORDER: fs_wal_status = 8;
/// Nothing was done; try again.
pub const FS_WAL_ERR_WOULD_BLOCK: fs_wal_status = 9;
/// The time given has passed.
pub const FS_WAL_ERR_TIMEOUT: fs_wal_status = 10;
/// The log has failed before and takes no more events; the text has the first cause.
pub const FS_WAL_ERR_POISONED: fs_wal_status = 11;
/// Retention has removed the events that were to be read next.
pub const FS_WAL_ERR_GAP: fs_wal_status = 12;
/// This version cannot do that.
pub const FS_WAL_ERR_UNSUPPORTED: fs_wal_status = 13;
/// A defect in the library.
pub const FS_WAL_ERR_INTERNAL: fs_wal_status = 14;
/// Reader: nothing more right now. Not a failure.
pub const FS_WAL_END: fs_wal_status = 15;
/// The log was shut down during the call, or belongs to the parent of this forked process.
pub const FS_WAL_ERR_CLOSED: fs_wal_status = 16;

/// The code of an error.
pub fn code_of(error: &Error) -> fs_wal_status {
    match error {
        Error::WouldBlock => FS_WAL_ERR_WOULD_BLOCK,
        Error::Timeout => FS_WAL_ERR_TIMEOUT,
        Error::End => FS_WAL_END,
        Error::Failure(failure) => match failure.cause {
            Cause::InvalidArgument => FS_WAL_ERR_INVALID_ARGUMENT,
            Cause::NotFound => FS_WAL_ERR_NOT_FOUND,
            Cause::Locked => FS_WAL_ERR_LOCKED,
            Cause::Permission => FS_WAL_ERR_PERMISSION,
            Cause::NoSpace => FS_WAL_ERR_NO_SPACE,
            Cause::Io => FS_WAL_ERR_IO,
            Cause::Corrupt => FS_WAL_ERR_CORRUPT,
            Cause::OutOfOrder => FS_WAL_ERR_OUT_OF_ORDER,
            Cause::Poisoned => FS_WAL_ERR_POISONED,
            Cause::Gap => FS_WAL_ERR_GAP,
            Cause::Unsupported => FS_WAL_ERR_UNSUPPORTED,
            Cause::Internal => FS_WAL_ERR_INTERNAL,
            Cause::Closed => FS_WAL_ERR_CLOSED,
        },
    }
}

fn name_of(status: fs_wal_status) -> &'static CStr {
    match status {
        FS_WAL_OK => c"OK",
        FS_WAL_ERR_INVALID_ARGUMENT => c"INVALID_ARGUMENT",
        FS_WAL_ERR_NOT_FOUND => c"NOT_FOUND",
        FS_WAL_ERR_LOCKED => c"LOCKED",
        FS_WAL_ERR_PERMISSION => c"PERMISSION",
        FS_WAL_ERR_NO_SPACE => c"NO_SPACE",
        FS_WAL_ERR_IO => c"IO",
        FS_WAL_ERR_CORRUPT => c"CORRUPT",
        FS_WAL_ERR_OUT_OF_ORDER => c"OUT_OF_ORDER",
        FS_WAL_ERR_WOULD_BLOCK => c"WOULD_BLOCK",
        FS_WAL_ERR_TIMEOUT => c"TIMEOUT",
        FS_WAL_ERR_POISONED => c"POISONED",
        FS_WAL_ERR_GAP => c"GAP",
        FS_WAL_ERR_UNSUPPORTED => c"UNSUPPORTED",
        FS_WAL_ERR_INTERNAL => c"INTERNAL",
        FS_WAL_END => c"END",
        FS_WAL_ERR_CLOSED => c"CLOSED",
        _ => c"unknown status",
    }
}

/// The name of a status, for example "OUT_OF_ORDER". Never NULL, whatever the number; the text is
/// static. Any thread.
#[no_mangle]
pub extern "C" fn fs_wal_status_string(status: fs_wal_status) -> *const c_char {
    name_of(status).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            (FS_WAL_OK..=FS_WAL_ERR_CLOSED).map(name_of).collect();
        assert_eq!(names.len(), 17);
        assert!(!names.contains(c"unknown status"));
        for stranger in [-1, 17, i32::MIN, i32::MAX] {
            assert_eq!(name_of(stranger), c"unknown status");
        }
    }
}
