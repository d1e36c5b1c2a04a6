//! What the threads of one log share: the rings between them, progress, the failure latch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::format::{Layout, MetaState};
use crate::log_sink::LogSink;
use crate::poison::Poison;
use crate::storage::{Directory, File, Storage};
use crate::telemetry::{Metrics, MetricsSnapshot, TimingSnapshot};

use super::meta_store::MetaStore;
use super::report::RecoveryReport;
use super::ring::Ring;
use super::segment::{ActiveFile, Finished, Segment};
use super::segment_freezer::Frozen;
use super::segment_writer::ticks;
use super::wake::{Signal, Waiters};
use super::watcher::Parking;

/// Full segments that may wait to be closed before the persister waits.
const CLOSE_RING_CAPACITY: usize = 64;
/// Expired segments handed to the freezer ahead of time; the rest wait in the maintainer's lists.
const FREEZE_RING_CAPACITY: usize = 16;

/// A disk file free for another life: its name, and the file, locked exclusively.
#[derive(Debug)]
pub struct SpareFile {
    /// Its temporary name in the WAL directory.
    pub name: String,
    /// Its descriptor.
    pub file: Arc<dyn File>,
}

/// What every thread of a log may use.
#[derive(Debug)]
pub struct Log {
    poison: Poison,
    meta: MetaStore,
    config: Config,
    counters: Metrics,
    report: RecoveryReport,
    /// The WAL directory.
    pub(super) wal: Arc<dyn Directory>,
    /// The active directory of this generation.
    pub(super) active: Arc<dyn Directory>,
    /// The file system under both.
    pub(super) storage: Arc<dyn Storage>,
    prepared: Ring<Segment>,
    segments_to_persist: Ring<Segment>,
    /// Full segments, persister to maintainer.
    pub(super) segments_to_close: Ring<Finished>,
    /// Expired hot segments, maintainer to freezer.
    pub(super) segments_to_freeze: Ring<u32>,
    /// What became of them, freezer to maintainer.
    pub(super) segments_to_free: Ring<Frozen>,
    /// Persisted mapped files, persister to preparer.
    pub(super) active_to_reuse: Ring<Arc<ActiveFile>>,
    /// Disk files, maintainer to preparer.
    pub(super) spare_files: Ring<SpareFile>,
    retention_floor: Mutex<u64>,
    blocked: AtomicBool,
    blocked_by: Mutex<Option<Error>>,
    /// Held to move the watermark, and to poison: it is either moved before or not at all.
    watermark: Mutex<()>,
    /// The id that somebody wants durable soon, whatever the policy.
    pub(super) wanted_durable: AtomicU64,
    pub(super) waiters: Waiters,
    pub(super) signals: Signals,
    pub(super) parking: Parking,
    memory_unlocked: AtomicBool,
    failure_told: AtomicBool,
    compression_failing: AtomicBool,
    pub(super) hot_segments: AtomicU64,
    pub(super) cold_segments: AtomicU64,
    full_segment_events: AtomicU64,
    start: Start,
}

/// A signal for every worker. Each outlives the log in whoever waits for the worker's end.
#[derive(Debug, Default)]
pub struct Signals {
    pub(super) persister: Arc<Signal>,
    pub(super) preparer: Arc<Signal>,
    pub(super) maintainer: Arc<Signal>,
    pub(super) freezer: Arc<Signal>,
    pub(super) coordinator: Arc<Signal>,
    pub(super) watcher: Arc<Signal>,
}

impl Signals {
    /// Lets every worker look, above all at whether the log has failed.
    pub(super) fn raise_all(&self) {
        let Signals { persister, preparer, maintainer, freezer, coordinator, watcher } = self;
        for signal in [persister, preparer, maintainer, freezer, coordinator, watcher] {
            signal.raise();
        }
    }
}

/// Where this handle began: for counts and for the clock.
#[derive(Debug)]
struct Start {
    segment_index: u32,
    event_count: u32,
    ticks: u64,
    instant: Instant,
}

