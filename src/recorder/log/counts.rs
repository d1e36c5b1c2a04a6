//! The counters of a log, from the opening of its handle on. They lie in the control file.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::recorder::clock::ticks;
use crate::storage::clock_ns;

use super::control::SharedControl;

/// Binary places of [`Counts::ns_per_tick`].
const PLACES: u32 = 32;

#[derive(Debug)]
pub struct Counts {
    control: SharedControl,
    /// Nanoseconds of a tick, with [`PLACES`] binary places. The appending thread multiplies by it,
    /// and does not ask for the time.
    ns_per_tick: AtomicU64,
    begin_ticks: u64,
    begin_instant: Instant,
}

impl Counts {
    pub fn new(control: SharedControl) -> Self {
        let (begin_ticks, begin_instant) = (ticks(), Instant::now());
        Counts { control, ns_per_tick: AtomicU64::new(0), begin_ticks, begin_instant }
    }

    /// A worker is at work: the one at this place of `Role::ALL`.
    pub fn at_work<T>(&self, worker: usize, work: impl FnOnce() -> T) -> T {
        let begin = self.beat();
        let done = work();
        let counts = &self.control.workers[worker];
        counts.steps.add(1);
        counts.work_ns.add(clock_ns().saturating_sub(begin));
        done
    }

    /// Says that the log lives; returns the time. Measures the processor's clock by the way: the
    /// longer the log is open, the better it is known.
    pub fn beat(&self) -> u64 {
        let now = clock_ns();
        self.control.pulse.heartbeat_ns.set(now);
        let ticks = u128::from(ticks().saturating_sub(self.begin_ticks)).max(1);
        let ns_per_tick = (self.begin_instant.elapsed().as_nanos() << PLACES) / ticks;
        self.ns_per_tick.store(ns_per_tick as u64, Ordering::Relaxed);
        now
    }

    /// How many segments there are, as the maintainer counts them.
    pub fn set_segments(&self, hot: usize, cold: usize) {
        self.control.maintainer.hot_segments.set(hot as u64);
        self.control.maintainer.cold_segments.set(cold as u64);
    }

    /// What the segments take on disk, and the first event of the oldest.
    pub fn set_disk_use(&self, oldest_event_id: u64, hot_bytes: u64, cold_bytes: u64) {
        self.control.maintainer.oldest_event_id.set(oldest_event_id);
        self.control.maintainer.hot_bytes.set(hot_bytes);
        self.control.maintainer.cold_bytes.set(cold_bytes);
    }

    /// What holds and snapshots keep beyond the limits.
    pub fn set_held_bytes(&self, bytes: u64) {
        self.control.maintainer.held_bytes.set(bytes);
    }

    /// Since when events wait to be made durable; `None` = none does.
    pub fn set_behind_since(&self, since: Option<Instant>) {
        let ago = |since: Instant| clock_ns().saturating_sub(since.elapsed().as_nanos() as u64);
        self.control.persister.behind_since_ns.set(since.map_or(0, |since| ago(since).max(1)));
    }

    /// The writer enters a segment, and leaves a full one of this capacity, or none (0).
    pub fn enter_segment(&self, index: u32, left: u32) {
        let (_, before) = self.control.writer.entered.load();
        let before = if left == 0 { 0 } else { before.wrapping_add(left.into()) };
        self.control.writer.entered.store(index.into(), before);
    }

    /// Counts a rotation.
    pub fn rotation(&self, elapsed_ticks: u64) {
        let ns = self.to_ns(elapsed_ticks);
        self.control.writer.rotation.add_ns(ns);
        self.control.histograms.rotation.add_ns(ns);
    }

    /// Counts an append that had to wait for a prepared segment.
    pub fn append_wait(&self, elapsed_ticks: u64) {
        let ns = self.to_ns(elapsed_ticks);
        self.control.writer.append_wait.add_ns(ns);
        self.control.histograms.append_wait.add_ns(ns);
    }

    /// Counts an append that was sampled.
    pub fn sampled_append(&self, elapsed_ticks: u64) {
        let ns = self.to_ns(elapsed_ticks);
        self.control.writer.sampled_ns.add(ns);
        self.control.histograms.append.add_ns(ns);
    }

    fn to_ns(&self, elapsed_ticks: u64) -> u64 {
        let ns_per_tick = u128::from(self.ns_per_tick.load(Ordering::Relaxed));
        ((u128::from(elapsed_ticks) * ns_per_tick) >> PLACES) as u64
    }
}
