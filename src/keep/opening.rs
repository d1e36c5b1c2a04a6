//! What an open of the log for writing does with the holds and snapshots that it finds.

use std::sync::Arc;

use crate::directory::Inventory;
use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::storage::{clear_temporary, move_aside, Directory, Links, Storage};

use super::lock::HoldsLock;
use super::snapshot::clear_begun;

/// Opens the directory of the holds. Makes it, and the lock file in it, where they are missing.
pub fn prepare_holds(storage: &dyn Storage, wal: &dyn Directory) -> Result<Arc<dyn Directory>> {
    let path = wal.path_of(file_name::HOLDS);
    storage.ensure_directory(&path)?;
    let holds = storage.open_directory(&path, Links::Refuse)?.ok_or_else(|| {
        Error::new(Cause::Io, format!("{}: vanished as it was opened", path.display()))
    })?;
    match HoldsLock::try_take(&*holds) {
        // Then it is there.
        Err(error) if error.cause() == Some(Cause::Locked) => {}
        taken => drop(taken?),
    }
    Ok(holds)
}

/// Settles what an earlier run left. The log ends at the event `end` (`None` = it is new):
/// snapshots of events behind that are kept aside. Those were taken back, or an older copy of the
/// log was put in its place. In a copy the holds are broken: their owners do not know
/// this log. What was being written is removed. Returns what is to be told.
pub fn settle(
    wal: &dyn Directory,
    holds: &dyn Directory,
    end: Option<u64>,
    is_copy: bool,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let inventory = Inventory::of(wal)?;
    for event_id in inventory.begun_snapshots {
        let temporary = file_name::temporary(&file_name::snapshot(event_id));
        clear_begun(wal, &temporary)?;
    }
    let ahead = end.map_or(Default::default(), |last| {
        inventory.snapshots.into_iter().filter(|id| *id > last).collect::<Vec<_>>()
    });
    for event_id in &ahead {
        let name = file_name::snapshot(*event_id);
        let aside = move_aside(wal, &name)?;
        notes.push(format!(
            "snapshot-cut: {name}: its events are not in the log: it is {aside} now"
        ));
    }
    if !ahead.is_empty() {
        wal.sync()?;
    }
    settle_holds(holds, is_copy, &mut notes)?;
    Ok(notes)
}

fn settle_holds(holds: &dyn Directory, is_copy: bool, notes: &mut Vec<String>) -> Result<()> {
    let mut broken = false;
    for name in holds.list()? {
        let temporary_of = name.strip_suffix(file_name::TEMPORARY_SUFFIX);
        if temporary_of.is_some_and(file_name::is_hold) {
            // Whoever makes one now has the lock.
            if let Ok(_lock) = HoldsLock::try_take(holds) {
                clear_temporary(holds, &name)?;
            }
        } else if is_copy && file_name::is_hold(&name) {
            let to = file_name::broken(&name);
            holds.rename(&name, &to)?;
            broken = true;
            notes.push(format!(
                "hold-of-copy: {}/{name}: its owner does not know this log: it is {to} now",
                file_name::HOLDS
            ));
        }
    }
    if broken {
        holds.sync()?;
    }
    Ok(())
}
