//! Worker: looks for new events in an idle log. `append` wakes nobody, so somebody has to look; the
//! watchers of all logs share a thread and a tick, so that an idle log costs no wake-up of its own.
//!
//! The persister, when it has found nothing for a while, parks: it leaves the last id it has seen,
//! raises the watcher and rests. The watcher compares that id with the last one appended, at every
//! tick, until they differ, and then raises the persister. Nothing can be lost between the two: an
//! event that was appended stays appended, and is found by the next look, whenever that is.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

use super::log::{Log, Signals};
use super::wake::Signal;
use super::worker::{Step, Worker};

/// How late the first event after an idle spell may be noticed. A wake-up costs up to 65 µs of a
/// processor on a virtual machine: all that an idle process pays is then 0.4 % of one.
const TICK: Duration = Duration::from_millis(15);

/// Where a persister leaves what it has seen when it parks.
#[derive(Debug)]
pub struct Parking(AtomicU64);

/// No event has this id.
const AWAKE: u64 = u64::MAX;

impl Default for Parking {
    fn default() -> Self {
        Parking(AtomicU64::new(AWAKE))
    }
}

/// Stored by the persister alone. Relaxed is enough: a watcher that is raised after `park` reads
/// what was stored (the signal's mutex orders the two), and one that reads an older value looks
/// once too often, or wakes a persister that is awake.
impl Parking {
    /// The persister rests until something is appended after this id.
    pub fn park(&self, seen_id: u64) {
        self.0.store(seen_id, Ordering::Relaxed);
    }

    /// The persister looks for itself.
    pub fn leave(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// What there is to be seen for the persister, when this id was appended last.
    pub fn look(&self, appended_id: u64) -> Look {
        match self.0.load(Ordering::Relaxed) {
            AWAKE => Look::Awake,
            seen if seen == appended_id => Look::Same,
            _ => Look::Moved,
        }
    }
}

/// What a look at a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Its persister looks for itself.
    Awake,
    /// Nothing was appended since that parked.
    Same,
    /// Something was.
    Moved,
}

/// Has no state of its own.
#[derive(Debug)]
pub struct Watcher {
    log: Arc<Log>,
}

impl Watcher {
    /// Watches this log.
    pub fn new(log: Arc<Log>) -> Self {
        Watcher { log }
    }
}

impl Worker for Watcher {
    const NAME: &'static str = "wal-watcher";

    fn signal(signals: &Signals) -> &Arc<Signal> {
        &signals.watcher
    }

    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping {
            return Ok(Step::Done);
        }
        let log = &self.log;
        match log.parking.look(log.appended().last_event_id) {
            // It raises the watcher when it parks again.
            Look::Awake => Ok(Step::Rest),
            Look::Same => Ok(Step::RestUntilTick(TICK)),
            Look::Moved => {
                log.signals.persister.raise();
                Ok(Step::Rest)
            }
        }
    }
}
