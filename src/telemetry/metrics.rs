//! The counters, and what they are at one moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::{Histogram, LatencySnapshot};

/// A number that only grows.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Relaxed: a count orders nothing.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

/// A number that is what was set last.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it. Whoever sees the number sees what was stored before it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    /// The value now.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something was done and how long it took: laid out as [`TimingSnapshot`].
#[derive(Debug, Default)]
#[repr(C)]
pub struct Timing {
    count: AtomicU64,
    total_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Timing {
    /// Counts one that took `elapsed`.
    pub fn add(&self, elapsed: Duration) {
        self.add_ns(elapsed.as_nanos() as u64);
    }

    /// Counts one that took `ns`.
    pub fn add_ns(&self, ns: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        self.max_ns.fetch_max(ns, Ordering::Relaxed);
    }

    /// Times `work`, and counts it only if it succeeds.
    pub fn of<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let begin = Instant::now();
        let result = work();
        if result.is_ok() {
            self.add(begin.elapsed());
        }
        result
    }

    /// The same, and counts it in a histogram too.
    pub fn and<T, E>(
        &self,
        histogram: &Histogram,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = Instant::now();
        let result = work();
        if result.is_ok() {
            let elapsed = begin.elapsed();
            self.add(elapsed);
            histogram.add_ns(elapsed.as_nanos() as u64);
        }
        result
    }
}

/// How often something was done and how long it took, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TimingSnapshot {
    /// How often.
    pub count: u64,
    /// All of them together.
    pub total_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// A bounded ring between two threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RingSnapshot {
    /// Entries in it now.
    pub fill: u64,
    /// Entries there is room for.
    pub capacity: u64,
    /// Pushes that found it full and had to wait or be put off.
    pub full: u64,
    /// Pops that found it empty though something was wanted.
    pub empty: u64,
}

/// What a worker has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WorkerSnapshot {
    /// How often it was at work.
    pub steps: u64,
    /// How long, in nanoseconds.
    pub work_ns: u64,
    /// How long it was not, since the log was opened.
    pub idle_ns: u64,
}

