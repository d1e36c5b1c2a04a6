//! The process into which faults are injected, from the side of the tests: where it works, how a
//! fault is injected, and what its exit code means. What it does is in `tests/child/victim.rs`.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::recorder::Manager;

use super::flow::Shared;
use super::inject::{play, Fault, Injected};
use super::keeping::are_cold;
use super::planted::Bug;
use super::{eventually, Place};

/// Everything succeeded.
pub const CLEAN: i32 = 7;
/// The log failed, and behaved as a failed log must.
pub const POISONED: i32 = 8;
/// The open failed.
pub const OPEN_FAILED: i32 = 9;
/// Everything was appended and durable, and the shutdown failed.
pub const SHUTDOWN_FAILED: i32 = 10;

/// A log in which segments turn cold and are deleted from the third segment on. How much its
/// persister writes at a time does not depend on timing.
pub fn config(active: &Path) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1,
        sync_mode: SyncMode::Rotation,
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::AtMost(1),
        active_parent: active.to_owned(),
        ..Config::default()
    }
}

/// Waits until the workers of a victim's log have nothing left to do: a shutdown would leave what
/// compression has not come to. A log that has failed, or has found damage, never gets there.
pub fn settle(manager: &Manager) {
    let log = manager.log();
    eventually("the workers have nothing left to do", || {
        let hot = u64::from(log.durable().last_segment_index).saturating_sub(1);
        let metrics = log.metrics();
        let ring = metrics.prepared_segments;
        let is_full = ring.fill == ring.capacity;
        let is_settled = is_full && are_cold(log.directory(), hot.saturating_sub(1)..hot);
        is_settled || metrics.poisoned != 0 || metrics.damaged_segments > 0
    });
}

/// Where victims work: on a log in memory, which is fast; the disk itself does not fail here.
pub struct Bench {
    place: Place,
    pub log: PathBuf,
    pub active: PathBuf,
    pub shared: Shared,
    /// The bug planted under the victims.
    pub bug: Option<Bug>,
}

impl Bench {
    pub fn new() -> Self {
        let place = Place::new();
        let (log, active) = (place.memory().join("log"), place.memory().join("active"));
        fs::create_dir(&active).unwrap();
        let shared = Shared::open(&place.memory().join("shared"));
        Bench { place, log, active, shared, bug: None }
    }

    /// Removes the log.
    pub fn clear(&self) {
        for directory in [&self.log, &self.active] {
            if directory.exists() {
                fs::remove_dir_all(directory).unwrap();
            }
        }
        fs::create_dir(&self.active).unwrap();
    }

    /// Runs a victim that appends this many events in this life of the log, and injects the fault.
    /// The victim may meet an error with this number and this word.
    pub fn hit(
        &self,
        fault: Fault<'_>,
        (life, events): (u32, u64),
        (errno, word): (i32, &str),
    ) -> Injected {
        self.shared.reset();
        let shared = self.place.memory().join("shared");
        let (log, active, shared) = (self.log.display(), self.active.display(), shared.display());
        let bug = Bug::argument(self.bug);
        let arguments: [&dyn Display; 8] =
            [&log, &active, &shared, &events, &life, &errno, &word, &bug];
        play(&arguments, fault, &self.shared, self.place.memory())
    }
}
