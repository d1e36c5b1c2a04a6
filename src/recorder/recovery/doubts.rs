//! What contradicts the rest of a log, and can be known for little: files of an older state, of a
//! copy that was made while the log was written, or cut short.

use std::path::Path;

use crate::directory::{newer_generations, Inventory};
use crate::error::{Place, Result};
use crate::format::{file_name, Layout, MetaState, Rule, MAX_FRAME_HEADER_SIZE};
use crate::segment::{closed, closed_header, cold_header, events_above, scan_segment};
use crate::storage::{Directory, Open, Storage};

use super::origin::OriginSurvey;
use super::table::Break;
use super::tail::oldest;
use super::walk::{ActiveBeyond, TailSegment, Walk};

/// What files of different moments would contradict: a backup that was copied over a log, or a copy
/// of a log that was written meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Doubts {
    /// The end of a log that was shut down. Nothing follows it.
    pub shut_down_at: Option<MetaState>,
    /// The directory is a copy, or may be one.
    pub is_copy: bool,
}

impl Doubts {
    /// The segment from which on nothing counts, the one to name, and why.
    pub fn first(
        self,
        wal: &dyn Directory,
        inventory: &Inventory,
        tail: &[TailSegment],
    ) -> Result<Option<(u32, u32, Break)>> {
        if let Some(end) = self.shut_down_at {
            let later = |index: &&u32| **index > end.last_segment_index;
            for &index in inventory.hot.iter().filter(later) {
                let Some(segment) = TailSegment::open(wal, index)? else { continue };
                if events_above(&*segment.disk, end.last_event_id)? > 0 {
                    return Ok(Some((index, index, Break::BeyondShutdown)));
                }
            }
            for &index in inventory.cold.iter().filter(later) {
                let header = cold_header(wal, index)?;
                if header.is_some_and(|header| header.first_event_id > end.last_event_id) {
                    return Ok(Some((index, index, Break::BeyondShutdown)));
                }
            }
        }
        if self.is_copy {
            let last = oldest(tail, inventory);
            for &index in inventory.hot.range(..last) {
                let Some(mut segment) = TailSegment::open(wal, index)? else { continue };
                if closed(segment.header, index).is_some() || segment.is_renamed() {
                    continue;
                }
                segment.end = scan_segment(&*segment.disk, Rule::Memory, 0)?;
                if segment.end.event_count < segment.layout.capacity() {
                    return Ok(Some((index.saturating_add(1), index, Break::Unclosed)));
                }
            }
        }
        Ok(None)
    }
}

/// A log of which there is no memory that counts has none of later generations either. Where there
/// is, its identity is of an older state than that.
pub fn find_newer(
    storage: &dyn Storage,
    wal: &dyn Directory,
    origin: &OriginSurvey,
    active_parent: &Path,
    log: &mut Walk,
) -> Result<()> {
    let Some(identity) = &origin.identity else { return Ok(()) };
    for active in newer_generations(storage, identity, &wal.status()?, active_parent)? {
        for index in Inventory::of(&*active)?.hot {
            let Some(file) = active.open(&file_name::hot(index), Open::Read)? else { continue };
            let events = events_above(&*file, log.last_event_id)?;
            if events == 0 {
                continue;
            }
            // What is refused already says so.
            if !origin.row.then.is_refused() {
                log.at = Break::BeyondShutdown;
                log.place = Place { segment_index: Some(index), ..Place::default() };
                log.events_beyond += u64::from(events);
            }
            log.notes.push(format!("newer events are in {}", active.path().display()));
            log.active_beyond.push(ActiveBeyond { index, file, events });
        }
        log.later_active.push(active);
    }
    Ok(())
}

/// Notes about segments before the tail that are shorter than what they must hold. Looks at their
/// sizes; the header of a hot one is read only if its size is unusual: not of whole blocks, or not
/// that of the segment before. Links have been noted already.
pub fn doubt_sizes(wal: &dyn Directory, log: &Walk, links: &[String]) -> Result<Vec<String>> {
    let (mut notes, mut usual) = (Vec::new(), 0);
    for index in log.inventory.indexes().range(..oldest(&log.tail, &log.inventory)) {
        let is_cold = log.inventory.cold.contains(index);
        let name = file_name::of(*index, is_cold);
        if links.contains(&name) {
            continue;
        }
        // What cannot be looked at is not judged.
        let Ok(Some(status)) = wal.status_of(&name) else { continue };
        let size = status.size;
        let is_cut = if is_cold {
            size < MAX_FRAME_HEADER_SIZE as u64
        } else {
            let layout = Layout::of_file(size);
            let is_usual = size == std::mem::replace(&mut usual, size) && layout.is_exact(size);
            !is_usual && !holds_all(wal, *index, layout)
        };
        if is_cut {
            notes.push(format!("cut-short: {name}: {size} bytes"));
        }
    }
    Ok(notes)
}

/// Whether there is room for what the header of a hot segment counts. What cannot be read is not
/// judged.
fn holds_all(wal: &dyn Directory, index: u32, layout: Layout) -> bool {
    match closed_header(wal, index, true) {
        Ok(Some(header)) => header.block_count <= layout.blocks,
        Ok(None) => layout.blocks > 0,
        Err(_) => true,
    }
}
