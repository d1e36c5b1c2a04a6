//! Names of files: what has one while it is being made, and what is in the way of one.

use std::iter::once;
use std::sync::Arc;

use crate::error::{Cause, Error, Result};

use super::traits::{Directory, File, Open};

/// Replaces a small file. After a power cut either the old or the new one is there; once this has
/// returned, the new one.
pub fn replace_small(directory: &dyn Directory, name: &str, bytes: &[u8]) -> Result<()> {
    put_in_place(directory, name, bytes)?;
    directory.sync()
}

/// The same without syncing the directory: until that is done, a power cut may bring the old file
/// back.
pub fn put_in_place(directory: &dyn Directory, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.tmp");
    let attempt = || {
        let file = create_temporary(directory, &temporary)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        rename_if_there(directory, &temporary, name)
    };
    let mut is_there = attempt();
    while let Ok(false) = is_there {
        is_there = attempt();
    }
    is_there.map(|_| ()).inspect_err(|_| {
        let _ = directory.remove(&temporary);
    })
}

/// Renames a file, replacing a file that has the new name. `false` when somebody has removed it, as
/// jobs do that clean up temporary files: what was being made is then to be made again. A directory
/// that has the new name is kept aside.
pub fn rename_if_there(directory: &dyn Directory, from: &str, to: &str) -> Result<bool> {
    let mut renamed = directory.rename(from, to);
    if renamed.as_ref().is_err_and(|error| error.errno() == libc::EISDIR) {
        move_aside(directory, to)?;
        renamed = directory.rename(from, to);
    }
    match renamed {
        Err(error) if error.errno() == libc::ENOENT => Ok(false),
        renamed => renamed.map(|()| true),
    }
}

/// Makes a new file: an error if the name is taken.
pub fn create(directory: &dyn Directory, name: &str) -> Result<Arc<dyn File>> {
    directory.open(name, Open::Create)?.ok_or_else(|| {
        let message =
            format!("create {}: the directory is gone", directory.path_of(name).display());
        Error::new(Cause::Io, message)
    })
}

/// Makes a new file under a temporary name, whatever has been left there.
pub fn create_temporary(directory: &dyn Directory, name: &str) -> Result<Arc<dyn File>> {
    clear_temporary(directory, name)?;
    create(directory, name)
}

/// Removes the file that was left under a temporary name. A directory is not ours to remove: it is
/// kept aside, and its new name returned.
pub fn clear_temporary(directory: &dyn Directory, name: &str) -> Result<Option<String>> {
    match directory.remove(name) {
        Err(error) if error.errno() == libc::EISDIR => move_aside(directory, name).map(Some),
        removed => removed.map(|_| None),
    }
}

/// Renames a file so that it is kept and nothing reads it, to be made durable by the caller.
/// Returns the name.
pub fn move_aside(wal: &dyn Directory, name: &str) -> Result<String> {
    let aside = free_name(wal, name)?;
    wal.rename(name, &aside)?;
    Ok(aside)
}

/// The first name for a file kept aside that is not taken.
pub fn free_name(wal: &dyn Directory, name: &str) -> Result<String> {
    let base = format!("{name}.corrupt");
    let taken = wal.list()?;
    let mut names = once(base.clone()).chain((1_u32..).map(|n| format!("{base}.{n}")));
    names
        .find(|name| !taken.contains(name))
        .ok_or_else(|| Error::new(Cause::NoSpace, format!("{base}: every name is taken")))
}
