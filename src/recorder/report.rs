//! What `open` found and did.

use std::ffi::c_char;

/// What `fs_wal_open` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct RecoveryReport {
    /// In: bytes the caller's struct has. Out: bytes written.
    pub struct_size: u32,
    /// 1 when the log was new or its last shutdown clean.
    pub clean: u32,
    /// 1 when every mapped segment is locked in memory: only then can no append fault.
    pub memory_locked: u32,
    /// Hot segments with events, after recovery.
    pub hot_segments: u32,
    /// Cold segments.
    pub cold_segments: u32,
    /// Zero.
    pub reserved: u32,
    /// Opens of this log, this one included.
    pub generation: u64,
    /// Last event id of the log, 0 = none.
    pub last_event_id: u64,
    /// Highest event id that was known durable before recovery.
    pub durable_event_id: u64,
    /// Events that were only in the active directory and were carried over.
    pub events_carried_over: u64,
    /// Events above `durable_event_id` that were found, proved and made durable.
    pub events_accepted: u64,
    /// Events behind the end of the log, kept aside in `*.corrupt` files.
    pub events_kept_aside: u64,
    /// Filesystem of the WAL directory: magic number, as in `statfs(2)`.
    pub wal_filesystem: u64,
    /// Filesystem of the active directory.
    pub active_filesystem: u64,
    /// The row of the recovery table that was decided by: a stable label, NUL-terminated.
    pub decision: [c_char; 64],
    /// What else was noticed, sentences separated by "; ", NUL-terminated.
    pub notes: [c_char; 256],
    /// The active directory, NUL-terminated.
    pub active_path: [c_char; 256],
}

/// `text` as a NUL-terminated array; what does not fit is cut.
pub(crate) fn fixed_text<const N: usize>(text: &str) -> [c_char; N] {
    let mut chars = [0; N];
    for (to, from) in chars[..N - 1].iter_mut().zip(text.bytes()) {
        *to = from as c_char;
    }
    chars
}
