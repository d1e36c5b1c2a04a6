//! The active directory: memory-backed, private to its owner, tied to one generation of one log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::format::file_name::{self, FileName};
use crate::format::{IdentityRecord, SEGMENT_HEADER_SIZE};
use crate::storage::{put_in_place, Directory, DirectoryStatus, Links, Open, Storage};

use super::filesystem::{check_filesystem, is_memory};
use super::inventory::{load_identity, Identity};
use super::ownership::own_active;

const OTHERS_MAY_WRITE: u32 = 0o022;
/// What the names of all active directories begin with.
pub(super) const NAME_BEGIN: &str = "flashstrike-wal-";

/// An active directory that is yet to be made.
#[derive(Debug)]
pub struct PlannedActive {
    /// Its path, with a random name.
    pub path: PathBuf,
    mode: u32,
    parent: Arc<dyn Directory>,
}

impl PlannedActive {
    /// Plans one for the log `id`, where the configuration says. Changes nothing.
    pub fn new(storage: &dyn Storage, config: &Config, id: u128) -> Result<Self> {
        let parent = config.active_parent.as_path();
        let Some(above) = storage.open_directory(parent, Links::Follow)? else {
            let message = format!("active_dir {}: there is no such directory", parent.display());
            return Err(Error::new(Cause::InvalidArgument, message));
        };
        check_filesystem(&*above, config.allow_any_filesystem)?;
        let status = above.status()?;
        let own = status.uid == storage.user() && status.mode & OTHERS_MAY_WRITE == 0;
        // Random, so that nobody can take the name first; with the log's id, so that we recognise
        // our directory even if we were killed while we made it.
        let path = parent.join(format!("{}{:032x}", name_prefix(id), storage.random()?));
        // It becomes a line of `wal_identity`.
        if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
            let message = format!("active_dir {parent:?}: not UTF-8, or with control characters");
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        let mode = if own { 0o750 } else { 0o700 };
        Ok(PlannedActive { path, mode, parent: above })
    }

    /// Fails, with the name of the configuration field, if the active set does not fit even after
    /// `old` is removed. A log that has run may have run with less, because others had taken the
    /// room: it goes on in `least` bytes, if they are given, and a note says so.
    pub fn check_room(
        &self,
        needed: u64,
        least: Option<u64>,
        old: Option<&dyn Directory>,
    ) -> Result<Option<String>> {
        let status = self.parent.status()?;
        let given_back = match old {
            Some(old) if old.status()?.dev == status.dev => memory_of(old)?,
            _ => 0,
        };
        let room = status.available.saturating_add(given_back);
        if room >= needed {
            return Ok(None);
        }
        let parent = self.parent.path().display();
        let what =
            format!("active_dir {parent}: the active set needs {needed} bytes, {room} are free");
        // One that could never fit is a mistake.
        if needed <= status.total && least.is_some_and(|least| room >= least) {
            return Ok(Some(format!("{what}: the log goes on with less")));
        }
        let from_old = match given_back {
            0 => String::new(),
            bytes => format!(", {bytes} of these as soon as the set of the last run is removed"),
        };
        let message = format!("{what}{from_old}");
        Err(Error::with_errno(Cause::NoSpace, message, libc::ENOSPC))
    }

    /// Makes it, with a copy of `identity` and the path of the WAL directory in it, and locks it.
    pub fn make(
        &self,
        storage: &dyn Storage,
        identity: &IdentityRecord,
        wal: &Path,
    ) -> Result<Arc<dyn Directory>> {
        debug_assert!(identity.generation > 0, "0 is for a log without an active directory");
        debug_assert_eq!(Path::new(&identity.active_path), self.path);
        let copy = IdentityRecord { wal_path: line_of(wal), ..identity.clone() };
        storage.create_directory(&self.path, self.mode)?;
        enter(storage, &self.path, &copy).inspect_err(|_| {
            let _ = storage.remove_directory(&self.path);
        })
    }
}

/// The absolute path of a directory, if it fits into a line.
fn line_of(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    path.to_str().filter(|text| !text.contains(char::is_control)).map(str::to_owned)
}

/// Bytes that come back when a directory is removed, in whole pages.
fn memory_of(directory: &dyn Directory) -> Result<u64> {
    const PAGE: u64 = 4096;
    let mut bytes = 0;
    for name in directory.list()?.into_iter().filter(|name| is_ours_by_name(name)) {
        // What is no file, and what cannot be looked at, gives nothing back.
        if let Ok(Some(file)) = directory.open(&name, Open::Read) {
            bytes += file.size()?.next_multiple_of(PAGE);
        }
    }
    Ok(bytes)
}

