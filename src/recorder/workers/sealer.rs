//! Seals one segment behind the writer and writes it to its disk file: events, then their block
//! headers, then the sync. Nothing is durable before that sync has succeeded.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, MetaState};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::FOLIO;

use super::watched::Watched;
use crate::recorder::log::{pack, Log};
use crate::recorder::segment::{Finished, Segment};

/// Blocks written with one call: 256 KiB. With fewer the kernel copies at half the speed, with more
/// it copies no faster (docs/experiments/durable.md).
const BLOCKS_PER_WRITE: u32 = 16;
const PER_BLOCK: u32 = EVENTS_PER_BLOCK as u32;
/// Backlog, in events, above which write-back starts while we are still sealing: half of one call.
/// It nearly doubles the sustained rate (docs/experiments/durable.md).
const WRITEBACK_BACKLOG: u32 = BLOCKS_PER_WRITE * PER_BLOCK / 2;

/// Buffers between memory and disk. Kept from segment to segment: allocating and freeing memory
/// would interrupt the appending thread.
#[derive(Debug)]
pub struct Staging {
    /// Blocks as they are on disk, but with zeros for headers, which are written after the events.
    blocks: Vec<u8>,
    headers: Vec<BlockHeader>,
}

impl Default for Staging {
    fn default() -> Self {
        Staging { blocks: vec![0; BLOCKS_PER_WRITE as usize * BLOCK_SIZE], headers: Vec::new() }
    }
}

/// A segment on its way to the disk, and how far it has come.
#[derive(Debug)]
pub struct Sealer {
    log: Arc<Log>,
    segment: Segment,
    watched: Watched,
    persisted: u32,
    /// Chained checksum of the last full block that was sealed.
    chained: u64,
}

impl Sealer {
    /// A segment whose first `persisted` events are on disk and sealed.
    pub fn new(log: Arc<Log>, segment: Segment, persisted: u32) -> Result<Self> {
        debug_assert!(persisted <= segment.layout.capacity());
        let full_blocks = persisted / PER_BLOCK;
        let chained = match full_blocks.checked_sub(1) {
            Some(block) => segment.block_header(block)?.chained_checksum,
            None => 0,
        };
        let watched = Watched::new(&log, &segment)?;
        Ok(Sealer { log, segment, watched, persisted, chained })
    }

    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    pub fn persisted(&self) -> u32 {
        self.persisted
    }

    /// How many events of the segment were appended, according to a snapshot of the progress.
    pub fn appended(&self, appended: MetaState) -> u32 {
        match appended.last_segment_index.cmp(&self.segment.index) {
            Ordering::Less => 0,
            Ordering::Equal => Layout::events_before(appended.last_offset),
            Ordering::Greater => self.segment.layout.capacity(),
        }
    }

    /// Touches the pages that the writer needs next.
    pub fn look_ahead(&self) {
        let offset = Layout::end_offset(self.persisted);
        self.segment.active.mapping.look_ahead(offset as usize);
    }

    /// Makes the first `upto` events durable and moves the watermark.
    pub fn persist(&mut self, upto: u32, staging: &mut Staging) -> Result<()> {
        let log = Arc::clone(&self.log);
        debug_assert!(self.persisted < upto);
        debug_assert!(upto <= self.appended(log.appended()), "only what was appended is sealed");
        self.watched.check_disk()?;
        let last_event_id = log.counters().persist.of(|| self.write(upto, staging))?;
        log.counters().sync.of(|| self.segment.disk.sync())?;
        debug_assert_eq!(last_event_id, self.segment.event_id(upto - 1));
        // The sync of a file without a name succeeds, too.
        self.watched.check()?;
        let position = pack(self.segment.index, Layout::end_offset(upto));
        log.durability.move_watermark(position, last_event_id)?;
        log.counters().durable_events.add(u64::from(upto - self.persisted));
        self.persisted = upto;
        Ok(())
    }

