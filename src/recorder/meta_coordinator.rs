//! Worker: persists the durable watermark's MetaState, so that the next open knows it.

use std::time::Duration;

use crate::error::Result;
use crate::format::{file_name, MetaState};
use crate::storage::{put_in_place, replace_small, Directory};

use super::log::Log;

/// Replacing the file commits the file system's journal, which delays the persister's syncs: it is
/// not done more often than this. Recovery has newer knowledge from the stamps in block headers.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(60);

/// Persists the state until stopped.
pub fn run(log: &Log) {
    let mut written = log.durable();
    while !log.signals.coordinator.is_stopping() {
        log.signals.coordinator.wait(IDLE);
        let state = log.durable();
        if state == written || log.poison().check_failed().is_err() {
            continue;
        }
        // Failing to write it loses nothing: it is only ever behind. It is tried again.
        let flushed = log.counters().meta_flush.of(|| {
            put_in_place(&*log.wal, file_name::META, &state.encode())?;
            log.sync_names()
        });
        if flushed.is_ok() {
            written = state;
        }
        log.signals.coordinator.pause(SHORTEST_INTERVAL);
    }
}

/// Replaces `wal_meta.dat`. What `state` says must be durable already.
pub fn write(wal: &dyn Directory, state: MetaState) -> Result<()> {
    replace_small(wal, file_name::META, &state.encode())
}
