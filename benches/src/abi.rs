//! The C ABI of `libflashstrike_wal.so`, declared by hand; a C engine includes `flashstrike_wal.h`
//! instead. The functions are looked up once. After that a call is one indirect call, like a call
//! through the procedure linkage table of an engine.

use std::ffi::{c_char, c_void, CStr, CString};
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// `fs_wal_status`; 0 is OK.
pub type Status = i32;

/// `fs_request_event`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Event {
    pub event_id: u64,
    pub timestamp: u64,
    pub price: i64,
    pub quantity: i64,
    pub user_id: u32,
    pub order_id: u32,
    pub kind: u8,
    pub order_type: u8,
    pub side: u8,
    pub reserved: [u8; 21],
}

impl Event {
    /// An order with this id. As in real order flow, prices are close together and users are few.
    pub fn order(event_id: u64) -> Self {
        Event {
            event_id,
            timestamp: 1_700_000_000_000_000_000 + event_id * 1_000,
            price: 1_000_000 + (event_id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as i64,
            quantity: 100 * (1 + (event_id % 7) as i64),
            user_id: (event_id % 997) as u32,
            order_id: event_id as u32,
            kind: (event_id % 4) as u8,
            order_type: 0,
            side: (event_id & 1) as u8,
            reserved: [0; 21],
        }
    }
}

pub const EVENT_SIZE: usize = size_of::<Event>();
/// Bytes of a segment file per event: 256 events share a block header of 64 bytes.
pub const DISK_BYTES_PER_EVENT: f64 = 64.25;
pub const KEEP_ALL: u32 = u32::MAX;
pub const KEEP_NONE: u32 = u32::MAX - 1;
pub const FLAG_SPIN: u32 = 8;
pub const FLAG_NO_COMPRESSION: u32 = 4;

/// `fs_wal_config`; a zero means the default.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Config {
    pub struct_size: u32,
    pub num_blocks: u32,
    pub max_segments: u32,
    pub max_compressed_segments: u32,
    pub prepared_segments: u32,
    pub flags: u32,
    pub backpressure: u32,
    pub sync_mode: u32,
    pub sync_interval_ns: u64,
    pub retention_floor: u64,
    pub active_dir: *const c_char,
    pub log: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char)>,
    pub log_user: *mut c_void,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            struct_size: size_of::<Config>() as u32,
            num_blocks: 0,
            max_segments: 0,
            max_compressed_segments: 0,
            prepared_segments: 0,
            flags: 0,
            backpressure: 0,
            sync_mode: 0,
            sync_interval_ns: 0,
            retention_floor: 0,
            active_dir: std::ptr::null(),
            log: None,
            log_user: std::ptr::null_mut(),
        }
    }
}

/// `fs_wal_meta_state`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct MetaState {
    last_segment_index: u32,
    last_offset: u32,
    last_event_id: u64,
}

/// `fs_wal_timing`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Timing {
    pub count: u64,
    pub total_ns: u64,
    pub max_ns: u64,
}

/// `fs_wal_ring`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Ring {
    pub fill: u64,
    pub capacity: u64,
    pub full: u64,
    pub empty: u64,
}

/// `fs_wal_metrics_t`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Metrics {
    struct_size: u32,
    pub memory_locked: u32,
    pub appended_event_id: u64,
    pub durable_event_id: u64,
    pub appended_events: u64,
    pub durable_events: u64,
    pub bytes_written: u64,
    pub segments_created: u64,
    pub segments_recycled: u64,
    pub segments_deleted: u64,
    pub hot_segments: u64,
    pub cold_segments: u64,
    pub compression_failures: u64,
    pub compression_bytes_in: u64,
    pub compression_bytes_out: u64,
    pub would_block: u64,
    pub no_space: u64,
    pub open: Timing,
    pub prepare: Timing,
    pub rotation: Timing,
    pub append_wait: Timing,
    pub persist: Timing,
    pub sync: Timing,
    pub close: Timing,
    pub meta_flush: Timing,
    pub compression: Timing,
    pub prepared_segments: Ring,
    pub segments_to_persist: Ring,
    pub segments_to_close: Ring,
    pub segments_to_freeze: Ring,
    pub segments_to_free: Ring,
}

