//! Recovery looks for the log: whose directory this is, how it was left, and whether the active
//! directory it was left with is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::directory::{is_left_behind, load_identity, may_be_waiting, open_active};
use crate::directory::{own_active, relocated, witness};
use crate::directory::{ActiveDirectory, ControlView, Ground, Identity, Inventory, LogState};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, IdentityRecord};
use crate::segment::{for_each_block, read_header, HeaderState};
use crate::storage::{Directory, DirectoryStatus, File, Open, Storage};

use super::table::{decide, ActiveFound, IdentityFound, Origin, OriginFound, Row, ORIGIN};

/// The files of the active directory a process died with.
#[derive(Debug, Clone)]
pub struct ActiveFiles {
    /// The directory.
    pub directory: Arc<dyn Directory>,
    /// Its segments, by the index in their names.
    pub files: BTreeMap<u32, Arc<dyn File>>,
    /// A file whose header has another index. Then nothing in the directory can be trusted.
    pub misnamed: Option<u32>,
}

/// Where the log is, and what that was decided by.
#[derive(Debug)]
pub struct OriginSurvey {
    /// The row.
    pub row: &'static Row<OriginFound, Origin>,
    /// The identity, where there is a whole one.
    pub identity: Option<IdentityRecord>,
    /// The active directory, where it is the log's.
    pub active: Option<ActiveFiles>,
    /// Why the active directory could not be read.
    pub active_error: Option<Error>,
}

/// What a survey is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To open the log: its active directory is locked from then on.
    Open,
    /// To know what an open would do: nothing stays locked.
    Look,
}

/// Decides where the log is looked for.
pub fn find_origin(
    storage: &dyn Storage,
    wal: &dyn Directory,
    has_segments: bool,
    active_parent: &Path,
    purpose: Purpose,
    notes: &mut Vec<String>,
) -> Result<OriginSurvey> {
    let here = wal.status()?;
    let (state, identity) = identify(storage, wal, &here, has_segments, active_parent, notes)?;
    let mut found = OriginFound {
        identity: state,
        has_segments,
        ground: Ground::Same,
        clean: false,
        same_boot: false,
        active: ActiveFound::Gone,
        in_memory: false,
    };
    let (mut active, mut active_error) = (None, None);
    if let Some(record) = &identity {
        found.ground = Ground::of(record, &here);
        found.clean = record.clean;
        found.same_boot = record.boot_id == storage.boot_id()?;
        if !found.clean {
            found.in_memory = may_be_waiting(storage, record, &here);
            let looked = match found.same_boot || found.in_memory {
                true if found.ground == Ground::Other => find_left(storage, record, &here),
                true => find_active(storage, record, &here, found.same_boot, purpose),
                false => Ok((ActiveFound::Gone, None)),
            };
            (found.active, active) = match looked {
                // Not damage, but whoever accepts loss can go on without the directory.
                Err(error) if matches!(error.cause(), Some(Cause::Io | Cause::Permission)) => {
                    active_error = Some(error);
                    (ActiveFound::Unreadable, None)
                }
                looked => looked?,
            };
        }
    }
    let row = decide(&ORIGIN, &found)?;
    if row.then != Origin::Memory {
        active = None;
    }
    if !row.then.is_refused() {
        active_error = None;
    }
    if let (Some(active), false) = (&active, found.same_boot) {
        notes.push(format!(
            "{}: wal_identity has another boot id, but {} is there, in memory: there was no reboot",
            row.label,
            active.directory.path().display()
        ));
    }
    debug_assert_eq!(row.then == Origin::Memory, active.is_some());
    debug_assert!(row.then != Origin::New || identity.is_none());
    Ok(OriginSurvey { row, identity, active, active_error })
}

