//! Verifying one segment: its hot file, its cold one, and what the active directory has of it.

use std::sync::Arc;

use crate::directory::{load_identity, Identity};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, RequestEvent, SegmentHeader};
use crate::segment::{read_header, Cursor, Seen, Step};
use crate::segment::{Damage, DamageKind, MAX_DAMAGES};
use crate::storage::{File, Open};

use super::log_files::LogFiles;

/// What was known before a segment is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    /// The last event before the segment.
    pub floor: u64,
    /// The log has ended: an open segment holds nothing that counts.
    pub ended: bool,
    /// The log was not shut down, and its active directory is there.
    pub in_memory: bool,
}

/// A look at one segment.
#[derive(Debug, Default)]
pub struct Looked {
    /// Events, blocks and bytes; of two files the hot one's.
    pub seen: Seen,
    /// There is a hot file.
    pub hot: bool,
    /// There is a cold file.
    pub cold: bool,
    /// The hot file is not closed.
    pub open: bool,
    /// The log ends in it.
    pub ends: bool,
    /// The last event, or the last that is known to be lost.
    pub last_event_id: u64,
    /// How many things are wrong.
    pub damage_count: u64,
    /// The first of them.
    pub damages: Vec<Damage>,
}

impl Looked {
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

    /// Whether both found the same.
    pub fn agrees_with(&self, other: &Looked) -> bool {
        self.damage_count == other.damage_count && self.damages == other.damages
    }
}

/// Looks at a segment. `None` when it has no file.
pub fn look(files: &LogFiles, index: u32, before: Before) -> Option<Looked> {
    let hot_name = file_name::hot(index);
    let cold_name = file_name::cold(index);
    let hot = files.wal.open(&hot_name, Open::Read);
    let cold = files.wal.open(&cold_name, Open::Read);
    if let (Ok(None), Ok(None)) = (&hot, &cold) {
        return None;
    }
    let mut looked = Looked { last_event_id: before.floor, ..Looked::default() };
    let hot =
        hot.and_then(|file| file.map(|file| look_at_hot(files, index, file, before)).transpose());
    let mut hot_header = None;
    match hot {
        Ok(None) => {}
        Ok(Some((found, header))) => (looked, hot_header) = (found, Some(header)),
        Err(error) => looked.add(unreadable(files, index, &hot_name, error)),
    }
    let cold =
        cold.and_then(|file| file.map(|file| look_at_cold(files, index, file, before)).transpose());
    match cold {
        Ok(None) => {}
        Ok(Some((found, header))) => {
            looked.cold = true;
            if looked.seen.events == 0 {
                looked.seen = found.seen;
            }
            found.damages.into_iter().for_each(|damage| looked.add(damage));
            looked.last_event_id = looked.last_event_id.max(found.last_event_id);
            // Both were checked against their headers, which hold the checksum of all events.
            let closed = hot_header.is_some_and(|h| h.is_some_and(|h| h.is_closed()));
            if hot_header.is_some_and(|hot| closed && header.is_some() && hot != header) {
                let path = files.wal.path_of(&cold_name);
                let what = "holds something else than the hot file";
                let damage = Damage::of_file(DamageKind::Twins, &path, what);
                looked.add(Damage { segment_index: Some(index), ..damage });
            }
        }
        Err(error) => looked.add(unreadable(files, index, &cold_name, error)),
    }
    Some(looked)
}

fn unreadable(files: &LogFiles, index: u32, name: &str, error: Error) -> Damage {
    let path = files.wal.path_of(name);
    let damage = Damage::of_file(DamageKind::Unreadable, &path, "cannot be read");
    Damage { segment_index: Some(index), error: Some(error), ..damage }
}

type Found = (Looked, Option<SegmentHeader>);

fn look_at_hot(files: &LogFiles, index: u32, file: Arc<dyn File>, before: Before) -> Result<Found> {
    let mut looked = Looked { hot: true, last_event_id: before.floor, ..Looked::default() };
    // As long as it is held the writer makes no other segment of it.
    file.try_lock_shared()?;
    let read = read_header(&*file);
    let header = read.as_ref().map_or(None, |header| *header);
    looked.open = !files.counts_as_closed(index, &*file, header);
    if looked.open && before.ended {
        return Ok((looked, header));
    }
    let mut walk = files.salvage_hot(index, Arc::clone(&file), read, before.floor)?;
    if looked.open {
        look_at_open(files, index, &mut walk, before, &mut looked)?;
    } else {
        while step(&mut walk, &mut looked, &mut Vec::new())? == Step::Block {}
    }
    finish(&walk, &mut looked);
    Ok((looked, header))
}