/// The beginning of `fs_wal_recovery_report_t`, which is all that the benchmarks need.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct RecoveryReport {
    struct_size: u32,
    pub clean: u32,
    pub memory_locked: u32,
    pub hot_segments: u32,
    pub cold_segments: u32,
    reserved: u32,
    pub generation: u64,
    pub last_event_id: u64,
    pub durable_event_id: u64,
    pub events_carried_over: u64,
    pub events_accepted: u64,
}

type Wal = *mut c_void;

/// The functions of the library.
#[derive(Debug)]
pub struct Functions {
    open: unsafe extern "C" fn(*const c_char, *const Config, *mut Wal) -> Status,
    append: unsafe extern "C" fn(Wal, *const Event) -> Status,
    append_batch: unsafe extern "C" fn(Wal, *const Event, usize, *mut usize) -> Status,
    durable: unsafe extern "C" fn(Wal, *mut MetaState) -> Status,
    meta: unsafe extern "C" fn(Wal, *mut MetaState) -> Status,
    sync: unsafe extern "C" fn(Wal) -> Status,
    wait_durable: unsafe extern "C" fn(Wal, u64, u64) -> Status,
    metrics: unsafe extern "C" fn(Wal, *mut Metrics) -> Status,
    recovery_report: unsafe extern "C" fn(Wal, *mut RecoveryReport) -> Status,
    shutdown: unsafe extern "C" fn(Wal) -> Status,
    last_error: unsafe extern "C" fn() -> *const c_char,
    library: &'static libloading::Library,
}

static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

/// Loads the shared library. It is never unloaded.
pub fn load(path: &Path) -> Result<(), String> {
    // SAFETY: the library runs no initialisers but those of Rust's standard library. The types
    // below are those of the header. The library is never unloaded.
    let functions = unsafe {
        let library = libloading::Library::new(path).map_err(|e| format!("{path:?}: {e}"))?;
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        macro_rules! function {
            ($name:literal) => {
                *library.get($name).map_err(|e| format!("{path:?}: {e}"))?
            };
        }
        Functions {
            open: function!(b"fs_wal_open"),
            append: function!(b"fs_wal_append"),
            append_batch: function!(b"fs_wal_append_batch"),
            durable: function!(b"fs_wal_durable"),
            meta: function!(b"fs_wal_meta"),
            sync: function!(b"fs_wal_sync"),
            wait_durable: function!(b"fs_wal_wait_durable"),
            metrics: function!(b"fs_wal_metrics"),
            recovery_report: function!(b"fs_wal_recovery_report"),
            shutdown: function!(b"fs_wal_shutdown"),
            last_error: function!(b"fs_wal_last_error"),
            library,
        }
    };
    FUNCTIONS.set(functions).map_err(|_| "the library is loaded already".to_owned())
}

/// A function of this name.
///
/// # Safety
/// `T` is the type that the header gives it.
pub unsafe fn function<T: Copy>(name: &str) -> T {
    // SAFETY: the caller's promise; the library is never unloaded.
    let found = unsafe { functions().library.get::<T>(name.as_bytes()) };
    *found.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// They are loaded first.
pub fn functions() -> &'static Functions {
    FUNCTIONS.get().expect("the library is loaded first")
}

/// What any thread may do with a log: everything but append. The log is shut down when the last
/// owner drops its handle.
#[derive(Debug)]
pub struct Handle {
    wal: Wal,
    functions: &'static Functions,
}

