//! Finds the next LZ4 block of a frame behind a length that is wrong.

use xxhash_rust::xxh32::xxh32;

use super::frame::{word_at, FrameContent, RAW, WORD};
use super::frame_block::Packed;

/// Bytes hashed at most in search of blocks, a few seconds: more are needed only by a file that was
/// made for it.
const SEARCH_LIMIT: usize = 16 << 30;

impl FrameContent {
    /// The length at `at` is wrong: looks for the next block, and takes what lies before it.
    pub(super) fn search(&mut self, raw: bool, what: &'static str) -> Option<Packed> {
        if !self.header.block_checksums {
            self.give_up(what, None);
            return None;
        }
        let limit = self.header.block_limit;
        // The longest this block can be, and the longest the next one can be.
        let longest = 2 * (limit + 2 * WORD as usize);
        let window_len = (self.file_size - self.at).min(longest as u64) as usize;
        let mut bytes = vec![0; window_len];
        if let Err(error) = self.file.read_at(&mut bytes, self.at) {
            self.give_up("cannot be read", Some(error));
            return None;
        }
        let farthest = (limit + 2 * WORD as usize).min(bytes.len());
        for next in 2 * WORD as usize + 1..=farthest {
            let block = block_in(&bytes[next..], limit);
            self.searched += block.map_or(0, <[u8]>::len);
            if block.is_some_and(is_right) || self.is_end(self.at + next as u64) {
                self.packed.clear();
                self.packed.extend_from_slice(&bytes[WORD as usize..next]);
                self.take_checksum();
                let next = self.at + next as u64;
                return Some(Packed { raw, next, fault: Some((what, None)) });
            }
            if self.searched > SEARCH_LIMIT {
                break;
            }
        }
        self.give_up(what, None);
        None
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
