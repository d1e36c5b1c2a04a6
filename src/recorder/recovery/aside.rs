//! Recovery keeps aside what does not belong to the log: whole files, synced, under names that
//! nothing ever reads or deletes. Only then may anything be cleared. What it writes to is the log's
//! own file.

use std::sync::Arc;

use crate::directory::rename_aside;
use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::segment::{cold_header, events_above};
use crate::storage::{create_temporary, free_name, Directory, File, Open};

use super::recovered::Recovered;
use super::scan::Survey;
use super::table::Pair;
use super::walk::TailSegment;

const COPY_SIZE: usize = 1024 * 1024;

/// Removes the hot file of each pair whose cold one stays, and keeps the cold ones that do not stay
/// aside.
pub fn settle_pairs(wal: &dyn Directory, survey: &Survey) -> Result<()> {
    for pair in &survey.pairs {
        match pair.row.then {
            Pair::Cold => drop(wal.remove(&file_name::hot(pair.index))?),
            Pair::Hot => drop(rename_aside(wal, &file_name::cold(pair.index))?),
            Pair::ColdAlone => drop(rename_aside(wal, &file_name::hot(pair.index))?),
        }
        wal.sync()?;
    }
    Ok(())
}

/// Keeps aside every file that holds events behind the end of the log. A file of which nothing
/// stays is renamed, the newest first: killed in between, we leave no gap. The others are copied.
pub fn keep_aside(wal: &dyn Directory, survey: &Survey, recovered: &mut Recovered) -> Result<()> {
    for segment in survey.log.tail.iter().rev() {
        if segment.is_gone && segment.end.event_count == 0 {
            // What memory has of it is copied below.
            recovered.inventory.hot.remove(&segment.index);
        } else if segment.beyond > 0 && segment.end.event_count == 0 {
            // Its content may never have been synced.
            segment.disk.sync()?;
            let name = rename_aside(wal, &file_name::hot(segment.index))?;
            recovered.inventory.hot.remove(&segment.index);
            note(recovered, segment.beyond, &name);
        }
    }
    cut_whole_segments(wal, survey, recovered)?;
    for segment in &survey.log.tail {
        if segment.is_copied_aside(survey.loss_accepted())? {
            let name = copy_aside(wal, &*segment.disk, segment.index)?;
            note(recovered, segment.beyond.max(segment.differing), &name);
        }
    }
    for active in &survey.log.active_beyond {
        let name = copy_aside(wal, &*active.file, active.index)?;
        note(recovered, active.events, &name);
    }
    Ok(())
}

/// How many events [`keep_aside`] would keep aside.
pub fn events_to_keep_aside(wal: &dyn Directory, survey: &Survey) -> Result<u64> {
    let mut events = 0;
    for segment in &survey.log.tail {
        if segment.end.event_count == 0 && !segment.is_gone {
            events += u64::from(segment.beyond);
        } else if segment.is_copied_aside(survey.loss_accepted())? {
            events += u64::from(segment.beyond.max(segment.differing));
        }
    }
    for index in survey.log.cut.indexes() {
        events += u64::from(events_in_cut(wal, survey, index)?);
    }
    let active = survey.log.active_beyond.iter().map(|active| u64::from(active.events));
    Ok(events + active.sum::<u64>())
}

/// Segments behind a break that lies before the tail.
fn cut_whole_segments(
    wal: &dyn Directory,
    survey: &Survey,
    recovered: &mut Recovered,
) -> Result<()> {
    let cut = &survey.log.cut;
    if cut.is_empty() {
        return Ok(());
    }
    for index in cut.indexes().into_iter().rev() {
        let hot = cut.hot.contains(&index);
        let name = file_name::of(index, !hot);
        debug_assert!(!survey.log.inventory.indexes().contains(&index));
        let events = events_in_cut(wal, survey, index)?;
        if hot && events == 0 {
            // Prepared and never used.
            wal.remove(&name)?;
            continue;
        }
        if let Some(file) = wal.open(&name, Open::Write)?.filter(|_| hot) {
            // Its content may never have been synced.
            file.sync()?;
        }
        let name = rename_aside(wal, &name)?;
        note(recovered, events, &name);
    }
    wal.sync()
}

/// Events of a segment behind the break that are not of the log.
pub fn events_in_cut(wal: &dyn Directory, survey: &Survey, index: u32) -> Result<u32> {
    if survey.log.cut.hot.contains(&index) {
        let Some(segment) = TailSegment::open(wal, index)? else { return Ok(0) };
        let above = events_above(&*segment.disk, survey.log.last_event_id)?;
        return Ok(above.max(segment.displaced()?));
    }
    Ok(cold_header(wal, index)?.map_or(0, |header| header.event_count))
}

fn note(recovered: &mut Recovered, events: u32, name: &str) {
    debug_assert!(file_name::parse(name).is_none(), "{name} is kept aside");
    recovered.kept_aside += u64::from(events);
    recovered.notes.push(format!("{events} events kept aside in {name}"));
}

/// Gives each segment that is written to a file of its own: where its file is gone, out of memory;
/// where that has another name besides, a copy, since a snapshot made of hard links would change
/// with it.
pub fn make_own(wal: &dyn Directory, survey: &mut Survey) -> Result<()> {
    let used = survey.log.tail.iter_mut().filter(|segment| segment.end.event_count > 0);
    for segment in used.chain(&mut survey.middle) {
        let name = file_name::hot(segment.index);
        let note = if segment.is_gone {
            format!("made again: {name}: it was gone, and memory has its events")
        } else if segment.disk.links()? > 1 {
            format!("copied: {name}: it has another name (a hard link)")
        } else {
            continue;
        };
        copy_as(wal, &*segment.disk, &name)?;
        segment.disk = open_hot(wal, segment.index)?;
        if segment.is_exact {
            // The log may go on in it.
            segment.disk.allocate(segment.layout.file_size())?;
        }
        survey.notes.push(note);
    }
    Ok(())
}

/// Opens the disk file of a segment, which must be there.
pub fn open_hot(wal: &dyn Directory, index: u32) -> Result<Arc<dyn File>> {
    let name = file_name::hot(index);
    wal.open(&name, Open::Write)?.ok_or_else(|| {
        let path = wal.path_of(&name);
        Error::new(Cause::Io, format!("{}: vanished during recovery", path.display()))
    })
}

/// Copies the whole file of a segment. Returns the copy's name.
fn copy_aside(wal: &dyn Directory, file: &dyn File, index: u32) -> Result<String> {
    let name = free_name(wal, &file_name::hot(index))?;
    copy_as(wal, file, &name)?;
    Ok(name)
}

/// Makes a copy of a file the one that has this name. Its holes stay holes.
fn copy_as(wal: &dyn Directory, file: &dyn File, name: &str) -> Result<()> {
    // Under a temporary name until it is whole: a power cut leaves no half copy under the real one.
    let temporary = file_name::temporary(name);
    let copy = create_temporary(wal, &temporary)?;
    let mut buffer = vec![0; COPY_SIZE];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut buffer, offset)?;
        if !is_zeros(&buffer[..read]) {
            copy.write_at(&buffer[..read], offset)?;
        }
        offset += read as u64;
        if read < buffer.len() {
            break;
        }
    }
    if copy.size()? < offset {
        copy.write_at(&[0], offset - 1)?;
    }
    copy.sync()?;
    wal.rename(&temporary, name)?;
    wal.sync()
}

/// Whether there is nothing in these bytes.
pub fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