// SAFETY: the header allows every call but the appends from any thread at any time. The log is shut
// down when nobody else has the handle.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Id of the last durable event.
    #[inline]
    pub fn durable(&self) -> u64 {
        self.state(self.functions.durable, "fs_wal_durable").last_event_id
    }

    /// Id of the last appended event.
    pub fn last_id(&self) -> u64 {
        self.state(self.functions.meta, "fs_wal_meta").last_event_id
    }

    #[inline]
    fn state(
        &self,
        function: unsafe extern "C" fn(Wal, *mut MetaState) -> Status,
        call: &str,
    ) -> MetaState {
        let mut state = MetaState::default();
        // SAFETY: an open handle, a place for the state.
        let status = unsafe { function(self.wal, &mut state) };
        self.check(status, call);
        state
    }

    /// Makes everything that was appended durable.
    pub fn sync(&self) {
        // SAFETY: an open handle.
        let status = unsafe { (self.functions.sync)(self.wal) };
        self.check(status, "fs_wal_sync");
    }

    /// Waits without a timeout.
    pub fn wait_durable(&self, event_id: u64) {
        // SAFETY: an open handle.
        let status = unsafe { (self.functions.wait_durable)(self.wal, event_id, u64::MAX) };
        self.check(status, "fs_wal_wait_durable");
    }

    pub fn metrics(&self) -> Metrics {
        let struct_size = size_of::<Metrics>() as u32;
        let mut out = Metrics { struct_size, ..Metrics::default() };
        // SAFETY: an open handle, counters of their `struct_size`.
        let status = unsafe { (self.functions.metrics)(self.wal, &mut out) };
        self.check(status, "fs_wal_metrics");
        out
    }

    pub fn recovery_report(&self) -> RecoveryReport {
        let struct_size = size_of::<RecoveryReport>() as u32;
        let mut out = RecoveryReport { struct_size, ..RecoveryReport::default() };
        // SAFETY: an open handle, a report of its `struct_size`.
        let status = unsafe { (self.functions.recovery_report)(self.wal, &mut out) };
        self.check(status, "fs_wal_recovery_report");
        out
    }

    /// Panics if the call failed: a measurement with a failed call is worthless.
    #[inline(always)]
    fn check(&self, status: Status, call: &str) {
        if status != 0 {
            failed(self.functions, status, call);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: an open handle, which is not used again.
        let status = unsafe { (self.functions.shutdown)(self.wal) };
        if status != 0 && !std::thread::panicking() {
            failed(self.functions, status, "fs_wal_shutdown");
        }
    }
}

#[cold]
#[inline(never)]
pub fn failed(functions: &Functions, status: Status, call: &str) -> ! {
    // SAFETY: never NULL, NUL-terminated, valid until the next failure on this thread.
    let message = unsafe { CStr::from_ptr((functions.last_error)()) };
    panic!("{call} returned {status}: {}", message.to_string_lossy());
}

/// A log as its one writer uses it.
#[derive(Debug)]
pub struct Log {
    handle: Arc<Handle>,
    wal: Wal,
    append: unsafe extern "C" fn(Wal, *const Event) -> Status,
}

impl Log {
    /// Opens the log in this directory.
    pub fn open(directory: &Path, config: &Config) -> Log {
        let functions = functions();
        let path = CString::new(directory.as_os_str().as_encoded_bytes()).expect("no NUL in it");
        let mut wal = std::ptr::null_mut();
        // SAFETY: a NUL-terminated path, a config of its `struct_size`, a place for the handle.
        let status = unsafe { (functions.open)(path.as_ptr(), config, &mut wal) };
        if status != 0 {
            failed(functions, status, "fs_wal_open");
        }
        Log { handle: Arc::new(Handle { wal, functions }), wal, append: functions.append }
    }

    /// A handle for other threads. The log stays open as long as one of them has it.
    pub fn handle(&self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }

    #[inline(always)]
    pub fn append(&mut self, event: &Event) {
        let status = self.try_append(event);
        self.check(status, "fs_wal_append");
    }

    /// Appends and returns the status, for an append that is meant to fail.
    #[inline(always)]
    pub fn try_append(&mut self, event: &Event) -> Status {
        // SAFETY: an open handle and its one writer; an event.
        unsafe { (self.append)(self.wal, event) }
    }

    #[inline(always)]
    pub fn append_batch(&mut self, events: &[Event]) {
        let function = self.handle.functions.append_batch;
        // SAFETY: an open handle and its one writer; `len` events; `appended` may be NULL.
        let status =
            unsafe { function(self.wal, events.as_ptr(), events.len(), std::ptr::null_mut()) };
        self.check(status, "fs_wal_append_batch");
    }
}

impl Deref for Log {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}
