//! Files kept aside: renamed to names that nothing reads and nothing deletes.

use std::iter::once;

use crate::error::{Cause, Error, Result};
use crate::storage::Directory;

/// Renames a file of the log so that it is kept, and is not of the log any more. Returns the name.
pub fn rename_aside(wal: &dyn Directory, name: &str) -> Result<String> {
    let aside = move_aside(wal, name)?;
    wal.sync()?;
    Ok(aside)
}

/// The same, to be made durable by the caller.
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
