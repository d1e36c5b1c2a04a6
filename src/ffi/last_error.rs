//! The last failure on each thread, in words and as data.

use std::cell::RefCell;
use std::ffi::{c_char, CStr, CString};

use crate::error::{Error, Failure};

use super::guard::guard;
use super::sized::{self, CStruct};
use super::status::{self, Status, FS_WAL_OK};

/// Where and why the last failure on a thread happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct ErrorDetail {
    /// In: bytes the caller's struct has. Out: bytes written.
    pub struct_size: u32,
    /// What the failed call returned; `FS_WAL_OK` when none has failed on this thread yet.
    pub status: Status,
    /// The operating system's error number, 0 when there is none.
    pub os_errno: i32,
    /// Segment concerned, if `has_segment_index`; else 0.
    pub segment_index: u32,
    /// Byte offset in that segment's file, if `has_offset`; else 0.
    pub offset: u64,
    /// First event id concerned, 0 = none.
    pub first_event_id: u64,
    /// Last event id concerned, 0 = none.
    pub last_event_id: u64,
    /// 1 when `segment_index` is known.
    pub has_segment_index: u32,
    /// 1 when `offset` is known.
    pub has_offset: u32,
}

// SAFETY: repr(C), integers only, `struct_size` first.
unsafe impl CStruct for ErrorDetail {}

struct LastError {
    text: CString,
    detail: ErrorDetail,
}

const NO_DETAIL: ErrorDetail = ErrorDetail {
    struct_size: size_of::<ErrorDetail>() as u32,
    status: FS_WAL_OK,
    os_errno: 0,
    segment_index: 0,
    offset: 0,
    first_event_id: 0,
    last_event_id: 0,
    has_segment_index: 0,
    has_offset: 0,
};

thread_local! {
    static LAST: RefCell<Option<LastError>> = const { RefCell::new(None) };
}

/// Keeps a failure as this thread's last one and gives its code. What is part of normal flow has
/// no words: it leaves the last failure as it is, and costs nothing.
#[cold]
#[inline(never)]
pub(super) fn record(error: &Error) -> Status {
    let status = status::of(error);
    if let Error::Failure(failure) = error {
        let last = LastError { text: c_text(&failure.message), detail: detail(status, failure) };
        // A thread that is being torn down has no last error any more; the code still tells.
        let _ = LAST.try_with(|slot| slot.replace(Some(last)));
    }
    status
}

fn detail(status: Status, failure: &Failure) -> ErrorDetail {
    let place = &failure.place;
    let (first_event_id, last_event_id) = place.event_ids.unwrap_or((0, 0));
    ErrorDetail {
        status,
        os_errno: failure.errno,
        segment_index: place.segment_index.unwrap_or(0),
        offset: place.offset.unwrap_or(0),
        first_event_id,
        last_event_id,
        has_segment_index: u32::from(place.segment_index.is_some()),
        has_offset: u32::from(place.offset.is_some()),
        ..NO_DETAIL
    }
}

