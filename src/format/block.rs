//! The block header, and where blocks and events lie in a segment.

use super::fields::{field, fields};
use super::primitives::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK};
use super::primitives::{MAX_BLOCKS, SEGMENT_HEADER_SIZE};
use super::{block_checksums, xxh64, EVENT_SIZE};

/// First 64 bytes of a block, little-endian; the block's events follow. It is written again as the
/// block fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BlockHeader {
    /// Id of the first event in the block.
    pub first_event_id: u64,
    /// Id of the last event in the block.
    pub last_event_id: u64,
    /// Checksum of the block's events: `XXH64(events, 0)`.
    pub block_checksum: u64,
    /// Checksum of the events that continues that of the block before: `XXH64(events, chained
    /// checksum of the block before)`. The first block of a segment continues 0.
    pub chained_checksum: u64,
    /// Checksum of this header: `XXH64(bytes[40..64], XXH64(bytes[0..32], 0))`.
    pub header_checksum: u64,
    /// The block's number in its segment, from 0.
    pub block_index: u32,
    /// Events in the block, 1 to 256; fewer than 256 only in a segment's last block.
    pub event_count: u16,
    /// Always 0.
    pub reserved0: u16,
    /// When this header was written, every event up to this id was on stable storage. 0 = nothing
    /// known.
    pub durable_event_id: u64,
    /// Always 0.
    pub reserved1: u64,
}

fields! { BlockHeader, BLOCK_HEADER_SIZE:
    0 first_event_id,
    8 last_event_id,
    16 block_checksum,
    24 chained_checksum,
    32 header_checksum,
    40 block_index,
    44 event_count,
    46 reserved0,
    48 durable_event_id,
    56 reserved1,
}

impl BlockHeader {
    /// The header that seals `events` (whole events, at least one) as block `block_index`.
    pub fn seal(
        block_index: u32,
        events: &[u8],
        previous_chained: u64,
        durable_event_id: u64,
    ) -> Self {
        debug_assert!((1..=EVENTS_PER_BLOCK).contains(&(events.len() / EVENT_SIZE)));
        debug_assert_eq!(events.len() % EVENT_SIZE, 0, "whole events");
        let (block_checksum, chained_checksum) = block_checksums(events, previous_chained);
        BlockHeader {
            first_event_id: field(events, 0),
            last_event_id: field(events, events.len() - EVENT_SIZE),
            block_checksum,
            chained_checksum,
            block_index,
            event_count: (events.len() / EVENT_SIZE) as u16,
            durable_event_id,
            ..BlockHeader::default()
        }
    }

    /// The bytes, with the checksum that belongs to them.
    pub fn encode(&self) -> [u8; BLOCK_HEADER_SIZE] {
        let mut bytes = BlockHeader { reserved0: 0, reserved1: 0, ..*self }.to_bytes();
        let checksum = Self::checksum_of(&bytes);
        bytes[32..40].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, or `None` when its checksum or its event count is not right.
    pub fn decode(bytes: &[u8; BLOCK_HEADER_SIZE]) -> Option<Self> {
        let header = Self::from_bytes(bytes);
        let valid = header.header_checksum == Self::checksum_of(bytes)
            && (1..=EVENTS_PER_BLOCK).contains(&usize::from(header.event_count));
        valid.then_some(header)
    }

    /// Whether the header's block checksum is that of `block`'s events (a whole block's bytes).
    pub fn covers(&self, block: &[u8]) -> bool {
        let end = BLOCK_HEADER_SIZE + usize::from(self.event_count) * EVENT_SIZE;
        xxh64(&block[BLOCK_HEADER_SIZE..end], 0) == self.block_checksum
    }

    fn checksum_of(bytes: &[u8; BLOCK_HEADER_SIZE]) -> u64 {
        xxh64(&bytes[40..64], xxh64(&bytes[0..32], 0))
    }
}

/// Where things lie in a segment of a given number of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Blocks the file has room for.
    pub blocks: u32,
}

impl Layout {
    /// The layout of a file of `len` bytes: as many whole blocks as it holds.
    pub fn of_file(len: u64) -> Self {
        let blocks = len.saturating_sub(SEGMENT_HEADER_SIZE as u64) / BLOCK_SIZE as u64;
        Layout { blocks: blocks.min(u64::from(MAX_BLOCKS)) as u32 }
    }

    /// Whether a file of `len` bytes holds whole blocks and nothing else, as every file does that
    /// was not cut.
    pub fn is_exact(&self, len: u64) -> bool {
        self.blocks > 0 && self.file_size() == len
    }

    /// Bytes of the file.
    pub fn file_size(&self) -> u64 {
        SEGMENT_HEADER_SIZE as u64 + u64::from(self.blocks) * BLOCK_SIZE as u64
    }

    /// Events there is room for.
    pub fn capacity(&self) -> u32 {
        self.blocks * EVENTS_PER_BLOCK as u32
    }

    /// Offset of a block's header.
    pub fn block_offset(block: u32) -> u64 {
        SEGMENT_HEADER_SIZE as u64 + u64::from(block) * BLOCK_SIZE as u64
    }

    /// Offset of the `n`th event of a segment, counted from 0.
    pub fn event_offset(n: u32) -> u64 {
        let (block, slot) = (n / EVENTS_PER_BLOCK as u32, n % EVENTS_PER_BLOCK as u32);
        Self::block_offset(block) + (BLOCK_HEADER_SIZE + slot as usize * EVENT_SIZE) as u64
    }

    /// Offset just past the last of the first `n` events, 0 when there are none.
    pub fn end_offset(n: u32) -> u32 {
        match n {
            0 => 0,
            n => (Self::event_offset(n - 1) + EVENT_SIZE as u64) as u32,
        }
    }

    /// Events that lie before `end_offset`: the inverse of [`Layout::end_offset`].
    pub fn events_before(end_offset: u32) -> u32 {
        let last_byte = end_offset.checked_sub(SEGMENT_HEADER_SIZE as u32 + 1);
        let Some(last_byte) = last_byte else { return 0 };
        let (block, rest) = (last_byte / BLOCK_SIZE as u32, last_byte % BLOCK_SIZE as u32);
        let in_block = (rest + 1).saturating_sub(BLOCK_HEADER_SIZE as u32) / EVENT_SIZE as u32;
        block * EVENTS_PER_BLOCK as u32 + in_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_offset_and_events_before_are_inverse() {
        for n in [0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536] {
            assert_eq!(Layout::events_before(Layout::end_offset(n)), n, "{n} events");
        }
        assert_eq!(Layout::end_offset(256), 64 + 16_448);
        assert_eq!(Layout::event_offset(256), 64 + 16_448 + 64);
    }

    #[test]
    fn a_block_header_never_straddles_a_sector() {
        for block in 0..1024 {
            let offset = Layout::block_offset(block);
            assert_eq!(offset / 512, (offset + BLOCK_HEADER_SIZE as u64 - 1) / 512, "{block}");
        }
    }
}
