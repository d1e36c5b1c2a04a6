//! Jumps in a frame, whose blocks all have the same length of content and do not refer to each
//! other, as in those that this library writes.

use super::frame::{FrameContent, RAW, WORD};

impl FrameContent {
    /// Whether content can be read without all of that before it.
    pub fn can_jump(&self) -> bool {
        let header = &self.header;
        header.independent && header.block_checksums && header.content_size.is_some()
    }

    /// Whether something is known to be wrong with it.
    pub fn has_fault(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Forgets what was found to be wrong, and begins anew: who reads there meets it again.
    pub fn forget_faults(&mut self) {
        if self.has_fault() {
            self.faults.clear();
            self.begin_at(0, self.header.len);
        }
    }

    /// Makes the content at `offset` the next to be read, before or behind what was read. Its
    /// checksum then says nothing any more. `false` when the lengths of its blocks do not lead
    /// there.
    pub fn jump_to(&mut self, offset: u64) -> bool {
        let start = self.produced - self.filled as u64;
        if (start..self.produced).contains(&offset) || offset == self.produced {
            return true;
        }
        let limit = self.header.block_limit as u64;
        let block = (offset / limit) as usize;
        if !self.can_jump() || !self.find_blocks(block) {
            return false;
        }
        self.begin_at(block, self.block_places[block]);
        true
    }

    fn begin_at(&mut self, block: usize, at: u64) {
        self.at = at;
        self.produced = (block * self.header.block_limit) as u64;
        (self.filled, self.hidden, self.ended) = (0, 0, false);
        self.whole = block == 0;
        self.places.clear();
        if block == 0 {
            self.checksum.reset(0);
        }
    }

    /// Finds where the blocks of the frame begin, up to this one.
    fn find_blocks(&mut self, block: usize) -> bool {
        if self.block_places.is_empty() {
            self.block_places.push(self.header.len);
        }
        while let (true, Some(&at)) = (self.block_places.len() <= block, self.block_places.last()) {
            let Ok(Some(word)) = self.word(at) else { return false };
            let len = u64::from(word & !RAW);
            let next = at + WORD + len + WORD;
            if len == 0 || len > self.header.block_limit as u64 || next > self.file_size {
                return false;
            }
            self.block_places.push(next);
        }
        true
    }
}
