//! Verifying one segment: its hot file, its cold one, and what the active directory has of it.

use std::sync::Arc;

use crate::directory::{load_identity, Identity};
use crate::error::Result;
use crate::format::{file_name, RequestEvent, SegmentHeader};
use crate::segment::{closed, read_header, Cursor, Seen, Step};
use crate::segment::{Damage, DamageKind, MAX_DAMAGES};
use crate::storage::{File, Open};

use super::log_files::LogFiles;

/// What is known before a segment is verified.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// The last event before the segment.
    pub floor: u64,
    /// The log has ended: an open segment holds nothing that counts.
    pub ended: bool,
    /// The log was not shut down, and its active directory is there.
    pub in_memory: bool,
}

/// What was found in one segment.
#[derive(Debug, Default)]
pub struct SegmentReport {
    /// Events, blocks and bytes; of two files the hot one's.
    pub seen: Seen,
    pub hot: bool,
    pub cold: bool,
    /// The hot file is not closed.
    pub open: bool,
    /// The log ends in it.
    pub ends: bool,
    /// The last event, or the last that is known to be lost.
    pub last_event_id: u64,
    /// The last event that its disk files hold; 0 = none.
    pub last_on_disk: u64,
    /// One of its files cannot be read at all.
    pub unreadable: bool,
    /// The writer was done with its active file while we read it: what was found says nothing.
    pub moved: bool,
    pub damage_count: u64,
    /// The first of them.
    pub damages: Vec<Damage>,
    /// The headers of closed files, where they can be trusted: the hot one's and the cold one's.
    headers: [Option<SegmentHeader>; 2],
}

/// Verifies a segment. `None` when it has no file.
pub fn verify_segment(files: &LogFiles, index: u32, known: Known) -> Option<SegmentReport> {
    let (hot_name, cold_name) = (file_name::hot(index), file_name::cold(index));
    let hot = files.wal.open(&hot_name, Open::Read);
    let cold = files.wal.open(&cold_name, Open::Read);
    if let (Ok(None), Ok(None)) = (&hot, &cold) {
        return None;
    }
    let mut report = SegmentReport { last_event_id: known.floor, ..SegmentReport::default() };
    let checked = match hot {
        Ok(Some(file)) => report.check_hot(files, index, file, known),
        other => other.map(|_| ()),
    };
    report.note_unreadable(files, index, &hot_name, checked);
    let checked = match cold {
        Ok(Some(file)) => report.check_cold(files, index, file, known),
        other => other.map(|_| ()),
    };
    report.note_unreadable(files, index, &cold_name, checked);
    // Both were checked against their headers, which hold the checksum of all events.
    if let [Some(hot), Some(cold)] = report.headers {
        if hot != cold {
            let path = files.wal.path_of(&cold_name);
            let what = "holds something else than the hot file";
            report.add(Damage::of_segment(DamageKind::Twins, index, &path, what));
        }
    }
    Some(report)
}

impl SegmentReport {
    /// Whether it is part of the log: prepared segments that were never used are not.
    pub fn counts(&self) -> bool {
        self.seen.events > 0 || self.damage_count > 0
    }

    pub fn agrees_with(&self, other: &SegmentReport) -> bool {
        self.damage_count == other.damage_count && self.damages == other.damages
    }

    fn add(&mut self, damage: Damage) {
        self.damage_count += 1;
        // Those ids are not where they belong.
        if !matches!(damage.kind, DamageKind::Misnamed | DamageKind::Order) {
            self.last_event_id = self.last_event_id.max(damage.event_ids.1);
        }
        if self.damages.len() < MAX_DAMAGES {
            self.damages.push(damage);
        }
    }

    fn note_unreadable(&mut self, files: &LogFiles, index: u32, name: &str, checked: Result<()>) {
        if let Err(error) = checked {
            let path = files.wal.path_of(name);
            let kind = DamageKind::Unreadable;
            let damage = Damage::of_segment(kind, index, &path, "cannot be read");
            self.add(Damage { error: Some(error), ..damage });
            self.unreadable = true;
        }
    }

    fn check_hot(
        &mut self,
        files: &LogFiles,
        index: u32,
        file: Arc<dyn File>,
        known: Known,
    ) -> Result<()> {
        // Keeps the writer from reusing the file. If the writer holds it, what is read may change,
        // and the caller checks again.
        file.try_lock_shared()?;
        self.hot = true;
        if let Ok(Some(_)) = files.cold_instead(index, &*file) {
            let what = "does not count: the cold file beside it does";
            self.add(Damage::of_segment(DamageKind::Twins, index, &files.path_of(index), what));
            return Ok(());
        }
        let read = read_header(&*file);
        let header = read.as_ref().map_or(None, |header| *header);
        self.headers[0] = closed(header, index);
        self.open = !files.counts_as_closed(index, &*file, header);
        if self.open && known.ended {
            return Ok(());
        }
        let mut walk = files.salvage_hot(index, Arc::clone(&file), read, known.floor)?;
        if self.open {
            self.check_open(files, index, &*file, &mut walk, known)?;
        } else {
            while self.step(&mut walk)? == Step::Block {}
            self.note_on_disk(&walk);
        }
        self.finish(&walk);
        Ok(())
    }

