//! An earlier backup of the same log: what of it can be kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flashstrike_wal::directory::{load_identity, load_meta, Identity, Inventory};
use flashstrike_wal::format::{file_name, Layout, SegmentHeader};
use flashstrike_wal::replay::closed_header;
use flashstrike_wal::storage::{Directory, PosixStorage};

use crate::directory::{open, Log};
use crate::failure::{Failure, Outcome};

use super::source::Source;

const NAME_ANOTHER: &str =
    "name a directory that does not exist yet: this one has events that the log has not";

pub struct Earlier {
    pub id: u128,
    /// That of the log when it was copied.
    generation: u64,
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
        let from = record.ancestors.first();
        if from.map(|ancestor| ancestor.id) != of {
            return refuse("is a backup of another log");
        }
        let generation = from.map_or(0, |ancestor| ancestor.generation);
        Ok(Some(Earlier { id: record.id, generation, path: out.to_owned(), directory }))
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

    /// Refuses this backup where the log has lost events that it has, or where events between it
    /// and the log are in neither.
    pub fn check_followed_by(&self, source: &Source) -> Outcome<()> {
        let refuse = |what: String| {
            Err(Failure::usage(format!("{}: {what}", self.path.display())).next(NAME_ANOTHER))
        };
        let since = source.identity.cuts.iter().filter(|cut| cut.generation > self.generation);
        let kept = since.map(|cut| cut.last_event_id).min();
        let last = load_meta(&*self.directory)?.flatten().map_or(0, |meta| meta.last_event_id);
        if let Some(kept) = kept.filter(|kept| *kept < last) {
            let first = kept + 1;
            return refuse(format!(
                "has events {first} to {last}, which the log was opened without since"
            ));
        }
        let oldest = *source.indexes.start();
        let older = self.older_than(oldest)?;
        let Some((name, newest)) = older.last() else { return Ok(()) };
        let (first, last) = (source.first_event()?, newest.last_event_id);
        let is_followed = match self.segment(oldest)? {
            // Then what is before it was whole.
            Some((_, next)) => next.first_event_id == first,
            None if newest.segment_index + 1 != oldest => false,
            None => last + 1 == first || self.is_whole(name, newest)?,
        };
        if is_followed {
            return Ok(());
        }
        refuse(format!(
            "has event {last} as the last one before segment {oldest}, and the log begins with \
             that, at event {first}: what was between them is in neither"
        ))
    }

    /// Whether a segment cannot have gone on in the log: it was compressed there, or is full.
    fn is_whole(&self, name: &str, header: &SegmentHeader) -> Outcome<bool> {
        let size = self.directory.status_of(name)?.map_or(0, |status| status.size);
        let is_full = header.event_count == Layout::of_file(size).capacity();
        Ok(is_full || *name != file_name::hot(header.segment_index))
    }

    /// The segments below `oldest`.
    pub fn older_than(&self, oldest: u32) -> Outcome<Vec<(String, SegmentHeader)>> {
        let indexes = Inventory::of(&*self.directory)?.indexes();
        let segments = indexes.range(..oldest).map(|&index| {
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
