//! The counters, and what they are at one moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Relaxed: a count orders nothing.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something was done and how long it took.
#[derive(Debug, Default)]
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

    fn snapshot(&self) -> TimingSnapshot {
        TimingSnapshot {
            count: self.count.load(Ordering::Relaxed),
            total_ns: self.total_ns.load(Ordering::Relaxed),
            max_ns: self.max_ns.load(Ordering::Relaxed),
        }
    }
}

/// Counters of one log. [`MetricsSnapshot`] says what each counts.
#[derive(Debug, Default)]
pub struct Metrics {
    pub open: Timing,
    pub prepare: Timing,
    pub rotation: Timing,
    pub persist: Timing,
    pub sync: Timing,
    pub close: Timing,
    pub meta_flush: Timing,
    pub compression: Timing,
    pub append_wait: Timing,
    pub durable_events: Counter,
    pub bytes_written: Counter,
    pub segments_created: Counter,
    pub segments_recycled: Counter,
    pub segments_deleted: Counter,
    pub compression_failures: Counter,
    pub compression_bytes_in: Counter,
    pub compression_bytes_out: Counter,
    pub would_block: Counter,
    pub no_space: Counter,
    pub missing_segments: Counter,
    pub damaged_segments: Counter,
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
}

impl Metrics {
    /// The counters kept here. The rest (sizes, ids, rings, segments) is left 0.
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            durable_events: self.durable_events.get(),
            bytes_written: self.bytes_written.get(),
            segments_created: self.segments_created.get(),
            segments_recycled: self.segments_recycled.get(),
            segments_deleted: self.segments_deleted.get(),
            compression_failures: self.compression_failures.get(),
            compression_bytes_in: self.compression_bytes_in.get(),
            compression_bytes_out: self.compression_bytes_out.get(),
            would_block: self.would_block.get(),
            no_space: self.no_space.get(),
            missing_segments: self.missing_segments.get(),
            damaged_segments: self.damaged_segments.get(),
            open: self.open.snapshot(),
            prepare: self.prepare.snapshot(),
            rotation: self.rotation.snapshot(),
            append_wait: self.append_wait.snapshot(),
            persist: self.persist.snapshot(),
            sync: self.sync.snapshot(),
            close: self.close.snapshot(),
            meta_flush: self.meta_flush.snapshot(),
            compression: self.compression.snapshot(),
            ..MetricsSnapshot::default()
        }
    }
}
