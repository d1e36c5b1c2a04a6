//! The options of a log and their limits.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::{Layout, MAX_BLOCKS, MIN_BLOCKS};
use crate::log_sink::LogSink;
use crate::telemetry::CONTROL_SIZE;

/// Blocks a segment has by default: 65,536 events, 4.2 MB.
pub const DEFAULT_NUM_BLOCKS: u32 = 256;
/// Hot segments kept by default.
pub const DEFAULT_MAX_SEGMENTS: u32 = 32;
/// Cold segments kept by default.
pub const DEFAULT_MAX_COMPRESSED_SEGMENTS: u32 = 128;
/// Prepared segments by default.
pub const DEFAULT_PREPARED_SEGMENTS: u32 = 4;
/// Most prepared segments.
pub const MAX_PREPARED_SEGMENTS: u32 = 64;
/// Interval of [`SyncMode::Interval`] by default.
pub const DEFAULT_SYNC_INTERVAL: Duration = Duration::from_millis(10);
/// Snapshots kept by default.
pub const DEFAULT_MAX_SNAPSHOTS: u32 = 2;
/// Nice values, from the highest priority to the lowest.
pub const NICE_VALUES: RangeInclusive<i64> = -20..=19;
/// Parent of the active directory by default.
pub const DEFAULT_ACTIVE_PARENT: &str = "/dev/shm";

/// What an append does when no prepared segment is ready because the disk is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backpressure {
    /// Wait: spin briefly, then sleep.
    Block,
    /// Return at once with nothing appended.
    FailFast,
}

/// When the persister makes events durable without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// As soon as there is something new, syncs back to back under load.
    Continuous,
    /// Every interval.
    Interval(Duration),
    /// When a segment is full.
    Rotation,
}

/// How many segments of a kind are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// No limit.
    All,
    /// At most this many.
    AtMost(u32),
}

/// The options of a log. [`Config::validate`] checks them.
#[derive(Debug, Clone)]
pub struct Config {
    /// Blocks of 256 events in each new segment.
    pub num_blocks: u32,
    /// Hot segments kept, the active one included.
    pub max_segments: Keep,
    /// Cold segments kept; `AtMost(0)` makes none.
    pub max_compressed_segments: Keep,
    /// Segments kept prepared for the writer.
    pub prepared_segments: u32,
    /// Open at the last provable event where recovery would refuse.
    pub accept_loss: bool,
    /// Open on filesystems where preallocation does not hold.
    pub allow_any_filesystem: bool,
    /// Nothing is compressed. Expired hot segments stay, unless no cold ones are wanted.
    pub no_compression: bool,
    /// The persister spins for new events and never sleeps.
    pub spin: bool,
    /// See [`Backpressure`].
    pub backpressure: Backpressure,
    /// See [`SyncMode`].
    pub sync_mode: SyncMode,
    /// Nothing at or above this event id is deleted; 0 = no floor.
    pub retention_floor: u64,
    /// Bytes that holds and snapshots may keep beyond the limits; 0 = no limit.
    pub max_held_bytes: u64,
    /// Snapshots kept, the newest.
    pub max_snapshots: u32,
    /// Directory in which the active directory is made.
    pub active_parent: PathBuf,
    /// A bit for each processor the log's own thread may run on; 0 = those of the opening thread.
    pub persister_cpus: u64,
    /// The same for the threads it shares with other logs.
    pub worker_cpus: u64,
    /// Nice value of both, but for compression, which has the least priority there is; 0 = that of
    /// the opening thread.
    pub worker_nice: i32,
    /// One in so many appends is timed; 0 = none.
    pub sample_appends: u32,
    /// Receives the messages of the log.
    pub log: LogSink,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            num_blocks: DEFAULT_NUM_BLOCKS,
            max_segments: Keep::AtMost(DEFAULT_MAX_SEGMENTS),
            max_compressed_segments: Keep::AtMost(DEFAULT_MAX_COMPRESSED_SEGMENTS),
            prepared_segments: DEFAULT_PREPARED_SEGMENTS,
            accept_loss: false,
            allow_any_filesystem: false,
            no_compression: false,
            spin: false,
            backpressure: Backpressure::Block,
            sync_mode: SyncMode::Continuous,
            retention_floor: 0,
            max_held_bytes: 0,
            max_snapshots: DEFAULT_MAX_SNAPSHOTS,
            active_parent: PathBuf::from(DEFAULT_ACTIVE_PARENT),
            persister_cpus: 0,
            worker_cpus: 0,
            worker_nice: 0,
            sample_appends: 0,
            log: LogSink::default(),
        }
    }
}

impl Config {
    /// Refuses values out of range and names the field.
    pub fn validate(&self) -> Result<()> {
        let within = |name: &str, value: i64, range: RangeInclusive<i64>| {
            if range.contains(&value) {
                return Ok(());
            }
            let (low, high) = range.into_inner();
            let message = format!("config.{name} is {value}: it must be from {low} to {high}");
            Err(Error::new(Cause::InvalidArgument, message))
        };
        within("num_blocks", self.num_blocks.into(), MIN_BLOCKS.into()..=MAX_BLOCKS.into())?;
        within(
            "prepared_segments",
            self.prepared_segments.into(),
            1..=MAX_PREPARED_SEGMENTS.into(),
        )?;
        within("worker_nice", self.worker_nice.into(), NICE_VALUES)?;
        if self.max_snapshots == 0 {
            let message = "config.max_snapshots is 0: keep at least 1";
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        if self.max_segments == Keep::AtMost(0) {
            let message = "config.max_segments: the active segment needs at least 1";
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        Ok(())
    }

    /// Most mapped segments that exist: the prepared ones, the active one, and one that is still
    /// being persisted.
    pub fn active_set(&self) -> usize {
        debug_assert!((1..=MAX_PREPARED_SEGMENTS).contains(&self.prepared_segments));
        self.prepared_segments as usize + 2
    }

    /// Bytes of those.
    pub fn active_set_size(&self) -> u64 {
        debug_assert!((MIN_BLOCKS..=MAX_BLOCKS).contains(&self.num_blocks));
        self.active_set() as u64 * Layout { blocks: self.num_blocks }.file_size()
    }

    /// Bytes that the active directory takes, but for its small files.
    pub fn memory_size(&self) -> u64 {
        self.active_set_size() + CONTROL_SIZE as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_named() {
        let config = Config { num_blocks: MAX_BLOCKS + 1, ..Config::default() };
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("config.num_blocks is 261121"), "{message}");
        let config = Config { prepared_segments: 65, ..Config::default() };
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("prepared_segments is 65: it must be from 1 to 64"), "{message}");
        let config = Config { worker_nice: 20, ..Config::default() };
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("worker_nice is 20: it must be from -20 to 19"), "{message}");
        assert!(Config::default().validate().is_ok());
    }
}