fn look_at_cold(
    files: &LogFiles,
    index: u32,
    file: Arc<dyn File>,
    before: Before,
) -> Result<Found> {
    let mut looked = Looked { last_event_id: before.floor, ..Looked::default() };
    let mut walk = files.salvage_cold(index, file, before.floor)?;
    let header = walk.header();
    while step(&mut walk, &mut looked, &mut Vec::new())? == Step::Block {}
    finish(&walk, &mut looked);
    Ok((looked, header))
}

/// One step; its events replace those before.
fn step(walk: &mut Cursor, looked: &mut Looked, events: &mut Vec<RequestEvent>) -> Result<Step> {
    events.clear();
    let step = walk.step(0, events)?;
    while let Some(damage) = walk.take_damage() {
        looked.add(damage);
    }
    Ok(step)
}

fn finish(walk: &Cursor, looked: &mut Looked) {
    let seen = walk.seen();
    looked.seen.blocks += seen.blocks;
    looked.seen.events += seen.events;
    looked.seen.bytes += seen.bytes;
    if looked.seen.first_event_id == 0 || seen.first_event_id != 0 {
        looked.seen.first_event_id = seen.first_event_id;
    }
    looked.last_event_id = looked.last_event_id.max(walk.last_event_id());
}

/// An open segment: what is on disk by itself, and then that the active directory has the same, and
/// more.
fn look_at_open(
    files: &LogFiles,
    index: u32,
    disk: &mut Cursor,
    before: Before,
    looked: &mut Looked,
) -> Result<()> {
    let identity = load_identity(&*files.wal)?;
    let mut memory = None;
    if before.in_memory {
        memory = open_memory(files, index, &identity, before, looked)?;
    }
    let (mut on_disk, mut in_memory) = (Vec::new(), Vec::new());
    let (mut contradicts, mut more) = (false, Seen::default());
    let end = loop {
        match step(disk, looked, &mut on_disk)? {
            Step::Block => {}
            end => break end,
        }
        if let Some(memory) = &mut memory {
            in_memory.clear();
            memory.step(0, &mut in_memory)?;
            contradicts |= !in_memory.starts_with(&on_disk);
            add_events(&mut more, in_memory.get(on_disk.len()..).unwrap_or_default());
        }
    };
    looked.ends = end == Step::End;
    let active = |what: &str| {
        let damage = Damage::of_file(DamageKind::Active, &files.path_of(index), what);
        Damage { segment_index: Some(index), ..damage }
    };
    if contradicts {
        looked.add(active("the active directory has other events"));
    }
    let Some(mut memory) = memory else {
        let unclean = matches!(&identity, Identity::Known(record) if !record.clean);
        let missed = before.in_memory && unclean && looked.ends && !disk.is_full();
        // Shut down while we looked?
        if missed && load_identity(&*files.wal)? == identity {
            looked.add(active("is not in the active directory, though the log ends in it"));
        }
        return Ok(());
    };
    let end = loop {
        in_memory.clear();
        match memory.step(0, &mut in_memory)? {
            Step::Block => add_events(&mut more, &in_memory),
            end => break end,
        }
    };
    looked.seen = more;
    looked.ends = end == Step::End;
    looked.last_event_id = looked.last_event_id.max(memory.last_event_id());
    Ok(())
}

/// Counts events that only the active directory has.
fn add_events(more: &mut Seen, events: &[RequestEvent]) {
    if let (0, Some(first)) = (more.events, events.first()) {
        more.first_event_id = first.event_id;
    }
    more.events += events.len() as u64;
}

/// The segment's file in the active directory. That this user may not read it is no damage.
fn open_memory(
    files: &LogFiles,
    index: u32,
    identity: &Identity,
    before: Before,
    looked: &mut Looked,
) -> Result<Option<Cursor>> {
    match files.active_file(identity, index) {
        Ok(Some(file)) => Ok(Some(Cursor::memory(files.site(index), file, before.floor)?)),
        Ok(None) => Ok(None),
        Err(error) if error.cause() == Some(Cause::Permission) => Ok(None),
        Err(error) => {
            let damage = unreadable(files, index, &file_name::hot(index), error);
            looked.add(Damage { what: "cannot be read in the active directory".into(), ..damage });
            Ok(None)
        }
    }
}
