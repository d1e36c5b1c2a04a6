//! An earlier backup of the same log: what of it can be kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flashstrike_wal::directory::{load_identity, load_meta, Identity, Inventory};
use flashstrike_wal::format::{file_name, SegmentHeader};
use flashstrike_wal::replay::closed_header;
use flashstrike_wal::storage::{Directory, PosixStorage};

use crate::directory::{open, Log};
use crate::failure::{Failure, Outcome};

use super::source::Source;

const KEEP_IT: &str = "name a directory that does not exist yet: this one has events that the log \
                       has not";

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
        let from = record.ancestors.first();
        if from.map(|ancestor| ancestor.id) != of {
            return refuse("is a backup of another log");
        }
        let cuts = log.identity.iter().flat_map(|identity| &identity.cuts);
        let since = cuts.filter(|cut| from.is_some_and(|from| cut.generation > from.generation));
        let kept = since.map(|cut| cut.last_event_id).min();
        let last = load_meta(&*directory)?.flatten().map_or(0, |meta| meta.last_event_id);
        if let Some(kept) = kept.filter(|kept| *kept < last) {
            let ids = format!("events {} to {last}", kept + 1);
            let message =
                format!("{}: has {ids}, which the log was opened without since", out.display());
            return Err(Failure::usage(message).next(KEEP_IT));
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

    /// Refuses to be gone on from where its older segments and those of the log are not one log.
    pub fn check_followed_by(&self, source: &Source) -> Outcome<()> {
        let oldest = *source.indexes.start();
        let older = self.older_than(oldest)?;
        let Some((_, newest)) = older.last() else { return Ok(()) };
        let (first, last) = (source.first_event()?, newest.last_event_id);
        let is_followed = match self.segment(oldest)? {
            // Then what is before it was whole.
            Some((_, next)) => next.first_event_id == first,
            // The backup may have ended within the segment.
            None => newest.segment_index + 1 == oldest && last + 1 == first,
        };
        if is_followed {
            return Ok(());
        }
        let message = format!(
            "{}: ends with event {last}, and the log begins with event {first} now: what was \
             between them is in neither",
            self.path.display()
        );
        Err(Failure::usage(message).next(KEEP_IT))
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
