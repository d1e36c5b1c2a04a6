//! Seals one segment behind the writer and writes it to its disk file: events, then their block
//! headers, then the sync. Nothing counts as durable before that sync has succeeded.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, MetaState};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::FOLIO;

use crate::recorder::log::meta_store::pack;
use crate::recorder::log::Log;
use crate::recorder::segment::{Finished, Segment};

/// Blocks written with one call: 256 KiB. With less the kernel copies at half the speed, with more
/// it does not copy faster (docs/performance.md).
const BLOCKS_PER_WRITE: u32 = 16;
const PER_BLOCK: u32 = EVENTS_PER_BLOCK as u32;
/// Events to be made durable at once from which on the disk begins with the first of them while the
/// rest is being sealed: half of what is written with one call. The sustained rate is nearly twice
/// what it is without (docs/performance.md).
const BEHIND: u32 = BLOCKS_PER_WRITE * PER_BLOCK / 2;

/// What is on its way from memory to the disk. Kept from segment to segment: memory that comes and
/// goes would interrupt the appending thread.
#[derive(Debug)]
pub struct Staging {
    /// Blocks as the disk has them, with zeros for headers: those are written after the events.
    blocks: Vec<u8>,
    /// Their headers.
    headers: Vec<(u32, BlockHeader)>,
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
    persisted: u32,
    /// Chained checksum of the last block that was sealed full.
    chained: u64,
}

impl Sealer {
    /// A segment whose first `persisted` events are on disk and sealed.
    pub fn new(log: Arc<Log>, segment: Segment, persisted: u32) -> Result<Self> {
        let full_blocks = persisted / PER_BLOCK;
        let chained = match full_blocks.checked_sub(1) {
            Some(block) => segment.block_header(block)?.chained_checksum,
            None => 0,
        };
        Ok(Sealer { log, segment, persisted, chained })
    }

    /// The segment.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Events of it that are durable.
    pub fn persisted(&self) -> u32 {
        self.persisted
    }

    /// How many events of the segment have been appended, seen from a snapshot of the progress.
    pub fn appended(&self, appended: MetaState) -> u32 {
        if appended.last_segment_index > self.segment.index {
            self.segment.layout.capacity()
        } else if appended.last_segment_index == self.segment.index {
            Layout::events_before(appended.last_offset)
        } else {
            0
        }
    }

    /// Whether all the segment can hold is durable.
    pub fn is_complete(&self) -> bool {
        self.persisted == self.segment.layout.capacity()
    }

    /// Has the memory at hand that the writer comes to next.
    pub fn look_ahead(&self) {
        let offset = Layout::end_offset(self.persisted);
        self.segment.active.mapping.look_ahead(offset as usize);
    }

    /// Makes the first `upto` events durable and moves the watermark.
    pub fn persist(&mut self, upto: u32, staging: &mut Staging) -> Result<()> {
        let log = Arc::clone(&self.log);
        let last_event_id = log.counters().persist.of(|| self.write(upto, staging))?;
        log.counters().sync.of(|| self.segment.disk.sync())?;
        let position = pack(self.segment.index, Layout::end_offset(upto));
        log.durability.move_watermark(position, last_event_id)?;
        log.counters().durable_events.add(u64::from(upto - self.persisted));
        self.persisted = upto;
        Ok(())
    }

    /// Writes events `persisted..upto`, as many blocks at a time as one call takes, each time with
    /// their headers behind them. Returns the last id.
    fn write(&mut self, upto: u32, staging: &mut Staging) -> Result<u64> {
        let durable_event_id = self.log.durable().last_event_id;
        let behind = upto - self.persisted >= BEHIND;
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
        Ok(last_event_id)
    }

    /// Writes the events `from..to`, of no more blocks than one call takes, and makes their headers.
    /// `from` begins a block, or is the first that is not on disk.
    fn write_events(
        &mut self,
        from: u32,
        to: u32,
        durable_event_id: u64,
        staging: &mut Staging,
    ) -> Result<()> {
        let first_block = from / PER_BLOCK;
        staging.headers.clear();
        for block in first_block..to.div_ceil(PER_BLOCK) {
            let count = (to - block * PER_BLOCK).min(PER_BLOCK) as usize;
            let at = (block - first_block) as usize * BLOCK_SIZE + BLOCK_HEADER_SIZE;
            let events = &mut staging.blocks[at..at + count * EVENT_SIZE];
            self.segment.load_events(block, count, events);
            let header = BlockHeader::seal(block, events, self.chained, durable_event_id);
            if count == EVENTS_PER_BLOCK {
                self.chained = header.chained_checksum;
            }
            staging.headers.push((block, header));
        }
        // From an event to an event: the header before the first may stand for others on disk.
        let first = Layout::block_offset(first_block);
        let (begin, end) = (Layout::event_offset(from), u64::from(Layout::end_offset(to)));
        let bytes = &staging.blocks[(begin - first) as usize..(end - first) as usize];
        self.segment.disk.write_at(bytes, begin)
    }

    /// Writes headers whose events are written. Returns the last id of theirs. If the persister is
    /// `behind`, the disk begins with each folio that is complete: with the last header in it.
    fn write_headers(&self, headers: &[(u32, BlockHeader)], behind: bool) -> Result<u64> {
        let Segment { active, disk, .. } = &self.segment;
        let mut last_event_id = 0;
        for (block, header) in headers {
            let at = Layout::block_offset(*block);
            let bytes = header.encode();
            active.mapping.store(at as usize, &bytes);
            if behind && at / FOLIO != (at + BLOCK_SIZE as u64) / FOLIO {
                disk.write_at_and_begin(&bytes, at)?;
            } else {
                disk.write_at(&bytes, at)?;
            }
            last_event_id = header.last_event_id;
        }
        Ok(last_event_id)
    }

    /// The segment for the maintainer to close; its memory is given back for another life.
    pub fn finish(self) -> Result<(Finished, Segment)> {
        let header = self.segment.final_header(self.persisted)?;
        Ok((Finished { header, disk: Arc::clone(&self.segment.disk) }, self.segment))
    }
}
