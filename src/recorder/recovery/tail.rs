//! The end of the log as files: the hot segments from the newest closed one on, and those that memory
//! stands for.

use crate::directory::Inventory;
use crate::error::Result;
use crate::format::file_name;
use crate::segment::{closed, first_slot};
use crate::storage::{Directory, Open};

use super::origin::ActiveFiles;
use super::walk::TailSegment;

/// Segments of which memory has everything, and the disk nothing any more: somebody has removed the
/// file. Not those that retention may have taken, whose memory only waits to be used again: older
/// segments would be gone too, and later ones have events.
pub fn gone_from_disk(
    wal: &dyn Directory,
    inventory: &Inventory,
    active: &ActiveFiles,
) -> Result<Vec<u32>> {
    let mut gone = Vec::new();
    for (&index, file) in &active.files {
        let there = inventory.indexes();
        if there.contains(&index) || first_slot(&**file)? == 0 {
            continue;
        }
        let follows = index
            .checked_sub(1)
            .is_some_and(|before| there.contains(&before) || gone.contains(&before));
        if follows || !is_used_behind(wal, inventory, index)? {
            gone.push(index);
        }
    }
    Ok(gone)
}

/// Whether a segment behind this one has events on disk.
fn is_used_behind(wal: &dyn Directory, inventory: &Inventory, index: u32) -> Result<bool> {
    for &later in inventory.hot.range(index..) {
        let file = wal.open(&file_name::hot(later), Open::Read)?;
        if file.map_or(Ok(0), |file| first_slot(&*file))? != 0 {
            return Ok(true);
        }
    }
    Ok(inventory.cold.range(index..).next().is_some())
}

/// Opens the hot segments from the newest closed one on, and reads their headers. A cold one was
/// closed, so the hot ones before it are not part of the tail.
pub fn open_tail(
    wal: &dyn Directory,
    inventory: &Inventory,
    active: Option<&ActiveFiles>,
) -> Result<Vec<TailSegment>> {
    let mut tail = Vec::new();
    let after_cold = inventory.cold.last().map_or(0, |last| last.saturating_add(1));
    for &index in inventory.hot.range(after_cold..).rev() {
        let memory = active.and_then(|active| active.files.get(&index));
        let segment = match (TailSegment::open(wal, index)?, memory) {
            (Some(segment), _) => segment,
            (None, Some(memory)) => TailSegment::of_memory(index, memory)?,
            (None, None) => continue,
        };
        let is_closed = closed(segment.header, index).is_some();
        tail.push(segment);
        if is_closed {
            break;
        }
    }
    tail.reverse();
    debug_assert!(tail.is_sorted_by(|a, b| a.index < b.index), "the indexes of the tail rise");
    Ok(tail)
}

/// Where the tail begins; without one, past every index.
pub fn oldest(tail: &[TailSegment], inventory: &Inventory) -> u32 {
    let past = || inventory.indexes().last().map_or(0, |last| last.saturating_add(1));
    tail.first().map_or_else(past, |first| first.index)
}
