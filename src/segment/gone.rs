//! Segments that are in memory, and whose file on disk is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::directory::Inventory;
use crate::error::Result;
use crate::format::file_name;
use crate::storage::{Directory, File, Open};

use super::file::first_slot;

/// Segments of which memory has everything, and the disk nothing any more: somebody has removed the
/// file. Not those that retention may have taken, whose memory only waits to be used again: behind
/// them there are others with events.
pub fn gone_from_disk(
    wal: &dyn Directory,
    inventory: &Inventory,
    active: &BTreeMap<u32, Arc<dyn File>>,
) -> Result<Vec<u32>> {
    let mut gone = Vec::new();
    for index in not_on_disk(inventory, active)? {
        if !is_used_behind(wal, inventory, index)? {
            gone.push(index);
        }
    }
    Ok(gone)
}

/// Segments with events in memory of which there is no file on disk.
pub fn not_on_disk(
    inventory: &Inventory,
    active: &BTreeMap<u32, Arc<dyn File>>,
) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    let there = inventory.indexes();
    for (&index, file) in active {
        if !there.contains(&index) && first_slot(&**file)? != 0 {
            found.push(index);
        }
    }
    Ok(found)
}

/// Whether a segment behind this one has events on disk.
fn is_used_behind(wal: &dyn Directory, inventory: &Inventory, index: u32) -> Result<bool> {
    for &later in inventory.hot.range(index..) {
        // One that has gone since it was listed was used, and retention has taken it.
        let file = wal.open(&file_name::hot(later), Open::Read)?;
        if file.map_or(Ok(1), |file| first_slot(&*file))? != 0 {
            return Ok(true);
        }
    }
    Ok(inventory.cold.range(index..).next().is_some())
}
