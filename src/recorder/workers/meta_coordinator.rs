//! Worker: persists the durable watermark's MetaState, so that the next open knows it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::format::{file_name, MetaState};
use crate::storage::put_in_place;

use super::worker::Worker;
use crate::recorder::log::{Log, Signals};
use crate::recorder::threads::{Signal, Step};

/// Replacing the file commits the file system's journal, which delays the persister's syncs: it is
/// not done more often than this. Recovery has newer knowledge from the stamps in block headers.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

/// The coordinator's own state: no other thread touches it.
#[derive(Debug)]
pub struct MetaCoordinator {
    log: Arc<Log>,
    written: MetaState,
}

impl Worker for MetaCoordinator {
    const NAME: &'static str = "wal-meta";

    fn signal(signals: &Signals) -> &Arc<Signal> {
        &signals.coordinator
    }

    /// A shutdown writes the last state itself.
    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping {
            return Ok(Step::Done);
        }
        let state = self.log.durable();
        if state == self.written {
            return Ok(Step::Rest);
        }
        // Failing to write it loses nothing: it is only ever behind. It is tried again.
        let flushed = self.log.counters().meta_flush.of(|| {
            put_in_place(&*self.log.wal, file_name::META, &state.encode())?;
            self.log.sync_names()
        });
        if flushed.is_ok() {
            self.written = state;
        }
        Ok(Step::Pause(SHORTEST_INTERVAL))
    }
}

impl MetaCoordinator {
    /// Begins with what recovery has written.
    pub fn new(log: Arc<Log>) -> Self {
        let written = log.durable();
        MetaCoordinator { log, written }
    }
}