/// A text for C: it ends at its first NUL, so there must be none inside.
pub(super) fn c_text(message: &str) -> CString {
    CString::new(message.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// The last failure on the calling thread in words: what failed, on which path, why. Never NULL;
/// empty while no call has failed on this thread. A later success does not clear it, and
/// `FS_WAL_ERR_WOULD_BLOCK`, `FS_WAL_ERR_TIMEOUT` and `FS_WAL_END` leave it as it is.
///
/// The text belongs to the library and is valid until the next failure on this thread, or its end.
///
/// Threads: any; each has its own.
#[no_mangle]
pub extern "C" fn fs_wal_last_error() -> *const c_char {
    const NONE: &CStr = c"";
    let text = |last: &RefCell<Option<LastError>>| {
        last.borrow().as_ref().map_or(NONE.as_ptr(), |last| last.text.as_ptr())
    };
    LAST.try_with(text).unwrap_or(NONE.as_ptr())
}

/// The last failure on the calling thread as data; see `fs_wal_last_error` for which that is. Set
/// `out->struct_size` to `sizeof *out` before.
///
/// Threads: any; each has its own.
///
/// Returns `FS_WAL_OK`, or `FS_WAL_ERR_INVALID_ARGUMENT` (which then is the last failure).
#[no_mangle]
pub unsafe extern "C" fn fs_wal_last_error_detail(out: *mut ErrorDetail) -> Status {
    let last = || LAST.try_with(|slot| slot.borrow().as_ref().map(|last| last.detail));
    guard(
        || {
            let detail = last().ok().flatten().unwrap_or(NO_DETAIL);
            // SAFETY: the header asks for `out` to be NULL or a struct as long as it says.
            unsafe { sized::write(out, "out", detail) }
        },
        |_panic| (),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Cause, Place};
    use crate::ffi::status::*;

    fn text() -> String {
        // SAFETY: the pointer is that of this thread's text, and nothing fails before it is read.
        unsafe { CStr::from_ptr(fs_wal_last_error()) }.to_str().unwrap().to_owned()
    }

    fn detail_now() -> ErrorDetail {
        let mut detail = NO_DETAIL;
        // SAFETY: `detail` is a whole struct of the size it says.
        assert_eq!(unsafe { fs_wal_last_error_detail(&mut detail) }, FS_WAL_OK);
        detail
    }

    #[test]
    fn nothing_has_failed_on_a_new_thread() {
        assert_eq!(text(), "");
        assert_eq!(detail_now(), NO_DETAIL);
    }

    #[test]
    fn a_failure_is_kept_in_words_and_as_data() {
        let place = Place { segment_index: Some(0), offset: Some(4096), event_ids: Some((7, 9)) };
        let error = Error::io("read x.wal", &std::io::Error::from_raw_os_error(5)).at(place);
        assert_eq!(record(&error), FS_WAL_ERR_IO);
        assert!(text().starts_with("read x.wal: "), "{}", text());
        let detail = detail_now();
        assert_eq!((detail.status, detail.os_errno), (FS_WAL_ERR_IO, 5));
        assert_eq!((detail.has_segment_index, detail.segment_index), (1, 0));
        assert_eq!((detail.has_offset, detail.offset), (1, 4096));
        assert_eq!((detail.first_event_id, detail.last_event_id), (7, 9));
        record(&Error::new(Cause::Closed, "closed"));
        assert_eq!((detail_now().has_offset, detail_now().os_errno), (0, 0));
    }

    #[test]
    fn normal_flow_leaves_the_last_failure_alone() {
        record(&Error::new(Cause::NotFound, "no such thing"));
        for flow in [Error::WouldBlock, Error::Timeout, Error::End] {
            record(&flow);
        }
        assert_eq!(text(), "no such thing");
        assert_eq!(detail_now().status, FS_WAL_ERR_NOT_FOUND);
    }

    #[test]
    fn a_nul_does_not_cut_the_text() {
        record(&Error::new(Cause::Io, "before\0after"));
        assert_eq!(text(), "before\u{fffd}after");
    }

    #[test]
    fn threads_do_not_see_each_others_failures() {
        record(&Error::new(Cause::Io, "mine"));
        assert_eq!(std::thread::spawn(text).join().unwrap(), "");
        assert_eq!(text(), "mine");
    }

    #[test]
    fn a_short_detail_gets_a_prefix_and_an_absurd_one_is_refused() {
        record(&Error::new(Cause::Corrupt, "bad"));
        let mut detail = ErrorDetail { struct_size: 12, last_event_id: 99, ..NO_DETAIL };
        // SAFETY: the struct is longer than the 12 bytes it says.
        assert_eq!(unsafe { fs_wal_last_error_detail(&mut detail) }, FS_WAL_OK);
        assert_eq!((detail.struct_size, detail.status), (12, FS_WAL_ERR_CORRUPT));
        assert_eq!(detail.last_event_id, 99);
        detail.struct_size = 7;
        // SAFETY: as above.
        let status = unsafe { fs_wal_last_error_detail(&mut detail) };
        assert_eq!(status, FS_WAL_ERR_INVALID_ARGUMENT);
        assert!(text().contains("out.struct_size is 7"), "{}", text());
        // SAFETY: NULL is asked for to be refused.
        let status = unsafe { fs_wal_last_error_detail(std::ptr::null_mut()) };
        assert_eq!((status, text().as_str()), (FS_WAL_ERR_INVALID_ARGUMENT, "out is NULL"));
    }
}
