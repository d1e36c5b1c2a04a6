//! What must be kept, whatever the limits say: snapshots of an engine's state, with the events that
//! follow them, and holds, by which others say what they still need. Both are files of the WAL
//! directory, made from any process; retention obeys them.
//!
//! In reading order: `wal_directory` is the log as whoever comes to it sees it; `lock` is what
//! those who publish and retention hold; `snapshot` writes and `snapshot_reader` reads a snapshot;
//! `hold` is a hold as its owner has it, and `bookmark` one that a reader moves; `keepers` is all
//! of them as retention sees them; `opening` is what a log that is opened for writing does with
//! what it finds.

mod bookmark;
mod hold;
mod keepers;
mod lock;
mod opening;
mod snapshot;
mod snapshot_reader;
mod wal_directory;

pub use bookmark::Bookmark;
pub use hold::Hold;
pub use keepers::{Keeper, Keepers, KeptFor, Seen};
pub use lock::HoldsLock;
pub use opening::{prepare_holds, settle};
pub use snapshot::SnapshotWriter;
pub use snapshot_reader::{SnapshotInfo, SnapshotReader};
pub use wal_directory::WalDirectory;
