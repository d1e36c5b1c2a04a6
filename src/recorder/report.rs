//! What `open` found and did.

use super::threads::Decided;

/// What `open` found and did. The header explains the fields, at `fs_wal_recovery_report_t`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The log was new, or its last shutdown was clean.
    pub clean: bool,
    /// Every mapped segment is locked in memory.
    pub memory_locked: bool,
    /// Hot segments with events, after recovery.
    pub hot_segments: u32,
    /// Cold segments.
    pub cold_segments: u32,
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
    /// Events behind the end of the log, kept aside.
    pub events_kept_aside: u64,
    /// Filesystem of the WAL directory: magic number, as in `statfs(2)`.
    pub wal_filesystem: u64,
    /// Filesystem of the active directory.
    pub active_filesystem: u64,
    /// Label of the row of the recovery table that decided.
    pub decision: String,
    /// What else was noticed, separated by "; ".
    pub notes: String,
    /// The active directory.
    pub active_path: String,
    /// How it was decided where the library's threads run.
    pub placement: Decided,
    /// Name of the WAL directory's filesystem.
    pub wal_filesystem_name: &'static str,
    /// Name of the active directory's filesystem.
    pub active_filesystem_name: &'static str,
}
