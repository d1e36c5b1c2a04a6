//! The log itself: its parts, and what every thread of it may ask for.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::directory::{log_metrics_in, metrics_in};
use crate::error::{Cause, Error, Result};
use crate::format::{MetaState, MAX_EVENT_ID};
use crate::poison::Poison;
use crate::storage::{Directory, Storage};
use crate::telemetry::{LogMetrics, MetricsSnapshot};

use crate::recorder::report::RecoveryReport;
use crate::recorder::segment::Segment;

use super::control::{Control, SharedControl};
use super::counts::Counts;
use super::durability::Durability;
use super::notices::Notices;
use super::parking::Parking;
use super::queues::Queues;
use super::signals::Signals;

/// A log, as all its threads share it.
#[derive(Debug)]
pub struct Log {
    /// What this process and others see of the log.
    pub(in crate::recorder) control: SharedControl,
    pub(in crate::recorder) durability: Durability,
    pub(in crate::recorder) queues: Queues,
    pub(in crate::recorder) notices: Notices,
    pub(in crate::recorder) counts: Counts,
    pub(in crate::recorder) signals: Signals,
    pub(in crate::recorder) parking: Parking,
    pub(in crate::recorder) config: Config,
    pub(in crate::recorder) wal: Arc<dyn Directory>,
    /// The active directory of this generation.
    pub(in crate::recorder) active: Arc<dyn Directory>,
    pub(in crate::recorder) storage: Arc<dyn Storage>,
    report: RecoveryReport,
    retention_floor: Mutex<u64>,
}

impl Log {
    /// A log that `report` describes, and that ends where `control` says.
    pub(in crate::recorder) fn new(
        config: Config,
        report: RecoveryReport,
        control: SharedControl,
        storage: Arc<dyn Storage>,
        wal: Arc<dyn Directory>,
        active: Arc<dyn Directory>,
    ) -> Self {
        debug_assert!(config.validate().is_ok());
        debug_assert!(config.active_parent.is_absolute(), "the next open must find it too");
        debug_assert_eq!(report.last_event_id, control.appended.snapshot().last_event_id);
        let signals = Signals::default();
        Log {
            durability: Durability::new(Arc::clone(&control), Arc::clone(&signals.persister)),
            queues: Queues::new(&config, &signals, &control),
            notices: Notices::new(config.log.clone()),
            counts: Counts::new(Arc::clone(&control)),
            control,
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

    /// The WAL directory, by the path that the log was opened by.
    pub fn directory(&self) -> &Path {
        self.wal.path()
    }

    /// The last appended event.
    pub fn appended(&self) -> MetaState {
        self.durability.appended()
    }

    /// The last durable event: the watermark.
    pub fn durable(&self) -> MetaState {
        self.durability.durable()
    }

    /// Makes everything appended so far durable.
    pub fn sync(&self) -> Result<()> {
        // Checked even with nothing left to sync: success would claim that earlier events are safe.
        self.poison().check()?;
        self.durability.wait(self.appended().last_event_id, None)
    }

    /// Waits until an event is durable, which need not be appended yet.
    pub fn wait_durable(&self, event_id: u64, timeout: Duration) -> Result<()> {
        if event_id > MAX_EVENT_ID {
            let message = format!("event_id is {event_id}: no event has it, ids end at 2^64-2");
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        self.durability.wait(event_id, Instant::now().checked_add(timeout))
    }

    /// A descriptor that becomes readable each time the watermark has moved, and when the log fails
    /// or is shut down.
    pub fn durable_fd(&self) -> Result<OwnedFd> {
        self.durability.listen()
    }

    /// Once this has returned, nothing at or above `event_id` is deleted; 0 = no floor.
    pub fn set_retention_floor(&self, event_id: u64) -> Result<()> {
        self.poison().check()?;
        *self.retention_floor() = event_id;
        self.control.limits.retention_floor.set(event_id);
        // A higher floor may let retention go on.
        self.signals.maintainer.raise();
        Ok(())
    }

    /// The retention floor, which cannot change while the guard lives. Whoever deletes a segment
    /// holds it from checking the floor until the name is gone, and no longer.
    pub(in crate::recorder) fn retention_floor(&self) -> MutexGuard<'_, u64> {
        self.retention_floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What recovery found and did when the log was opened.
    pub fn recovery_report(&self) -> RecoveryReport {
        let memory_locked = self.notices.is_memory_locked();
        RecoveryReport { memory_locked, ..self.report.clone() }
    }

    /// The counters at this moment. Allocates nothing and waits for nobody.
    pub fn metrics(&self) -> MetricsSnapshot {
        metrics_in(self.control.mapping())
    }

    /// The same and the histograms.
    pub fn log_metrics(&self) -> LogMetrics {
        log_metrics_in(self.control.mapping(), self.directory().display().to_string())
    }

    /// Whether the log takes calls, and if not, why.
    #[inline(always)]
    pub fn poison(&self) -> &Poison {
        self.durability.poison()
    }

    /// Poisons the log and wakes everybody who waits for durability.
    pub fn fail(&self, error: &Error) {
        self.durability.fail(error);
    }

    /// Makes the names in the WAL directory durable. A failure is final, whoever asked: the kernel
    /// reports it once, and the next sync would say that all is well.
    pub(in crate::recorder) fn sync_names(&self) -> Result<()> {
        self.wal.sync().inspect_err(|error| self.fail(error))
    }

    /// Gives the persister the segment that the writer is about to enter. There is room: the ring
    /// holds more segments than are ever mapped.
    pub(in crate::recorder) fn hand_to_persister(&self, segment: Segment) -> Result<()> {
        self.queues.to_persist.push(segment).map_err(|_| {
            let message = "defect: the ring segments_to_persist overflowed";
            let error = Error::new(Cause::Internal, message);
            self.fail(&error);
            error
        })
    }

    /// Memory of the log was locked, or could not be.
    pub(in crate::recorder) fn note_memory(&self, is_locked: bool) {
        self.notices.memory(is_locked);
        if !is_locked {
            self.control.pulse.memory_locked.set(0);
        }
    }

    pub(in crate::recorder) fn counters(&self) -> &Control {
        &self.control
    }
}
