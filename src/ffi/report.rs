//! The call that says what opening found and did.

use std::ffi::c_char;

use crate::recorder::{Decided, RecoveryReport};

use super::handle::{with_log, Wal};
use super::sized::{self, CStruct};
use super::status::Status;
use super::text::fixed_text;

/// What `fs_wal_open` found and did, as `fs_wal_recovery_report` returns it. Texts are
/// NUL-terminated; one that does not fit is cut and ends in "...".
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalRecoveryReport {
    /// Set it to `sizeof(fs_wal_recovery_report_t)`. On return: bytes written.
    pub struct_size: u32,
    /// 1 when the log was new or its last shutdown was clean, else 0.
    pub clean: u32,
    /// 1 when every mapped segment is locked in memory, else 0. Only then can no append take a
    /// page fault.
    pub memory_locked: u32,
    /// Hot segments that hold events, after recovery.
    pub hot_segments: u32,
    /// Cold (compressed) segments.
    pub cold_segments: u32,
    /// Always 0.
    pub reserved: u32,
    /// How often this log has been opened for writing, this time included.
    pub generation: u64,
    /// Id of the last event in the log, 0 = the log is empty.
    pub last_event_id: u64,
    /// Highest event id that was known to be durable before recovery, 0 = none.
    pub durable_event_id: u64,
    /// Events that were only in the active directory and were carried over to the disk.
    pub events_carried_over: u64,
    /// Events above `durable_event_id` that recovery found, proved and made durable.
    pub events_accepted: u64,
    /// Events beyond the end of the log that recovery kept aside, in `*.corrupt` files: the sum of
    /// what it counted file by file. A cold segment counts by its header, so a damaged file may
    /// hold fewer; an event that is in several of the files counts in each.
    pub events_kept_aside: u64,
    /// Filesystem of the log's directory: its magic number, as in `statfs(2)`.
    pub wal_filesystem: u64,
    /// Filesystem of the active directory: its magic number.
    pub active_filesystem: u64,
    /// Which case recovery met: a label that stays the same in later versions, such as "clean".
    pub decision: [c_char; 64],
    /// What else was noticed, separated by "; ". The log function gets all of it, uncut.
    pub notes: [c_char; 256],
    /// Path of the active directory.
    pub active_path: [c_char; 256],
    /// Name of the filesystem of the log's directory, such as "xfs"; "unknown" when the library
    /// does not know its name.
    pub wal_filesystem_name: [c_char; 16],
    /// Name of the active directory's filesystem.
    pub active_filesystem_name: [c_char; 16],
    /// Where the library's threads run and why: one of `FS_WAL_THREADS_`.
    pub placement: u32,
    /// With `FS_WAL_THREADS_BESIDE` and `FS_WAL_THREADS_SHARE`, the processor that the opening
    /// thread is pinned to, else 0.
    pub pinned_processor: u32,
}

/// The library's threads run where the thread that opened could run.
pub const FS_WAL_THREADS_INHERIT: u32 = 0;
/// `persister_cpus` and `worker_cpus` say where the library's threads run.
pub const FS_WAL_THREADS_CONFIGURED: u32 = 1;
/// The thread that opened is pinned to one processor: the library's threads run on the others.
pub const FS_WAL_THREADS_BESIDE: u32 = 2;
/// The thread that opened is pinned to one processor and there is no other that the library's
/// threads may use: they share it, and appends wait for them.
pub const FS_WAL_THREADS_SHARE: u32 = 3;

// SAFETY: repr(C), integers and arrays of bytes only, `struct_size` first.
unsafe impl CStruct for WalRecoveryReport {}

/// Says what `fs_wal_open` found and did. Threads: any. Returns a common status.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_recovery_report(
    wal: *const Wal,
    out: *mut WalRecoveryReport,
) -> Status {
    // SAFETY: the header requires an open handle, and `out` to be NULL or a struct as long as it
    // says.
    unsafe { with_log(wal, |log| sized::write(out, "out", as_c(&log.recovery_report()))) }
}

fn as_c(report: &RecoveryReport) -> WalRecoveryReport {
    let (placement, pinned) = match report.placement {
        Decided::Inherited => (FS_WAL_THREADS_INHERIT, 0),
        Decided::Configured => (FS_WAL_THREADS_CONFIGURED, 0),
        Decided::Beside(processor) => (FS_WAL_THREADS_BESIDE, processor),
        Decided::Shared(processor) => (FS_WAL_THREADS_SHARE, processor),
    };
    WalRecoveryReport {
        clean: u32::from(report.clean),
        memory_locked: u32::from(report.memory_locked),
        hot_segments: report.hot_segments,
        cold_segments: report.cold_segments,
        generation: report.generation,
        last_event_id: report.last_event_id,
        durable_event_id: report.durable_event_id,
        events_carried_over: report.events_carried_over,
        events_accepted: report.events_accepted,
        events_kept_aside: report.events_kept_aside,
        wal_filesystem: report.wal_filesystem,
        active_filesystem: report.active_filesystem,
        decision: fixed_text(&report.decision),
        notes: fixed_text(&report.notes),
        active_path: fixed_text(&report.active_path),
        wal_filesystem_name: fixed_text(report.wal_filesystem_name),
        active_filesystem_name: fixed_text(report.active_filesystem_name),
        placement,
        pinned_processor: pinned as u32,
        ..CStruct::zeroed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::text::tests::text;

    #[test]
    fn a_text_that_does_not_fit_is_cut_and_says_so() {
        let (notes, active_path) = ("n".repeat(300), "p".repeat(255));
        let report = RecoveryReport { notes, active_path, clean: true, ..Default::default() };
        let out = as_c(&report);
        assert_eq!(text(&out.notes), format!("{}...", "n".repeat(252)));
        assert_eq!(text(&out.active_path), "p".repeat(255));
        let path = as_c(&RecoveryReport { active_path: "p".repeat(256), ..report }).active_path;
        assert_eq!(text(&path), format!("{}...", "p".repeat(252)));
        assert_eq!((out.clean, out.memory_locked), (1, 0));
    }
}
