//! Bugs to plant under a recorder, on any storage. A harness that looks for lost events proves
//! something only if it finds the events that such a bug loses.

/// The kind of bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The sync of a segment file does nothing and returns success.
    SyncThatLies,
    /// One write of events to a segment file is skipped.
    SkippedBlock,
    /// Recovery believes that the log ends where `wal_meta.dat` says.
    RecoveryThatTrustsMeta,
    /// The sync of a segment file returns, and the watermark advances, before it is done. It is
    /// done at the next use of the file.
    WatermarkBeforeSync,
    /// A sync that fails is tried again, and a later success counts.
    SyncTriedAgain,
    /// A failed read is taken for an empty file.
    ReadErrorIsEmpty,
    /// Recovery removes what it should keep aside.
    NothingKeptAside,
    /// The last segment's header is opened again before `wal_identity` is the new generation's.
    HeaderReopenedEarly,
    /// Only the file `wal_lock` is locked, and not the directory.
    LockOnNameOnly,
    /// A file's name is believed to lead to it for good.
    NamesNotLookedAt,
    /// Events are written past the page cache without `RWF_DSYNC`.
    DirectWriteNotSynced,
    /// A block's header is durable, and most of its events are not.
    HeaderBeforeEvents,
    /// The rest of a file that is less than a page is written as a whole page.
    FileThatGrows,
    /// A cold file holds, in a frame without a fault, something else than was written to it.
    ColdFileOfOthers,
    /// A snapshot gets its name without having been synced.
    SnapshotNotSynced,
    /// A snapshot has its own name while it is written.
    SnapshotNamedEarly,
    /// The record of the watermark, as others read it, is far ahead.
    WatermarkAhead,
    /// Retention reads the holds, and deletes, without the lock of those who publish.
    DeletedWithoutLock,
}

impl Bug {
    /// The bugs that a power cut reveals.
    pub const ALL: [Bug; 4] = [
        Bug::SyncThatLies,
        Bug::SkippedBlock,
        Bug::RecoveryThatTrustsMeta,
        Bug::WatermarkBeforeSync,
    ];

    /// The same, where the filesystem and the disk are real.
    pub const ON_A_DISK: [Bug; 7] = [
        Bug::SyncThatLies,
        Bug::SkippedBlock,
        Bug::RecoveryThatTrustsMeta,
        Bug::WatermarkBeforeSync,
        Bug::DirectWriteNotSynced,
        Bug::HeaderBeforeEvents,
        Bug::FileThatGrows,
    ];

    const EVERY: [Bug; 18] = [
        Bug::SyncThatLies,
        Bug::SkippedBlock,
        Bug::RecoveryThatTrustsMeta,
        Bug::WatermarkBeforeSync,
        Bug::SyncTriedAgain,
        Bug::ReadErrorIsEmpty,
        Bug::NothingKeptAside,
        Bug::HeaderReopenedEarly,
        Bug::LockOnNameOnly,
        Bug::NamesNotLookedAt,
        Bug::DirectWriteNotSynced,
        Bug::HeaderBeforeEvents,
        Bug::FileThatGrows,
        Bug::ColdFileOfOthers,
        Bug::SnapshotNotSynced,
        Bug::SnapshotNamedEarly,
        Bug::WatermarkAhead,
        Bug::DeletedWithoutLock,
    ];

    /// The planted bug, as an argument of the child program.
    pub fn argument(bug: Option<Bug>) -> &'static str {
        bug.map_or("none", Bug::name)
    }

    /// Parses what [`Bug::argument`] has written; `None` = no such bug.
    pub fn of_argument(word: &str) -> Option<Option<Bug>> {
        match word {
            "none" => Some(None),
            _ => Some(Some(Bug::EVERY.into_iter().find(|bug| bug.name() == word)?)),
        }
    }

    /// Its name in the durability table.
    pub fn name(self) -> &'static str {
        match self {
            Bug::SyncThatLies => "a sync that lies",
            Bug::SkippedBlock => "a persister that skips one block",
            Bug::RecoveryThatTrustsMeta => "a recovery that trusts meta",
            Bug::WatermarkBeforeSync => "a watermark moved before the sync",
            Bug::SyncTriedAgain => "a failed sync tried again until it succeeds",
            Bug::ReadErrorIsEmpty => "a read error taken for an empty file",
            Bug::NothingKeptAside => "a recovery that keeps nothing aside",
            Bug::HeaderReopenedEarly => "a header opened again before the identity",
            Bug::LockOnNameOnly => "a lock on `wal_lock` only",
            Bug::NamesNotLookedAt => "a persister that does not look at names",
            Bug::DirectWriteNotSynced => "a direct write that is not synced",
            Bug::HeaderBeforeEvents => "headers durable without their events",
            Bug::FileThatGrows => "a file that grows to whole pages",
            Bug::ColdFileOfOthers => "a cold file that holds something else",
            Bug::SnapshotNotSynced => "a snapshot that is named before it is synced",
            Bug::SnapshotNamedEarly => "a snapshot that has its name while it is written",
            Bug::WatermarkAhead => "a snapshot committed before its event is durable",
            Bug::DeletedWithoutLock => "a retention that does not lock out who publishes",
        }
    }
}
