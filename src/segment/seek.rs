//! Finds the block of a closed segment in which something begins, without reading what lies before
//! it: by the headers of blocks or, for times, by their first events.
//!
//! What is looked at on the way only decides where to go on. A walk from there checks everything
//! that it gives out.

use crate::format::{BlockHeader, Layout, RequestEvent, BLOCK_HEADER_SIZE, EVENT_SIZE};

use super::blocks::Source;
use super::cursor::Cursor;

/// What is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// The block of the first event with this id or a higher one.
    Id(u64),
    /// The last block that begins with an earlier event than this time; else the first block. The
    /// first event of that time or a later one is in this block or begins the next one, if times
    /// rise.
    Time(u64),
}

impl Cursor {
    /// Goes to the block that is sought, in a closed segment whose header can be trusted. A walk
    /// that is no good after this returns `false`: it met something else than it expected.
    pub fn go_to(&mut self, sought: Sought) -> bool {
        let Some(header) = self.header else { return true };
        if self.block != 0 || !self.is_closed() || self.is_damaged() || !self.can_jump() {
            return true;
        }
        let last = header.block_count.saturating_sub(1);
        let block = match sought {
            Sought::Id(id) => {
                let block = self.block_of_id(id, last);
                if self.header_of(block).is_none() {
                    // If what is sought lies behind what cannot be read, it is read from there.
                    if let Some((behind, header)) = self.next_header(block, last) {
                        if header.first_event_id <= id {
                            self.stand_before(&header, behind);
                            return self.jump_to(behind);
                        }
                    }
                }
                block
            }
            Sought::Time(time) => match self.block_of_time(time, last) {
                Some(block) => block,
                None => return self.begin_anew(),
            },
        };
        if block == 0 {
            return self.begin_anew();
        }
        let Some(before) = self.header_of(block - 1) else { return self.begin_anew() };
        if !self.stand_behind(&before, block - 1) {
            return self.begin_anew();
        }
        self.jump_to(block)
    }

    /// The first block, up to `last`, that is not known to end before an id. A block whose header
    /// cannot be read says nothing, and the next one that can be decides.
    fn block_of_id(&mut self, id: u64, last: u32) -> u32 {
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = (low + high) / 2;
            match self.next_header(middle, high) {
                Some((at, header)) if header.last_event_id < id => low = at + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The last block, up to `last`, that begins with an earlier event than a time, or the first
    /// one; `None` = it cannot be told.
    fn block_of_time(&mut self, time: u64, last: u32) -> Option<u32> {
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = (low + high) / 2;
            match self.time_of(middle + 1)? < time {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Some(low)
    }

    /// The first block from `block` up to `last` whose header can be read.
    fn next_header(&mut self, block: u32, last: u32) -> Option<(u32, BlockHeader)> {
        (block..=last).find_map(|at| self.header_of(at).map(|header| (at, header)))
    }

    /// The time of the segment's first event, as it stands there; `None` = it cannot be read.
    pub fn first_time(&mut self) -> Option<u64> {
        if self.block != 0 || !self.can_jump() {
            return None;
        }
        let time = self.time_of(0);
        self.begin_anew().then_some(time).flatten()
    }

    fn can_jump(&self) -> bool {
        match &self.blocks.source {
            Source::File(_) | Source::Memory(_) => true,
            Source::Frame(content) => content.can_jump(),
            Source::Direct(..) | Source::Retired(_) => false,
        }
    }

    fn header_of(&mut self, block: u32) -> Option<BlockHeader> {
        let mut bytes = [0; BLOCK_HEADER_SIZE];
        let peeked = self.peek(&mut bytes, Layout::block_offset(block));
        if let Source::Frame(content) = &mut self.blocks.source {
            content.forget_faults();
        }
        peeked?;
        BlockHeader::decode(&bytes).filter(|header| header.block_index == block)
    }

    fn time_of(&mut self, block: u32) -> Option<u64> {
        let mut bytes = [0; EVENT_SIZE];
        self.peek(&mut bytes, Layout::block_offset(block) + BLOCK_HEADER_SIZE as u64)?;
        let event = RequestEvent::decode(&bytes);
        (event.event_id != 0).then_some(event.timestamp)
    }

    fn peek(&mut self, bytes: &mut [u8], offset: u64) -> Option<()> {
        let read = match &mut self.blocks.source {
            Source::File(file) => file.read_at(bytes, offset).ok()?,
            Source::Memory(memory) => memory.peek(bytes, offset).ok()?,
            Source::Frame(content) => {
                let read = content.jump_to(offset).then(|| content.read_at(bytes, offset))?;
                if content.has_fault() {
                    return None;
                }
                read
            }
            Source::Direct(..) | Source::Retired(_) => return None,
        };
        (read == bytes.len()).then_some(())
    }

    /// Stands at the first block again. `false`: it cannot.
    fn begin_anew(&mut self) -> bool {
        self.jump_to(0)
    }

    /// Has the frame give the content from this block on.
    fn jump_to(&mut self, block: u32) -> bool {
        let Source::Frame(content) = &mut self.blocks.source else { return true };
        let offset = if block == 0 { 0 } else { Layout::block_offset(block) };
        !content.has_fault() && content.jump_to(offset)
    }
}
