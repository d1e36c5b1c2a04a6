//! The holds of a log as their files are, whether they are good, given up or damaged.

use flashstrike_wal::format::{file_name, HoldRecord, HOLD_RECORD_SIZE};
use flashstrike_wal::storage::{read_small, Links, Storage};

use crate::directory::Log;
use crate::failure::Outcome;

pub struct HoldFile {
    pub name: String,
    /// Retention has given it up.
    pub is_broken: bool,
    /// `None`: it is damaged, and holds everything.
    pub record: Option<HoldRecord>,
}

impl HoldFile {
    pub fn event_id(&self) -> Option<u64> {
        self.record.map(|record| record.event_id)
    }

    /// In a word.
    pub fn state(&self) -> &'static str {
        match (self.record, self.is_broken) {
            (None, _) => "damaged",
            (Some(_), true) => "broken",
            (Some(_), false) => "held",
        }
    }
}

/// All of them, the lowest first.
pub fn hold_files(log: &Log) -> Outcome<Vec<HoldFile>> {
    let path = log.wal.path_of(file_name::HOLDS);
    let Some(directory) = log.storage.open_directory(&path, Links::Refuse)? else {
        return Ok(Vec::new());
    };
    let mut holds = Vec::new();
    for file in directory.list()? {
        let stem = file.strip_suffix(file_name::BROKEN_SUFFIX);
        let name = stem.unwrap_or(&file);
        if !file_name::is_hold(name) {
            continue;
        }
        // Removed since it was listed.
        let Some(bytes) = read_small(&*directory, &file, HOLD_RECORD_SIZE + 1)? else { continue };
        holds.push(HoldFile {
            name: name.to_owned(),
            is_broken: stem.is_some(),
            record: HoldRecord::decode(&bytes),
        });
    }
    holds.sort_by(|one, other| (one.event_id(), &one.name).cmp(&(other.event_id(), &other.name)));
    Ok(holds)
}
