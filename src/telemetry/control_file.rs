//! The layout of `wal_control`, in which a log's writer tells other processes how far it is. Only
//! the layout: the recorder has the words as atomics, and `directory` reads them.

use std::mem::offset_of;

use super::histogram::BUCKETS;
use super::metrics::TimingSnapshot;

/// The first word of the file: "FSWALCTL" in memory.
pub const CONTROL_MAGIC: u64 = u64::from_le_bytes(*b"FSWALCTL");
/// Version of the layout. A reserved word may get a meaning without a new version.
pub const CONTROL_VERSION: u32 = 1;
/// Bytes of the file: a page, and the histograms behind it.
pub const CONTROL_SIZE: usize = 5 * CONTROL_PAGE;
/// Bytes of the page.
pub const CONTROL_PAGE: usize = 4096;

/// The log takes events, or is about to.
pub const STATE_OPEN: u64 = 1;
/// The log has failed and takes no more events.
pub const STATE_FAILED: u64 = 2;
/// The log was shut down, and everything in it is durable.
pub const STATE_CLOSED: u64 = 3;

/// Which file this is, and whose. Never changes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlIdentity {
    /// `FS_WAL_CONTROL_MAGIC`.
    pub magic: u64,
    /// `FS_WAL_CONTROL_VERSION`.
    pub layout_version: u32,
    /// Bytes of the file.
    pub file_size: u32,
    /// The log's id in `wal_identity`: its first 16 hexadecimal digits.
    pub log_id_high: u64,
    /// The other 16.
    pub log_id_low: u64,
    /// The generation in `wal_identity`.
    pub generation: u64,
    /// Process id of the writer, as it sees itself.
    pub pid: u64,
    /// When the log was opened, since 1970.
    pub opened_ns: u64,
    /// The same by `CLOCK_MONOTONIC`.
    pub opened_clock_ns: u64,
    /// 0.
    pub reserved: [u64; 8],
}

/// What the log was opened with. Of these, only the retention floor changes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlLimits {
    /// Blocks of a new segment.
    pub num_blocks: u64,
    /// Hot segments to keep, or `FS_WAL_KEEP_ALL`.
    pub max_segments: u64,
    /// Cold segments to keep, or `FS_WAL_KEEP_ALL`; 0 = none.
    pub max_compressed_segments: u64,
    /// Bytes that the active segments may take.
    pub active_set_bytes: u64,
    /// One of `FS_WAL_SYNC_`.
    pub sync_mode: u64,
    /// For `FS_WAL_SYNC_INTERVAL`; otherwise 0.
    pub sync_interval_ns: u64,
    /// One in so many appends is timed; 0 = none.
    pub sample_appends: u64,
    /// Nothing at or above this event id is deleted; 0 = no floor.
    pub retention_floor: u64,
    /// Entries that there is room for in the rings: prepared, to persist, to close, to freeze, to
    /// free.
    pub ring_capacity: [u64; 5],
    /// 0.
    pub reserved: [u64; 3],
}

/// Whether the log takes events.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlState {
    /// One of `FS_WAL_STATE_`. Stored after what explains it.
    pub state: u64,
    /// When it has failed, since 1970; 0 = it has not.
    pub failed_ns: u64,
    /// The operating system's error number of that failure; 0 = there is none.
    pub failed_errno: u64,
    /// 0.
    pub reserved: [u64; 13],
}

/// Signs of life.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlPulse {
    /// When a worker was last at work, by `CLOCK_MONOTONIC`. It moves at least every 20 ms, unless
    /// the disk or the system holds the workers up.
    pub heartbeat_ns: u64,
    /// 1 while all memory of the log is locked.
    pub memory_locked: u64,
    /// 0.
    pub reserved: [u64; 14],
}

/// An event and its place. Both words are stored together; see `fs_wal_control` on reading them.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlTriple {
    /// Its id; 0 = there is none yet.
    pub event_id: u64,
    /// Its segment's index in the upper 32 bits, and the offset just past it in the lower ones.
    pub position: u64,
    /// 0.
    pub reserved: [u64; 14],
}

