//! Worker: looks for new events in an idle log. `append` wakes nobody, so somebody has to look; the
//! watchers of all logs share a thread and a tick, so that an idle log costs no wake-up of its own.
//!
//! The persister, when it has found nothing for a while, parks: it leaves the last id it has seen,
//! raises the watcher and rests. The watcher compares that id with the last one appended, at every
//! tick, until they differ, and then raises the persister. Nothing can be lost between the two: an
//! event that was appended stays appended, and is found by the next look, whenever that is.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

use super::worker::Worker;
use crate::recorder::log::parking::Look;
use crate::recorder::log::{Log, Signals};
use crate::recorder::threads::{Signal, Step};

/// How late the first event after an idle spell may be noticed. A wake-up costs up to 65 µs of a
/// processor on a virtual machine: all that an idle process pays is then 0.4 % of one.
const TICK: Duration = Duration::from_millis(15);

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
