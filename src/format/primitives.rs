//! Sizes and limits of the format.

use super::event::EVENT_SIZE;

/// First two bytes of a segment.
pub const SEGMENT_MAGIC: u16 = 0x4653;
/// Version of the format.
pub const FORMAT_VERSION: u8 = 1;
/// Bytes of a segment header.
pub const SEGMENT_HEADER_SIZE: usize = 64;
/// Bytes of a block header.
pub const BLOCK_HEADER_SIZE: usize = 64;
/// Events of a full block.
pub const EVENTS_PER_BLOCK: usize = 256;
/// Bytes of a block: its header and 256 events.
pub const BLOCK_SIZE: usize = BLOCK_HEADER_SIZE + EVENTS_PER_BLOCK * EVENT_SIZE;
/// Fewest blocks of a segment.
pub const MIN_BLOCKS: u32 = 16;
/// Most blocks of a segment: its file stays under 4 GiB.
pub const MAX_BLOCKS: u32 = 261_120;

const _: () = assert!(BLOCK_SIZE == 16_448);
const _: () =
    assert!(SEGMENT_HEADER_SIZE as u64 + MAX_BLOCKS as u64 * (BLOCK_SIZE as u64) < 1 << 32);