/// The counters of one log at one moment. Counts are since `fs_wal_open`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MetricsSnapshot {
    /// In: bytes the caller's struct has. Out: bytes written.
    pub struct_size: u32,
    /// 1 when every mapped segment is locked in memory.
    pub memory_locked: u32,
    /// Highest appended event id.
    pub appended_event_id: u64,
    /// Highest durable event id.
    pub durable_event_id: u64,
    /// Events appended by this handle.
    pub appended_events: u64,
    /// Events made durable by this handle.
    pub durable_events: u64,
    /// Bytes written to segment files for them: events and block headers.
    pub bytes_written: u64,
    /// Disk files newly made.
    pub segments_created: u64,
    /// Disk files used again.
    pub segments_recycled: u64,
    /// Hot and cold segments that retention removed.
    pub segments_deleted: u64,
    /// Hot segments now, the active one included.
    pub hot_segments: u64,
    /// Cold segments now.
    pub cold_segments: u64,
    /// Freezes that failed and are tried again.
    pub compression_failures: u64,
    /// Bytes before compression.
    pub compression_bytes_in: u64,
    /// Bytes after compression.
    pub compression_bytes_out: u64,
    /// Appends turned away with `FS_WAL_ERR_WOULD_BLOCK`.
    pub would_block: u64,
    /// Appends turned away with `FS_WAL_ERR_NO_SPACE`.
    pub no_space: u64,
    /// `fs_wal_open`, recovery included.
    pub open: TimingSnapshot,
    /// A segment made ready.
    pub prepare: TimingSnapshot,
    /// A rotation on the append thread.
    pub rotation: TimingSnapshot,
    /// Appends that had to wait for a prepared segment.
    pub append_wait: TimingSnapshot,
    /// Sealing one batch of events, in memory.
    pub persist: TimingSnapshot,
    /// Writing one batch and making it durable: a write that is durable when it returns, or, where
    /// the filesystem has none and at the end of a segment, a write and `fdatasync`.
    pub sync: TimingSnapshot,
    /// Header of a full segment written and synced.
    pub close: TimingSnapshot,
    /// `wal_meta.dat` replaced.
    pub meta_flush: TimingSnapshot,
    /// A hot segment compressed, synced, read back and proved. Several at once count as the sum.
    pub compression: TimingSnapshot,
    /// Prepared segments, filled by the preparer, emptied by the writer.
    pub prepared_segments: RingSnapshot,
    /// Segments in use, filled by the writer, emptied by the persister.
    pub segments_to_persist: RingSnapshot,
    /// Full segments, filled by the persister, emptied by the maintainer.
    pub segments_to_close: RingSnapshot,
    /// Expired hot segments, filled by the maintainer, emptied by the freezers.
    pub segments_to_freeze: RingSnapshot,
    /// Frozen segments whose hot file may go, filled by the freezers, emptied by the maintainer.
    pub segments_to_free: RingSnapshot,
    /// 1 when the log has failed and takes no more events.
    pub poisoned: u64,
    /// Id of the oldest event that is kept, 0 = none yet.
    pub oldest_event_id: u64,
    /// Bytes of the hot segments' files, the active one included.
    pub hot_bytes: u64,
    /// Bytes of the cold segments' files.
    pub cold_bytes: u64,
    /// Age of the oldest appended event that is not durable, in nanoseconds, to within 15 ms; 0 =
    /// all are. It grows while a disk hangs, and for good once the log has failed.
    pub durable_lag_ns: u64,
    /// Segments whose file somebody else has removed.
    pub missing_segments: u64,
    /// Segments that were found damaged when they were to be compressed or deleted.
    pub damaged_segments: u64,
    /// Bytes that holds and snapshots keep beyond the limits.
    pub held_bytes: u64,
    /// Holds and snapshots that were broken, because more than `max_held_bytes` was kept.
    pub broken_holds: u64,
    /// One of `FS_WAL_STATE_`.
    pub state: u32,
    /// The error number of the operating system with which the log has failed; 0 = none.
    pub failed_errno: u32,
    /// The generation of the log.
    pub generation: u64,
    /// Process id of the writer, as it sees itself.
    pub writer_pid: u64,
    /// When the log was opened, in nanoseconds since 1970.
    pub opened_ns: u64,
    /// How long ago one of the workers was at work, in nanoseconds. In an open log that is at most
    /// 20 ms, unless the disk or the system holds them up; in one whose writer has died it grows.
    pub heartbeat_age_ns: u64,
    /// Limit: hot segments to keep, or `FS_WAL_KEEP_ALL`.
    pub max_segments: u64,
    /// Limit: cold segments to keep, or `FS_WAL_KEEP_ALL`; 0 = none.
    pub max_compressed_segments: u64,
    /// Limit: bytes that the active segments may take.
    pub active_set_bytes: u64,
    /// Limit: nothing at or above this event id is deleted; 0 = no floor.
    pub retention_floor: u64,
    /// One in so many appends is timed; 0 = none.
    pub sample_appends: u64,
    /// Retention's removal of a segment, with the sync of its name.
    pub deletion: TimingSnapshot,
    /// Damage found while the log was open, once a segment: that of kind `FS_WAL_DAMAGE_x` is
    /// number `FS_WAL_DAMAGE_x` - 1.
    pub integrity_failures: [u64; 16],
    /// Seals, writes, syncs.
    pub persister: WorkerSnapshot,
    /// Prepares segments.
    pub preparer: WorkerSnapshot,
    /// Closes, expires, deletes.
    pub maintainer: WorkerSnapshot,
    /// Compress: all four together.
    pub freezers: WorkerSnapshot,
    /// Writes `wal_meta.dat`.
    pub coordinator: WorkerSnapshot,
    /// Looks for events in an idle log.
    pub watcher: WorkerSnapshot,
    /// Appends that were sampled.
    pub append_latency: LatencySnapshot,
    /// As `rotation`.
    pub rotation_latency: LatencySnapshot,
    /// As `append_wait`.
    pub append_wait_latency: LatencySnapshot,
    /// As `sync`.
    pub sync_latency: LatencySnapshot,
    /// As `close`.
    pub close_latency: LatencySnapshot,
    /// As `compression`.
    pub compression_latency: LatencySnapshot,
}
