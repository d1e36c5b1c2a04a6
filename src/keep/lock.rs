//! The lock between those who publish a hold or a snapshot and retention, which deletes.
//!
//! Who publishes has it while it publishes and looks at what is left; retention, from reading what
//! there is until the name of what it deletes is gone. So either retention sees what was published,
//! or who publishes sees what was deleted. It is a file that only the log's own user may open.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::storage::{Directory, File};

/// Retention has it for the time of one deletion, and so has somebody else who publishes.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The lock, until dropped.
#[derive(Debug)]
pub struct HoldsLock(Arc<dyn File>);

impl HoldsLock {
    /// Takes it, unless somebody else has it: then why not.
    pub fn try_take(holds: &dyn Directory) -> Result<Self> {
        holds.lock(file_name::HOLDS_LOCK).map(HoldsLock)
    }

    /// Waits for it. Fails with [`Cause::Locked`] after ten seconds.
    pub(super) fn take(holds: &dyn Directory) -> Result<Self> {
        let (mut waited, mut pause) = (Duration::ZERO, SHORTEST_PAUSE);
        loop {
            match Self::try_take(holds) {
                Err(error) if error.cause() == Some(Cause::Locked) => {
                    if waited >= PATIENCE {
                        return Err(Error::new(Cause::Locked, format!("{error}; try again")));
                    }
                }
                taken => return taken,
            }
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether the name still leads to what is locked. A job that cleans up may have removed it,
    /// and then somebody else can have another one locked.
    pub(super) fn is_in_place(&self, holds: &dyn Directory) -> Result<bool> {
        let now = holds.status_of(file_name::HOLDS_LOCK)?;
        Ok(now.map(|status| status.inode) == Some(self.0.inode()?))
    }
}

impl Drop for HoldsLock {
    /// Closing it would not do: a process that is being spawned has the descriptor too, until it
    /// executes its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
