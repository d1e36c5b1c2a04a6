//! The end of the log as files: the hot segments from the newest closed one on, and those that
//! memory stands for.

use crate::directory::Inventory;
use crate::error::Result;
use crate::segment::closed;
use crate::storage::Directory;

use super::origin::ActiveFiles;
use super::walk::TailSegment;

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
