//! The active directory: memory-backed, private to its owner, tied to one generation of one log.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::format::file_name::{self, FileName};
use crate::format::IdentityRecord;
use crate::storage::{put_in_place, Directory, DirectoryStatus, Links, Storage};

use super::filesystem::{check_filesystem, is_memory};
use super::inventory::{load_identity, Identity, Inventory};
use super::ownership::own_active;

const OTHERS_MAY_WRITE: u32 = 0o022;

/// Makes a new active directory where the configuration says, for the generation in `identity`.
/// Puts its path into the record, and a copy of the record into the directory. Fails if there is no
/// room for the whole active set. `announce` is called last, right before the directory is made.
pub fn create_active(
    storage: &dyn Storage,
    config: &Config,
    identity: &mut IdentityRecord,
    announce: impl FnOnce(&IdentityRecord) -> Result<()>,
) -> Result<Arc<dyn Directory>> {
    debug_assert!(identity.generation > 0, "0 is for a log without an active directory");
    let parent = config.active_parent.as_path();
    let Some(above) = storage.open_directory(parent, Links::Follow)? else {
        let message = format!("active_dir {}: there is no such directory", parent.display());
        return Err(Error::new(Cause::InvalidArgument, message));
    };
    check_filesystem(&*above, config.allow_any_filesystem)?;
    let status = above.status()?;
    let own = status.uid == storage.user() && status.mode & OTHERS_MAY_WRITE == 0;
    // Random, so that nobody can take the name first; with the log's id, so that we recognise our
    // directory even if we were killed while we made it.
    let path = parent.join(format!("{}{:032x}", name_prefix(identity), storage.random()?));
    // It becomes a line of `wal_identity`.
    let Some(text) = path.to_str().filter(|text| !text.contains(char::is_control)) else {
        let message = format!("active_dir {parent:?}: not UTF-8, or with control characters");
        return Err(Error::new(Cause::InvalidArgument, message));
    };
    identity.active_path = text.to_owned();
    check_room(config.active_set_size(), &status, parent)?;
    announce(identity)?;
    storage.create_directory(&path, if own { 0o750 } else { 0o700 })?;
    enter(storage, &path, identity).inspect_err(|_| {
        let _ = storage.remove_directory(&path);
    })
}

/// What the names of a log's active directories begin with.
fn name_prefix(identity: &IdentityRecord) -> String {
    format!("flashstrike-wal-{:032x}-", identity.id)
}

/// Opens a directory that was just made, locks it, and says in it whose it is. The lock tells
/// others that its writer lives.
fn enter(
    storage: &dyn Storage,
    path: &Path,
    identity: &IdentityRecord,
) -> Result<Arc<dyn Directory>> {
    let directory = open_private(storage, path, storage.user())?.ok_or_else(|| {
        let message = format!("active directory {} vanished as it was made", path.display());
        Error::new(Cause::Io, message)
    })?;
    own_active(&*directory)?;
    put_in_place(&*directory, file_name::IDENTITY, identity.encode().as_bytes())?;
    Ok(directory)
}

/// Fails, with the name of the configuration field, if the active set does not fit.
fn check_room(needed: u64, status: &DirectoryStatus, parent: &Path) -> Result<()> {
    if status.available >= needed {
        return Ok(());
    }
    let message = format!(
        "active_dir {}: the active set needs {needed} bytes, {} are free",
        parent.display(),
        status.available
    );
    Err(Error::with_errno(Cause::NoSpace, message, libc::ENOSPC))
}

/// The directory at the path that an identity names.
#[derive(Debug)]
pub enum ActiveDirectory {
    /// There is none.
    Gone,
    /// It is another log's or another generation's.
    Foreign,
    /// Its copy of the identity is missing or damaged.
    Unattributable,
    /// It is of the same log and generation.
    Ours(Arc<dyn Directory>),
}

/// Where a WAL directory is against the one its identity was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// This is it.
    Same,
    /// This is the same inode of another device: the volume was mounted again, or is a snapshot.
    OtherDevice,
    /// This is another one.
    Other,
}

impl Ground {
    /// The ground of the WAL directory `here`, by the identity in it.
    pub fn of(identity: &IdentityRecord, here: &DirectoryStatus) -> Self {
        match (identity.wal_dev == here.dev, identity.wal_ino == here.ino) {
            (true, true) => Ground::Same,
            (false, true) => Ground::OtherDevice,
            (_, false) => Ground::Other,
        }
    }
}

