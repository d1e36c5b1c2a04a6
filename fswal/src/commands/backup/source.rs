//! The log that is backed up: up to which event, and where its files are right now.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashstrike_wal::config::Config;
use flashstrike_wal::directory::Inventory;
use flashstrike_wal::format::{
    file_name, IdentityRecord, Layout, SegmentHeader, MIN_BLOCKS, SEGMENT_HEADER_SIZE,
};
use flashstrike_wal::recorder::foresee;
use flashstrike_wal::replay::{closed_header, Reader, ReaderOptions};
use flashstrike_wal::storage::{self, Directory, Open, PosixStorage};

use crate::directory::{Log, State};
use crate::failure::{Failure, Outcome};

/// A log of which nothing is deleted meanwhile.
pub struct Source {
    pub log: Log,
    pub identity: IdentityRecord,
    /// The last event that the backup is to have.
    pub last: u64,
    /// Of all segments, the oldest first, also of those that are not closed.
    pub indexes: RangeInclusive<u32>,
}

/// A closed segment, as it is now. Its file is kept from the recycler while this is there.
pub struct ClosedSegment {
    pub name: String,
    pub file: Arc<dyn storage::File>,
    pub header: SegmentHeader,
}

impl Source {
    pub fn open(path: &Path) -> Outcome<Source> {
        let log = Log::look(path)?;
        let last = last_event(&log)?;
        // A listing may miss a file that gets another name meanwhile. The next one then has it.
        let mut indexes = log.inventory.indexes();
        indexes.extend(Inventory::of(&*log.wal)?.indexes());
        let (Some(&first), Some(&newest)) = (indexes.first(), indexes.last()) else {
            let message = format!("{}: all segments are gone", log.path.display());
            return Err(Failure::wrong(message).next("`fswal verify DIR` names what is missing"));
        };
        let identity = log.identity.clone().unwrap_or_default();
        Ok(Source { log, identity, last, indexes: first..=newest })
    }

    /// The first event of the log; by the header of its segment, if that is closed.
    pub fn first_event(&self) -> Outcome<u64> {
        if let Some(oldest) = self.closed_segment(*self.indexes.start())? {
            oldest.file.unlock()?;
            return Ok(oldest.header.first_event_id);
        }
        Ok(Reader::open(&self.log.path, ReaderOptions { verify: true })?.next()?.event_id)
    }

    /// Bytes of all files that hold segments.
    pub fn size(&self) -> Outcome<u64> {
        let mut size = 0;
        for index in self.indexes.clone() {
            let name = file_name::of(index, !self.log.inventory.hot.contains(&index));
            size += self.log.wal.status_of(&name)?.map_or(0, |status| status.size);
        }
        Ok(size)
    }

    /// A closed segment. `None` when it is not closed yet.
    pub fn closed_segment(&self, index: u32) -> Outcome<Option<ClosedSegment>> {
        /// The freezer may be at work on it.
        const LOOKS: usize = 1000;
        const PAUSE: Duration = Duration::from_millis(1);
        let wal = &*self.log.wal;
        for _ in 0..LOOKS {
            let is_hot = wal.status_of(&file_name::hot(index))?.is_some();
            let name = file_name::of(index, !is_hot);
            if let Some(file) = held(wal, &name)? {
                let header = match is_hot {
                    true => hot_header(&*file, index)?,
                    false => closed_header(wal, index, false)?,
                };
                return Ok(header.map(|header| ClosedSegment { name, file, header }));
            }
            std::thread::sleep(PAUSE);
        }
        let path = wal.path_of(&file_name::hot(index));
        let message = format!("{}: is not there, though a hold keeps it", path.display());
        Err(Failure::wrong(message).next("`fswal verify DIR` names what is missing"))
    }

    /// The layout of a segment, whether it is closed or not.
    pub fn layout_of(&self, index: u32) -> Outcome<Layout> {
        let wal = &*self.log.wal;
        let blocks = match wal.status_of(&file_name::hot(index))? {
            Some(status) => Layout::of_file(status.size).blocks,
            None => closed_header(wal, index, false)?.map_or(0, |header| header.block_count),
        };
        Ok(Layout { blocks: blocks.max(MIN_BLOCKS) })
    }
}

/// The event that the backup is to end with.
fn last_event(log: &Log) -> Outcome<u64> {
    let last = match (log.state, &log.metrics) {
        (State::Live | State::Failed, Some(metrics)) => metrics.durable_event_id,
        (State::Live | State::Failed, None) => {
            let trouble = log.trouble.clone();
            return Err(
                trouble.map_or_else(|| Failure::wrong("its control file is gone"), Failure::from)
            );
        }
        _ => {
            let config = Config::default();
            let foreseen = foresee(&PosixStorage::for_reading(), &log.path, &config)?;
            if let Some(refusal) = foreseen.refusal {
                return Err(Failure::from(refusal).next(
                    "a backup always opens, and this log does not: see `fswal recover --dry-run`, \
                     or make a log of what can be read with `fswal salvage`",
                ));
            }
            foreseen.last_event_id
        }
    };
    match last {
        0 => {
            let message = format!("{}: no event is durable yet", log.path.display());
            Err(Failure::usage(message).next("run it again when there is something to keep"))
        }
        last => Ok(last),
    }
}

/// Opens a file of the log and keeps the recycler from it. `None` when it is about to be another's.
fn held(wal: &dyn Directory, name: &str) -> Outcome<Option<Arc<dyn storage::File>>> {
    let Some(file) = wal.open(name, Open::Read)? else { return Ok(None) };
    if !file.try_lock_shared()? {
        return Ok(None);
    }
    let now = wal.status_of(name)?.map(|status| status.inode);
    Ok((now == Some(file.inode()?)).then_some(file))
}

/// The header of a closed hot segment, out of the very file that is to be copied.
fn hot_header(file: &dyn storage::File, index: u32) -> Outcome<Option<SegmentHeader>> {
    let mut bytes = [0; SEGMENT_HEADER_SIZE];
    file.read_at(&mut bytes, 0)?;
    let header = SegmentHeader::decode(&bytes);
    Ok(header.filter(|header| header.is_closed() && header.segment_index == index))
}
