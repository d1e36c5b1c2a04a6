//! A run: where, how long, and its report.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::processors::Processors;
use crate::report::Report;

/// How long everything takes: all of it in a quarter of an hour, or in a minute and a half.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Turns of each contestant.
    pub rounds: usize,
    /// A turn of the tight loop, in blocks of 256 events.
    pub tight_blocks: u64,
    /// A paced turn.
    pub paced: Duration,
    /// The one long paced turn that is drawn.
    pub timeline: Duration,
    /// An idle spell.
    pub idle: Duration,
    /// A turn at 10,000 events a second.
    pub slow: Duration,
    /// A turn of writing as fast as the disk takes it.
    pub sustained: Duration,
    /// A turn of watching the watermark under load.
    pub durable: Duration,
    /// Single events after an idle spell, in a turn.
    pub single_events: u64,
    /// Paced appends in which nothing may happen on the thread.
    pub hot_events: u64,
    /// Segments of the larger of the two logs that are opened.
    pub many_segments: u32,
    /// For how long the processor time of a log at rest is counted.
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
    /// An empty directory of this name.
    pub fn fresh(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory to measure in");
        path
    }

    /// Gives the disk back what a measurement has used.
    pub fn remove(&self, names: &[&str]) {
        for name in names {
            let _ = fs::remove_dir_all(self.directory.join(name));
        }
    }
}