/// The identity of the log, as far as one is known, with the path that its active directory has
/// now.
fn identify(
    storage: &dyn Storage,
    wal: &dyn Directory,
    here: &DirectoryStatus,
    has_segments: bool,
    active_parent: &Path,
    notes: &mut Vec<String>,
) -> Result<(IdentityFound, Option<IdentityRecord>)> {
    let (state, identity) = match load_identity(wal)? {
        Identity::Missing => {
            // A new log has none yet.
            if has_segments {
                notes.push("wal_identity is missing".into());
            }
            (IdentityFound::Missing, None)
        }
        Identity::Unreadable => {
            notes.push("wal_identity is damaged".into());
            (IdentityFound::Damaged, None)
        }
        Identity::Known(record) => (IdentityFound::Whole, Some(record)),
    };
    // Somebody may have removed it under a log that then crashed: its newest events are in memory,
    // in a directory that says whose it is.
    let is_of_here = |record: &IdentityRecord| Ground::of(record, here) != Ground::Other;
    if has_segments && !identity.as_ref().is_some_and(is_of_here) {
        if let Some(record) = witness(storage, here, active_parent, notes)? {
            notes.push(format!("wal_identity is taken from {}", record.active_path));
            return Ok((IdentityFound::Whole, Some(record)));
        }
    }
    let Some(record) = identity else { return Ok((state, None)) };
    if record.clean {
        return Ok((state, Some(record)));
    }
    let named = record.active_path.clone();
    let record = relocated(storage, record, here, active_parent);
    if record.active_path != named {
        notes.push(format!("the active directory is at {} now", record.active_path));
    }
    Ok((state, Some(record)))
}

/// The active directory of a log whose directory was moved, or copied and then removed: nobody else
/// will carry its events over.
fn find_left(
    storage: &dyn Storage,
    record: &IdentityRecord,
    wal: &DirectoryStatus,
) -> Result<(ActiveFound, Option<ActiveFiles>)> {
    Ok(match is_left_behind(storage, record, wal)? {
        true => (ActiveFound::Unreadable, None),
        false => (ActiveFound::Gone, None),
    })
}

/// Opens the active directory that the identity names, and reads every file in it once: whether it
/// can be read is known before anything is decided by it.
fn find_active(
    storage: &dyn Storage,
    record: &IdentityRecord,
    wal: &DirectoryStatus,
    same_boot: bool,
    purpose: Purpose,
) -> Result<(ActiveFound, Option<ActiveFiles>)> {
    let directory = match open_active(storage, record, wal)? {
        ActiveDirectory::Gone => return Ok((ActiveFound::Gone, None)),
        ActiveDirectory::Foreign => return Ok((ActiveFound::Foreign, None)),
        ActiveDirectory::Unattributable => return Ok((ActiveFound::Unreadable, None)),
        ActiveDirectory::Ours(directory) => directory,
    };
    // On another device this may be a copy, whose active directory is another log's to own.
    if Ground::of(record, wal) == Ground::Same {
        own_active(&*directory)?;
        if purpose == Purpose::Look {
            directory.unlock();
        }
    }
    if !same_boot {
        refuse_if_alive(&*directory)?;
    }
    let mut files = BTreeMap::new();
    let mut misnamed = None;
    for index in Inventory::of(&*directory)?.hot {
        let Some(file) = directory.open(&file_name::hot(index), Open::Read)? else { continue };
        // A header that is not valid says nothing: the events decide.
        if HeaderState::of(read_header(&*file)?, index) == HeaderState::OtherIndex {
            misnamed = Some(index);
        }
        for_each_block(&*file, 0, |_, _| Ok(true))?;
        files.insert(index, file);
    }
    Ok((ActiveFound::Ours, Some(ActiveFiles { directory, files, misnamed })))
}

/// [`Cause::Locked`] if the writer of an active directory is at work: in another sandbox, whose
/// locks this one may not see. Its boot id is another one, too.
fn refuse_if_alive(directory: &dyn Directory) -> Result<()> {
    /// Some heartbeats.
    const LOOK: Duration = Duration::from_millis(100);
    // What cannot be read says nothing, and was not asked for before there was such a file.
    let Ok(Some(control)) = ControlView::open(directory) else { return Ok(()) };
    if control.state() != LogState::Open || !control.is_alive(LOOK) {
        return Ok(());
    }
    let message = format!(
        "{}: the log is open for writing in another sandbox, in what is process {} there",
        directory.path().display(),
        control.pid()
    );
    Err(Error::new(Cause::Locked, message))
}
