//! Keeps the last failure of each thread, in words and as data.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};

use crate::error::{Error, Failure};

use super::status::{self, Status};
use super::text::c_text;

/// The last failure on a thread as data: what the call returned, and where the failure happened.
/// What is not known, or does not apply, is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ErrorDetail {
    /// Set it to `sizeof(fs_wal_error_detail)`. On return: bytes written.
    pub struct_size: u32,
    /// What the failed call returned; `FS_WAL_OK` when no call has failed on this thread yet.
    pub status: Status,
    /// The operating system's error number (`errno`), 0 when there is none.
    pub os_errno: i32,
    /// Index of the segment concerned. Valid when `has_segment_index` is 1.
    pub segment_index: u32,
    /// Byte offset in that segment's file. Valid when `has_offset` is 1.
    pub offset: u64,
    /// First event id concerned, 0 = none.
    pub first_event_id: u64,
    /// Last event id concerned, 0 = none.
    pub last_event_id: u64,
    /// 1 when `segment_index` is known, else 0.
    pub has_segment_index: u32,
    /// 1 when `offset` is known, else 0.
    pub has_offset: u32,
}

/// A failure whose words are always the same. To keep it allocates and frees nothing, so it may be
/// kept in a signal handler, and in a child that ran no fork handlers. What is kept is one word:
/// a handler may interrupt it.
pub(super) type Fixed = (Status, &'static CStr);

thread_local! {
    /// In words and as data.
    static LAST: RefCell<Option<(CString, ErrorDetail)>> = const { RefCell::new(None) };
    /// The last failure, if it is one of these.
    static FIXED: Cell<Option<&'static Fixed>> = const { Cell::new(None) };
}

/// Keeps a failure as this thread's last one and gives its code.
#[cold]
#[inline(never)]
pub(super) fn record_fixed(fixed: &'static Fixed) -> Status {
    FIXED.set(Some(fixed));
    fixed.0
}

/// Keeps a failure as this thread's last one and gives its code. What is normal flow has no words:
/// it leaves the last failure as it is, and costs nothing.
#[cold]
#[inline(never)]
pub(super) fn record(error: &Error) -> Status {
    let status = status::of(error);
    if let Error::Failure(failure) = error {
        FIXED.set(None);
        let last = (c_text(&failure.message), detail(status, failure));
        // A thread that is ending keeps no last error any more. The caller still gets the code.
        let _ = LAST.try_with(|slot| slot.replace(Some(last)));
    }
    status
}

/// Reads this thread's last failure. `None` when nothing has failed on it yet.
pub(super) fn with_last<T>(read: impl FnOnce(&CStr, &ErrorDetail) -> T) -> Option<T> {
    if let Some(&(status, text)) = FIXED.get() {
        return Some(read(text, &ErrorDetail { status, ..ErrorDetail::default() }));
    }
    let read_slot = |slot: &RefCell<Option<(CString, ErrorDetail)>>| {
        slot.borrow().as_ref().map(|(text, detail)| read(text, detail))
    };
    LAST.try_with(read_slot).ok().flatten()
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
        ..ErrorDetail::default()
    }
}
