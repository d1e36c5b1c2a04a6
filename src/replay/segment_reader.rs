//! The events of one segment, block by block, from any of the three places it can be in.

use std::io::{self, Read};
use std::sync::Arc;

use crate::error::{Cause, Error, Place, Result};
use crate::format::{cold_frame, xxh64, BlockHeader, Layout, RequestEvent, Rule};
use crate::format::{SegmentHeader, SegmentScan, MAX_EVENT_ID};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::{Directory, File, Mapping};

/// What a step through a segment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Events were added.
    Events,
    /// The segment has no more, and never will: the log goes on in the next one.
    Complete,
    /// Nothing more right now: this is the end of the log.
    End,
}

/// A closed segment, hot or cold: every block is what its header says, or it is not given out.
pub struct SealedReader {
    /// For messages.
    name: String,
    /// The file with its shared lock, kept as long as it is read.
    _file: Option<Arc<dyn File>>,
    stream: Box<dyn Read + Send>,
    header: SegmentHeader,
    block: u32,
    chained: u64,
    buffer: Vec<u8>,
    verify: bool,
}

impl SealedReader {
    /// The segment whose `header` has just been read from `stream`.
    pub fn new(
        name: String,
        file: Option<Arc<dyn File>>,
        stream: Box<dyn Read + Send>,
        header: SegmentHeader,
        verify: bool,
    ) -> Self {
        let buffer = vec![0; BLOCK_SIZE];
        SealedReader { name, _file: file, stream, header, block: 0, chained: 0, buffer, verify }
    }

    /// Adds the next block's events; all must be above `floor`.
    pub fn step(&mut self, floor: u64, events: &mut Vec<RequestEvent>) -> Result<Step> {
        if self.block == self.header.block_count {
            if self.verify && self.chained != self.header.last_chained_checksum {
                return Err(self.damaged(0, "the chain does not end as the header says"));
            }
            return Ok(Step::Complete);
        }
        let offset = Layout::block_offset(self.block);
        let left = self.header.event_count.saturating_sub(self.block * EVENTS_PER_BLOCK as u32);
        let count = left.min(EVENTS_PER_BLOCK as u32) as usize;
        // A trimmed file may end with its last event; a block cut short before that is damage.
        let needed = BLOCK_HEADER_SIZE + count * EVENT_SIZE;
        let read = cold_frame::read_full(&mut self.stream, &mut self.buffer)
            .map_err(|error| stream_error(&self.name, &error))?;
        if count == 0 || read < needed {
            return Err(self.damaged(offset, "the file ends before the events its header counts"));
        }
        let header = self.check_block(offset, count)?;
        let first_new = events.len();
        let mut last = floor;
        for bytes in self.buffer[BLOCK_HEADER_SIZE..needed].chunks_exact(EVENT_SIZE) {
            let event = RequestEvent::decode(bytes.first_chunk().unwrap_or(&[0; EVENT_SIZE]));
            if event.event_id <= last || event.event_id > MAX_EVENT_ID {
                events.truncate(first_new);
                return Err(self.damaged(offset, "event ids do not rise"));
            }
            last = event.event_id;
            events.push(event);
        }
        self.chained = header.chained_checksum;
        self.block += 1;
        Ok(Step::Events)
    }

    fn check_block(&self, offset: u64, count: usize) -> Result<BlockHeader> {
        let header = self.buffer.first_chunk().and_then(BlockHeader::decode);
        let header = header.ok_or_else(|| self.damaged(offset, "the block header is not valid"))?;
        if header.block_index != self.block || usize::from(header.event_count) != count {
            return Err(self.damaged(offset, "the block header is another block's"));
        }
        let events = &self.buffer[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE];
        if self.verify && xxh64(events, 0) != header.block_checksum {
            return Err(self.damaged(offset, "the block checksum does not match"));
        }
        if self.verify && xxh64(events, self.chained) != header.chained_checksum {
            return Err(self.damaged(offset, "the chained checksum does not match"));
        }
        Ok(header)
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        damaged(&self.name, &self.header, offset, what)
    }
}

