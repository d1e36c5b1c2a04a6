//! Seals one segment behind the writer and writes it to its disk file. A few blocks go there in one
//! write of whole pages, past the page cache, that is durable when it returns. A backlog goes
//! through the cache, so that the disk writes while we seal, and is then synced.
//!
//! Events and the headers that seal them reach the disk in any order, whole sectors at a time. That
//! is enough: a header without its events has a checksum that they do not have, and its stamp names
//! only what was durable before (docs/format.md, "Where the log ends").

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, MetaState};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::{Pages, PAGE};

use super::watched::Watched;
use crate::recorder::log::{pack, Log};
use crate::recorder::segment::{Finished, Segment};

/// Blocks written with one call: 128 KiB. More of them are a backlog. Fewer than the smallest
/// segment has, so that tests with small segments see backlogs, too.
const BLOCKS_PER_WRITE: u32 = 8;
const PER_BLOCK: u32 = EVENTS_PER_BLOCK as u32;

/// What goes to the disk, as it will stand there. Kept from segment to segment: allocating and
/// freeing memory would interrupt the appending thread.
#[derive(Debug)]
pub struct Staging {
    pages: Pages,
    /// Whether the filesystem takes writes past the page cache.
    direct: bool,
}

impl Staging {
    pub fn new() -> Result<Self> {
        let most = PAGE + BLOCKS_PER_WRITE as usize * BLOCK_SIZE + PAGE;
        Ok(Staging { pages: Pages::new(most), direct: true })
    }
}

