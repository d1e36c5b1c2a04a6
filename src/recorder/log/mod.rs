//! What the threads of one log share. Each part keeps its own rule: `durability` (the watermark
//! never moves once the log has failed), `queues` (whoever puts something in wakes who takes it
//! out), `notices` (told once), `counts`, `parking`. `meta_store`, `ring` and `signals` are what they
//! are made of.

mod counts;
mod durability;
pub mod meta_store;
mod notices;
pub mod parking;
mod queues;
mod ring;
mod signals;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::format::MetaState;
use crate::log_sink::LogSink;
use crate::poison::Poison;
use crate::storage::{Directory, Storage};
use crate::telemetry::{Metrics, MetricsSnapshot};

use super::report::RecoveryReport;
use super::segment::Segment;
use counts::Counts;
use durability::Durability;
use notices::Notices;
use parking::Parking;
use queues::Queues;

pub use signals::Signals;

/// What every thread of a log may use.
#[derive(Debug)]
pub struct Log {
    pub(super) durability: Durability,
    pub(super) queues: Queues,
    pub(super) notices: Notices,
    pub(super) counts: Counts,
    pub(super) signals: Signals,
    pub(super) parking: Parking,
    pub(super) config: Config,
    /// The WAL directory.
    pub(super) wal: Arc<dyn Directory>,
    /// The active directory of this generation.
    pub(super) active: Arc<dyn Directory>,
    /// The file system under both.
    pub(super) storage: Arc<dyn Storage>,
    report: RecoveryReport,
    retention_floor: Mutex<u64>,
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
        let signals = Signals::default();
        Log {
            durability: Durability::new(end, Arc::clone(&signals.persister)),
            queues: Queues::new(&config, &signals),
            notices: Notices::new(config.log.clone()),
            counts: Counts::new(end),
            signals,
            parking: Parking::default(),
            retention_floor: Mutex::new(config.retention_floor),
            config,
            wal,
            active,
            storage,
            report,
        }
    }

    /// What was appended last.
    pub fn appended(&self) -> MetaState {
        self.durability.appended()
    }

    /// What is on stable storage.
    pub fn durable(&self) -> MetaState {
        self.durability.durable()
    }

    /// Makes everything appended so far durable.
    pub fn sync(&self) -> Result<()> {
        // Even with nothing left to do: success would say that what came before is safe.
        self.poison().check()?;
        self.durability.wait(self.appended().last_event_id, None)
    }

    /// Waits until an event is durable.
    pub fn wait_durable(&self, event_id: u64, timeout: Duration) -> Result<()> {
        self.durability.wait(event_id, Instant::now().checked_add(timeout))
    }

    /// From when this has returned, nothing at or above `event_id` is deleted; 0 = no floor.
    pub fn set_retention_floor(&self, event_id: u64) -> Result<()> {
        self.poison().check()?;
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
        let memory_locked = self.notices.is_memory_locked();
        RecoveryReport { memory_locked, ..self.report.clone() }
    }

    /// Counters now.
    pub fn metrics(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            memory_locked: u32::from(self.notices.is_memory_locked()),
            durable_event_id: self.durable().last_event_id,
            prepared_segments: self.queues.prepared.snapshot(),
            segments_to_persist: self.queues.to_persist.snapshot(),
            segments_to_close: self.queues.to_close.snapshot(),
            segments_to_freeze: self.queues.to_freeze.snapshot(),
            segments_to_free: self.queues.to_free.snapshot(),
            ..self.counts.snapshot(self.appended())
        }
    }

    /// Whether the log takes calls.
    #[inline(always)]
    pub fn poison(&self) -> &Poison {
        self.durability.poison()
    }

    /// Poisons the log and lets everybody who waits for it know.
    pub fn fail(&self, error: &Error) {
        self.durability.fail(error);
    }

    /// Makes the names in the WAL directory durable. A failure is final, whoever asked: the kernel
    /// reports it once, and the next sync would say that all is well.
    pub(super) fn sync_names(&self) -> Result<()> {
        self.wal.sync().inspect_err(|error| self.fail(error))
    }

    /// Gives the segment the writer is about to enter to the persister. There is room: the ring
    /// holds more segments than are ever mapped.
    pub(super) fn hand_to_persister(&self, segment: Segment) -> Result<()> {
        self.queues.to_persist.push(segment).map_err(|_| {
            let message = "defect: the ring segments_to_persist overflowed";
            let error = Error::new(Cause::Internal, message);
            self.fail(&error);
            error
        })
    }

    pub(super) fn counters(&self) -> &Metrics {
        self.counts.counters()
    }

    pub(super) fn sink(&self) -> &LogSink {
        self.notices.sink()
    }

    pub(super) fn tell_failure(&self) {
        self.notices.failure(self.poison());
    }
}
