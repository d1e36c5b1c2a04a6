//! From one generation of a log to the next.
//!
//! An open is a shutdown, made up for, and then the open of a log that was shut down:
//!
//! 1. `apply` makes the WAL directory the whole log, durable, every segment closed.
//! 2. `wal_identity` becomes that of a clean shutdown. From here on the old active directory is
//!    worth nothing.
//! 3. The old active directory goes, and gives its memory back.
//! 4. The new active directory is made and filled.
//! 5. `wal_identity` becomes that of the new generation.
//! 6. The header of the last segment, if the log goes on in it, is opened again.
//!
//! Whatever ends an open in between, the next one finds a state that it knows anyway. Before 2 the
//! old identity stands, and nothing was removed that it needs: `apply` runs again. Between 2 and 5
//! the log was shut down; an active directory that is there is left over, and its name, or the path
//! in the identity, says whose it is. From 5 on this generation has crashed: its active directory
//! has all the events of the last segment, be that closed or open on disk, and a power cut finds
//! them on disk, sealed. Each step is synced before the next, so a power cut does not exchange any.

use std::path::Path;

use crate::directory::{remove_abandoned, remove_active, remove_leftovers};
use crate::error::Result;
use crate::format::{file_name, IdentityRecord};
use crate::storage::{replace_small, Directory, Storage};

use super::scan::Survey;
use super::table::Origin;

/// The identity of the log as a clean shutdown would have left it. Names the active directory it
/// was left with; a log with a new id has none yet.
pub fn closed_identity(
    storage: &dyn Storage,
    wal: &dyn Directory,
    survey: &Survey,
) -> Result<IdentityRecord> {
    let here = wal.status()?;
    let mut record = survey.origin.identity.clone().unwrap_or_default();
    if survey.needs_new_id() {
        let id = storage.random()?;
        match record.generation {
            0 => record.id = id,
            _ => record.rename(id),
        }
        // That active directory is another log's.
        record.active_path.clear();
    }
    if survey.is_cut() {
        record.add_cut(survey.cut());
    }
    Ok(IdentityRecord {
        wal_dev: here.dev,
        wal_ino: here.ino,
        boot_id: storage.boot_id()?,
        clean: true,
        wal_path: None,
        ..record
    })
}

/// Notes a cut in `wal_identity` before it is made, where the next open would not see again that
/// there was one to make. Where the log is taken from the disk alone it does.
pub fn announce_cut(wal: &dyn Directory, survey: &Survey) -> Result<()> {
    let known = survey.origin.identity.as_ref().filter(|_| {
        matches!(survey.origin.row.then, Origin::Memory | Origin::Clean) && survey.is_cut()
    });
    let Some(mut record) = known.cloned() else { return Ok(()) };
    record.add_cut(survey.cut());
    record.wal_path = None;
    replace_small(wal, file_name::IDENTITY, record.encode().as_bytes())
}

/// The identity of the generation that follows, with its active directory.
pub fn next_generation(closed: &IdentityRecord, active_path: &Path) -> IdentityRecord {
    IdentityRecord {
        generation: closed.generation.saturating_add(1),
        active_path: active_path.display().to_string(),
        clean: false,
        ..closed.clone()
    }
}

/// Records that the log is closed, which it must be, and removes the active directory it was left
/// with. In the end the record names the directory that `next` will have, or one beside it: if that
/// is left over, the next open looks there.
pub fn close_log(
    storage: &dyn Storage,
    wal: &dyn Directory,
    survey: Survey,
    closed: &IdentityRecord,
    next: &IdentityRecord,
) -> Result<()> {
    let save = |active_path: &str| {
        let record = IdentityRecord { active_path: active_path.to_owned(), ..closed.clone() };
        replace_small(wal, file_name::IDENTITY, record.encode().as_bytes())
    };
    let mut named = closed.active_path.as_str();
    if survey.origin.row.then != Origin::Clean {
        named = if named.is_empty() { &next.active_path } else { named };
        save(named)?;
    }
    let old = survey.origin.active.as_ref().map(|active| active.directory.clone());
    let later = survey.log.later_active.clone();
    // Its files are open: while they are, their memory stays in use.
    drop(survey);
    if let Some(old) = old {
        // If this fails, memory stays in use until the next open tries again.
        let _ = remove_active(storage, &*old);
    }
    later.iter().for_each(|later| remove_abandoned(storage, &**later));
    let beside = [named, &next.active_path].map(Path::new);
    remove_leftovers(storage, beside, closed, None);
    if beside[0].parent() != beside[1].parent() {
        save(&next.active_path)?;
    }
    Ok(())
}
