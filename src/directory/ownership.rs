//! Who has a directory open for writing (G9).
//!
//! What counts is the lock on the directory itself, its inode: names in it can be removed, replaced
//! and copied. `wal_lock` is locked as well. It tells whose the log is, it keeps out versions
//! of the library that know nothing else, and it alone counts where a directory cannot be locked.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::storage::{Directory, DirectoryLock, File, Open};

/// How long to wait for somebody who has locked the directory but not `wal_lock`: an engine between
/// the two, or another program, which anybody who may read the directory can start.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait for what is only held for a moment: `wal_lock` by another process that looks
/// whether it is locked, anything by a program that a killed process was just starting.
const MOMENT: Duration = Duration::from_millis(50);

const PAUSE: Duration = Duration::from_millis(5);

/// The right to write to a log, until dropped.
#[derive(Debug)]
pub struct Ownership {
    directories: Vec<Arc<dyn Directory>>,
    lock_file: Arc<dyn File>,
    note: Option<String>,
}

impl Ownership {
    /// Takes it, or fails with [`Cause::Locked`], naming the owner.
    pub fn take(wal: &Arc<dyn Directory>) -> Result<Self> {
        let locked = lock_directory(&**wal)?;
        let lock_file = lock_file(&**wal).inspect_err(|_| wal.unlock())?;
        let note = (locked == DirectoryLock::Unsupported).then(|| {
            let path = wal.path().display();
            format!("{path}: this filesystem cannot lock a directory: wal_lock alone is locked")
        });
        Ok(Ownership { directories: vec![Arc::clone(wal)], lock_file, note })
    }

    /// What is to be told about it.
    pub fn note(&self) -> Option<&String> {
        self.note.as_ref()
    }

    /// Gives the lock of this directory, too, back in the end.
    pub fn include(&mut self, directory: &Arc<dyn Directory>) {
        self.directories.push(Arc::clone(directory));
    }
}

impl Drop for Ownership {
    /// Closing the descriptors would not do: a process that is being spawned has them too, until
    /// it executes its program.
    fn drop(&mut self) {
        let _ = self.lock_file.unlock();
        for directory in self.directories.iter().rev() {
            directory.unlock();
        }
    }
}

/// Locks an active directory, or fails with [`Cause::Locked`]: its writer lives.
pub fn own_active(active: &dyn Directory) -> Result<()> {
    retry_for(MOMENT, || match active.try_lock()? {
        DirectoryLock::Held => Ok(None),
        DirectoryLock::Taken | DirectoryLock::Unsupported => Ok(Some(())),
    })?
    .ok_or_else(|| {
        let message = format!(
            "{}: the log's active directory is open for writing in {}",
            active.path().display(),
            process(active.lock_owner())
        );
        Error::new(Cause::Locked, message)
    })
}

/// Locks the WAL directory itself. Whoever holds `wal_lock` too is at work, and not waited for.
fn lock_directory(wal: &dyn Directory) -> Result<DirectoryLock> {
    let locked = retry_for(PATIENCE, || match wal.try_lock()? {
        DirectoryLock::Held => {
            refuse_if_lock_file_is_held(wal)?;
            Ok(None)
        }
        locked => Ok(Some(locked)),
    })?;
    locked.ok_or_else(|| {
        let message = format!(
            "{}: the directory is locked, and its wal_lock is not, by {}",
            wal.path().display(),
            process(wal.lock_owner())
        );
        Error::new(Cause::Locked, message)
    })
}

/// Locks `wal_lock`, and writes this process's id into it.
fn lock_file(wal: &dyn Directory) -> Result<Arc<dyn File>> {
    let locked = retry_for(MOMENT, || match wal.lock(file_name::LOCK) {
        Err(error) if error.cause() == Some(Cause::Locked) => Ok(None),
        locked => locked.map(Some),
    })?;
    // Once more, for the owner's name.
    locked.map_or_else(|| wal.lock(file_name::LOCK), Ok)
}

/// [`Cause::Locked`] if somebody holds `wal_lock`. Makes no file.
fn refuse_if_lock_file_is_held(wal: &dyn Directory) -> Result<()> {
    if !is_open_for_writing(wal)? {
        return Ok(());
    }
    // Names the owner. If it was given up meanwhile, we hold it a moment, and the file names us.
    wal.lock(file_name::LOCK)?.unlock()
}

/// Whether a writer has the log open, as far as `wal_lock` tells.
pub fn is_open_for_writing(wal: &dyn Directory) -> Result<bool> {
    let Some(file) = wal.open(file_name::LOCK, Open::Read)? else { return Ok(false) };
    let is_free = file.try_lock_shared()?;
    if is_free {
        file.unlock()?;
    }
    Ok(!is_free)
}

/// Tries again until there is a result, or it has paused for this long in all. The clock does not
/// count: it goes on while the whole machine is stopped, and nobody can give a lock back.
fn retry_for<T>(
    time: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    for _ in 0..time.as_millis() / PAUSE.as_millis() {
        let result = attempt()?;
        if result.is_some() {
            return Ok(result);
        }
        std::thread::sleep(PAUSE);
    }
    attempt()
}

fn process(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "a process that this system does not name".to_owned(),
    }
}
