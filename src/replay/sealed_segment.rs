//! A closed segment, hot or cold: every block is what the headers say, or it is not given out.

use std::io::{self, Read};
use std::sync::Arc;

use crate::directory::first_slot;
use crate::error::{Error, Result};
use crate::format::{block_checksums, cold_frame};
use crate::format::{BlockHeader, Layout, RequestEvent, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::File;

use super::{Site, Step};

/// Blocks read at a time from a file: what is read is still in the cache when it is hashed.
const BLOCKS_PER_READ: u32 = 16;

/// Where the blocks come from.
pub enum Blocks {
    /// A hot segment, with its shared lock.
    File(Arc<dyn File>),
    /// What a cold segment's frame holds, from the first block on.
    Stream(Box<dyn Read + Send>),
}

/// Reads a closed segment.
pub struct SealedSegment {
    site: Site,
    blocks: Blocks,
    header: SegmentHeader,
    verify: bool,
    /// The next block.
    block: u32,
    /// Chained checksum of the block before it.
    chained: u64,
    last_event_id: u64,
    /// `loaded` bytes, from block `buffer_start` on.
    buffer: Vec<u8>,
    buffer_start: u32,
    loaded: usize,
}

impl SealedSegment {
    /// The segment of this header; its events must be above `floor`.
    pub fn new(
        site: Site,
        blocks: Blocks,
        header: SegmentHeader,
        floor: u64,
        verify: bool,
    ) -> Result<Self> {
        let segment = SealedSegment {
            site,
            blocks,
            header,
            verify,
            block: 0,
            chained: 0,
            last_event_id: floor,
            buffer: Vec::new(),
            buffer_start: 0,
            loaded: 0,
        };
        segment.check_header()?;
        Ok(segment)
    }

    /// The first event's id, 0 = none.
    pub fn first_event_id(&self) -> u64 {
        self.header.first_event_id
    }

    /// The last event read, or the floor.
    pub fn last_event_id(&self) -> u64 {
        self.last_event_id
    }

    /// Whether the file has room for more events than it holds.
    pub fn has_room(&self) -> Result<bool> {
        match &self.blocks {
            Blocks::File(file) => {
                Ok(self.header.event_count < Layout::of_file(file.size()?).capacity())
            }
            Blocks::Stream(_) => Ok(false),
        }
    }

    /// Reads the next block and adds its events from the id `from` on. A block that ends below
    /// `from` is passed over by what its header says.
    pub fn step(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Result<Step> {
        if self.block == self.header.block_count {
            self.check_rest()?;
            return Ok(Step::Complete);
        }
        let read = self.header.event_count - self.block * EVENTS_PER_BLOCK as u32;
        let count = read.min(EVENTS_PER_BLOCK as u32) as usize;
        self.load()?;
        let block = self.loaded_block();
        let header = self.check_block_header(block, count)?;
        if header.last_event_id >= from {
            // A trimmed file may end with its last event.
            let Some(bytes) = block.get(BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE)
            else {
                return Err(self.damaged_block(Some(&header), "the file ends in this block"));
            };
            self.check_events(bytes, &header)?;
            let first_wanted = events.len();
            events.extend(bytes.chunks_exact(EVENT_SIZE).map(|event| {
                RequestEvent::decode(event.try_into().expect("a chunk of that size"))
            }));
            if !rises(&events[first_wanted..], &header) {
                events.truncate(first_wanted);
                return Err(self.damaged_block(Some(&header), "event ids do not rise"));
            }
            let below = events[first_wanted..].partition_point(|event| event.event_id < from);
            events.drain(first_wanted..first_wanted + below);
        }
        self.chained = header.chained_checksum;
        self.last_event_id = header.last_event_id;
        self.block += 1;
        Ok(Step::Block)
    }

    /// What the segment header says of itself must fit together.
    fn check_header(&self) -> Result<()> {
        let header = &self.header;
        let (first, last) = (header.first_event_id, header.last_event_id);
        let what = if !header.is_consistent() {
            "the header's counts and event ids do not fit together"
        } else if header.event_count == 0 && self.has_first_event()? {
            "the header counts no events, though there are some"
        } else if first != 0 && first <= self.last_event_id {
            "event ids do not rise from the segment before"
        } else {
            return Ok(());
        };
        Err(self.site.damaged(0, (first, last), what))
    }

    /// Whether something stands in the first slot.
    fn has_first_event(&self) -> Result<bool> {
        let Blocks::File(file) = &self.blocks else { return Ok(false) };
        Ok(first_slot(&**file)? != 0)
    }

    fn check_block_header(&self, block: &[u8], count: usize) -> Result<BlockHeader> {
        if block.len() < BLOCK_HEADER_SIZE {
            return Err(self.damaged_block(None, "the file ends before the events it counts"));
        }
        let Some(header) = block.first_chunk().and_then(BlockHeader::decode) else {
            return Err(self.damaged_block(None, "the block header is not valid"));
        };
        let segment = &self.header;
        let is_last = self.block + 1 == segment.block_count;
        let what = if header.block_index != self.block || usize::from(header.event_count) != count {
            "the block header is another block's"
        } else if header.first_event_id <= self.last_event_id
            || header.first_event_id > header.last_event_id
            || (self.block == 0 && header.first_event_id != segment.first_event_id)
            || (is_last && header.last_event_id != segment.last_event_id)
        {
            "the block header's event ids do not follow"
        } else if is_last && header.chained_checksum != segment.last_chained_checksum {
            "the chained checksum is not the one the segment header ends with"
        } else {
            return Ok(header);
        };
        Err(self.damaged_block(Some(&header), what))
    }

    fn check_events(&self, events: &[u8], header: &BlockHeader) -> Result<()> {
        if !self.verify {
            return Ok(());
        }
        let (plain, chained) = block_checksums(events, self.chained);
        if plain != header.block_checksum {
            return Err(self.damaged_block(Some(header), "the block checksum does not match"));
        }
        if chained != header.chained_checksum {
            return Err(self.damaged_block(Some(header), "the chained checksum does not match"));
        }
        Ok(())
    }

    /// Behind the last block of a cold segment: the rest of the frame, with its own checksum.
    fn check_rest(&mut self) -> Result<()> {
        let Blocks::Stream(stream) = &mut self.blocks else { return Ok(()) };
        if !self.verify {
            return Ok(());
        }
        let offset = Layout::block_offset(self.block);
        io::copy(stream, &mut io::sink())
            .map(|_| ())
            .map_err(|error| self.site.frame_error(offset, (0, 0), &error))
    }

    /// Sees to it that the next block is in the buffer, or as much of it as there is.
    fn load(&mut self) -> Result<()> {
        if self.loaded > 0 && self.buffer_start + (self.loaded / BLOCK_SIZE) as u32 > self.block {
            return Ok(());
        }
        let ids = self.ids_left();
        let offset = Layout::block_offset(self.block);
        self.buffer_start = self.block;
        self.loaded = 0;
        self.loaded = match &mut self.blocks {
            Blocks::File(file) => {
                let blocks = BLOCKS_PER_READ.min(self.header.block_count - self.block) as usize;
                self.buffer.resize(BLOCKS_PER_READ as usize * BLOCK_SIZE, 0);
                let buffer = &mut self.buffer[..blocks * BLOCK_SIZE];
                // A bad sector further on must not hide the block that comes next.
                file.read_at(buffer, offset)
                    .or_else(|_| file.read_at(&mut buffer[..BLOCK_SIZE], offset))
                    .map_err(|error| self.site.located(error))?
            }
            Blocks::Stream(stream) => {
                self.buffer.resize(BLOCK_SIZE, 0);
                cold_frame::read_full(stream, &mut self.buffer)
                    .map_err(|error| self.site.frame_error(offset, ids, &error))?
            }
        };
        Ok(())
    }

    fn loaded_block(&self) -> &[u8] {
        let start = (self.block - self.buffer_start) as usize * BLOCK_SIZE;
        &self.buffer[start..self.loaded.min(start + BLOCK_SIZE)]
    }

    fn ids_left(&self) -> (u64, u64) {
        (self.last_event_id + 1, self.header.last_event_id)
    }

    fn damaged_block(&self, header: Option<&BlockHeader>, what: &str) -> Error {
        let ids = header.map_or(self.ids_left(), |h| (h.first_event_id, h.last_event_id));
        self.site.damaged(Layout::block_offset(self.block), ids, what)
    }
}

/// Whether the ids rise, from the header's first to its last.
fn rises(events: &[RequestEvent], header: &BlockHeader) -> bool {
    let first = events.first().map(|event| event.event_id);
    let last = events.last().map(|event| event.event_id);
    (first, last) == (Some(header.first_event_id), Some(header.last_event_id))
        && events.windows(2).all(|pair| pair[0].event_id < pair[1].event_id)
}