    /// Writes events `persisted..upto`, in groups of as many blocks as one call takes: the events
    /// of a group, then its headers. Returns the last id.
    fn write(&mut self, upto: u32, staging: &mut Staging) -> Result<u64> {
        let durable_event_id = self.log.durable().last_event_id;
        let behind = upto - self.persisted >= WRITEBACK_BACKLOG;
        let (mut from, mut last_event_id) = (self.persisted, 0);
        while from < upto {
            let to = upto.min((from / PER_BLOCK + BLOCKS_PER_WRITE) * PER_BLOCK);
            self.write_events(from, to, durable_event_id, staging)?;
            last_event_id = self.write_headers(&staging.headers, behind)?;
            let headers = staging.headers.len() * BLOCK_HEADER_SIZE;
            let events = (to - from) as usize * EVENT_SIZE;
            self.log.counters().bytes_written.add((events + headers) as u64);
            from = to;
        }
        debug_assert!(durable_event_id < last_event_id);
        Ok(last_event_id)
    }

    /// Writes the events `from..to`, of no more blocks than one call takes, and makes the headers.
    /// `from` begins a block, or is the first event that is not on disk.
    fn write_events(
        &mut self,
        from: u32,
        to: u32,
        durable_event_id: u64,
        staging: &mut Staging,
    ) -> Result<()> {
        let first_block = from / PER_BLOCK;
        debug_assert!(from < to && to.div_ceil(PER_BLOCK) - first_block <= BLOCKS_PER_WRITE);
        debug_assert!(from % PER_BLOCK == 0 || from == self.persisted);
        staging.headers.clear();
        for block in first_block..to.div_ceil(PER_BLOCK) {
            let count = (to - block * PER_BLOCK).min(PER_BLOCK) as usize;
            let at = (block - first_block) as usize * BLOCK_SIZE + BLOCK_HEADER_SIZE;
            let events = &mut staging.blocks[at..at + count * EVENT_SIZE];
            self.segment.load_events(block, count, events);
            let header = BlockHeader::seal(block, events, self.chained, durable_event_id);
            debug_assert!(header.first_event_id <= header.last_event_id);
            debug_assert!(durable_event_id < header.last_event_id, "every block has a new event");
            debug_assert!(count == EVENTS_PER_BLOCK || block == to / PER_BLOCK, "only the last");
            if count == EVENTS_PER_BLOCK {
                self.chained = header.chained_checksum;
            }
            staging.headers.push(header);
        }
        // Not the header before the first event: on disk it may seal earlier events of its block.
        let first = Layout::block_offset(first_block);
        let (begin, end) = (Layout::event_offset(from), u64::from(Layout::end_offset(to)));
        let bytes = &staging.blocks[(begin - first) as usize..(end - first) as usize];
        debug_assert!(begin % EVENT_SIZE as u64 == 0 && bytes.len() % EVENT_SIZE == 0);
        self.segment.disk.write_at(bytes, begin)
    }

    /// Writes headers whose events are written. Returns the last id in them. If the persister is
    /// `behind`, the last header in each folio starts the write-back of that folio.
    fn write_headers(&self, headers: &[BlockHeader], behind: bool) -> Result<u64> {
        let Segment { active, disk, .. } = &self.segment;
        let mut last_event_id = 0;
        for header in headers {
            let at = Layout::block_offset(header.block_index);
            let bytes = header.encode();
            debug_assert!(BlockHeader::decode(&bytes).is_some_and(|read| read.encode() == bytes));
            debug_assert!(last_event_id < header.first_event_id, "ids rise from block to block");
            active.mapping.store(at as usize, &bytes);
            if behind && at / FOLIO != (at + BLOCK_SIZE as u64) / FOLIO {
                disk.write_at_and_start_writeback(&bytes, at)?;
            } else {
                disk.write_at(&bytes, at)?;
            }
            last_event_id = header.last_event_id;
        }
        Ok(last_event_id)
    }

    /// What the maintainer closes, and the segment, whose memory can be reused.
    pub fn finish(self) -> Result<(Finished, Segment)> {
        let header = self.segment.final_header(self.persisted)?;
        debug_assert!(header.last_event_id <= self.log.durable().last_event_id);
        Ok((Finished { header, disk: Arc::clone(&self.segment.disk) }, self.segment))
    }
}
