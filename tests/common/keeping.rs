//! What is kept of a log, by retention, holds and snapshots; and what a process that is killed says
//! it keeps.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::Arc;

use flashstrike_wal::error::Result;
use flashstrike_wal::keep::WalDirectory;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::PosixStorage;

use super::flow::Shared;
use super::{event, names};

/// The name of the hold.
pub const HOLD: &str = "racer";
/// Bytes of a state: more than are written at a time.
pub const STATE_SIZE: usize = 300_000;

/// The directory of a log, to hold events and take snapshots in.
pub fn directory(log: &Path) -> WalDirectory {
    WalDirectory::open(Arc::new(PosixStorage::for_writing()), log).unwrap()
}

/// Indexes of the segments that hold events, hot or cold.
pub fn segments(log: &Path) -> BTreeSet<u64> {
    let (hot, cold) = hot_and_cold(log);
    hot.into_iter().chain(cold).collect()
}

/// The indexes of the hot and of the cold segments. Prepared ones of an open log count as hot.
pub fn hot_and_cold(log: &Path) -> (Vec<u64>, Vec<u64>) {
    let all = names(log);
    let indexes = |end: &str| {
        let of_kind = all.iter().filter(|name| name.starts_with("FS.") && name.ends_with(end));
        of_kind.map(|name| name[3..11].parse().unwrap()).collect()
    };
    (indexes(".wal"), indexes(".wal.lz4"))
}

/// Whether exactly these segments are cold, and all that are hot come right after them.
pub fn are_cold(log: &Path, expected: Range<u64>) -> bool {
    let (hot, cold) = hot_and_cold(log);
    hot.first() == Some(&expected.end) && cold.into_iter().eq(expected)
}

/// The first event with this id or a higher one.
pub fn first_from(log: &Path, id: u64) -> Result<u64> {
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    reader.seek(id)?;
    let found = reader.next()?;
    assert_eq!(found, event(found.event_id));
    Ok(found.event_id)
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
