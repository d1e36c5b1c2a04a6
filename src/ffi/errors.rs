//! The calls that explain a failure.

use std::ffi::c_char;

use super::guard::guard;
use super::last_error::{with_last, ErrorDetail};
use super::sized::{self, CStruct};
use super::status::Status;

// SAFETY: repr(C), integers only, `struct_size` first.
unsafe impl CStruct for ErrorDetail {}

/// The last failure on the calling thread in words: what failed, on which path, and why. Never
/// NULL; empty while no call has failed on this thread. A later success does not clear it. The
/// text belongs to the library. It is valid until the next failure on this thread, or the thread's
/// end. Threads: any.
#[no_mangle]
pub extern "C" fn fs_wal_last_error() -> *const c_char {
    with_last(|text, _detail| text.as_ptr()).unwrap_or(c"".as_ptr())
}

/// The last failure on the calling thread as data, the same failure that `fs_wal_last_error`
/// describes. Threads: any. Returns a common status; what it returns other than `FS_WAL_OK` is
/// then the last failure.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_last_error_detail(out: *mut ErrorDetail) -> Status {
    let detail = with_last(|_text, detail| *detail).unwrap_or_default();
    // SAFETY: the header requires `out` to be NULL or a struct as long as it says.
    guard(|| unsafe { sized::write(out, "out", detail) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Cause, Error, Place};
    use crate::ffi::last_error::record;
    use crate::ffi::status::*;
    use std::ffi::CStr;

    fn text() -> String {
        // SAFETY: the pointer is that of this thread's text, and nothing fails before it is read.
        unsafe { CStr::from_ptr(fs_wal_last_error()) }.to_str().unwrap().to_owned()
    }

    fn detail_now() -> ErrorDetail {
        let struct_size = size_of::<ErrorDetail>() as u32;
        let mut detail = ErrorDetail { struct_size, ..Default::default() };
        // SAFETY: `detail` is a whole struct of the size it says.
        assert_eq!(unsafe { fs_wal_last_error_detail(&mut detail) }, FS_WAL_OK);
        detail
    }

    #[test]
    fn nothing_has_failed_on_a_new_thread() {
        assert_eq!(text(), "");
        let struct_size = size_of::<ErrorDetail>() as u32;
        assert_eq!(detail_now(), ErrorDetail { struct_size, ..Default::default() });
    }

    #[test]
    fn a_failure_is_kept_in_words_and_as_data() {
        let place = Place {
            segment_index: Some(0),
            offset: Some(4096),
            event_ids: Some((7, 9)),
            len: 16_448,
        };
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
        let mut detail = ErrorDetail { struct_size: 12, last_event_id: 99, ..Default::default() };
        // SAFETY: the struct is longer than the 12 bytes it says.
        assert_eq!(unsafe { fs_wal_last_error_detail(&mut detail) }, FS_WAL_OK);
        assert_eq!((detail.struct_size, detail.status), (12, FS_WAL_ERR_CORRUPT));
        assert_eq!(detail.last_event_id, 99);
        detail.struct_size = 7;
        // SAFETY: as above.
        let status = unsafe { fs_wal_last_error_detail(&mut detail) };
        assert_eq!(status, FS_WAL_ERR_INVALID_ARGUMENT);
        assert!(text().contains("out.struct_size is 7"), "{}", text());
        // SAFETY: NULL is refused before it is followed.
        let status = unsafe { fs_wal_last_error_detail(std::ptr::null_mut()) };
        assert_eq!((status, text().as_str()), (FS_WAL_ERR_INVALID_ARGUMENT, "out is NULL"));
    }
}
