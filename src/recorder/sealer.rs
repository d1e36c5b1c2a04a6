//! Seals one segment behind the writer and writes it to its disk file: events, then block headers,
//! then the sync. Nothing counts as durable before that sync has succeeded.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, MetaState};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};

use super::log::Log;
use super::segment::{Finished, Segment};

/// A segment on its way to the disk, and how far it has come.
#[derive(Debug)]
pub struct Sealer {
    log: Arc<Log>,
    segment: Segment,
    persisted: u32,
    /// Chained checksum of the last block that was sealed full.
    chained: u64,
    /// Events of one block.
    events: Vec<u8>,
    /// Headers of the batch, written after all its events.
    headers: Vec<(u32, [u8; BLOCK_HEADER_SIZE])>,
}

impl Sealer {
    /// A segment whose first `persisted` events are on disk and sealed.
    pub fn new(log: Arc<Log>, segment: Segment, persisted: u32) -> Result<Self> {
        let full_blocks = persisted / EVENTS_PER_BLOCK as u32;
        let chained = match full_blocks.checked_sub(1) {
            Some(block) => segment.block_header(block)?.chained_checksum,
            None => 0,
        };
        Ok(Sealer {
            log,
            segment,
            persisted,
            chained,
            events: vec![0; EVENTS_PER_BLOCK * EVENT_SIZE],
            headers: Vec::new(),
        })
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

    /// Makes the first `upto` events durable and moves the watermark.
    pub fn persist(&mut self, upto: u32) -> Result<()> {
        let log = Arc::clone(&self.log);
        let last_event_id = log.counters().persist.of(|| self.write(upto))?;
        log.counters().sync.of(|| self.segment.disk.sync())?;
        let position = super::meta_store::pack(self.segment.index, Layout::end_offset(upto));
        log.move_watermark(position, last_event_id)?;
        log.counters().durable_events.add(u64::from(upto - self.persisted));
        self.persisted = upto;
        Ok(())
    }

    /// Writes events `persisted..upto`, then the headers of their blocks. Returns the last id.
    fn write(&mut self, upto: u32) -> Result<u64> {
        const PER_BLOCK: u32 = EVENTS_PER_BLOCK as u32;
        let durable_event_id = self.log.durable().last_event_id;
        let mut last_event_id = 0;
        let mut bytes = 0;
        self.headers.clear();
        for block in self.persisted / PER_BLOCK..upto.div_ceil(PER_BLOCK) {
            let count = (upto - block * PER_BLOCK).min(PER_BLOCK) as usize;
            let on_disk = self.persisted.saturating_sub(block * PER_BLOCK) as usize;
            self.segment.load_events(block, count, &mut self.events);
            let new_events = &self.events[on_disk * EVENT_SIZE..count * EVENT_SIZE];
            let at = Layout::event_offset(block * PER_BLOCK + on_disk as u32);
            self.segment.disk.write_at(new_events, at)?;
            let sealed = &self.events[..count * EVENT_SIZE];
            let header = BlockHeader::seal(block, sealed, self.chained, durable_event_id);
            if count == EVENTS_PER_BLOCK {
                self.chained = header.chained_checksum;
            }
            last_event_id = header.last_event_id;
            bytes += new_events.len() + BLOCK_HEADER_SIZE;
            self.headers.push((block, header.encode()));
        }
        for (block, header) in &self.headers {
            let at = Layout::block_offset(*block);
            self.segment.active.mapping.store(at as usize, header);
            self.segment.disk.write_at(header, at)?;
        }
        self.log.counters().bytes_written.add(bytes as u64);
        Ok(last_event_id)
    }

    /// The segment for the maintainer to close; its memory is given back for another life.
    pub fn finish(self) -> Result<(Finished, Segment)> {
        let header = self.segment.final_header(self.persisted)?;
        Ok((Finished { header, disk: Arc::clone(&self.segment.disk) }, self.segment))
    }
}
