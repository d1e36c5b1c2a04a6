//! Files kept aside: renamed to names that nothing reads and nothing deletes.

use crate::error::Result;
use crate::storage::{move_aside, Directory};

/// Renames a file of the log so that it is kept, and is not of the log any more. Returns the name.
pub fn rename_aside(wal: &dyn Directory, name: &str) -> Result<String> {
    let aside = move_aside(wal, name)?;
    wal.sync()?;
    Ok(aside)
}
