//! The counters of a log that another process writes, found by its directory. The control file is
//! read with `pread`: to map it would be to unmap it, which interrupts the threads of the caller.
//! Only beside a writer that never pauses for as long as two reads take is it mapped.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::format::{file_name, IdentityRecord};
use crate::storage::{Directory, File, Links, Open, Storage};
use crate::telemetry::{ControlFile, LogMetrics, MetricsSnapshot, CONTROL_SIZE};

use super::active::{find_active, ActiveDirectory};
use super::control::check_control;
use super::control_metrics::{log_metrics_in, metrics_in};
use super::control_words::{at, ControlWords};
use super::inventory::{load_identity, Identity};

/// How often it is looked again when the log was opened anew meanwhile.
const TRIES: usize = 10;
/// How often words are read that are stored together, until they are the same twice.
const READS: usize = 100;

/// The counters of the log in this directory, as its writer has them now, or had them when it died.
/// [`Cause::NotFound`] if there is no log, or it is closed.
pub fn metrics_of(storage: &dyn Storage, path: &Path) -> Result<MetricsSnapshot> {
    Ok(metrics_in(&copy_of(storage, path)?))
}

/// The same and the histograms, under a name for the log.
pub fn log_metrics_of(storage: &dyn Storage, path: &Path, name: String) -> Result<LogMetrics> {
    Ok(log_metrics_in(&copy_of(storage, path)?, name))
}

fn copy_of(storage: &dyn Storage, path: &Path) -> Result<Copy> {
    let missing = |what: &str| Error::new(Cause::NotFound, format!("{}: {what}", path.display()));
    let wal = storage.open_directory(path, Links::Follow)?;
    let wal = wal.ok_or_else(|| missing("there is no such directory"))?;
    let mut found = Err(missing("the log was opened again and again"));
    for _ in 0..TRIES {
        let record = match load_identity(&*wal)? {
            Identity::Known(record) if record.clean => Err(missing("the log is closed")),
            Identity::Known(record) => Ok(record),
            Identity::Missing => Err(missing("there is no log here that was opened")),
            Identity::Unreadable => {
                let message = format!("{}: is damaged", wal.path_of(file_name::IDENTITY).display());
                Err(Error::new(Cause::Corrupt, message))
            }
        }?;
        found = read(storage, &*wal, &record);
        // While the identity stands, so does what was found by it.
        if load_identity(&*wal)? == Identity::Known(record) {
            break;
        }
    }
    found
}

fn read(storage: &dyn Storage, wal: &dyn Directory, record: &IdentityRecord) -> Result<Copy> {
    let Some(ActiveDirectory::Ours(active)) = find_active(storage, wal, record)? else {
        let path = wal.path().display();
        let message = format!(
            "{path}: the log is not open, and its active directory is not here: {}",
            record.active_path
        );
        return Err(Error::new(Cause::NotFound, message));
    };
    let path = active.path_of(file_name::CONTROL);
    let file = active.open(file_name::CONTROL, Open::Read)?.ok_or_else(|| {
        Error::new(Cause::NotFound, format!("{}: there is no such file", path.display()))
    })?;
    let copy = Copy::of(&file)?;
    check_control(&copy, copy.bytes.len(), &path)?;
    Ok(copy)
}

/// A copy of a control file, in which words that are stored together are of one moment.
struct Copy {
    bytes: Vec<u8>,
}

impl Copy {
    fn of(file: &Arc<dyn File>) -> Result<Self> {
        let mut bytes = vec![0; CONTROL_SIZE];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        if read < CONTROL_SIZE {
            return Ok(Copy { bytes });
        }
        // In this order: what is durable was appended, and what was appended was entered.
        for offset in [at!(durable), at!(appended), at!(writer)] {
            let read = |pair: &mut [u8]| file.read_at(pair, offset as u64).map(drop);
            let load = || Ok(file.map(CONTROL_SIZE as u64, false)?.load_pair(offset));
            read_pair(&mut bytes[offset..offset + 16], read, load)?;
        }
        Ok(Copy { bytes })
    }
}

/// Reads two words until two reads give the same. Each first word is stored once and rises, so
/// between those it has not changed, whatever the order in which a read copies. From a writer that
/// is too fast for that they are loaded in one piece.
fn read_pair(
    pair: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> Result<()>,
    load: impl FnOnce() -> Result<(u64, u64)>,
) -> Result<()> {
    let mut before = [0; 16];
    for _ in 0..READS {
        read(&mut before)?;
        read(pair)?;
        if before == *pair {
            return Ok(());
        }
    }
    let (first, second) = load()?;
    pair[..8].copy_from_slice(&first.to_le_bytes());
    pair[8..].copy_from_slice(&second.to_le_bytes());
    Ok(())
}

impl ControlWords for Copy {
    fn word(&self, offset: usize) -> u64 {
        let bytes = self.bytes.get(offset..).and_then(|rest| rest.first_chunk());
        u64::from_le_bytes(bytes.copied().unwrap_or_default())
    }

    fn pair(&self, offset: usize) -> (u64, u64) {
        (self.word(offset), self.word(offset + 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g15_words_of_a_writer_that_never_pauses_are_read_in_bounded_time() {
        let mut reads: u8 = 0;
        let read = |pair: &mut [u8]| {
            reads = reads.checked_add(1).expect("it gives up before so many reads");
            pair.fill(reads);
            Ok(())
        };
        let mut pair = [0; 16];
        read_pair(&mut pair, read, || Ok((7, 8))).unwrap();
        assert_eq!(pair, [7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
        let steady = |pair: &mut [u8]| {
            pair.fill(5);
            Ok(())
        };
        read_pair(&mut pair, steady, || panic!("not needed")).unwrap();
        assert_eq!(pair, [5; 16]);
    }
}
