//! What readers find of a log in its active directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::directory::{
    find_active, is_open_for_writing, load_identity, relocated, witness, ActiveDirectory,
    ControlView, Identity, Inventory,
};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, IdentityRecord, Layout, Rule, MAX_EVENT_ID};
use crate::segment::{gone_from_disk, not_on_disk, scan_segment, Damage, DamageKind, Memory};
use crate::storage::{may_be_mapped, Directory, File, Open};

use super::log_files::{LogFiles, Segment};

/// Events that the memory of a segment should have.
pub(super) struct MissingEvents {
    pub damage: Damage,
    /// They are in its file on disk; else nowhere.
    pub on_disk: bool,
}

impl LogFiles {
    /// Segments whose file somebody has removed, and whose events are in memory. For whoever makes
    /// a log of all that is left also those whose file retention may have removed. Where memory
    /// cannot be read, none: whoever comes to the segment at the end says so.
    pub(super) fn only_in_memory(&self, inventory: &Inventory) -> Vec<u32> {
        let find = || -> Result<Vec<u32>> {
            let found = self.active_directory(&load_identity(&*self.wal)?)?;
            let Some(directory) = found else { return Ok(vec![]) };
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
            match self.memory_parent {
                Some(_) => not_on_disk(inventory, &files),
                None => gone_from_disk(&*self.wal, inventory, &files),
            }
        };
        find().unwrap_or_else(|error| {
            if self.is_denied(&error).unwrap_or(false) {
                self.note_denied();
            }
            Vec::new()
        })
    }

    /// Whether the segment is in memory, and its file on disk is gone.
    pub fn is_only_in_memory(&self, index: u32) -> Result<bool> {
        Ok(self.only_in_memory(&Inventory::of(&*self.wal)?).contains(&index))
    }

    /// Whether it looks as if the log had events behind the end of an open segment, in its file on
    /// disk or in the memory of the next one. Cheap, because it is asked at every end. What cannot
    /// be read says nothing.
    pub(super) fn seems_to_go_on(&self, segment: &Segment) -> bool {
        let (end, slots) = (segment.cursor.last_event_id(), segment.cursor.slots_read());
        let is_next = |id: [u8; 8]| (end + 1..=MAX_EVENT_ID).contains(&u64::from_le_bytes(id));
        let mut id = [0; 8];
        let on_disk = segment.found.disk.as_ref().is_some_and(|disk| {
            let read = disk.read_at(&mut id, Layout::event_offset(slots));
            read.is_ok_and(|read| read == id.len()) && is_next(id)
        });
        on_disk || self.first_of_next(segment.index, segment.found.identity.as_ref()) > end
    }

    /// What is wrong, when an open segment ends before events that the log has: its file on disk
    /// holds them, or they are before those in the memory of the next segment. Somebody has put
    /// another file in the place of its memory, or removed it. For a segment that is not being
    /// written.
    pub(super) fn missing_from_memory(
        &self,
        segment: &Segment,
        floor: u64,
    ) -> Result<Option<MissingEvents>> {
        let (index, end) = (segment.index, segment.cursor.last_event_id());
        let slots = segment.cursor.slots_read();
        if let Some(disk) = segment.found.disk.as_ref().filter(|_| segment.cursor.is_live()) {
            let rule = Rule::Disk { durable_id: self.durable_id_from(index)? };
            let last = scan_segment(&**disk, rule, floor)?.last_event_id;
            if last > end {
                let what = "the active directory lacks events that the file on disk has";
                let damage = self.lacks(index, slots, (end + 1, last), what);
                return Ok(Some(MissingEvents { damage, on_disk: true }));
            }
        }
        let damage = self.missing_before_next(index, slots, end, segment.found.identity.as_ref());
        Ok(damage.map(|damage| MissingEvents { damage, on_disk: false }))
    }

    /// The same, as far as the memory of the next segment shows it.
    pub(super) fn missing_before_next(
        &self,
        index: u32,
        slots: u32,
        end: u64,
        identity: Option<&Identity>,
    ) -> Option<Damage> {
        let first = self.first_of_next(index, identity);
        let what = "the active directory lacks events before those of the next segment";
        (first > end + 1).then(|| self.lacks(index, slots, (end + 1, first - 1), what))
    }