/// The active directory that may hold the newest events of the log in `wal`. `None` when it cannot:
/// the log was shut down, is a copy, or was left by an earlier boot.
///
/// Where the boot id cannot be read or is another, the directory itself decides: memory does not
/// outlive a boot, so if it is there, there was none. Sandboxes hide or change boot ids.
pub fn find_active(
    storage: &dyn Storage,
    wal: &dyn Directory,
    identity: &IdentityRecord,
) -> Result<Option<ActiveDirectory>> {
    let here = wal.status()?;
    if identity.clean || Ground::of(identity, &here) != Ground::Same {
        return Ok(None);
    }
    let boot_id = storage.boot_id();
    if boot_id.as_ref().is_ok_and(|boot_id| *boot_id == identity.boot_id) {
        return open_active(storage, identity, &here).map(Some);
    }
    let found = match open_active(storage, identity, &here) {
        // Whatever has the name after a reboot is not this log's.
        Err(_) if boot_id.is_ok() => return Ok(None),
        found => found?,
    };
    let counts = match &found {
        ActiveDirectory::Ours(directory) => is_memory(directory.status()?.filesystem),
        _ => false,
    };
    Ok(counts.then_some(found))
}

/// Opens the active directory that `identity` names. One that belongs neither to this user nor to
/// the owner of the WAL directory, or that others may write to, is an error.
pub fn open_active(
    storage: &dyn Storage,
    identity: &IdentityRecord,
    wal: &DirectoryStatus,
) -> Result<ActiveDirectory> {
    let path = Path::new(&identity.active_path);
    let Some(directory) = open_private(storage, path, wal.uid)? else {
        return Ok(ActiveDirectory::Gone);
    };
    let status = directory.status()?;
    if (status.dev, status.ino) == (wal.dev, wal.ino) {
        // The WAL directory itself: if it counted as the active one, it would be removed.
        return Ok(ActiveDirectory::Foreign);
    }
    Ok(match load_identity(&*directory)? {
        Identity::Known(copy)
            if (copy.id, copy.generation) == (identity.id, identity.generation) =>
        {
            ActiveDirectory::Ours(directory)
        }
        Identity::Known(_) => ActiveDirectory::Foreign,
        Identity::Missing | Identity::Unreadable => ActiveDirectory::Unattributable,
    })
}

/// Opens a directory if it is there; it must be this user's or the other owner's, and writable by
/// nobody else.
fn open_private(
    storage: &dyn Storage,
    path: &Path,
    other_owner: u32,
) -> Result<Option<Arc<dyn Directory>>> {
    let Some(directory) = storage.open_directory(path, Links::Refuse)? else { return Ok(None) };
    let status = directory.status()?;
    let is_owned = status.uid == storage.user() || status.uid == other_owner;
    if is_owned && status.mode & OTHERS_MAY_WRITE == 0 {
        return Ok(Some(directory));
    }
    let message = format!(
        "active directory {}: owner {} and mode {:o} do not keep others out",
        path.display(),
        status.uid,
        status.mode
    );
    Err(Error::new(Cause::Permission, message))
}

/// Removes an active directory and our files in it. If there are foreign files, they stay, and so
/// does the directory.
pub fn remove_active(storage: &dyn Storage, directory: &dyn Directory) -> Result<()> {
    for name in directory.list()? {
        if let Some(FileName::Hot(_) | FileName::Temporary) = file_name::parse(&name) {
            directory.remove(&name)?;
        }
    }
    // The identity goes last: without it nobody knows that the directory is ours.
    directory.remove(file_name::IDENTITY)?;
    storage.remove_directory(directory.path())
}

/// Removes what other opens of the same log left in `parent`, as far as that is possible: older
/// generations, and an open that was killed before it became this generation. Leftovers cost memory
/// and nothing else.
pub fn remove_older_generations(storage: &dyn Storage, parent: &Path, identity: &IdentityRecord) {
    let Ok(Some(above)) = storage.open_directory(parent, Links::Follow) else { return };
    for name in above.list().unwrap_or_default() {
        let path = parent.join(&name);
        let current = path.as_path() == Path::new(&identity.active_path);
        if current || !name.starts_with(&name_prefix(identity)) {
            continue;
        }
        let Ok(Some(directory)) = open_private(storage, &path, storage.user()) else { continue };
        // One whose writer lives, in another sandbox perhaps, is not left over.
        if own_active(&*directory).is_err() {
            continue;
        }
        let is_ours = match load_identity(&*directory) {
            Ok(Identity::Known(found)) => {
                found.id == identity.id && found.generation <= identity.generation
            }
            // Its making was cut short, before there was anything in it.
            Ok(Identity::Missing) => Inventory::of(&*directory).is_ok_and(|files| files.is_empty()),
            _ => false,
        };
        if is_ours {
            let _ = remove_active(storage, &*directory);
        }
    }
}
