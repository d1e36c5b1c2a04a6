//! Active directories that opens of a log left behind: which of them may hold its newest events,
//! and which are only memory to give back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Cause, Result};
use crate::format::IdentityRecord;
use crate::storage::{Directory, DirectoryStatus, Links, Storage};

use super::active::{name_prefix, open_active, open_private, remove_active};
use super::active::{ActiveDirectory, Ground, NAME_BEGIN};
use super::inventory::{load_identity, Identity, Inventory};
use super::ownership::own_active;

/// The identity of the log in `wal` as the newest active directory in `parent` has it that was left
/// behind by a log in just this directory. `None` when there is none, or there are several logs'.
/// What may be this log's and is not taken is told in `notes`.
pub fn witness(
    storage: &dyn Storage,
    wal: &DirectoryStatus,
    parent: &Path,
    notes: &mut Vec<String>,
) -> Result<Option<IdentityRecord>> {
    let (mut here, mut gone) = (Vec::new(), Vec::new());
    for found in private_directories(storage, parent, NAME_BEGIN, wal.uid)? {
        let (directory, Identity::Known(mut record)) = found? else { continue };
        if record.clean || Ground::of(&record, wal) != Ground::Same {
            continue;
        }
        let named = Path::new(&record.active_path);
        if named.file_name() != directory.path().file_name() {
            continue;
        }
        if let LeadsTo::Elsewhere = leads_to(storage, &record.active_path, &directory.status()?)? {
            notes.push(format!(
                "{} says that it is at {}: not taken for this log's",
                directory.path().display(),
                record.active_path
            ));
            continue;
        }
        // Where it is, however its log spelled that.
        record.active_path = directory.path().display().to_string();
        let path = record.wal_path.as_deref().unwrap_or_default();
        match leads_to(storage, path, wal)? {
            LeadsTo::Here => here.push(record),
            // The log was renamed; or the inode was that of a log that is gone.
            LeadsTo::Nothing => gone.push(record),
            LeadsTo::Elsewhere => notes.push(format!(
                "{} has events of a log in a directory with this inode, then at {path}: not taken \
                 for this log's",
                record.active_path
            )),
        }
    }
    let mut found = if here.is_empty() { gone } else { here };
    found.sort_by_key(|record| record.generation);
    let Some(newest) = found.pop() else { return Ok(None) };
    if let Some(other) = found.iter().find(|other| other.id != newest.id) {
        let (one, other) = (&newest.active_path, &other.active_path);
        notes.push(format!("{one} and {other} are of two logs in this directory: none is taken"));
        return Ok(None);
    }
    Ok(Some(newest))
}

/// Whether the active directory that `identity` names is there, nobody writes to it, and the log
/// that it belongs to is not where it was: it is the one in `wal`, which has another inode.
pub fn is_left_behind(
    storage: &dyn Storage,
    identity: &IdentityRecord,
    wal: &DirectoryStatus,
) -> Result<bool> {
    let found = match open_active(storage, identity, wal) {
        Ok(ActiveDirectory::Ours(directory)) => directory,
        Ok(_) => return Ok(false),
        Err(error) => return unless_others(Err(error)).map(|found: Option<()>| found.is_some()),
    };
    let Identity::Known(copy) = load_identity(&*found)? else { return Ok(false) };
    let path = copy.wal_path.as_deref().unwrap_or_default();
    let is_alone = !matches!(leads_to(storage, path, wal)?, LeadsTo::Elsewhere);
    Ok(is_alone && own_active(&*found).is_ok())
}

/// Where a recorded path leads, however it is spelled.
enum LeadsTo {
    Here,
    Elsewhere,
    Nothing,
}

fn leads_to(storage: &dyn Storage, path: &str, wal: &DirectoryStatus) -> Result<LeadsTo> {
    let opened = match storage.open_directory(Path::new(path), Links::Follow) {
        Ok(None) => return Ok(LeadsTo::Nothing),
        opened => unless_others(opened)?,
    };
    let status = opened.map(|there| there.status()).transpose()?;
    let is_here = status.is_some_and(|there| (there.dev, there.ino) == (wal.dev, wal.ino));
    Ok(if is_here { LeadsTo::Here } else { LeadsTo::Elsewhere })
}

/// `identity` with the path of its active directory as it is now: where nothing has the path that
/// it names, the directory of that name in `parent`, if there is one that may be it. Its mount, or
/// what is above it, may have got another path, or be reached by another.
pub fn relocated(
    storage: &dyn Storage,
    identity: IdentityRecord,
    wal: &DirectoryStatus,
    parent: &Path,
) -> IdentityRecord {
    let Some(name) = Path::new(&identity.active_path).file_name() else { return identity };
    let Some(path) = parent.join(name).to_str().map(str::to_owned) else { return identity };
    let is_gone = matches!(open_active(storage, &identity, wal), Ok(ActiveDirectory::Gone));
    let moved = IdentityRecord { active_path: path, ..identity.clone() };
    let found = open_active(storage, &moved, wal);
    match is_gone && !matches!(found, Ok(ActiveDirectory::Gone | ActiveDirectory::Foreign)) {
        true => moved,
        false => identity,
    }
}

