//! The constants of the on-disk format, for programs that read segment files by themselves. In the
//! header they have to be numbers; here they are held to what the crate works with.

use crate::format;

/// First two bytes of a segment file, as a number: 0x4653.
pub const FS_WAL_SEGMENT_MAGIC: u32 = 0x4653;
/// Version of the on-disk format.
pub const FS_WAL_FORMAT_VERSION: u32 = 1;
/// Bytes of a segment header.
pub const FS_WAL_SEGMENT_HEADER_SIZE: u32 = 64;
/// Bytes of a block header.
pub const FS_WAL_BLOCK_HEADER_SIZE: u32 = 64;
/// Events in a full block.
pub const FS_WAL_EVENTS_PER_BLOCK: u32 = 256;
/// Bytes of a full block: its header and 256 events. Block i begins at byte 64 + i * 16448.
pub const FS_WAL_BLOCK_SIZE: u32 = 16_448;
/// Fewest blocks in a segment.
pub const FS_WAL_MIN_BLOCKS: u32 = 16;
/// Most blocks in a segment: its file stays under 4 GiB.
pub const FS_WAL_MAX_BLOCKS: u32 = 261_120;

const _: () = assert!(FS_WAL_SEGMENT_MAGIC == format::SEGMENT_MAGIC as u32);
const _: () = assert!(FS_WAL_FORMAT_VERSION == format::FORMAT_VERSION as u32);
const _: () = assert!(FS_WAL_SEGMENT_HEADER_SIZE as usize == format::SEGMENT_HEADER_SIZE);
const _: () = assert!(FS_WAL_BLOCK_HEADER_SIZE as usize == format::BLOCK_HEADER_SIZE);
const _: () = assert!(FS_WAL_EVENTS_PER_BLOCK as usize == format::EVENTS_PER_BLOCK);
const _: () = assert!(FS_WAL_BLOCK_SIZE as usize == format::BLOCK_SIZE);
const _: () = assert!(FS_WAL_MIN_BLOCKS == format::MIN_BLOCKS);
const _: () = assert!(FS_WAL_MAX_BLOCKS == format::MAX_BLOCKS);