/// One end of a ring.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlRing {
    /// Entries that were put in, or taken out, at this end.
    pub moved: u64,
    /// Times that there was no room, or no entry.
    pub missed: u64,
}

/// What the appending thread counts.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlWriter {
    /// The segment that it has entered last.
    pub entered: u64,
    /// Events appended before it entered that, less those that were in it already. Stored together
    /// with `entered`.
    pub appended_before: u64,
    /// As in `fs_wal_metrics_t`.
    pub rotation: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub append_wait: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub would_block: u64,
    /// As in `fs_wal_metrics_t`.
    pub no_space: u64,
    /// Where prepared segments come out.
    pub prepared_out: ControlRing,
    /// Where segments to persist go in.
    pub to_persist_in: ControlRing,
    /// What the appends that were sampled took together.
    pub sampled_ns: u64,
    /// 0.
    pub reserved: u64,
}

/// What the persister counts.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlPersister {
    /// As in `fs_wal_metrics_t`.
    pub durable_events: u64,
    /// As in `fs_wal_metrics_t`.
    pub bytes_written: u64,
    /// As in `fs_wal_metrics_t`.
    pub persist: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub sync: TimingSnapshot,
    /// Since when the oldest event that is not durable waits, by `CLOCK_MONOTONIC`; 0 = all are.
    pub behind_since_ns: u64,
    /// Where segments to persist come out.
    pub to_persist_out: ControlRing,
    /// Where segments to close go in.
    pub to_close_in: ControlRing,
    /// 0.
    pub reserved: [u64; 3],
}

/// What the preparer counts.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlPreparer {
    /// As in `fs_wal_metrics_t`.
    pub prepare: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub segments_created: u64,
    /// As in `fs_wal_metrics_t`.
    pub segments_recycled: u64,
    /// Where prepared segments go in.
    pub prepared_in: ControlRing,
    /// 0.
    pub reserved: [u64; 9],
}

/// What the maintainer counts: two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlMaintainer {
    /// As in `fs_wal_metrics_t`.
    pub close: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub deletion: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub hot_segments: u64,
    /// As in `fs_wal_metrics_t`.
    pub cold_segments: u64,
    /// As in `fs_wal_metrics_t`.
    pub oldest_event_id: u64,
    /// As in `fs_wal_metrics_t`.
    pub hot_bytes: u64,
    /// As in `fs_wal_metrics_t`.
    pub cold_bytes: u64,
    /// As in `fs_wal_metrics_t`.
    pub segments_deleted: u64,
    /// As in `fs_wal_metrics_t`.
    pub missing_segments: u64,
    /// As in `fs_wal_metrics_t`.
    pub damaged_segments: u64,
    /// As in `fs_wal_metrics_t`.
    pub held_bytes: u64,
    /// As in `fs_wal_metrics_t`.
    pub broken_holds: u64,
    /// Where segments to close come out.
    pub to_close_out: ControlRing,
    /// Where segments to freeze go in.
    pub to_freeze_in: ControlRing,
    /// Where segments to free come out.
    pub to_free_out: ControlRing,
    /// 0.
    pub reserved: [u64; 10],
}

/// What the freezers count, all together.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlFreezers {
    /// As in `fs_wal_metrics_t`.
    pub compression: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub compression_failures: u64,
    /// As in `fs_wal_metrics_t`.
    pub compression_bytes_in: u64,
    /// As in `fs_wal_metrics_t`.
    pub compression_bytes_out: u64,
    /// Where segments to freeze come out.
    pub to_freeze_out: ControlRing,
    /// Where segments to free go in.
    pub to_free_in: ControlRing,
    /// 0.
    pub reserved: [u64; 6],
}

/// What is left: the opening thread's, and that of the worker that writes `wal_meta.dat`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlMeta {
    /// As in `fs_wal_metrics_t`.
    pub open: TimingSnapshot,
    /// As in `fs_wal_metrics_t`.
    pub meta_flush: TimingSnapshot,
    /// 0.
    pub reserved: [u64; 10],
}

/// What one worker has done.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlWorker {
    /// How often it was at work.
    pub steps: u64,
    /// How long, in all.
    pub work_ns: u64,
    /// 0.
    pub reserved: [u64; 14],
}

