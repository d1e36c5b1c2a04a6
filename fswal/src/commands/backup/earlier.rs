//! An earlier backup of the same log: what of it can be kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flashstrike_wal::directory::{load_identity, Identity, Inventory};
use flashstrike_wal::format::{file_name, SegmentHeader};
use flashstrike_wal::replay::closed_header;
use flashstrike_wal::storage::{Directory, PosixStorage};

use crate::directory::{open, Log};
use crate::failure::{Failure, Outcome};

use super::report::Report;

pub struct Earlier {
    pub id: u128,
    path: PathBuf,
    directory: Arc<dyn Directory>,
}

impl Earlier {
    /// That in `out`, if it is one of this log and was not opened since.
    pub fn find(log: &Log, out: &Path) -> Outcome<Option<Self>> {
        if out.symlink_metadata().is_err() {
            return Ok(None);
        }
        let directory = open(&PosixStorage::for_reading(), out)?;
        let refuse = |what: &str| {
            Err(Failure::usage(format!("{}: {what}", out.display()))
                .next("name a directory that does not exist yet"))
        };
        let Identity::Known(record) = load_identity(&*directory)? else {
            return refuse("is there, and is no backup");
        };
        if (record.wal_dev, record.wal_ino) != (0, 0) {
            return refuse("is a log that was opened, and no backup any more");
        }
        let of = log.identity.as_ref().map(|identity| identity.id);
        if record.ancestors.first().map(|ancestor| ancestor.id) != of {
            return refuse("is a backup of another log");
        }
        Ok(Some(Earlier { id: record.id, path: out.to_owned(), directory }))
    }

    /// The file that is the same segment: by its header, in which the chained checksum of its last
    /// block stands for all of its events.
    pub fn same_segment(&self, header: &SegmentHeader) -> Outcome<Option<String>> {
        let found = self.segment(header.segment_index)?;
        let key = |of: &SegmentHeader| {
            let ids = (of.first_event_id, of.last_event_id);
            (of.event_count, ids, of.last_chained_checksum)
        };
        Ok(found.filter(|(_, found)| key(found) == key(header)).map(|(name, _)| name))
    }

    /// The segments below `oldest`, the log's oldest one, if they end where it begins.
    pub fn older_than(
        &self,
        oldest: u32,
        report: &mut Report,
    ) -> Outcome<Vec<(String, SegmentHeader)>> {
        let older: Vec<u32> =
            Inventory::of(&*self.directory)?.indexes().range(..oldest).copied().collect();
        let Some(&last) = older.last() else { return Ok(Vec::new()) };
        if last + 1 != oldest {
            report.notes.push(format!(
                "segments {} to {last} of the earlier backup are left out: those between them and \
                 {oldest}, the log's oldest, are in neither",
                older[0]
            ));
            return Ok(Vec::new());
        }
        let segments = older.into_iter().map(|index| {
            self.segment(index)?.ok_or_else(|| {
                let path = self.path.join(file_name::hot(index));
                let message = format!("{}: its header is damaged", path.display());
                Failure::wrong(message).next("make a new backup")
            })
        });
        segments.collect()
    }

    /// Its file of this segment, if it has one that is right.
    fn segment(&self, index: u32) -> Outcome<Option<(String, SegmentHeader)>> {
        let is_hot = self.directory.status_of(&file_name::hot(index))?.is_some();
        let header = closed_header(&*self.directory, index, is_hot)?;
        Ok(header.map(|header| (file_name::of(index, !is_hot), header)))
    }

    /// Takes a file over: both backups have it until this one is removed.
    pub fn link(&self, name: &str, into: &Path) -> Outcome<()> {
        Ok(std::fs::hard_link(self.path.join(name), into.join(name))?)
    }
}