/// A segment on its way to the disk, and how far it has come.
#[derive(Debug)]
pub struct Sealer {
    log: Arc<Log>,
    segment: Segment,
    watched: Watched,
    persisted: u32,
    /// Events that were given to the disk.
    written: u32,
    /// Chained checksum of the last full block that was sealed.
    chained: u64,
    /// What the first page of the next write begins with, before the header of its first block.
    page_head: Vec<u8>,
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
        let at = Layout::block_offset(full_blocks);
        let mut page_head = vec![0; at as usize % PAGE];
        segment.disk.read_at(&mut page_head, at / PAGE as u64 * PAGE as u64)?;
        Ok(Sealer { log, segment, watched, persisted, written: persisted, chained, page_head })
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
        debug_assert!(self.persisted < upto && self.persisted == self.written);
        debug_assert!(upto <= self.appended(log.appended()), "only what was appended is sealed");
        self.watched.check_disk()?;
        let blocks = upto.div_ceil(PER_BLOCK) - self.persisted / PER_BLOCK;
        let last_event_id = if blocks <= BLOCKS_PER_WRITE {
            self.write_at_once(upto, staging)?
        } else {
            self.write_backlog(upto, staging)?
        };
        debug_assert!(self.written == upto);
        debug_assert_eq!(last_event_id, self.segment.event_id(upto - 1));
        // The write to a file without a name succeeds, too.
        self.watched.check()?;
        let position = pack(self.segment.index, Layout::end_offset(upto));
        // Before: who waits for an event, and looks at the counters then, finds it counted.
        log.counters().persister.durable_events.add(u64::from(upto - self.persisted));
        log.durability.move_watermark(position, last_event_id)?;
        self.persisted = upto;
        Ok(())
    }

    /// Writes events and makes them durable, in one call where the filesystem can. Returns the last
    /// id.
    fn write_at_once(&mut self, upto: u32, staging: &mut Staging) -> Result<u64> {
        let log = Arc::clone(&self.log);
        let last_event_id = log.counters().persister.persist.of(|| Ok(self.seal(upto, staging)))?;
        log.counters()
            .persister
            .sync
            .and(&log.counters().histograms.sync, || self.write(upto, staging))?;
        self.advance(upto, staging);
        Ok(last_event_id)
    }

    /// Writes more events than one direct write takes, and makes them durable. The disk begins with
    /// each part while the next one is sealed (docs/experiments/durable.md). Returns the last id.
    fn write_backlog(&mut self, upto: u32, staging: &mut Staging) -> Result<u64> {
        let log = Arc::clone(&self.log);
        let mut last_event_id = 0;
        while self.written < upto {
            let to = upto.min((self.written / PER_BLOCK + BLOCKS_PER_WRITE) * PER_BLOCK);
            last_event_id = log.counters().persister.persist.of(|| {
                let last_event_id = self.seal(to, staging);
                let (begin, len) = self.staged(to);
                // The next write begins with the rest of the last page.
                let len = if to < upto { len / PAGE * PAGE } else { len };
                self.segment.disk.write_and_begin(&staging.pages[..len], begin)?;
                Ok(last_event_id)
            })?;
            self.advance(to, staging);
        }
        log.counters()
            .persister
            .sync
            .and(&log.counters().histograms.sync, || self.segment.disk.sync())?;
        Ok(last_event_id)
    }

    /// The first block that the next write has, and where in the file that write begins.
    fn next_write(&self) -> (u32, u64) {
        let block = self.written / PER_BLOCK;
        let begin = Layout::block_offset(block) - self.page_head.len() as u64;
        debug_assert!(begin % PAGE as u64 == 0);
        (block, begin)
    }

    /// Where in the file the staged blocks with the events up to `upto` begin, and their bytes.
    fn staged(&self, upto: u32) -> (u64, usize) {
        let (_, begin) = self.next_write();
        (begin, (u64::from(Layout::end_offset(upto)) - begin) as usize)
    }

    /// Puts the blocks with the events `written..upto` into the staging, their headers too, which
    /// also go into the segment in memory. Returns the last id.
    fn seal(&mut self, upto: u32, staging: &mut Staging) -> u64 {
        let durable_event_id = self.log.durable().last_event_id;
        let (first_block, begin) = self.next_write();
        staging.pages[..self.page_head.len()].copy_from_slice(&self.page_head);
        let mut last_event_id = 0;
        for block in first_block..upto.div_ceil(PER_BLOCK) {
            let count = (upto - block * PER_BLOCK).min(PER_BLOCK) as usize;
            let at = (Layout::block_offset(block) - begin) as usize;
            let bytes = &mut staging.pages[at..at + BLOCK_HEADER_SIZE + count * EVENT_SIZE];
            let (header_bytes, events) = bytes.split_at_mut(BLOCK_HEADER_SIZE);
            self.segment.load_events(block, count, events);
            let header = BlockHeader::seal(block, events, self.chained, durable_event_id);
            debug_assert!(header.first_event_id <= header.last_event_id);
            debug_assert!(last_event_id < header.first_event_id, "ids rise from block to block");
            debug_assert!(durable_event_id < header.last_event_id, "every block has a new event");
            debug_assert!(count == EVENTS_PER_BLOCK || block == upto / PER_BLOCK, "only the last");
            header_bytes.copy_from_slice(&header.encode());
            self.segment.active.mapping.store(Layout::block_offset(block) as usize, header_bytes);
            if count == EVENTS_PER_BLOCK {
                self.chained = header.chained_checksum;
            }
            last_event_id = header.last_event_id;
        }
        debug_assert!(durable_event_id < last_event_id);
        last_event_id
    }

    /// Writes what was staged and makes it durable.
    fn write(&self, upto: u32, staging: &mut Staging) -> Result<()> {
        let disk = &self.segment.disk;
        let (begin, len) = self.staged(upto);
        let whole_pages = len.next_multiple_of(PAGE);
        // A direct write of the page that the file ends in would make the file longer.
        if staging.direct && begin + whole_pages as u64 <= self.segment.layout.file_size() {
            staging.pages[len..whole_pages].fill(0);
            staging.direct = disk.write_durably(&staging.pages, 0..whole_pages, begin)?;
            if staging.direct {
                return Ok(());
            }
            self.log.notices.buffered_writes();
        }
        disk.write_at(&staging.pages[..len], begin)?;
        disk.sync()
    }

    /// The events up to `upto` are written. Keeps of what was staged what the next write begins
    /// with.
    fn advance(&mut self, upto: u32, staging: &Staging) {
        let (begin, len) = self.staged(upto);
        let at = (Layout::block_offset(upto / PER_BLOCK) - begin) as usize;
        self.page_head.clear();
        self.page_head.extend_from_slice(&staging.pages[at / PAGE * PAGE..at]);
        self.log.counters().persister.bytes_written.add(len as u64);
        self.written = upto;
    }

    /// What the maintainer closes, and the segment, whose memory can be reused.
    pub fn finish(self) -> Result<(Finished, Segment)> {
        let header = self.segment.final_header(self.persisted)?;
        debug_assert!(header.last_event_id <= self.log.durable().last_event_id);
        Ok((Finished { header, disk: Arc::clone(&self.segment.disk) }, self.segment))
    }
}
