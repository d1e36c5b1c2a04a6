//! Reads `wal_control`: what the writer of a log tells other processes ([`ControlFile`]).

use std::path::Path;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::{file_name, MetaState};
use crate::storage::{Directory, Mapping, Open};
use crate::telemetry::{ControlFile, MetricsSnapshot};
use crate::telemetry::{CONTROL_MAGIC, CONTROL_SIZE, CONTROL_VERSION, STATE_CLOSED, STATE_OPEN};

use super::control_metrics::metrics_in;
use super::control_words::{at, ControlWords};

/// Whether a log takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// It does, or is about to; or its writer has died meanwhile.
    Open,
    /// It has failed and takes no more. What is durable stays so.
    Failed,
    /// It was shut down, and everything in it is durable.
    Closed,
}

/// The control file of a generation of a log, mapped for reading. What is read is what the writer
/// stored last, without a system call, in bounded time, and never torn; after the writer's death or
/// the end of the log it is what it was then. The library never cuts this file.
#[derive(Debug)]
pub struct ControlView {
    mapping: Mapping,
}

impl ControlView {
    /// Opens the control file in an active directory. `None` when there is none: it was removed, or
    /// the log was opened by a version that makes none.
    pub fn open(active: &dyn Directory) -> Result<Option<Self>> {
        let Some(file) = active.open(file_name::CONTROL, Open::Read)? else { return Ok(None) };
        let path = active.path_of(file_name::CONTROL);
        // To look at what is not there would be a fault.
        check_size(file.size()? as usize, &path)?;
        let mapping = file.map(CONTROL_SIZE as u64, false)?;
        check_control(&mapping, mapping.size(), &path)?;
        Ok(Some(ControlView { mapping }))
    }

    /// The log's id.
    pub fn log_id(&self) -> u128 {
        let [high, low] = [at!(identity.log_id_high), at!(identity.log_id_low)]
            .map(|offset| u128::from(self.mapping.word(offset)));
        high << 64 | low
    }

    /// The generation of the log that this is.
    pub fn generation(&self) -> u64 {
        self.mapping.word(at!(identity.generation))
    }

    /// Whether the log takes events. Whoever sees an end sees everything before it, too.
    pub fn state(&self) -> LogState {
        match self.mapping.word(at!(state.state)) {
            STATE_OPEN => LogState::Open,
            STATE_CLOSED => LogState::Closed,
            _ => LogState::Failed,
        }
    }

    /// When the log's workers were last at work, by [`clock_ns`](crate::storage::clock_ns).
    pub fn heartbeat_ns(&self) -> u64 {
        self.mapping.word(at!(pulse.heartbeat_ns))
    }

    /// Whether the log's workers are at work, as far as this much time shows. Pauses are counted,
    /// not the clock: it goes on while the whole machine is stopped, and no worker can do anything.
    pub fn is_alive(&self, within: Duration) -> bool {
        const PAUSE: Duration = Duration::from_millis(5);
        let before = self.heartbeat_ns();
        (0..within.as_millis() / PAUSE.as_millis()).any(|_| {
            std::thread::sleep(PAUSE);
            self.heartbeat_ns() != before
        })
    }

    /// Process id of the writer, as it sees itself.
    pub fn pid(&self) -> u64 {
        self.mapping.word(at!(identity.pid))
    }

    /// The last event appended. All events up to it can be read.
    pub fn appended(&self) -> MetaState {
        MetaState::of_pair(self.mapping.pair(at!(appended)))
    }

    /// The last durable event: the watermark.
    pub fn durable(&self) -> MetaState {
        MetaState::of_pair(self.mapping.pair(at!(durable)))
    }

    /// The counters now.
    pub fn metrics(&self) -> MetricsSnapshot {
        metrics_in(&self.mapping)
    }
}

/// Fails if these are not the words of a control file.
pub(super) fn check_control(words: &impl ControlWords, size: usize, path: &Path) -> Result<()> {
    check_size(size, path)?;
    if words.word(at!(identity.magic)) != CONTROL_MAGIC {
        return refused(Cause::Corrupt, path, "is no control file");
    }
    if words.word(at!(identity.layout_version)) as u32 != CONTROL_VERSION {
        return refused(Cause::Unsupported, path, "has another layout than this version knows");
    }
    Ok(())
}

fn check_size(size: usize, path: &Path) -> Result<()> {
    match size < CONTROL_SIZE {
        true => refused(Cause::Corrupt, path, "is cut short"),
        false => Ok(()),
    }
}

fn refused(cause: Cause, path: &Path, what: &str) -> Result<()> {
    Err(Error::new(cause, format!("{}: {what}", path.display())))
}
