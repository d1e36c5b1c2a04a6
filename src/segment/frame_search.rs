//! Finds the next LZ4 block of a frame behind a length that is wrong.

use xxhash_rust::xxh32::xxh32;

use crate::error::Result;
use crate::format::{BlockHeader, BLOCK_SIZE, SEGMENT_HEADER_SIZE};

use super::frame::{word_at, FrameContent, MAX_CONTENT, RAW, WORD};
use super::frame_block::Packed;

/// Bytes of the file that are searched at most: a few blocks that are damaged together are shorter,
/// and a file may be huge.
const FARTHEST: u64 = 64 << 20;
/// Bytes hashed at most in search of blocks, part of a second: more are needed only by a file that
/// was made for it.
const SEARCH_LIMIT: usize = 1 << 30;

impl FrameContent {
    /// The length at `at` is wrong: looks for the next block, and takes what lies before it.
    pub(super) fn search(&mut self, raw: bool, what: &'static str) -> Option<Packed> {
        if !self.header.block_checksums {
            self.give_up(what, None);
            return None;
        }
        let next = match self.next_right_block(self.at) {
            Ok(Some(next)) => next,
            Ok(None) => {
                self.give_up(what, None);
                return None;
            }
            Err(error) => {
                self.give_up("cannot be read", Some(error));
                return None;
            }
        };
        let here = self.produced / self.header.block_limit as u64;
        let number = self.number_of_block(next).filter(|number| *number > here);
        self.hidden = number.map_or(0, |number| number - here - 1);
        self.packed.clear();
        if self.hidden == 0 {
            let mut packed = vec![0; (next - self.at - WORD) as usize];
            if self.file.read_at(&mut packed, self.at + WORD).is_ok() {
                self.packed = packed;
                self.take_checksum();
            }
        }
        Some(Packed { raw, next, fault: Some((what, None)) })
    }

    /// Where the next block with the right checksum begins behind the one at `from`, or the end
    /// mark of the frame is.
    pub(super) fn next_right_block(&mut self, from: u64) -> Result<Option<u64>> {
        let longest = self.header.block_limit + 2 * WORD as usize;
        let mut begin = from + 2 * WORD + 1;
        let end = self.file_size.min(begin + FARTHEST);
        while begin < end {
            // The blocks that begin in the first half of it are whole.
            let len = (self.file_size - begin).min(2 * longest as u64) as usize;
            let mut bytes = vec![0; len];
            self.file.read_at(&mut bytes, begin)?;
            for at in 0..longest.min(len) {
                let block = block_in(&bytes[at..], self.header.block_limit);
                self.searched += block.map_or(0, <[u8]>::len);
                if block.is_some_and(is_right) || self.is_end(begin + at as u64) {
                    return Ok(Some(begin + at as u64));
                }
                if self.searched > SEARCH_LIMIT {
                    return Ok(None);
                }
            }
            begin += longest as u64;
        }
        Ok(None)
    }

    /// The number in the frame of the block that begins at `at`, by what is in it: the segment's
    /// block headers name their places.
    fn number_of_block(&mut self, at: u64) -> Option<u64> {
        let limit = self.header.block_limit as u64;
        let blocks = self.header.content_size.map(|size| size.div_ceil(limit));
        if self.is_end(at) {
            return blocks;
        }
        let word = self.word(at).ok()??;
        let len = (word & !RAW) as usize;
        let mut packed = vec![0; len];
        self.file.read_at(&mut packed, at + WORD).ok()?;
        let content = match word & RAW {
            0 => lz4_flex::block::decompress(&packed, limit as usize).ok()?,
            _ => packed,
        };
        let number = (0..MAX_CONTENT / limit).find(|number| begins_at(&content, number * limit));
        number.or_else(|| {
            let is_last = self.is_end(at + WORD + len as u64 + WORD);
            blocks.filter(|_| is_last).map(|blocks| blocks - 1)
        })
    }

    /// Whether a whole block with the right checksum begins here.
    pub(super) fn is_block(&self, at: u64) -> bool {
        let limit = self.header.block_limit;
        let len = self.file_size.saturating_sub(at).min(limit as u64 + 2 * WORD) as usize;
        let mut bytes = vec![0; len];
        self.file.read_at(&mut bytes, at).is_ok() && block_in(&bytes, limit).is_some_and(is_right)
    }

    /// Whether the end mark stands here, and the file ends as the frame then does.
    pub(super) fn is_end(&self, at: u64) -> bool {
        at + self.trailer_len() == self.file_size && matches!(self.word(at), Ok(Some(0)))
    }
}

/// Whether this is what a segment holds from `start` on: the first block header in it is that of
/// the block that begins there.
fn begins_at(content: &[u8], start: u64) -> bool {
    let (head, size) = (SEGMENT_HEADER_SIZE as u64, BLOCK_SIZE as u64);
    let block = start.saturating_sub(head).div_ceil(size);
    let offset = (head + block * size - start) as usize;
    let header = content.get(offset..).and_then(<[u8]>::first_chunk).and_then(BlockHeader::decode);
    header.is_some_and(|header| u64::from(header.block_index) == block)
}

/// The block at the beginning of `bytes`, checksum included, if its length can be right.
fn block_in(bytes: &[u8], limit: usize) -> Option<&[u8]> {
    let word = WORD as usize;
    if bytes.len() < 2 * word {
        return None;
    }
    let len = (word_at(bytes, 0) & !RAW) as usize;
    if len == 0 || len > limit {
        return None;
    }
    bytes.get(word..word + len + word)
}

/// Whether a block's checksum, its last four bytes, is right.
fn is_right(block: &[u8]) -> bool {
    let (data, sum) = block.split_at(block.len() - WORD as usize);
    xxh32(data, 0) == word_at(sum, 0)
}
