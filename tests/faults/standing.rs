//! A hold and a snapshot that stand where the log may be cut.

use std::path::Path;

use common::crash::identity;
use common::eventually;
use common::flow::Random;
use common::keeping::directory;
use flashstrike_wal::error::{Cause, Error, Result};
use flashstrike_wal::format::{file_name, IdentityRecord};
use flashstrike_wal::keep::{Hold, SnapshotReader, SnapshotWriter};

/// The planted bug.
pub const FORGETS_CUTS: &str = "an identity that forgets cuts";
const NAME: &str = "standing";
/// They stand so many events behind the last one, at most.
const FARTHEST: u64 = 30_000;

/// A hold, and a snapshot that has been begun, of events that need not be durable.
pub struct Standing {
    hold: Hold,
    snapshot: SnapshotWriter,
    /// The last event that the owner of the hold has seen.
    seen: u64,
    /// The event whose state is in the snapshot.
    taken_after: u64,
}

impl Standing {
    /// Sets them in a log that has events up to `last`.
    pub fn new(log: &Path, random: &mut Random, last: u64) -> Self {
        let mut place = || last - random.below(FARTHEST.min(last));
        let (seen, taken_after) = (place(), place());
        let hold = Hold::open(directory(log), NAME, seen + 1).unwrap();
        let mut snapshot = SnapshotWriter::create(directory(log), taken_after).unwrap();
        snapshot.write(b"state").unwrap();
        Standing { hold, snapshot, seen, taken_after }
    }

    /// The log was cut behind the event `kept`, and other events have the ids behind that: whatever
    /// stood above says which events were taken back, and does not go on; all else goes on. Returns
    /// how many stood above.
    pub fn judge(mut self, log: &Path, kept: u64) -> u64 {
        let lost = |event_id: u64| (event_id > kept).then_some((kept + 1, event_id));
        let of_hold = lost(self.seen);
        assert_eq!(taken_back(self.hold.move_to(self.seen + 2)), of_hold, "the hold, open");
        drop(self.hold);
        let opened = Hold::open(directory(log), NAME, 0).map(drop);
        assert_eq!(taken_back(opened), of_hold, "the hold, opened anew");
        Hold::remove(&directory(log), NAME).unwrap();

        let mut committed = Err(Error::WouldBlock);
        eventually("the snapshot's event is durable", || {
            committed = self.snapshot.commit();
            !matches!(committed, Err(Error::WouldBlock))
        });
        let of_snapshot = lost(self.taken_after);
        assert_eq!(taken_back(committed), of_snapshot, "the snapshot");
        if let Ok((newest, _)) = SnapshotReader::open(&directory(log), 0) {
            assert!(newest.info().event_id <= kept, "{} of {kept}", newest.info().event_id);
        }
        u64::from(of_hold.is_some()) + u64::from(of_snapshot.is_some())
    }
}

/// Plants the bug.
pub fn forget_cuts(log: &Path) {
    let text = IdentityRecord { cuts: Vec::new(), ..identity(log) }.encode();
    std::fs::write(log.join(file_name::IDENTITY), text).unwrap();
}

/// The events that it says were taken back, the first and the last.
fn taken_back(result: Result<()>) -> Option<(u64, u64)> {
    match result {
        Ok(()) => None,
        Err(Error::Failure(failure)) if failure.cause == Cause::Corrupt => {
            Some(failure.place.event_ids.unwrap_or_else(|| panic!("{}", failure.message)))
        }
        Err(other) => panic!("{other}"),
    }
}