/// What a log is made from.
#[derive(Debug)]
pub struct LogParts {
    /// Options.
    pub config: Config,
    /// What recovery found.
    pub report: RecoveryReport,
    /// End of the recovered log.
    pub end: MetaState,
    /// File system.
    pub storage: Arc<dyn Storage>,
    /// WAL directory.
    pub wal: Arc<dyn Directory>,
    /// Active directory.
    pub active: Arc<dyn Directory>,
}

impl Log {
    pub(super) fn new(parts: LogParts) -> Self {
        let LogParts { config, report, end, storage, wal, active } = parts;
        let active_set = config.active_set();
        Log {
            poison: Poison::default(),
            meta: MetaStore::new(end),
            counters: Metrics::default(),
            report,
            wal,
            active,
            storage,
            prepared: Ring::new(config.prepared_segments as usize),
            segments_to_persist: Ring::new(active_set + 1),
            segments_to_close: Ring::new(CLOSE_RING_CAPACITY),
            segments_to_freeze: Ring::new(FREEZE_RING_CAPACITY),
            segments_to_free: Ring::new(FREEZE_RING_CAPACITY),
            active_to_reuse: Ring::new(active_set + 1),
            spare_files: Ring::new(config.prepared_segments as usize),
            retention_floor: Mutex::new(config.retention_floor),
            blocked: AtomicBool::new(false),
            blocked_by: Mutex::new(None),
            watermark: Mutex::new(()),
            wanted_durable: AtomicU64::new(0),
            waiters: Waiters::default(),
            signals: Signals::default(),
            parking: Parking::default(),
            memory_unlocked: AtomicBool::new(false),
            failure_told: AtomicBool::new(false),
            compression_failing: AtomicBool::new(false),
            hot_segments: AtomicU64::new(0),
            cold_segments: AtomicU64::new(0),
            full_segment_events: AtomicU64::new(0),
            start: Start {
                segment_index: end.last_segment_index,
                event_count: Layout::events_before(end.last_offset),
                ticks: ticks(),
                instant: Instant::now(),
            },
            config,
        }
    }

    /// What was appended last.
    pub fn appended(&self) -> MetaState {
        self.meta.appended.snapshot()
    }

    /// What is on stable storage.
    pub fn durable(&self) -> MetaState {
        self.meta.durable.snapshot()
    }

    /// Makes everything appended so far durable.
    pub fn sync(&self) -> Result<()> {
        // Even with nothing left to do: success would say that what came before is safe.
        self.poison.check()?;
        self.wait(self.appended().last_event_id, None)
    }

    /// Waits until an event is durable.
    pub fn wait_durable(&self, event_id: u64, timeout: Duration) -> Result<()> {
        self.wait(event_id, Instant::now().checked_add(timeout))
    }

    fn wait(&self, event_id: u64, deadline: Option<Instant>) -> Result<()> {
        let durable = || self.meta.durable.snapshot().last_event_id;
        if !self.poison.is_forked() && durable() >= event_id {
            return Ok(());
        }
        self.waiters.wait(deadline, || {
            if let Err(error) = self.poison.check() {
                return Some(Err(error));
            }
            if durable() >= event_id {
                return Some(Ok(()));
            }
            // Asks for no more than there is: an id of the future must not change the policy for
            // what comes before it. It is asked for at a later look.
            let wanted = event_id.min(self.appended().last_event_id);
            if wanted > durable()
                && self.wanted_durable.fetch_max(wanted, Ordering::AcqRel) < wanted
            {
                self.signals.persister.raise();
            }
            None
        })
    }

    /// From when this has returned, nothing at or above `event_id` is deleted; 0 = no floor.
    pub fn set_retention_floor(&self, event_id: u64) -> Result<()> {
        self.poison.check()?;
        *self.retention_floor() = event_id;
        // It may have held up retention until now.
        self.signals.maintainer.raise();
        Ok(())
    }

