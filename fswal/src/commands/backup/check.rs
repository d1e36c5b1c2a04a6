//! Whether what was copied is right: by reading it, and by asking what an open would do.

use std::path::Path;

use flashstrike_wal::config::Config;
use flashstrike_wal::error::Error;
use flashstrike_wal::recorder::foresee;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::PosixStorage;

use crate::failure::{Failure, Outcome};

use super::report::Report;

/// Reads every event of a copy, and checks the checksums of every block. Where the log itself is
/// damaged, the error names the log.
pub fn check_copy(copy: &Path, log: &Path, report: &Report) -> Outcome<()> {
    let Err(of_copy) = check_events(copy, report) else { return Ok(()) };
    // It begins where retention has left it.
    read(log, 0, report.up_to_event_id)?;
    Err(of_copy)
}

/// Reads every event of the backup's range, and checks the checksums of every block.
pub fn check_events(directory: &Path, report: &Report) -> Outcome<()> {
    let (events, last) = read(directory, report.first_event_id, report.up_to_event_id)?;
    if (events, last) != (report.events, report.up_to_event_id) {
        let path = directory.display();
        let (wanted, up_to) = (report.events, report.up_to_event_id);
        return Err(Failure::wrong(format!(
            "{path}: has {events} events up to {last}, not {wanted} up to {up_to}"
        ))
        .next("`fswal verify` the log"));
    }
    Ok(())
}

/// How many events there are from `first` (0 = the oldest) to `last`, and the last of them.
fn read(directory: &Path, first: u64, last: u64) -> Outcome<(u64, u64)> {
    let mut found = (0, 0);
    let mut reader = Reader::open(directory, ReaderOptions { verify: true })?;
    reader.use_threads(1)?;
    reader.seek(first)?;
    reader.end_behind(last);
    loop {
        match reader.next_batch() {
            Ok(batch) => found = (found.0 + batch.len() as u64, batch[batch.len() - 1].event_id),
            Err(Error::End) => return Ok(found),
            Err(error) => return Err(wrong(error)),
        }
    }
}

/// A backup opens just where it says that it ends: no stamp, record or file in it says otherwise.
pub fn check_opens(directory: &Path, report: &Report) -> Outcome<()> {
    let foreseen = foresee(&PosixStorage::for_reading(), directory, &Config::default())?;
    if let Some(refusal) = foreseen.refusal {
        return Err(wrong(refusal));
    }
    if foreseen.last_event_id != report.up_to_event_id || foreseen.kept_aside != 0 {
        let (ends, up_to) = (foreseen.last_event_id, report.up_to_event_id);
        let message = format!("{}: opens at event {ends}, not {up_to}", directory.display());
        return Err(Failure::wrong(message).next("`fswal verify` the log"));
    }
    Ok(())
}

fn wrong(error: Error) -> Failure {
    Failure::from(error)
        .next("if the file was kept from an earlier backup, make a new one; else verify the log")
}
