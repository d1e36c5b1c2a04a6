//! A segment while events go into it: a mapped file in the active directory, and the disk file that
//! the events are persisted to.

use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::format::{BlockHeader, Layout, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::segment::DamageKind;
use crate::storage::{File, Mapping};

/// A mapped file of the active directory. It is reused under new names, so that it stays in cache
/// and no page is ever missing.
#[derive(Debug)]
pub struct ActiveFile {
    pub mapping: Mapping,
    /// The descriptor, for locks.
    pub file: Arc<dyn File>,
    /// Its name in the active directory.
    pub name: String,
}

/// A segment from preparation until it is persisted.
///
/// Who may touch the mapping: the writer stores events past the published position. The persister
/// stores block headers and reads events below that position. The preparer changes it only when it
/// holds the last reference to the [`ActiveFile`].
#[derive(Debug, Clone)]
pub struct Segment {
    pub index: u32,
    /// Blocks it has room for.
    pub layout: Layout,
    pub created_ts_ns: u64,
    /// Where events are stored.
    pub active: Arc<ActiveFile>,
    /// Where events are persisted. The same descriptor from creation to the last sync, so that no
    /// failed write-back goes unnoticed.
    pub disk: Arc<dyn File>,
}

impl Segment {
    /// The header of a sealed block as it stands in the mapping.
    pub fn block_header(&self, block: u32) -> Result<BlockHeader> {
        debug_assert!(block < self.layout.blocks);
        let mut bytes = [0; BLOCK_HEADER_SIZE];
        self.active.mapping.load(Layout::block_offset(block) as usize, &mut bytes);
        BlockHeader::decode(&bytes).ok_or_else(|| {
            let message = format!("segment {}: block {block} is not sealed in memory", self.index);
            Error::new(Cause::Internal, message)
        })
    }

    /// Copies the first `count` events of a block to `buffer`, the last one first. A processor that
    /// reads upwards also fetches the lines ahead, which the writer needs next and would have to
    /// get back one by one (docs/experiments/latency.md).
    pub fn load_events(&self, block: u32, count: usize, buffer: &mut [u8]) {
        debug_assert!(block < self.layout.blocks && (1..=EVENTS_PER_BLOCK).contains(&count));
        let offset = Layout::block_offset(block) as usize + BLOCK_HEADER_SIZE;
        for n in (0..count).rev() {
            let at = n * EVENT_SIZE;
            self.active.mapping.load(offset + at, &mut buffer[at..at + EVENT_SIZE]);
        }
    }

    /// The id of the `n`th event, counted from 0.
    pub fn event_id(&self, n: u32) -> u64 {
        debug_assert!(n < self.layout.capacity());
        self.active.mapping.load_word(Layout::event_offset(n) as usize)
    }

    /// The header of a segment with this many events, all sealed. The closing time is left 0.
    pub fn final_header(&self, event_count: u32) -> Result<SegmentHeader> {
        debug_assert!((1..=self.layout.capacity()).contains(&event_count));
        let block_count = event_count.div_ceil(EVENTS_PER_BLOCK as u32);
        let last = self.block_header(block_count - 1)?;
        debug_assert_eq!(last.block_index, block_count - 1);
        debug_assert_eq!(last.last_event_id, self.event_id(event_count - 1));
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
    /// Its final header, without the closing time.
    pub header: SegmentHeader,
    pub disk: Arc<dyn File>,
}

/// What became of a hot segment that was to be frozen.
#[derive(Debug, Clone, Copy)]
pub struct Frozen {
    pub index: u32,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its cold file exists and was proved to hold the same.
    Done,
    /// It is as it was, and the freezer may try again.
    Failed,
    /// It is damaged and stays as it is.
    Damaged(DamageKind),
    /// There is no such file.
    Missing,
}

/// A disk file that can be reused: locked exclusively, under a temporary name.
#[derive(Debug)]
pub struct SpareFile {
    pub name: String,
    pub file: Arc<dyn File>,
}
