//! The files of a WAL directory, by name, and its two small records.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::format::file_name::{self, FileName};
use crate::format::{IdentityRecord, MetaState, META_RECORD_SIZE};
use crate::storage::{read_small, replace_small, Directory};

/// The files of a WAL directory, by name.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Indexes of hot segments.
    pub hot: BTreeSet<u32>,
    /// Indexes of cold segments.
    pub cold: BTreeSet<u32>,
    /// Event ids of snapshots.
    pub snapshots: BTreeSet<u64>,
    /// Event ids of snapshots that are being written, or were when a process died.
    pub begun_snapshots: BTreeSet<u64>,
    /// Names of files that were being written.
    pub temporaries: Vec<String>,
}

impl Inventory {
    /// Lists a directory. Foreign names are left out.
    pub fn of(directory: &dyn Directory) -> Result<Self> {
        let mut inventory = Inventory::default();
        for name in directory.list()? {
            match file_name::parse(&name) {
                Some(FileName::Hot(index)) => drop(inventory.hot.insert(index)),
                Some(FileName::Cold(index)) => drop(inventory.cold.insert(index)),
                Some(FileName::Snapshot(id)) => drop(inventory.snapshots.insert(id)),
                Some(FileName::BegunSnapshot(id)) => drop(inventory.begun_snapshots.insert(id)),
                Some(FileName::Temporary) => inventory.temporaries.push(name),
                None => {}
            }
        }
        Ok(inventory)
    }

    /// Whether there is no segment at all.
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty() && self.cold.is_empty()
    }

    /// Indexes of all segments, hot or cold, rising.
    pub fn indexes(&self) -> BTreeSet<u32> {
        self.hot.union(&self.cold).copied().collect()
    }
}

/// `wal_identity` as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// There is none.
    Missing,
    /// It is there and cannot be trusted.
    Unreadable,
    /// It is whole.
    Known(IdentityRecord),
}

/// Reads `wal_identity`.
pub fn load_identity(directory: &dyn Directory) -> Result<Identity> {
    const LIMIT: usize = 16 * 1024;
    Ok(match read_small(directory, file_name::IDENTITY, LIMIT)? {
        Some(bytes) => IdentityRecord::decode(&bytes).map_or(Identity::Unreadable, Identity::Known),
        None => Identity::Missing,
    })
}

/// Reads `wal_meta.dat`: `None` when it is missing, `Some(None)` when it cannot be trusted. The C++
/// recorder's, which has no checksum, is trusted where that recorder wrote: it has no identity.
pub fn load_meta(directory: &dyn Directory) -> Result<Option<Option<MetaState>>> {
    let Some(bytes) = read_small(directory, file_name::META, META_RECORD_SIZE + 1)? else {
        return Ok(None);
    };
    let meta = match MetaState::decode(&bytes) {
        None if load_identity(directory)? == Identity::Missing => MetaState::decode_cpp(&bytes),
        meta => meta,
    };
    Ok(Some(meta))
}

/// Replaces `wal_meta.dat`. What `state` says must be durable already.
pub fn save_meta(directory: &dyn Directory, state: MetaState) -> Result<()> {
    replace_small(directory, file_name::META, &state.encode())
}
