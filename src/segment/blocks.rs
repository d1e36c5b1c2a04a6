//! The blocks of a segment, wherever they come from: a file, or the LZ4 frame of a cold segment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::format::{Layout, SegmentHeader, BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use crate::storage::{File, Pages, Slots, PAGE};

use super::batch::Batch;
use super::file::first_slot;
use super::frame::FrameContent;
use super::memory::Memory;

/// Blocks read at a time from a closed segment: they are still in the cache when they are hashed.
pub(crate) const BLOCKS_PER_READ: u32 = 4;

/// Where blocks come from: a hot, a cold, or an active segment.
pub enum Source {
    File(Arc<dyn File>),
    /// A file that is read past the page cache, and how much at a time.
    Direct(Arc<dyn File>, Pages),
    Frame(Box<FrameContent>),
    Memory(Memory),
    /// What memory still has of a closed segment.
    Retired(Memory),
}

/// The block that a walk stands at.
pub struct Blocks {
    pub source: Source,
    /// `loaded` bytes from block `start` on.
    memory: Arc<Slots>,
    /// What to read into when somebody else still reads the memory.
    spares: Vec<Arc<Slots>>,
    start: u32,
    loaded: usize,
    /// Where in the buffer, or in the pages of a direct read, the first loaded block begins.
    head: usize,
    /// Offset of the current block behind that.
    at: usize,
    /// How long reading took; out of a frame, reading and decompressing.
    pub taken: Duration,
}

impl Blocks {
    /// The blocks of a source, none of them loaded.
    pub fn new(source: Source) -> Self {
        let memory = Arc::default();
        let taken = Duration::ZERO;
        Blocks { source, memory, spares: Vec::new(), start: 0, loaded: 0, head: 0, at: 0, taken }
    }

    /// Memory to read into when the last that was read into is still in use.
    pub fn lend(&mut self, spares: impl IntoIterator<Item = Arc<Slots>>) {
        self.spares.extend(spares);
    }

    /// The memory that it reads into, and what it was lent.
    pub fn take_memory(&mut self) -> impl Iterator<Item = Arc<Slots>> + '_ {
        self.forget();
        std::iter::once(std::mem::take(&mut self.memory)).chain(self.spares.drain(..))
    }

    /// Nothing is loaded any more: what comes next is read anew.
    pub fn forget(&mut self) {
        self.loaded = 0;
    }

    /// Makes `block` the current one. Returns its bytes in the source: fewer than a block's at the
    /// end. Reads ahead, but not past `ahead_to`.
    pub fn load(&mut self, block: u32, ahead_to: u32) -> Result<usize> {
        debug_assert!(block < ahead_to, "block {block} of {ahead_to}");
        let loaded_to = self.start + (self.loaded / BLOCK_SIZE) as u32;
        if (self.start..loaded_to).contains(&block) {
            self.at = (block - self.start) as usize * BLOCK_SIZE;
            return Ok(BLOCK_SIZE);
        }
        (self.start, self.loaded, self.at) = (block, 0, 0);
        let blocks = match &self.source {
            Source::File(_) | Source::Frame(_) => BLOCKS_PER_READ.min(ahead_to - block) as usize,
            Source::Direct(_, pages) => {
                let room = (pages.len() - 2 * PAGE) / BLOCK_SIZE;
                room.min((ahead_to - block) as usize)
            }
            Source::Memory(_) | Source::Retired(_) => 1,
        };
        let mut none = Slots::default();
        let buffer = match self.source {
            Source::Direct(..) | Source::Memory(_) => &mut none,
            // As much as the most that is read at a time, so that it can be used again.
            _ => {
                let len = BLOCKS_PER_READ as usize * BLOCK_SIZE;
                Slots::to_fill(&mut self.memory, &mut self.spares, len)
            }
        };
        let offset = Layout::block_offset(block);
        let begin = Instant::now();
        let read = match &mut self.source {
            Source::File(file) => {
                // A bad sector further on must not hide the block that comes next.
                file.read_at(&mut buffer[..blocks * BLOCK_SIZE], offset)
                    .or_else(|_| file.read_at(&mut buffer[..BLOCK_SIZE], offset))
            }
            Source::Direct(file, pages) => {
                let begin = offset as usize / PAGE * PAGE;
                self.head = offset as usize - begin;
                let mut read = |blocks: usize| {
                    let len = (self.head + blocks * BLOCK_SIZE).next_multiple_of(PAGE);
                    let read = file.read_pages(pages, len, begin as u64)?;
                    Ok(read.saturating_sub(self.head).min(blocks * BLOCK_SIZE))
                };
                read(blocks).or_else(|_: Error| read(1))
            }
            Source::Frame(content) => {
                Ok(content.read_at(&mut buffer[..blocks * BLOCK_SIZE], offset))
            }
            // Its events are read one by one, while they are written.
            Source::Memory(_) => Ok(0),
            Source::Retired(memory) => memory.block(&mut buffer[..BLOCK_SIZE], offset),
        };
        self.taken += begin.elapsed();
        self.loaded = *read.as_ref().unwrap_or(&0);
        let whole = self.loaded.min(BLOCK_SIZE);
        let rest = self.head + whole..self.head + BLOCK_SIZE;
        match &mut self.source {
            Source::Direct(_, pages) => pages[rest].fill(0),
            Source::File(_) | Source::Frame(_) | Source::Retired(_) => buffer[rest].fill(0),
            Source::Memory(_) => {}
        }
        read.map(|_| whole)
    }

    /// The bytes of the current block, zeros behind the end of the source.
    pub fn bytes(&self) -> &[u8] {
        let memory: &[u8] = match &self.source {
            Source::Direct(_, pages) => pages,
            _ => &self.memory,
        };
        &memory[self.head + self.at..][..BLOCK_SIZE]
    }

    /// The events of the current block from its slot `first` to its slot `end`. Those of a direct
    /// read are not given out.
    pub fn batch(&self, first: usize, end: usize) -> Batch {
        if matches!(self.source, Source::Direct(..)) {
            return Batch::default();
        }
        let begin = (self.head + self.at + BLOCK_HEADER_SIZE) / EVENT_SIZE;
        Batch::new(&self.memory, begin + first..begin + end)
    }

    /// What stands as an id in the first slot; 0 = no events, and so it is for a cold segment.
    pub fn first_slot(&self) -> Result<u64> {
        match &self.source {
            Source::File(file) | Source::Direct(file, _) => first_slot(&**file),
            Source::Frame(_) => Ok(0),
            Source::Memory(memory) | Source::Retired(memory) => Ok(memory.first_slot()),
        }
    }

    /// Whether this header counts no events though there are some.
    pub fn are_denied_by(&self, header: &SegmentHeader) -> Result<bool> {
        Ok(header.event_count == 0 && self.first_slot()? != 0)
    }

    /// Where in the file the bytes at `offset` of the segment are.
    pub fn file_offset(&self, offset: u64) -> u64 {
        match &self.source {
            Source::File(_) | Source::Direct(..) | Source::Memory(_) | Source::Retired(_) => offset,
            Source::Frame(content) => content.file_offset_of(offset),
        }
    }
}

/// The first `count` events of a block.
pub fn events_of(block: &[u8], count: usize) -> &[u8] {
    &block[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE]
}

/// What stands as an id in the first slot of a block.
pub fn first_id_of(block: &[u8]) -> u64 {
    block[BLOCK_HEADER_SIZE..].first_chunk().map_or(0, |id| u64::from_le_bytes(*id))
}
