//! One LZ4 block of a frame: read, checked and decoded.

use xxhash_rust::xxh32::xxh32;

use crate::error::Error;

use super::frame::{word_at, FrameContent, HISTORY, RAW, WORD};

/// An LZ4 block as it was found.
pub(super) struct Packed {
    pub(super) raw: bool,
    /// Where the next one begins.
    pub(super) next: u64,
    pub(super) fault: Option<(&'static str, Option<Error>)>,
}

impl FrameContent {
    /// Adds what `packed` holds to the window. Returns its length; `None` when it is no LZ4 block,
    /// and then as much of it as could be decoded has been added. `good`: nothing is known to be
    /// wrong with it.
    pub(super) fn decode(&mut self, raw: bool, good: bool) -> Option<usize> {
        let start = self.filled;
        let room = if raw { self.packed.len() } else { self.header.block_limit };
        if self.window.len() < start + room {
            self.window.resize(start + room, 0);
        }
        if raw {
            self.window[start..start + room].copy_from_slice(&self.packed);
            self.filled += room;
            return Some(room);
        }
        let (before, to) = self.window.split_at_mut(start);
        let to = &mut to[..room];
        // Only what a checksum has proved goes to the C library, which is a third faster: it
        // accepts some blocks that are damaged, and writes past what it has decoded.
        let proved = good && self.header.block_checksums && self.header.independent;
        let decoded = if proved {
            lz4::block::decompress_to_buffer(&self.packed, Some(room as i32), to).ok()
        } else {
            let history =
                if self.header.independent { 0..0 } else { start.saturating_sub(HISTORY)..start };
            lz4_flex::block::decompress_into_with_dict(&self.packed, to, &before[history]).ok()
        };
        self.filled += decoded.unwrap_or(room);
        decoded
    }

    /// Reads the block that begins with this word into `packed`. `None` when the frame had to be
    /// given up.
    pub(super) fn load(&mut self, word: u32) -> Option<Packed> {
        let (raw, len) = (word & RAW != 0, u64::from(word & !RAW));
        let limit = self.header.block_limit as u64;
        let checksum_len = if self.header.block_checksums { WORD } else { 0 };
        let next = self.at + WORD + len + checksum_len;
        if len == 0 || len > limit || next > self.file_size {
            return self.search(raw, "a block of the frame has no right length");
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize((len + checksum_len) as usize, 0);
        let read = self.file.read_at(&mut packed, self.at + WORD);
        self.packed = packed;
        if let Err(error) = read {
            self.packed.clear();
            return Some(Packed { raw, next, fault: Some(("cannot be read", Some(error))) });
        }
        if !self.header.block_checksums || self.take_checksum() {
            return Some(Packed { raw, next, fault: None });
        }
        const WRONG: &str = "the checksum of the frame's block does not match";
        if self.is_block(next) || self.is_end(next) {
            return Some(Packed { raw, next, fault: Some((WRONG, None)) });
        }
        self.search(raw, WRONG)
    }

    /// Cuts the checksum off `packed`; whether it is right.
    pub(super) fn take_checksum(&mut self) -> bool {
        let data = self.packed.len() - WORD as usize;
        let right = xxh32(&self.packed[..data], 0) == word_at(&self.packed, data);
        self.packed.truncate(data);
        right
    }
}
