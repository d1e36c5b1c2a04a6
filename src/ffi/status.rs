//! The status codes of the C ABI, and the code of each cause of an error.

use std::ffi::{c_char, CStr};

use crate::error::{Cause, Error};

/// What a call returns: `FS_WAL_OK`, `FS_WAL_END` or one of `FS_WAL_ERR_`.
pub type Status = i32;

/// Success. The only value that is 0.
pub const FS_WAL_OK: Status = 0;
/// An argument is NULL, misaligned or out of range. The error text names it.
pub const FS_WAL_ERR_INVALID_ARGUMENT: Status = 1;
/// There is no such directory, or no log in it. From `fs_wal_open`, which makes the directory: its
/// parent does not exist, or the path is a link that leads nowhere.
pub const FS_WAL_ERR_NOT_FOUND: Status = 2;
/// Another owner has the log open for writing; the error text gives its process id. From a reader:
/// a program that is not this library has locked a segment.
pub const FS_WAL_ERR_LOCKED: Status = 3;
/// The operating system denies access.
pub const FS_WAL_ERR_PERMISSION: Status = 4;
/// The disk, the quota or the memory directory is full, or the process has reached a limit
/// (descriptors, file size, memory). Try again when there is room.
pub const FS_WAL_ERR_NO_SPACE: Status = 5;
/// An input or output operation failed. The operating system's error number is in
/// `fs_wal_error_detail.os_errno`.
pub const FS_WAL_ERR_IO: Status = 6;
/// The files contradict what must have been written. The error text and `fs_wal_error_detail` say
/// where.
pub const FS_WAL_ERR_CORRUPT: Status = 7;
/// The event id is not above the last one, or is 0 or 2^64-1. Nothing was written.
pub const FS_WAL_ERR_OUT_OF_ORDER: Status = 8;
/// Cannot be done right now without waiting: try again. Normal flow, leaves no error text.
pub const FS_WAL_ERR_WOULD_BLOCK: Status = 9;
/// The time given has passed. Normal flow, leaves no error text.
pub const FS_WAL_ERR_TIMEOUT: Status = 10;
/// The log has failed for good. The error text is that of the first failure. Shut the log down;
/// the next open recovers it.
pub const FS_WAL_ERR_POISONED: Status = 11;
/// Retention removed events before the reader got to them. Returned once; reading goes on after
/// the gap.
pub const FS_WAL_ERR_GAP: Status = 12;
/// This version of the library cannot do that.
pub const FS_WAL_ERR_UNSUPPORTED: Status = 13;
/// A defect in the library. Please report it, with the error text.
pub const FS_WAL_ERR_INTERNAL: Status = 14;
/// A reader is at the end of the log. Normal flow, leaves no error text.
pub const FS_WAL_END: Status = 15;
/// The log was shut down, or the handle belongs to the parent of this forked process.
pub const FS_WAL_ERR_CLOSED: Status = 16;

/// The code of an error.
pub(super) fn of(error: &Error) -> Status {
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

/// The name of a status as this header spells it: "FS_WAL_ERR_IO". Never NULL; for a number that
/// is no status, a text that says so. The text is static and belongs to the library. Threads: any.
#[no_mangle]
pub extern "C" fn fs_wal_status_string(status: Status) -> *const c_char {
    name(status).as_ptr()
}

fn name(status: Status) -> &'static CStr {
    match status {
        FS_WAL_OK => c"FS_WAL_OK",
        FS_WAL_ERR_INVALID_ARGUMENT => c"FS_WAL_ERR_INVALID_ARGUMENT",
        FS_WAL_ERR_NOT_FOUND => c"FS_WAL_ERR_NOT_FOUND",
        FS_WAL_ERR_LOCKED => c"FS_WAL_ERR_LOCKED",
        FS_WAL_ERR_PERMISSION => c"FS_WAL_ERR_PERMISSION",
        FS_WAL_ERR_NO_SPACE => c"FS_WAL_ERR_NO_SPACE",
        FS_WAL_ERR_IO => c"FS_WAL_ERR_IO",
        FS_WAL_ERR_CORRUPT => c"FS_WAL_ERR_CORRUPT",
        FS_WAL_ERR_OUT_OF_ORDER => c"FS_WAL_ERR_OUT_OF_ORDER",
        FS_WAL_ERR_WOULD_BLOCK => c"FS_WAL_ERR_WOULD_BLOCK",
        FS_WAL_ERR_TIMEOUT => c"FS_WAL_ERR_TIMEOUT",
        FS_WAL_ERR_POISONED => c"FS_WAL_ERR_POISONED",
        FS_WAL_ERR_GAP => c"FS_WAL_ERR_GAP",
        FS_WAL_ERR_UNSUPPORTED => c"FS_WAL_ERR_UNSUPPORTED",
        FS_WAL_ERR_INTERNAL => c"FS_WAL_ERR_INTERNAL",
        FS_WAL_END => c"FS_WAL_END",
        FS_WAL_ERR_CLOSED => c"FS_WAL_ERR_CLOSED",
        _ => c"not a status of this library",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_code_has_a_name_of_its_own_and_other_numbers_have_none() {
        let names: BTreeSet<_> = (FS_WAL_OK..=FS_WAL_ERR_CLOSED).map(name).collect();
        assert_eq!(names.len(), 17);
        assert!(names.iter().all(|name| name.to_bytes().starts_with(b"FS_WAL_")), "{names:?}");
        for other in [-1, 17, i32::MIN, i32::MAX] {
            assert_eq!(name(other), c"not a status of this library");
        }
    }

    #[test]
    fn every_cause_has_the_code_that_bears_its_name() {
        use Cause::*;
        let causes = [
            [InvalidArgument, NotFound, Locked, Permission, NoSpace],
            [Io, Corrupt, OutOfOrder, Poisoned, Gap],
        ];
        let others = [Unsupported, Internal, Closed];
        for cause in causes.concat().into_iter().chain(others) {
            let code = of(&Error::new(cause, ""));
            let spelt = name(code).to_str().unwrap().trim_start_matches("FS_WAL_ERR_");
            assert_eq!(spelt.replace('_', ""), format!("{cause:?}").to_uppercase());
        }
        assert_eq!(of(&Error::WouldBlock), FS_WAL_ERR_WOULD_BLOCK);
        assert_eq!(of(&Error::Timeout), FS_WAL_ERR_TIMEOUT);
        assert_eq!(of(&Error::End), FS_WAL_END);
    }
}
