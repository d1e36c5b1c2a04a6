//! Worker: persists the durable watermark's MetaState, so that the next open knows it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::format::{file_name, MetaState};
use crate::storage::put_in_place;

use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::threads::Step;

/// Replacing the file commits the file system's journal, which delays the persister's syncs. So it
/// is done no more often than this. Recovery also reads durable ids from block headers, which are
/// newer.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct MetaCoordinator {
    log: Arc<Log>,
    written: MetaState,
}

impl Worker for MetaCoordinator {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping {
            // The shutdown writes the last state itself.
            return Ok(Step::Done);
        }
        let state = self.log.durable();
        debug_assert!(self.written.last_event_id <= state.last_event_id, "never ahead of durable");
        if state == self.written {
            return Ok(Step::Rest);
        }
        debug_assert_eq!(MetaState::decode(&state.encode()), Some(state));
        // A failure loses nothing, since the file may always be behind. It is tried again.
        let flushed = self.log.counters().meta.meta_flush.of(|| {
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
    /// Recovery has written the current state.
    pub fn new(log: Arc<Log>) -> Self {
        let written = log.durable();
        MetaCoordinator { log, written }
    }
}