/// Active directories of generations of the log after this one, beside the one it names and in
/// `parent`: of opens that did not get far, or of a later state than `identity` is of.
pub fn newer_generations(
    storage: &dyn Storage,
    identity: &IdentityRecord,
    wal: &DirectoryStatus,
    parent: &Path,
) -> Result<Vec<Arc<dyn Directory>>> {
    let mut newer: Vec<Arc<dyn Directory>> = Vec::new();
    let beside = Path::new(&identity.active_path).parent();
    for parent in beside.into_iter().chain([parent]) {
        for found in private_directories(storage, parent, &name_prefix(identity.id), wal.uid)? {
            let (directory, Identity::Known(record)) = found? else { continue };
            let is_newer = record.id == identity.id && record.generation > identity.generation;
            // The parents may be the same one, by two paths.
            let is_known =
                || newer.iter().any(|known| is_same(&**known, &*directory) == Some(true));
            if is_newer && !is_known() {
                newer.push(directory);
            }
        }
    }
    Ok(newer)
}

/// Whether two paths led to one directory; `None` = one cannot be looked at.
fn is_same(one: &dyn Directory, other: &dyn Directory) -> Option<bool> {
    let inode = |of: &dyn Directory| of.status().ok().map(|status| (status.dev, status.ino));
    Some(inode(one)? == inode(other)?)
}

/// Removes what opens of the log left beside these active directories, as far as that is possible:
/// older generations, and an open that was killed before it became the generation after `closed`.
/// `except` stays, by whatever path it is reached. What cannot be read stays, too. Leftovers cost
/// memory and nothing else.
pub fn remove_leftovers(
    storage: &dyn Storage,
    beside: [&Path; 2],
    closed: &IdentityRecord,
    except: Option<&dyn Directory>,
) {
    let prefix = name_prefix(closed.id);
    let parents: BTreeSet<&Path> = beside.into_iter().filter_map(Path::parent).collect();
    for parent in parents {
        let found = private_directories(storage, parent, &prefix, storage.user());
        for (directory, identity) in found.into_iter().flatten().flatten() {
            let is_left = match identity {
                Identity::Known(found) => {
                    found.id == closed.id && found.generation <= closed.generation.saturating_add(1)
                }
                // Its making was cut short, before there was anything in it.
                Identity::Missing => Inventory::of(&*directory).is_ok_and(|files| files.is_empty()),
                Identity::Unreadable => false,
            };
            let may_go = |except| is_same(except, &*directory) == Some(false);
            if is_left && except.is_none_or(may_go) {
                remove_abandoned(storage, &*directory);
            }
        }
    }
}

/// Removes an active directory, unless its writer lives, in another sandbox perhaps.
pub fn remove_abandoned(storage: &dyn Storage, directory: &dyn Directory) {
    if own_active(directory).is_ok() {
        let _ = remove_active(storage, directory);
    }
}

/// The private directories in `parent` whose names begin with `prefix`, one after the other, each
/// with the identity in it. What others own, or what is no directory, is passed over.
fn private_directories<'a>(
    storage: &'a dyn Storage,
    parent: &'a Path,
    prefix: &'a str,
    other_owner: u32,
) -> Result<impl Iterator<Item = Result<(Arc<dyn Directory>, Identity)>> + 'a> {
    let above = unless_others(storage.open_directory(parent, Links::Follow))?;
    let names = above.map_or(Ok(Vec::new()), |above| above.list())?;
    let look = move |name: String| {
        let opened = open_private(storage, &parent.join(name), other_owner);
        let Some(directory) = unless_others(opened)? else { return Ok(None) };
        let identity = unless_others(load_identity(&*directory).map(Some))?;
        Ok(identity.map(|identity| (directory, identity)))
    };
    let names = names.into_iter().filter(move |name| name.starts_with(prefix));
    Ok(names.filter_map(move |name| look(name).transpose()))
}

/// `None` for what may not be opened, or is not of the kind that this library makes: it is somebody
/// else's. Any other error says nothing about whose it is.
fn unless_others<T>(opened: Result<Option<T>>) -> Result<Option<T>> {
    opened.or_else(|error| match error.errno() {
        libc::ELOOP | libc::ENOTDIR | libc::EISDIR | libc::ENXIO => Ok(None),
        _ if error.cause() == Some(Cause::Permission) => Ok(None),
        _ => Err(error),
    })
}
