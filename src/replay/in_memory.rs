//! What readers find of a log in its active directory.

use std::collections::BTreeMap;

use crate::directory::{find_active, load_identity, ActiveDirectory, Identity, Inventory};
use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::segment::{gone_from_disk, Memory};
use crate::storage::Open;

use super::log_files::LogFiles;

impl LogFiles {
    /// Segments whose file somebody has removed, and whose events are in memory. Where that cannot
    /// be read, none: whoever comes to the segment at the end says so.
    pub(super) fn only_in_memory(&self, inventory: &Inventory) -> Vec<u32> {
        let find = || -> Result<Vec<u32>> {
            let Identity::Known(identity) = load_identity(&*self.wal)? else { return Ok(vec![]) };
            let found = find_active(&*self.storage, &*self.wal, &identity)?;
            let Some(ActiveDirectory::Ours(directory)) = found else { return Ok(vec![]) };
            let mut files = BTreeMap::new();
            for index in Inventory::of(&*directory)?.hot.difference(&inventory.indexes()) {
                if let Some(file) = directory.open(&file_name::hot(*index), Open::Read)? {
                    files.insert(*index, file);
                }
            }
            gone_from_disk(&*self.wal, inventory, &files)
        };
        find().unwrap_or_default()
    }

    /// Whether the segment is in memory, and its file on disk is gone.
    pub fn is_only_in_memory(&self, index: u32) -> Result<bool> {
        Ok(self.only_in_memory(&Inventory::of(&*self.wal)?).contains(&index))
    }

    /// The segment in the active directory, if there is one that counts. Who may not enter that
    /// directory reads what is on disk, which is everything durable.
    pub(super) fn active_segment(&self, identity: &Identity, index: u32) -> Result<Option<Memory>> {
        let Identity::Known(identity) = identity else { return Ok(None) };
        let find = || {
            let found = find_active(&*self.storage, &*self.wal, identity)?;
            let Some(ActiveDirectory::Ours(directory)) = found else { return Ok(None) };
            directory.open(&file_name::hot(index), Open::Read)
        };
        match find() {
            Err(error) if self.is_denied(&error)? => Ok(None),
            Ok(Some(file)) => Memory::open(file, index),
            other => other.map(|_| None),
        }
    }

    /// Whether another user is kept out of the active directory. To the log's own user that is an
    /// error, and so it is to everybody that others are *not* kept out (which has no number).
    pub(super) fn is_denied(&self, error: &Error) -> Result<bool> {
        if error.cause() != Some(Cause::Permission) || error.errno() == 0 {
            return Ok(false);
        }
        let user = self.storage.user();
        Ok(user != 0 && user != self.wal.status()?.uid)
    }
}