/// Damage in a closed segment, named.
fn damaged(name: &str, header: &SegmentHeader, offset: u64, what: &str) -> Error {
    Error::new(Cause::Corrupt, format!("{name}: offset {offset}: {what}")).at(Place {
        segment_index: Some(header.segment_index),
        offset: Some(offset),
        event_ids: Some((header.first_event_id, header.last_event_id)),
    })
}

/// What the system says is an I/O error; what the LZ4 decoder says is damage.
pub fn stream_error(name: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => Error::io(name, error),
        None => Error::new(Cause::Corrupt, format!("{name}: {error}")),
    }
}

/// An open segment of a log that nobody is writing: the disk decides where it ends.
pub struct DiskReader {
    file: Arc<dyn File>,
    scan: SegmentScan,
    layout: Layout,
    block: u32,
    buffer: Vec<u8>,
}

impl DiskReader {
    /// The segment, of a log of which everything up to `durable_id` is known durable.
    pub fn new(file: Arc<dyn File>, durable_id: u64, floor: u64) -> Result<Self> {
        let layout = Layout::of_file(file.size()?);
        let scan = SegmentScan::new(Rule::Disk { durable_id }, floor);
        Ok(DiskReader { file, scan, layout, block: 0, buffer: vec![0; BLOCK_SIZE] })
    }

    /// Adds the next block's events.
    pub fn step(&mut self, events: &mut Vec<RequestEvent>) -> Result<Step> {
        if self.scan.has_ended() {
            return Ok(Step::End);
        }
        if self.block == self.layout.blocks {
            return Ok(Step::Complete);
        }
        let read = self.file.read_at(&mut self.buffer, Layout::block_offset(self.block))?;
        if read < BLOCK_SIZE {
            return Ok(Step::End);
        }
        self.block += 1;
        let accepted = self.scan.block(&self.buffer);
        let slots = self.buffer[BLOCK_HEADER_SIZE..].chunks_exact(EVENT_SIZE);
        events.extend(
            slots.take(accepted).filter_map(|b| Some(RequestEvent::decode(b.first_chunk()?))),
        );
        Ok(if accepted > 0 { Step::Events } else { Step::End })
    }
}

/// A segment in the active directory: memory, written in program order by a process that may be
/// writing at this moment.
pub struct ActiveReader {
    /// The file with its shared lock: the writer does not use it again while it is held.
    _file: Arc<dyn File>,
    directory: Arc<dyn Directory>,
    mapping: Mapping,
    layout: Layout,
    read: u32,
}

impl ActiveReader {
    /// The segment, locked by the caller.
    pub fn new(file: Arc<dyn File>, directory: Arc<dyn Directory>) -> Result<Self> {
        let size = file.size()?;
        let mapping = file.map(size, false)?;
        let layout = Layout::of_file(size);
        Ok(ActiveReader { _file: file, directory, mapping, layout, read: 0 })
    }

    /// Adds what is committed in the current block.
    pub fn step(&mut self, floor: u64, events: &mut Vec<RequestEvent>) -> Step {
        if self.read == self.layout.capacity() {
            return Step::Complete;
        }
        let in_block = EVENTS_PER_BLOCK as u32 - self.read % EVENTS_PER_BLOCK as u32;
        let mut last = floor;
        for _ in 0..in_block {
            let offset = Layout::event_offset(self.read) as usize;
            // The id with acquire ordering, before the rest: it is stored last, so that the other
            // 56 bytes are the ones that belong to it.
            let id = self.mapping.load_word(offset);
            if id <= last || id > MAX_EVENT_ID {
                break;
            }
            let mut bytes = [0; EVENT_SIZE];
            self.mapping.load(offset, &mut bytes);
            events.push(RequestEvent::decode(&bytes));
            last = id;
            self.read += 1;
        }
        if last > floor {
            Step::Events
        } else {
            Step::End
        }
    }

    /// Whether the directory was removed: the log has been shut down or recovered since, and goes
    /// on elsewhere.
    pub fn is_abandoned(&self) -> bool {
        self.directory.status().is_ok_and(|status| status.links == 0)
    }
}
