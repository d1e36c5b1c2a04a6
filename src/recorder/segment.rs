//! A segment while events go into it: a mapped file in the active directory, and the disk file it
//! is persisted to.

use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::format::{BlockHeader, Layout, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENT_SIZE};
use crate::storage::{File, Mapping};

/// A mapped file of the active directory. Used again and again under new names, so that it stays
/// in cache and no page is ever missing.
#[derive(Debug)]
pub struct ActiveFile {
    /// Its memory.
    pub mapping: Mapping,
    /// Its descriptor, for locks.
    pub file: Arc<dyn File>,
    /// Its name in the active directory.
    pub name: String,
}

/// A segment from preparation until it is persisted.
///
/// Who may touch the mapping: the writer stores events past the published position; the persister
/// stores block headers at or below it and reads events below it. The preparer changes it only
/// when it holds the last reference to the [`ActiveFile`].
#[derive(Debug, Clone)]
pub struct Segment {
    /// Number of the segment.
    pub index: u32,
    /// Blocks it has room for.
    pub layout: Layout,
    /// Wall clock, ns.
    pub created_ts_ns: u64,
    /// Where events are stored.
    pub active: Arc<ActiveFile>,
    /// Where they are persisted. The same descriptor from creation to the last sync.
    pub disk: Arc<dyn File>,
}

impl Segment {
    /// The header of a sealed block as it stands in the mapping.
    pub fn block_header(&self, block: u32) -> Result<BlockHeader> {
        let mut bytes = [0; BLOCK_HEADER_SIZE];
        self.active.mapping.load(Layout::block_offset(block) as usize, &mut bytes);
        BlockHeader::decode(&bytes).ok_or_else(|| {
            let message = format!("segment {}: block {block} is not sealed in memory", self.index);
            Error::new(Cause::Internal, message)
        })
    }

    /// Copies the first `count` events of a block into the beginning of `buffer`, the last one
    /// first: a processor that reads upwards fetches the lines ahead as well, which are the
    /// writer's next, and the writer has to get each of them back (docs/performance.md).
    pub fn load_events(&self, block: u32, count: usize, buffer: &mut [u8]) {
        let offset = Layout::block_offset(block) as usize + BLOCK_HEADER_SIZE;
        for n in (0..count).rev() {
            let at = n * EVENT_SIZE;
            self.active.mapping.load(offset + at, &mut buffer[at..at + EVENT_SIZE]);
        }
    }

    /// The id of the `n`th event, counted from 0.
    pub fn event_id(&self, n: u32) -> u64 {
        self.active.mapping.load_word(Layout::event_offset(n) as usize)
    }

    /// The header of the segment once its last block is sealed; the time it is closed at is left 0.
    pub fn final_header(&self, event_count: u32) -> Result<SegmentHeader> {
        let block_count = event_count.div_ceil(crate::format::EVENTS_PER_BLOCK as u32);
        let last = self.block_header(block_count - 1)?;
        Ok(SegmentHeader {
            block_count,
            event_count,
            first_event_id: self.event_id(0),
            last_event_id: self.event_id(event_count - 1),
            last_chained_checksum: last.chained_checksum,
            ..SegmentHeader::open(self.index, self.created_ts_ns)
        })
    }
}

/// A segment whose events are all durable, on its way to being closed.
#[derive(Debug)]
pub struct Finished {
    /// What its header will say, but for the time.
    pub header: SegmentHeader,
    /// The file.
    pub disk: Arc<dyn File>,
}

/// What became of a hot segment that was to be frozen.
#[derive(Debug, Clone, Copy)]
pub struct Frozen {
    /// Its index.
    pub index: u32,
    /// Whether its cold file is there and proved.
    pub done: bool,
}

/// A disk file free for another life: its name, and the file, locked exclusively.
#[derive(Debug)]
pub struct SpareFile {
    /// Its temporary name in the WAL directory.
    pub name: String,
    /// Its descriptor.
    pub file: Arc<dyn File>,
}