/// The first page of `wal_control`, a file in the active directory of a log that is open: what its
/// writer tells other processes. Whoever may read that directory may read it, by `mmap` or `pread`.
/// When the writer has died it stays as it was until the log is opened again.
///
/// What different threads write is on different lines of 128 bytes, so that who looks does not slow
/// who writes. Words are little-endian and aligned, and each is written in one piece. Times are in
/// nanoseconds.
///
/// Read the id and the position of `appended` or `durable` with one load of 16 bytes, which is one
/// piece where there is AVX. Or with loads of 8 bytes, in this order: the id, the position, the id
/// again. If both ids are the same, the position is that of this id, because ids only rise;
/// otherwise begin again. With `pread`, read both words until two reads give the same.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlFile {
    /// Line 0.
    pub identity: ControlIdentity,
    /// Line 1.
    pub limits: ControlLimits,
    /// Line 2.
    pub state: ControlState,
    /// Line 3.
    pub pulse: ControlPulse,
    /// Line 4: the last event that was appended.
    pub appended: ControlTriple,
    /// Line 5: the last event on stable storage.
    pub durable: ControlTriple,
    /// Line 6.
    pub writer: ControlWriter,
    /// Line 7.
    pub persister: ControlPersister,
    /// Line 8.
    pub preparer: ControlPreparer,
    /// Lines 9 and 10.
    pub maintainer: ControlMaintainer,
    /// Line 11.
    pub freezers: ControlFreezers,
    /// Line 12.
    pub meta: ControlMeta,
    /// Line 13: damage that was found while the log was open, by kind: `FS_WAL_DAMAGE_`, less 1.
    pub integrity_failures: [u64; 16],
    /// Lines 14 to 22: persister, preparer, maintainer, four freezers, the one that writes
    /// `wal_meta.dat`, and the watcher.
    pub workers: [ControlWorker; 9],
    /// 0.
    pub reserved: [u64; 144],
}

/// How long things took, behind the page: for each a word for each bucket. Of the times below 8 ns
/// each has its bucket. Above, every doubling of the time has 8 buckets of the same width, up to
/// the last one, which has everything from 2^42 - 2^38 ns on.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ControlHistograms {
    /// Appends that were sampled (`fs_wal_config.sample_appends`).
    pub append: [u64; 320],
    /// As `rotation` in `fs_wal_metrics_t`.
    pub rotation: [u64; 320],
    /// As `append_wait` there.
    pub append_wait: [u64; 320],
    /// As `sync` there.
    pub sync: [u64; 320],
    /// As `close` there.
    pub close: [u64; 320],
    /// As `compression` there.
    pub compression: [u64; 320],
}

const LINE: usize = 128;

const _: () = {
    assert!(size_of::<ControlFile>() == CONTROL_PAGE);
    assert!(size_of::<ControlHistograms>() == 6 * 8 * BUCKETS);
    assert!(size_of::<ControlFile>() + size_of::<ControlHistograms>() <= CONTROL_SIZE);
    assert!(size_of::<[u64; BUCKETS]>() % LINE == 0);
    assert!(offset_of!(ControlFile, limits) == LINE);
    assert!(offset_of!(ControlFile, state) == 2 * LINE);
    assert!(offset_of!(ControlFile, pulse) == 3 * LINE);
    assert!(offset_of!(ControlFile, appended) == 4 * LINE);
    assert!(offset_of!(ControlFile, durable) == 5 * LINE);
    assert!(offset_of!(ControlFile, writer) == 6 * LINE);
    assert!(offset_of!(ControlFile, persister) == 7 * LINE);
    assert!(offset_of!(ControlFile, preparer) == 8 * LINE);
    assert!(offset_of!(ControlFile, maintainer) == 9 * LINE);
    assert!(offset_of!(ControlFile, freezers) == 11 * LINE);
    assert!(offset_of!(ControlFile, meta) == 12 * LINE);
    assert!(offset_of!(ControlFile, integrity_failures) == 13 * LINE);
    assert!(offset_of!(ControlFile, workers) == 14 * LINE);
};