    fn lacks(&self, index: u32, slots: u32, ids: (u64, u64), what: &str) -> Damage {
        let offset = Layout::event_offset(slots);
        Damage::at(&self.site(index), DamageKind::Active, offset, ids, what)
    }

    /// The first event in the memory of the segment behind this one; 0 = none, or it cannot be
    /// read.
    fn first_of_next(&self, index: u32, identity: Option<&Identity>) -> u64 {
        let (Some(next), Some(identity)) = (index.checked_add(1), identity) else { return 0 };
        self.first_in_memory(next, identity)
    }

    /// The same of this segment.
    pub(super) fn first_in_memory(&self, index: u32, identity: &Identity) -> u64 {
        let memory = self.active_segment(identity, index).ok().flatten();
        memory.map_or(0, |memory| memory.first_slot())
    }

    /// The active directory of the log with this identity, if there is one that counts. One that
    /// salvages finds it also without that name, by what it says of itself.
    pub(super) fn active_directory(
        &self,
        identity: &Identity,
    ) -> Result<Option<Arc<dyn Directory>>> {
        let (storage, wal) = (&*self.storage, &*self.wal);
        let record = match (identity, &self.memory_parent) {
            (Identity::Known(known), None) => known.clone(),
            (Identity::Known(known), Some(parent)) => {
                relocated(storage, known.clone(), &wal.status()?, parent)
            }
            (_, None) => return Ok(None),
            (_, Some(parent)) => match witness(storage, &wal.status()?, parent, &mut Vec::new())? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        Ok(match find_active(storage, wal, &record)? {
            Some(ActiveDirectory::Ours(directory)) => Some(directory),
            _ => None,
        })
    }

    /// The segment in the active directory, if there is one that counts. Who may not enter that
    /// directory reads what is on disk, which is everything durable.
    pub(super) fn active_segment(&self, identity: &Identity, index: u32) -> Result<Option<Memory>> {
        let find = || {
            let Some(directory) = self.active_directory(identity)? else { return Ok(None) };
            let file = directory.open(&file_name::hot(index), Open::Read)?;
            let Some(mut memory) = file.map_or(Ok(None), |file| Memory::open(file, index))? else {
                return Ok(None);
            };
            if self.follows && may_be_mapped(directory.status()?.filesystem) {
                memory.map();
            }
            Ok(Some(memory))
        };
        match find() {
            Err(error) if self.is_denied(&error)? => {
                self.note_denied();
                Ok(None)
            }
            found => found,
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

    /// What memory still has of a full segment, for whoever makes a log of all that is left of one
    /// that nobody writes: a writer uses it again.
    pub(super) fn retired(&self, index: u32) -> Option<Memory> {
        if self.memory_parent.is_none() || is_open_for_writing(&*self.wal).unwrap_or(true) {
            return None;
        }
        let identity = load_identity(&*self.wal).unwrap_or(Identity::Unreadable);
        let memory = self.active_segment(&identity, index).ok().flatten()?;
        let is_whole = self.active_size(&identity).ok()? == memory.layout().file_size();
        (is_whole && memory.is_sealed().unwrap_or(false)).then_some(memory)
    }

    /// The size of the files in the active directory, which are all of one size; but for those that
    /// were cut.
    fn active_size(&self, identity: &Identity) -> Result<u64> {
        let mut size = 0;
        if let Some(directory) = self.active_directory(identity)? {
            for index in Inventory::of(&*directory)?.hot {
                let status = directory.status_of(&file_name::hot(index))?;
                size = size.max(status.map_or(0, |status| status.size));
            }
        }
        Ok(size)
    }

    /// The control file of this generation, if it can be read.
    pub(super) fn control(&self, identity: &IdentityRecord) -> Option<ControlView> {
        match find_active(&*self.storage, &*self.wal, identity) {
            Ok(Some(ActiveDirectory::Ours(directory))) => {
                ControlView::open(&*directory).ok().flatten()
            }
            _ => None,
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
