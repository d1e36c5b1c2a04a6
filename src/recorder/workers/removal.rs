//! Removes the files of segments, or puts them by for reuse.

use crate::error::Result;
use crate::format::{file_name, Layout};
use crate::recorder::log::Log;
use crate::recorder::segment::SpareFile;
use crate::storage::{FileStatus, Open};

/// Removes a hot file that is not needed any more, or renames it if it may and can be reused.
pub fn remove_hot(log: &Log, index: u32, may_reuse: bool) -> Result<Option<SpareFile>> {
    let name = file_name::hot(index);
    let spare = if may_reuse { reusable(log, &name)? } else { None };
    match &spare {
        Some(spare) => log.wal.rename(&name, &spare.name)?,
        None => drop(log.wal.remove(&name)?),
    }
    Ok(spare)
}

/// Makes the removal durable, and only then offers the file for reuse: after a power cut the old
/// name must not lead to new content.
pub fn make_removal_durable(log: &Log, spare: Option<SpareFile>) -> Result<()> {
    log.sync_names()?;
    if let Some(spare) = spare {
        if let Err(spare) = log.queues.spare_files.push(spare) {
            // If it stays, the next open removes it.
            let _ = log.wal.remove(&spare.name);
        }
    }
    Ok(())
}

/// The file, locked for reuse, if it has the right size, no other name, and no reader.
fn reusable(log: &Log, name: &str) -> Result<Option<SpareFile>> {
    if log.queues.spare_files.is_full() {
        return Ok(None);
    }
    // A file that cannot be opened or locked can still be removed.
    let Ok(Some(file)) = log.wal.open(name, Open::Write) else { return Ok(None) };
    if !matches!(file.try_lock_exclusive(), Ok(true)) {
        return Ok(None);
    }
    // Another name is a snapshot's: whatever is written here would be written there.
    let size = Layout { blocks: log.config.num_blocks }.file_size();
    let alone = FileStatus { inode: file.inode()?, links: 1, size };
    let usable = log.wal.status_of(name)? == Some(alone);
    Ok(usable.then(|| SpareFile { name: file_name::temporary(name), file }))
}