/// What the names of a log's active directories begin with.
pub(super) fn name_prefix(id: u128) -> String {
    format!("{NAME_BEGIN}{id:032x}-")
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
/// the log was shut down, is a copy, or was left by an earlier boot. That it cannot be looked at is
/// no proof that it is gone, and an error.
pub fn find_active(
    storage: &dyn Storage,
    wal: &dyn Directory,
    identity: &IdentityRecord,
) -> Result<Option<ActiveDirectory>> {
    let here = wal.status()?;
    if identity.clean || Ground::of(identity, &here) != Ground::Same {
        return Ok(None);
    }
    let same_boot = storage.boot_id().is_ok_and(|boot_id| boot_id == identity.boot_id);
    let in_memory = !same_boot && may_be_waiting(storage, identity, &here);
    if !same_boot && !in_memory {
        return Ok(None);
    }
    let found = open_active(storage, identity, &here)?;
    let is_there = matches!(found, ActiveDirectory::Ours(_) | ActiveDirectory::Unattributable);
    Ok(is_same_run(same_boot, in_memory && is_there).then_some(found))
}

/// Whether the machine has been up since a log was written. Where the boot id cannot be read or is
/// another, the log's memory decides: it does not outlive a boot, so if it is there, there was
/// none. Sandboxes hide or change boot ids.
pub fn is_same_run(same_boot: bool, is_memory_there: bool) -> bool {
    same_boot || is_memory_there
}

/// Whether the active directory that `identity` names may be in memory, whatever the boot id says:
/// then there was no reboot. What cannot be looked at may be. What belongs neither to this user nor
/// to the owner of the WAL directory is not ours: after a reboot anybody may take the name.
pub fn may_be_waiting(
    storage: &dyn Storage,
    identity: &IdentityRecord,
    wal: &DirectoryStatus,
) -> bool {
    let path = Path::new(&identity.active_path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let parent = match storage.open_directory(parent, Links::Follow) {
        Ok(Some(parent)) => parent,
        Ok(None) => return false,
        Err(error) => return error.errno() != libc::ENOTDIR,
    };
    let in_memory = parent.status().map_or(true, |status| is_memory(status.filesystem));
    let owner = name.to_str().map_or(Ok(None), |name| parent.owner_of(name));
    let is_others = owner
        .is_ok_and(|owner| owner.is_some_and(|owner| owner != storage.user() && owner != wal.uid));
    in_memory && !is_others
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
pub(super) fn open_private(
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

/// Whether a file of an active directory is ours.
fn is_ours_by_name(name: &str) -> bool {
    is_control(name)
        || matches!(file_name::parse(name), Some(FileName::Hot(_) | FileName::Temporary))
}

fn is_control(name: &str) -> bool {
    name.strip_suffix(file_name::TEMPORARY_SUFFIX).unwrap_or(name) == file_name::CONTROL
}

/// Removes an active directory and our files in it. If there are foreign files, they stay, and so
/// does the directory.
pub fn remove_active(storage: &dyn Storage, directory: &dyn Directory) -> Result<()> {
    for name in directory.list()?.into_iter().filter(|name| is_ours_by_name(name)) {
        remove_with_memory(directory, &name)?;
    }
    // The identity goes last: without it nobody knows that the directory is ours.
    directory.remove(file_name::IDENTITY)?;
    storage.remove_directory(directory.path())
}

/// Removes a file whose events are all on disk. A reader that stands in it would keep its memory,
/// which the log may need. The header goes first: a reader that finds zeros in place of events then
/// finds that the segment is not its own any more, and goes on in the disk file
/// (`segment::memory`). A file with another name is a snapshot of somebody's, and stays as it is.
/// The control file is small, and others have it mapped: its memory stays.
fn remove_with_memory(directory: &dyn Directory, name: &str) -> Result<()> {
    let opened = if is_control(name) { Ok(None) } else { directory.open(name, Open::Write) };
    let file = opened.ok().flatten();
    match directory.remove(name) {
        // A directory is somebody else's.
        Err(error) if error.errno() == libc::EISDIR => return Ok(()),
        removed => removed?,
    };
    if let Some(file) = file.filter(|file| file.links().is_ok_and(|links| links == 0)) {
        let _ = file.write_at(&[0; SEGMENT_HEADER_SIZE], 0);
        file.give_back_memory();
    }
    Ok(())
}