    /// The floor, which stays as it is until the guard is dropped: whoever deletes something holds
    /// it from the look at the floor until the name is gone, and no longer.
    pub(super) fn retention_floor(&self) -> MutexGuard<'_, u64> {
        self.retention_floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `open` found and did.
    pub fn recovery_report(&self) -> RecoveryReport {
        RecoveryReport { memory_locked: u32::from(self.is_memory_locked()), ..self.report }
    }

    /// Counters now.
    pub fn metrics(&self) -> MetricsSnapshot {
        let appended = self.appended();
        let counters = &self.counters;
        let counted = counters.snapshot();
        let in_segment = Layout::events_before(appended.last_offset);
        let before = self.events_before_this_handle(appended.last_segment_index);
        MetricsSnapshot {
            memory_locked: u32::from(self.is_memory_locked()),
            appended_event_id: appended.last_event_id,
            durable_event_id: self.durable().last_event_id,
            appended_events: self.full_segment_events.load(Ordering::Relaxed)
                + u64::from(in_segment.saturating_sub(before)),
            hot_segments: self.hot_segments.load(Ordering::Relaxed),
            cold_segments: self.cold_segments.load(Ordering::Relaxed),
            prepared_segments: self.prepared.snapshot(),
            segments_to_persist: self.segments_to_persist.snapshot(),
            segments_to_close: self.segments_to_close.snapshot(),
            segments_to_freeze: self.segments_to_freeze.snapshot(),
            segments_to_free: self.segments_to_free.snapshot(),
            rotation: self.ticks_to_ns(counted.rotation),
            append_wait: self.ticks_to_ns(counted.append_wait),
            ..counted
        }
    }

    /// Whether the log takes calls.
    pub fn poison(&self) -> &Poison {
        &self.poison
    }

    /// Poisons the log and lets everybody who waits for it know.
    pub fn fail(&self, error: &Error) {
        let held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.poison(error);
        drop(held);
        self.waiters.wake();
    }

    /// Moves the watermark to an event that a sync has just covered; not if the log has failed
    /// meanwhile, in whatever worker: then it stays where it is.
    pub(super) fn move_watermark(&self, position: u64, event_id: u64) -> Result<()> {
        let _held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.check_failed()?;
        self.meta.durable.publish(position, event_id);
        Ok(())
    }

    /// Makes the names in the WAL directory durable. A failure is final, whoever asked: the kernel
    /// reports it once, and the next sync would say that all is well.
    pub(super) fn sync_names(&self) -> Result<()> {
        self.wal.sync().inspect_err(|error| self.fail(error))
    }

