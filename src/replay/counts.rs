//! What a reader has done, and how long that took.

use std::time::Duration;

use crate::segment::Effort;

/// A reader's own metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReaderMetrics {
    /// What was counted.
    pub counts: Counts,
    /// How many threads read ahead; 0 in a child that was forked from the process that has them.
    pub threads: u32,
    /// The active directory may not be read by this user: only what is durable was given.
    pub active_denied: bool,
}

/// Counted by the reader's own thread. What threads have read ahead is counted when it is taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Segments opened to be read.
    pub opened: u64,
    /// Time in finding and opening them.
    pub open: Duration,
    /// Reading, decompressing, verifying.
    pub effort: Effort,
    /// Events given out.
    pub events: u64,
    /// Reads that failed with damage.
    pub damages: u64,
    /// Time in waiting for threads.
    pub wait: Duration,
}
