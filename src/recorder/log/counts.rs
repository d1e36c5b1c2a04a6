//! The counters of a log, from the opening of its handle on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::format::{Layout, MetaState};
use crate::recorder::clock::ticks;
use crate::telemetry::{Metrics, MetricsSnapshot, TimingSnapshot};

use super::pair::Pair;

#[derive(Debug)]
pub struct Counts {
    pub counters: Metrics,
    hot_segments: AtomicU64,
    cold_segments: AtomicU64,
    oldest_event_id: AtomicU64,
    hot_bytes: AtomicU64,
    cold_bytes: AtomicU64,
    /// When the oldest event that is not durable was seen, in nanoseconds after `begin_instant`;
    /// 0 = all are durable.
    behind_since_ns: AtomicU64,
    /// The segment that the writer entered last, and the events appended before it through this
    /// handle, less those that are in it from before.
    entered: Pair,
    begin_ticks: u64,
    begin_instant: Instant,
}

impl Counts {
    /// Counts from the end of the recovered log on.
    pub fn new(begin: MetaState) -> Self {
        Counts {
            counters: Metrics::default(),
            hot_segments: AtomicU64::new(0),
            cold_segments: AtomicU64::new(0),
            oldest_event_id: AtomicU64::new(0),
            hot_bytes: AtomicU64::new(0),
            cold_bytes: AtomicU64::new(0),
            behind_since_ns: AtomicU64::new(0),
            entered: Pair::new(
                begin.last_segment_index.into(),
                u64::from(Layout::events_before(begin.last_offset)).wrapping_neg(),
            ),
            begin_ticks: ticks(),
            begin_instant: Instant::now(),
        }
    }

    /// How many segments there are, as the maintainer counts them.
    pub fn set_segments(&self, hot: usize, cold: usize) {
        self.hot_segments.store(hot as u64, Ordering::Relaxed);
        self.cold_segments.store(cold as u64, Ordering::Relaxed);
    }

    /// What the segments take on disk, and the first event of the oldest.
    pub fn set_disk_use(&self, oldest_event_id: u64, hot_bytes: u64, cold_bytes: u64) {
        self.oldest_event_id.store(oldest_event_id, Ordering::Relaxed);
        self.hot_bytes.store(hot_bytes, Ordering::Relaxed);
        self.cold_bytes.store(cold_bytes, Ordering::Relaxed);
    }

    /// Since when events wait to be made durable; `None` = none does.
    pub fn set_behind_since(&self, since: Option<Instant>) {
        let after_begin = |since: Instant| since.saturating_duration_since(self.begin_instant);
        let ns = since.map_or(0, |since| (after_begin(since).as_nanos() as u64).max(1));
        self.behind_since_ns.store(ns, Ordering::Relaxed);
    }

    /// How long the oldest event that is not durable has waited.
    pub fn lag_ns(&self) -> u64 {
        match self.behind_since_ns.load(Ordering::Relaxed) {
            0 => 0,
            since => (self.begin_instant.elapsed().as_nanos() as u64).saturating_sub(since),
        }
    }

    /// The writer enters a segment, and leaves a full one of this capacity, or none (0).
    pub fn enter_segment(&self, index: u32, left: u32) {
        let (_, before) = self.entered.load();
        let before = if left == 0 { 0 } else { before.wrapping_add(left.into()) };
        self.entered.store(index.into(), before);
    }

    /// Events appended through this handle when `appended` was the last one. It was loaded before,
    /// so the writer is in its segment still, or has entered the next one.
    fn appended_events(&self, appended: MetaState) -> u64 {
        let (index, before) = self.entered.load();
        debug_assert!(index >= appended.last_segment_index.into(), "the writer goes forward");
        if index == appended.last_segment_index.into() {
            before.wrapping_add(Layout::events_before(appended.last_offset).into())
        } else {
            before
        }
    }

    /// Counts a rotation, in ticks: [`Counts::snapshot`] converts them to nanoseconds, so that the
    /// appending thread need not.
    pub fn rotation(&self, elapsed_ticks: u64) {
        self.counters.rotation.add_ns(elapsed_ticks);
    }

    /// Counts an append that had to wait for a prepared segment, in ticks.
    pub fn append_wait(&self, elapsed_ticks: u64) {
        self.counters.append_wait.add_ns(elapsed_ticks);
    }

    /// The counters of a log whose last event is `appended`. What other parts of the log fill in
    /// is 0 here.
    pub fn snapshot(&self, appended: MetaState) -> MetricsSnapshot {
        let counted = self.counters.snapshot();
        MetricsSnapshot {
            appended_event_id: appended.last_event_id,
            appended_events: self.appended_events(appended),
            hot_segments: self.hot_segments.load(Ordering::Relaxed),
            cold_segments: self.cold_segments.load(Ordering::Relaxed),
            oldest_event_id: self.oldest_event_id.load(Ordering::Relaxed),
            hot_bytes: self.hot_bytes.load(Ordering::Relaxed),
            cold_bytes: self.cold_bytes.load(Ordering::Relaxed),
            rotation: self.ticks_to_ns(counted.rotation),
            append_wait: self.ticks_to_ns(counted.append_wait),
            ..counted
        }
    }

    fn ticks_to_ns(&self, in_ticks: TimingSnapshot) -> TimingSnapshot {
        let elapsed_ticks = ticks().saturating_sub(self.begin_ticks).max(1);
        let ns_per_tick = self.begin_instant.elapsed().as_nanos() as f64 / elapsed_ticks as f64;
        let ns = |ticks: u64| (ticks as f64 * ns_per_tick) as u64;
        TimingSnapshot { total_ns: ns(in_ticks.total_ns), max_ns: ns(in_ticks.max_ns), ..in_ticks }
    }
}
