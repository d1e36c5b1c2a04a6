//! The last failure of this thread, in words and as data.

use std::cell::RefCell;
use std::ffi::{c_char, CStr, CString};

use super::guard::{copy_sized, guard};
use super::status::{code_of, fs_wal_status, FS_WAL_OK};
use crate::error::{Cause, Error, Failure, Place};

/// The last failure of this thread as data.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct fs_wal_error_detail {
    /// In: sizeof(fs_wal_error_detail). Out: bytes written.
    pub struct_size: u32,
    /// Its status; `FS_WAL_OK` when this thread has had no failure.
    pub status: fs_wal_status,
    /// The operating system's error number; 0 when there is none.
    pub os_errno: i32,
    /// The segment concerned; `UINT32_MAX` when none is.
    pub segment_index: u32,
    /// Byte offset in that segment's file; `UINT64_MAX` when it is not known.
    pub offset: u64,
    /// First event id concerned; 0 when none is.
    pub first_event_id: u64,
    /// Last event id concerned; 0 when none is.
    pub last_event_id: u64,
}

struct LastError {
    text: CString,
    status: fs_wal_status,
    errno: i32,
    place: Place,
}

thread_local! {
    static LAST: RefCell<Option<LastError>> = const { RefCell::new(None) };
}

/// Keeps an error for this thread and gives its code. Normal flow keeps nothing.
pub fn keep(error: &Error) -> fs_wal_status {
    let status = code_of(error);
    if let Error::Failure(failure) = error {
        let Failure { message, errno, place, .. } = &**failure;
        // A NUL would end the text early.
        let text = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
        let last = LastError { text, status, errno: *errno, place: *place };
        LAST.with(|kept| *kept.borrow_mut() = Some(last));
    }
    status
}

/// The last failure of this thread in words: what was tried, on what, and why it failed. Empty
/// when there was none; never NULL. Valid until this thread's next failing call. WOULD_BLOCK, END
/// and TIMEOUT leave it as it is, and so does success. Any thread.
#[no_mangle]
pub extern "C" fn fs_wal_last_error() -> *const c_char {
    const NONE: &CStr = c"";
    LAST.with(|kept| kept.borrow().as_ref().map_or(NONE.as_ptr(), |last| last.text.as_ptr()))
}

/// The last failure of this thread as data. The caller sets `out->struct_size`; no more than that
/// is written. Any thread.
///
/// Returns FS_WAL_OK, or FS_WAL_ERR_INVALID_ARGUMENT when `out` is NULL or its struct_size is too
/// small.
///
/// # Safety
/// `out` is NULL or points to a struct of the size it states.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_last_error_detail(out: *mut fs_wal_error_detail) -> fs_wal_status {
    let detail = LAST.with(|kept| detail_of(kept.borrow().as_ref()));
    guard(None, || {
        if out.is_null() {
            return Err(Error::new(Cause::InvalidArgument, "out is NULL"));
        }
        // SAFETY: the caller's promise: `out` has as many bytes as it says.
        unsafe { copy_sized(&detail, out.cast(), "out->struct_size") }
    })
}

fn detail_of(last: Option<&LastError>) -> fs_wal_error_detail {
    let place = last.map_or(Place::default(), |last| last.place);
    let (first_event_id, last_event_id) = place.event_ids.unwrap_or((0, 0));
    fs_wal_error_detail {
        struct_size: size_of::<fs_wal_error_detail>() as u32,
        status: last.map_or(FS_WAL_OK, |last| last.status),
        os_errno: last.map_or(0, |last| last.errno),
        segment_index: place.segment_index.unwrap_or(u32::MAX),
        offset: place.offset.unwrap_or(u64::MAX),
        first_event_id,
        last_event_id,
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::{FS_WAL_END, FS_WAL_ERR_CORRUPT};
    use super::*;

    #[test]
    fn normal_flow_leaves_the_last_failure_as_it_is() {
        let place = Place { segment_index: Some(3), offset: Some(64), event_ids: Some((5, 9)) };
        let error = Error::new(Cause::Corrupt, "bad\0byte").at(place);
        assert_eq!(keep(&error), FS_WAL_ERR_CORRUPT);
        assert_eq!(keep(&Error::End), FS_WAL_END);
        let detail = LAST.with(|kept| detail_of(kept.borrow().as_ref()));
        assert_eq!((detail.status, detail.segment_index), (FS_WAL_ERR_CORRUPT, 3));
        assert_eq!((detail.offset, detail.first_event_id, detail.last_event_id), (64, 5, 9));
        // SAFETY: the text is NUL-terminated and lives until this thread's next failure.
        let text = unsafe { CStr::from_ptr(fs_wal_last_error()) };
        assert_eq!(text, c"bad\\0byte");
        let other = std::thread::spawn(|| LAST.with(|kept| detail_of(kept.borrow().as_ref())));
        assert_eq!(other.join().unwrap().status, FS_WAL_OK, "another thread has had no failure");
    }
}
