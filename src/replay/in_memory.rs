//! What readers find of a log in its active directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::directory::{find_active, load_identity, ActiveDirectory, Identity, Inventory};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, Layout, Rule, MAX_EVENT_ID};
use crate::segment::{gone_from_disk, scan_segment, Cursor, Damage, DamageKind, Memory};
use crate::storage::{File, Open};

use super::log_files::{LogFiles, Segment};

/// Events that the memory of a segment should have.
pub(super) enum MissingEvents {
    /// They are in its file on disk.
    OnDisk(Damage),
    /// They are lost.
    Nowhere(Damage),
}

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
                let Some(file) = directory.open(&file_name::hot(*index), Open::Read)? else {
                    continue;
                };
                // What is listed can be opened.
                if Memory::open(Arc::clone(&file), *index)?.is_some() {
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

    /// What is wrong, when an open segment ends before events that the log has: its file on disk
    /// holds them, or they are before those in the memory of the next segment. Somebody has put
    /// another file in the place of its memory, or removed it.
    pub(super) fn missing_from_memory(
        &self,
        segment: &Segment,
        floor: u64,
    ) -> Result<Option<MissingEvents>> {
        let (index, cursor) = (segment.index, &segment.cursor);
        let (end, offset) = (cursor.last_event_id(), Layout::event_offset(cursor.slots_read()));
        let damage = |last, what: &str| {
            Damage::at(&self.site(index), DamageKind::Active, offset, (end + 1, last), what)
        };
        if let Some(disk) = &segment.found.disk {
            let mut id = [0; 8];
            let is_whole = disk.read_at(&mut id, offset)? == id.len();
            // Cheap, because it is asked at every end. What is not sealed is old.
            if is_whole && (end + 1..=MAX_EVENT_ID).contains(&u64::from_le_bytes(id)) {
                let rule = Rule::Disk { durable_id: self.durable_id_from(index)? };
                let last = scan_segment(&**disk, rule, floor)?.last_event_id;
                let what = "the active directory lacks events that the file on disk has";
                return Ok((last > end).then(|| MissingEvents::OnDisk(damage(last, what))));
            }
        }
        let Some(identity) = &segment.found.identity else { return Ok(None) };
        Ok(self.missing_before_next(index, cursor, identity)?.map(MissingEvents::Nowhere))
    }

    /// What is wrong, when the memory of the next segment has events, and this one ends before
    /// them. If the log is being written, both are asked again.
    pub(super) fn missing_before_next(
        &self,
        index: u32,
        walk: &Cursor,
        identity: &Identity,
    ) -> Result<Option<Damage>> {
        let Some(next) = index.checked_add(1) else { return Ok(None) };
        let first = self.active_segment(identity, next)?.map_or(0, |memory| memory.first_slot());
        let missing = (walk.last_event_id() + 1, first.saturating_sub(1));
        let what = "the active directory lacks events before those of the next segment";
        let offset = Layout::event_offset(walk.slots_read());
        let damage = Damage::at(&self.site(index), DamageKind::Active, offset, missing, what);
        Ok((missing.0 <= missing.1).then_some(damage))
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

    /// The same, of a segment whose file on disk is this one. Memory that is smaller was cut.
    pub(super) fn memory_beside(
        &self,
        disk: &dyn File,
        identity: &Identity,
        index: u32,
    ) -> Result<Option<Memory>> {
        let Some(memory) = self.active_segment(identity, index)? else { return Ok(None) };
        let is_whole = memory.layout().blocks >= Layout::of_file(disk.size()?).blocks;
        Ok(is_whole.then_some(memory))
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
