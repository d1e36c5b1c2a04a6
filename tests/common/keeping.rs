//! Holds and snapshots: the directory they are in, what a process that is killed says it keeps, and
//! the states of its snapshots.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::Arc;

use flashstrike_wal::keep::WalDirectory;
use flashstrike_wal::storage::PosixStorage;

use super::flow::Shared;

/// The name of the hold.
pub const HOLD: &str = "racer";
/// Bytes of a state: more than are written at a time.
pub const STATE_SIZE: usize = 300_000;

/// The directory of a log, to hold events and take snapshots in.
pub fn directory(log: &Path) -> WalDirectory {
    WalDirectory::open(Arc::new(PosixStorage::for_writing()), log).unwrap()
}

/// The state after an event, so many bytes of it.
pub fn state(event_id: u64, size: usize) -> Vec<u8> {
    let mut random = super::flow::Random(event_id * 0x9E37_79B9 + 1);
    (0..size).map(|_| random.below(251) as u8).collect()
}

/// What the holder relies on: from which event on everything is there.
pub struct Claim<'a>(pub &'a Shared);

impl Claim<'_> {
    /// It stands at this event.
    pub fn hold(&self, event_id: u64) {
        self.0.attempted().store(event_id, Release);
        self.0.acknowledged().store(event_id, Release);
    }

    /// It may be there already.
    pub fn begin_to_move(&self, event_id: u64) {
        self.0.attempted().store(event_id, Release);
    }

    /// It relies on nothing.
    pub fn give_up(&self) {
        self.0.acknowledged().store(0, Release);
    }

    /// Between which events the hold stands; `None` = nothing is relied on.
    pub fn range(&self) -> Option<(u64, u64)> {
        let at = self.0.acknowledged().load(Acquire);
        (at != 0).then(|| (at, self.0.attempted().load(Acquire).max(at)))
    }
}
