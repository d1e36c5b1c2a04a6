//! The counters of a log, from the opening of its handle on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::format::{Layout, MetaState};
use crate::recorder::clock::ticks;
use crate::telemetry::{Metrics, MetricsSnapshot, TimingSnapshot};

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
    full_segment_events: AtomicU64,
    /// End of the log when it was opened.
    begin: MetaState,
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
            full_segment_events: AtomicU64::new(0),
            begin,
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

    /// Counts the events of the full segment that the writer leaves; `capacity` is 0 when it
    /// leaves none.
    pub fn full_segment(&self, index: u32, capacity: u32) {
        let before = self.events_before_this_handle(index);
        debug_assert!(capacity == 0 || before < capacity, "{before} events of {capacity}");
        let events = capacity.saturating_sub(before);
        self.full_segment_events.fetch_add(u64::from(events), Ordering::Relaxed);
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
        let in_segment = Layout::events_before(appended.last_offset);
        let before = self.events_before_this_handle(appended.last_segment_index);
        debug_assert!(before <= in_segment, "the log does not get shorter");
        MetricsSnapshot {
            appended_event_id: appended.last_event_id,
            appended_events: self.full_segment_events.load(Ordering::Relaxed)
                + u64::from(in_segment.saturating_sub(before)),
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

    fn events_before_this_handle(&self, segment_index: u32) -> u32 {
        if segment_index == self.begin.last_segment_index {
            Layout::events_before(self.begin.last_offset)
        } else {
            0
        }
    }

    fn ticks_to_ns(&self, in_ticks: TimingSnapshot) -> TimingSnapshot {
        let elapsed_ticks = ticks().saturating_sub(self.begin_ticks).max(1);
        let ns_per_tick = self.begin_instant.elapsed().as_nanos() as f64 / elapsed_ticks as f64;
        let ns = |ticks: u64| (ticks as f64 * ns_per_tick) as u64;
        TimingSnapshot { total_ns: ns(in_ticks.total_ns), max_ns: ns(in_ticks.max_ns), ..in_ticks }
    }
}
