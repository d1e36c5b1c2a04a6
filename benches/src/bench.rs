//! A run of the benchmarks: where it measures, for how long, and its report.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::processors::Processors;
use crate::report::Report;

/// How long each part takes. A full run takes a quarter of an hour, a quick one a minute and a
/// half.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Turns of each contestant.
    pub rounds: usize,
    /// Length of a turn of the tight loop, in blocks of 256 events.
    pub tight_blocks: u64,
    /// Length of a paced turn.
    pub paced: Duration,
    /// Length of the one long paced turn that is drawn.
    pub timeline: Duration,
    /// Length of an idle spell.
    pub idle: Duration,
    /// Length of a turn at 10,000 events a second.
    pub slow: Duration,
    /// Length of a turn of writing as fast as the disk allows.
    pub sustained: Duration,
    /// Length of a turn that watches the watermark under load.
    pub durable: Duration,
    /// Single events in a turn, each after an idle spell.
    pub single_events: u64,
    /// Paced appends during which the append thread must do nothing else.
    pub hot_events: u64,
    /// Segments of the larger of the two logs that are opened.
    pub many_segments: u32,
    /// Events of the log out of which an engine's state is brought back.
    pub recovered_events: u64,
    /// How long the processor time of a log at rest is measured.
    pub rest: Duration,
}

impl Scale {
    pub const FULL: Scale = Scale {
        rounds: 5,
        tight_blocks: 15 << 8,
        paced: Duration::from_secs(4),
        timeline: Duration::from_secs(20),
        idle: Duration::from_secs(60),
        slow: Duration::from_secs(4),
        sustained: Duration::from_secs(12),
        durable: Duration::from_secs(3),
        single_events: 40,
        hot_events: 10_000_000,
        many_segments: 1000,
        recovered_events: 10_000_000,
        rest: Duration::from_secs(10),
    };

    pub const QUICK: Scale = Scale {
        rounds: 3,
        tight_blocks: 3 << 8,
        paced: Duration::from_millis(500),
        timeline: Duration::from_secs(3),
        idle: Duration::from_secs(2),
        slow: Duration::from_secs(1),
        sustained: Duration::from_secs(1),
        durable: Duration::from_millis(500),
        single_events: 8,
        hot_events: 1_000_000,
        many_segments: 100,
        recovered_events: 1_000_000,
        rest: Duration::from_secs(2),
    };
}

pub struct Bench {
    pub directory: PathBuf,
    pub pictures: PathBuf,
    pub processors: Processors,
    pub scale: Scale,
    pub report: Report,
}

impl Bench {
    /// Makes an empty directory of this name.
    pub fn fresh(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory to measure in");
        path
    }

    /// Removes the directories of a measurement, to free the space on the disk.
    pub fn remove(&self, names: &[&str]) {
        for name in names {
            let _ = fs::remove_dir_all(self.directory.join(name));
        }
    }
}
