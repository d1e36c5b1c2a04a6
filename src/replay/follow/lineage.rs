//! Whether a log is still the one that was read: by its identity, which each open replaces.

use std::sync::Arc;

use crate::directory::Identity;
use crate::error::Result;
use crate::format::{file_name, Cut, IdentityRecord};
use crate::storage::{Directory, File, Open};

/// More than an identity has.
const LIMIT: usize = 16 * 1024;

/// An identity, as it was read.
#[derive(Debug)]
pub(super) struct Lineage {
    /// Its file and its inode, which is no other file's while this is open; `None` where there is
    /// no identity.
    file: Option<(Arc<dyn File>, (u64, u64))>,
    pub(super) identity: Identity,
}

impl Lineage {
    pub(super) fn read(wal: &dyn Directory) -> Result<Self> {
        let Some(file) = wal.open(file_name::IDENTITY, Open::Read)? else {
            return Ok(Lineage { file: None, identity: Identity::Missing });
        };
        let inode = file.inode()?;
        let mut bytes = vec![0; LIMIT];
        let read = file.read_at(&mut bytes, 0)?;
        let record = IdentityRecord::decode(&bytes[..read]);
        let identity = record.map_or(Identity::Unreadable, Identity::Known);
        Ok(Lineage { file: Some((file, inode)), identity })
    }

    /// Whether nothing has taken the place of this identity, not even while it was read. Costs one
    /// system call.
    pub(super) fn is_current(&self, wal: &dyn Directory) -> Result<bool> {
        let named = wal.status_of(file_name::IDENTITY)?.map(|status| status.inode);
        match &self.file {
            Some((_, inode)) => Ok(named == Some(*inode)),
            None => Ok(named.is_none() && wal.status()?.links > 0),
        }
    }

    pub(super) fn record(&self) -> Option<&IdentityRecord> {
        match &self.identity {
            Identity::Known(record) => Some(record),
            Identity::Missing | Identity::Unreadable => None,
        }
    }

    /// Whether the log of `later` is this one, or was made from it.
    pub(super) fn leads_to(&self, later: &IdentityRecord) -> bool {
        self.record().is_none_or(|record| later.descends_from(record.id))
    }

    /// The lowest of the cuts in `later` that were not known here. Of a copy those count too that
    /// look the same and came after it was made.
    pub(super) fn lowest_cut(&self, later: &IdentityRecord) -> Option<Cut> {
        let Some(known) = self.record() else { return lowest(later.cuts.iter()) };
        let shared = later.last_generation_of(known.id).unwrap_or(0);
        lowest(later.cuts.iter().filter(|cut| cut.generation > shared || !known.cuts.contains(cut)))
    }
}

fn lowest<'a>(cuts: impl Iterator<Item = &'a Cut>) -> Option<Cut> {
    cuts.min_by_key(|cut| cut.last_event_id).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Links, PosixStorage, Storage};

    /// As when a log is opened just then: an identity is replaced more than once.
    #[test]
    fn an_identity_that_was_replaced_while_it_was_read_is_not_current() {
        let path = tempfile::tempdir().unwrap();
        let storage = PosixStorage::for_reading();
        let wal = storage.open_directory(path.path(), Links::Refuse).unwrap().unwrap();
        let put = || {
            std::fs::write(path.path().join("new"), "").unwrap();
            std::fs::rename(path.path().join("new"), path.path().join("wal_identity")).unwrap();
        };
        put();
        let before = wal.open(file_name::IDENTITY, Open::Read).unwrap().unwrap();
        put();
        let inode = before.inode().unwrap();
        let read = Lineage { file: Some((before, inode)), identity: Identity::Unreadable };
        assert!(!read.is_current(&*wal).unwrap());
        let read = Lineage::read(&*wal).unwrap();
        assert!(read.is_current(&*wal).unwrap());
        // A backup by hard links is no other identity.
        std::fs::hard_link(path.path().join("wal_identity"), path.path().join("backup")).unwrap();
        assert!(read.is_current(&*wal).unwrap());
        put();
        assert!(!read.is_current(&*wal).unwrap());
    }

    #[test]
    fn the_cut_that_made_a_copy_is_not_one_of_the_original() {
        let cut = |generation, last_event_id| Cut { generation, last_event_id };
        let original =
            IdentityRecord { id: 1, generation: 1, cuts: vec![], ..IdentityRecord::default() };
        // Both were taken from the disk at the same place.
        let later = IdentityRecord { generation: 2, cuts: vec![cut(2, 500)], ..original.clone() };
        let mut copy = original;
        copy.rename(2);
        copy.add_cut(cut(2, 500));
        copy.generation = 2;
        let known = Lineage { file: None, identity: Identity::Known(later.clone()) };
        assert!(known.leads_to(&copy));
        assert_eq!(known.lowest_cut(&later), None);
        assert_eq!(known.lowest_cut(&copy), Some(cut(2, 500)));
    }
}
