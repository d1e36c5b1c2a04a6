//! How a log is followed.

use std::time::Duration;

use super::super::reader::ReaderOptions;

/// How long `Follower::wait` spins unless told otherwise.
pub const DEFAULT_SPIN: Duration = Duration::from_micros(20);

/// How a log is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowOptions {
    /// How its blocks are read.
    pub read: ReaderOptions,
    /// At the end there is nothing *yet* (`Error::WouldBlock`), and the log need not be there.
    pub follow: bool,
    /// Events are given when the watermark has passed them.
    pub durable_only: bool,
    /// It ends behind this event; 0 = nowhere.
    pub end_event_id: u64,
    /// How long a wait spins before it sleeps; `Duration::MAX` = always.
    pub spin: Duration,
}