    fn note_on_disk(&mut self, walk: &Cursor) {
        if walk.seen().events > 0 {
            self.last_on_disk = self.last_on_disk.max(walk.last_event_id());
        }
    }

    fn check_cold(
        &mut self,
        files: &LogFiles,
        index: u32,
        file: Arc<dyn File>,
        known: Known,
    ) -> Result<()> {
        let mut walk = files.salvage_cold(index, file, known.floor)?;
        self.cold = true;
        self.headers[1] = walk.header();
        while self.step(&mut walk)? == Step::Block {}
        self.note_on_disk(&walk);
        if self.seen.events == 0 {
            self.seen = Seen::default();
            self.finish(&walk);
        }
        self.last_event_id = self.last_event_id.max(walk.last_event_id());
        Ok(())
    }

    fn step(&mut self, walk: &mut Cursor) -> Result<Step> {
        let step = walk.step(0)?;
        while let Some(damage) = walk.take_damage() {
            self.add(damage);
        }
        Ok(step)
    }

    fn finish(&mut self, walk: &Cursor) {
        let seen = walk.seen();
        self.seen.blocks += seen.blocks;
        self.seen.events += seen.events;
        self.seen.bytes += seen.bytes;
        if seen.first_event_id != 0 {
            self.seen.first_event_id = seen.first_event_id;
        }
        self.last_event_id = self.last_event_id.max(walk.last_event_id());
    }

    /// An open segment: checks what is on disk by itself, and then that the active directory has
    /// the same, and counts what only that has.
    fn check_open(
        &mut self,
        files: &LogFiles,
        index: u32,
        file: &dyn File,
        disk: &mut Cursor,
        known: Known,
    ) -> Result<()> {
        let identity = load_identity(&*files.wal)?;
        let mut memory = None;
        if known.in_memory {
            memory = self.open_memory(files, index, file, &identity, known)?;
        }
        let memory_is_unreadable = self.unreadable;
        let mut contradicts = false;
        let end = loop {
            match self.step(disk)? {
                Step::Block => {}
                end => break end,
            }
            if let Some(memory) = &mut memory {
                if memory.step(0)? == Step::Moved {
                    self.moved = true;
                    return Ok(());
                }
                let (in_memory, on_disk) = (memory.batch().events(), disk.batch().events());
                contradicts |= !in_memory.starts_with(on_disk);
                self.count(in_memory.get(on_disk.len()..).unwrap_or_default());
            }
        };
        self.ends = end == Step::End;
        let active =
            |what| Damage::of_segment(DamageKind::Active, index, &files.path_of(index), what);
        if contradicts {
            self.add(active("the active directory has other events"));
        }
        self.note_on_disk(disk);
        let Some(mut memory) = memory else {
            let unclean = matches!(&identity, Identity::Known(record) if !record.clean);
            let is_known = known.in_memory && !memory_is_unreadable;
            let missed = is_known && unclean && self.ends && !disk.is_full();
            // Shut down while we looked?
            if missed && load_identity(&*files.wal)? == identity {
                self.add(active("is not in the active directory, though the log ends in it"));
            }
            return Ok(());
        };
        let end = loop {
            match memory.step(0)? {
                Step::Block => self.count(memory.batch().events()),
                end => break end,
            }
        };
        self.moved = end == Step::Moved;
        self.ends = end == Step::End && !disk.is_full();
        self.last_event_id = self.last_event_id.max(memory.last_event_id());
        if self.ends {
            let (slots, last) = (memory.slots_read(), self.last_event_id.max(disk.last_event_id()));
            if let Some(missing) = files.missing_before_next(index, slots, last, Some(&identity)) {
                // Unless a writer has come to the next segment since we looked.
                self.moved = memory.memory_goes_on()?;
                self.ends = false;
                self.add(missing);
            }
        }
        Ok(())
    }

    /// Counts events that only the active directory has.
    fn count(&mut self, events: &[RequestEvent]) {
        if let (0, Some(first)) = (self.seen.events, events.first()) {
            self.seen.first_event_id = first.event_id;
        }
        self.seen.events += events.len() as u64;
    }

    /// The segment's file in the active directory.
    fn open_memory(
        &mut self,
        files: &LogFiles,
        index: u32,
        disk: &dyn File,
        identity: &Identity,
        known: Known,
    ) -> Result<Option<Cursor>> {
        let error = match files.memory_beside(disk, identity, index) {
            Ok(found) => {
                let walk = |memory| Cursor::memory(files.site(index), memory, known.floor);
                return Ok(found.map(walk));
            }
            Err(error) => error,
        };
        self.unreadable = true;
        let what = "cannot be read in the active directory";
        let damage = Damage::of_segment(DamageKind::Unreadable, index, &files.path_of(index), what);
        self.add(Damage { error: Some(error), ..damage });
        Ok(None)
    }
}