    pub(super) fn meta(&self) -> &MetaStore {
        &self.meta
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Told what happens. Not for the appending thread.
    pub(super) fn sink(&self) -> &LogSink {
        &self.config.log
    }

    /// Says why the log has failed, if it has, once. Not done by [`Log::fail`], which the appending
    /// thread may call too.
    pub(super) fn tell_failure(&self) {
        if let Some(error) = self.poison.cause() {
            if !self.failure_told.swap(true, Ordering::Relaxed) {
                self.sink().error(&error.to_string());
            }
        }
    }

    pub(super) fn counters(&self) -> &Metrics {
        &self.counters
    }

    /// Ready to be written to, for the writer.
    pub(super) fn pop_prepared(&self) -> Option<Segment> {
        self.prepared.pop_wanted()
    }

    /// Whether the ring of prepared segments has room, for the preparer.
    pub(super) fn wants_prepared(&self) -> bool {
        !self.prepared.is_full()
    }

    /// The same, again, by a writer that has waited this many ticks of the processor's clock.
    pub(super) fn pop_prepared_late(&self, waited_ticks: u64) -> Option<Segment> {
        self.prepared.pop().inspect(|_| self.counters.append_wait.add_ns(waited_ticks))
    }

    /// Whether the writer could rotate now.
    pub(super) fn has_prepared(&self) -> bool {
        !self.prepared.is_empty()
    }

    /// Gives a segment to the writer. The ring has room: nobody but the preparer fills it.
    pub(super) fn push_prepared(&self, segment: Segment) -> Result<()> {
        self.prepared.push(segment).map_err(|_| overflow("prepared_segments"))
    }

    /// Gives the segment the writer is about to enter to the persister. There is room: the ring
    /// holds more segments than are ever mapped.
    pub(super) fn hand_to_persister(&self, segment: Segment) -> Result<()> {
        self.segments_to_persist.push(segment).map_err(|_| {
            let error = overflow("segments_to_persist");
            self.fail(&error);
            error
        })
    }

    /// The segment the writer has entered next, for the persister.
    pub(super) fn next_to_persist(&self) -> Option<Segment> {
        self.segments_to_persist.pop()
    }

    /// Preparing is held up, by what; `None` = goes on again.
    pub(super) fn set_preparation_blocked(&self, error: Option<Error>) {
        let message = error.as_ref().map(Error::to_string);
        *self.blocked_by.lock().unwrap_or_else(PoisonError::into_inner) = error;
        let was_blocked = self.blocked.swap(message.is_some(), Ordering::AcqRel);
        match message {
            Some(why) if !was_blocked => {
                self.sink().warn(&format!("no segment can be prepared, trying again: {why}"));
            }
            None if was_blocked => self.sink().info("segments can be prepared again"),
            _ => {}
        }
    }

    /// A segment was compressed, or why not. Told when that changes, not at every try.
    pub(super) fn note_compression(&self, index: u32, error: Option<&Error>) {
        let was_failing = self.compression_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(why) if !was_failing => self.sink().warn(&format!(
                "segment {index} stays as it is, compressing it is tried again: {why}"
            )),
            None if was_failing => self.sink().info("segments can be compressed again"),
            _ => {}
        }
    }

    /// Why no segment can be prepared, if so.
    pub(super) fn preparation_blocked(&self) -> Option<Error> {
        if !self.blocked.load(Ordering::Acquire) {
            return None;
        }
        self.blocked_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_memory(&self, locked: bool) {
        if !locked && !self.memory_unlocked.swap(true, Ordering::Relaxed) {
            self.sink().warn(
                "memory cannot be locked (RLIMIT_MEMLOCK): when it is short, appends may wait \
                 for a page to be read",
            );
        }
    }

    fn is_memory_locked(&self) -> bool {
        !self.memory_unlocked.load(Ordering::Relaxed)
    }

    /// Counts the events of the full segment the writer leaves.
    pub(super) fn count_full_segment(&self, index: u32, capacity: u32) {
        let events = capacity.saturating_sub(self.events_before_this_handle(index));
        self.full_segment_events.fetch_add(u64::from(events), Ordering::Relaxed);
    }

    fn events_before_this_handle(&self, segment_index: u32) -> u32 {
        if segment_index == self.start.segment_index {
            self.start.event_count
        } else {
            0
        }
    }

    /// Counts a rotation. The appending thread reads the processor's clock and leaves it to
    /// [`Log::metrics`] to make nanoseconds of it.
    pub(super) fn count_rotation(&self, elapsed_ticks: u64) {
        self.counters.rotation.add_ns(elapsed_ticks);
    }

    fn ticks_to_ns(&self, in_ticks: TimingSnapshot) -> TimingSnapshot {
        let elapsed_ticks = ticks().saturating_sub(self.start.ticks).max(1);
        let ns_per_tick = self.start.instant.elapsed().as_nanos() as f64 / elapsed_ticks as f64;
        let ns = |ticks: u64| (ticks as f64 * ns_per_tick) as u64;
        TimingSnapshot {
            count: in_ticks.count,
            total_ns: ns(in_ticks.total_ns),
            max_ns: ns(in_ticks.max_ns),
        }
    }
}

fn overflow(ring: &str) -> Error {
    Error::new(Cause::Internal, format!("defect: the ring {ring} overflowed"))
}
