//! What an open would decide, without opening: the reading half of recovery, asked by itself.

use std::path::Path;

use crate::config::Config;
use crate::directory::is_open_for_writing;
use crate::error::{Cause, Error, Result};
use crate::storage::{Links, Storage};

use super::aside::events_to_keep_aside;
use super::origin::Purpose;
use super::refusal::check_refusal;
use super::scan::survey;

/// What an open of a log would decide.
#[derive(Debug, Clone)]
pub struct Foresight {
    /// The decision, as the recovery report calls it.
    pub label: String,
    /// Why the open would refuse the log unless loss is accepted; `None` = it would not.
    pub refusal: Option<Error>,
    /// The log is new or was shut down, and nothing contradicts that.
    pub is_clean: bool,
    /// The log would get a new id.
    pub is_renamed: bool,
    /// Last event of the log as it would be opened; 0 = none.
    pub last_event_id: u64,
    /// Highest event id that is known durable.
    pub durable_event_id: u64,
    /// Events that are only in the active directory and would be carried over.
    pub carried_over: u64,
    /// Events behind the end of the log that would be kept aside.
    pub kept_aside: u64,
    /// The active directory that the log was left with, as it is known; empty = none.
    pub active_path: String,
    /// What else was noticed.
    pub notes: Vec<String>,
}

/// What an open of the log in `directory` would decide now. Changes nothing and keeps nothing
/// locked. [`Cause::Locked`] if the log is open for writing.
pub fn foresee(storage: &dyn Storage, directory: &Path, config: &Config) -> Result<Foresight> {
    let wal = storage.open_directory(directory, Links::Follow)?.ok_or_else(|| {
        let message = format!("{}: there is no such directory", directory.display());
        Error::new(Cause::NotFound, message)
    })?;
    if is_open_for_writing(&*wal)? {
        let message = format!("{}: the log is open for writing", directory.display());
        return Err(Error::new(Cause::Locked, message));
    }
    let survey = survey(storage, &*wal, config, Purpose::Look)?;
    let refusal = check_refusal(&survey, &*wal, false).err();
    let behind = |count: u32, on_disk: u32| u64::from(count.saturating_sub(on_disk));
    let carried =
        survey.log.tail.iter().map(|segment| behind(segment.end.event_count, segment.on_disk));
    Ok(Foresight {
        label: survey.label(),
        refusal,
        is_clean: survey.is_clean(),
        is_renamed: survey.needs_new_id(),
        last_event_id: survey.log.last_event_id,
        durable_event_id: survey.durable_event_id,
        carried_over: carried.sum(),
        kept_aside: events_to_keep_aside(&*wal, &survey)?,
        active_path: survey.active_path().display().to_string(),
        notes: survey.notes,
    })
}
