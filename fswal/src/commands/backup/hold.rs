//! What keeps the log's files while they are copied.

use std::path::Path;

use flashstrike_wal::format::xxh64;
use flashstrike_wal::keep::Hold;

use crate::directory::{writable, Log, State};
use crate::failure::Outcome;

use super::report::Report;

/// The name of the hold of a backup that goes to standard output.
pub const OF_STREAMS: &str = "backup-tar";

/// The name of the hold of a backup to this place, the same in every run: the next run takes over
/// that of one that was killed.
pub fn name_for(out: &Path) -> Outcome<String> {
    let path = std::path::absolute(out)?;
    Ok(format!("backup-{:016x}", xxh64(path.as_os_str().as_encoded_bytes(), 0)))
}

/// Makes a backup while retention is kept from what it needs. Only a run that is killed leaves its
/// hold: one that fails may not be run again for long.
pub fn during(log: &Log, name: &str, make: impl FnOnce() -> Outcome<Report>) -> Outcome<Report> {
    let (hold, note) = hold(log, name)?;
    let made = make();
    if let Some(hold) = hold {
        drop(hold);
        let removed = writable(&log.path).and_then(|directory| Ok(Hold::remove(&directory, name)?));
        if made.is_ok() {
            removed?;
        }
    }
    let mut report = made?;
    report.notes.extend(note);
    Ok(report)
}

/// Where nobody writes, a hold that cannot be made is not needed.
fn hold(log: &Log, name: &str) -> Outcome<(Option<Hold>, Option<String>)> {
    match writable(&log.path).and_then(|wal| Ok(Hold::open(wal, name, 0)?)) {
        Ok(hold) => Ok((Some(hold), None)),
        Err(failure) if matches!(log.state, State::Live | State::Failed) => Err(failure),
        Err(failure) => {
            let why = failure.message();
            Ok((None, Some(format!("without a hold, as nobody writes to the log: {why}"))))
        }
    }
}
