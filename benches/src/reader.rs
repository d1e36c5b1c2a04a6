//! A reader of the C ABI.

use std::ffi::{c_char, c_void, CString};
use std::path::Path;
use std::sync::OnceLock;

use crate::abi::{self, failed, Event, Status};

const FOLLOW: u32 = 1;
pub const NO_VERIFY: u32 = 4;
const WOULD_BLOCK: Status = 9;
const END: Status = 15;

/// `fs_wal_reader_config`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct ReaderConfig {
    struct_size: u32,
    flags: u32,
    threads: u32,
    reserved: u32,
    end_event_id: u64,
    spin_ns: u64,
    hold: *const c_char,
}

/// `fs_wal_reader *`.
type RawReader = *mut c_void;

/// The functions on it.
#[derive(Debug)]
struct Functions {
    open: unsafe extern "C" fn(*const c_char, *const ReaderConfig, *mut RawReader) -> Status,
    next: unsafe extern "C" fn(RawReader, *mut Event) -> Status,
    next_batch: unsafe extern "C" fn(RawReader, *mut *const Event, *mut usize) -> Status,
    seek: unsafe extern "C" fn(RawReader, u64) -> Status,
    seek_time: unsafe extern "C" fn(RawReader, u64) -> Status,
    close: unsafe extern "C" fn(RawReader),
}

fn functions() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    // SAFETY: the types are those of the header.
    FUNCTIONS.get_or_init(|| unsafe {
        Functions {
            open: abi::function("fs_wal_reader_open"),
            next: abi::function("fs_wal_reader_next"),
            next_batch: abi::function("fs_wal_reader_next_batch"),
            seek: abi::function("fs_wal_reader_seek"),
            seek_time: abi::function("fs_wal_reader_seek_time"),
            close: abi::function("fs_wal_reader_close"),
        }
    })
}

/// A reader, closed when dropped.
#[derive(Debug)]
pub struct Reader(RawReader);

impl Reader {
    /// Opens the log in this directory.
    pub fn open(directory: &Path, flags: u32, threads: u32) -> Reader {
        let path = CString::new(directory.as_os_str().as_encoded_bytes()).expect("no NUL in it");
        let struct_size = size_of::<ReaderConfig>() as u32;
        let (end_event_id, spin_ns, hold) = (0, 0, std::ptr::null());
        let reserved = 0;
        let config =
            ReaderConfig { struct_size, flags, threads, reserved, end_event_id, spin_ns, hold };
        let mut reader = std::ptr::null_mut();
        // SAFETY: a NUL-terminated path, a config of its `struct_size`, a place for the reader.
        let status = unsafe { (functions().open)(path.as_ptr(), &config, &mut reader) };
        check(status, "fs_wal_reader_open");
        Reader(reader)
    }

    /// The next events; `None` at the end.
    pub fn next_batch(&mut self) -> Option<&[Event]> {
        let (mut events, mut count) = (std::ptr::null(), 0);
        // SAFETY: an open reader of this thread, places for both.
        let status = unsafe { (functions().next_batch)(self.0, &mut events, &mut count) };
        if status == END {
            return None;
        }
        check(status, "fs_wal_reader_next_batch");
        // SAFETY: the reader's events, until the next call on it.
        Some(unsafe { std::slice::from_raw_parts(events, count) })
    }

    pub fn seek(&mut self, event_id: u64) {
        // SAFETY: an open reader of this thread.
        let status = unsafe { (functions().seek)(self.0, event_id) };
        check(status, "fs_wal_reader_seek");
    }

    pub fn seek_time(&mut self, time: u64) {
        // SAFETY: an open reader of this thread.
        let status = unsafe { (functions().seek_time)(self.0, time) };
        check(status, "fs_wal_reader_seek_time");
    }
}

fn check(status: Status, call: &str) {
    if status != 0 {
        failed(abi::functions(), status, call);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: an open reader, which is not used again.
        unsafe { (functions().close)(self.0) };
    }
}

/// A reader that follows a log.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    next: unsafe extern "C" fn(RawReader, *mut Event) -> Status,
}

impl Follower {
    /// Follows the log in this directory.
    pub fn open(directory: &Path) -> Follower {
        Follower { reader: Reader::open(directory, FOLLOW, 0), next: functions().next }
    }

    /// Looks for the next event.
    #[inline(always)]
    pub fn next(&mut self, event: &mut Event) -> bool {
        // SAFETY: an open reader of this thread, and a place for an event.
        let status = unsafe { (self.next)(self.reader.0, event) };
        if status != WOULD_BLOCK {
            check(status, "fs_wal_reader_next");
        }
        status == 0
    }
}
