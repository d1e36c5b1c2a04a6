//! The constants of the on-disk format and of the control file, for programs that read these files
//! by themselves. In the header they have to be numbers; here they are held to what the crate works
//! with.

use crate::{format, telemetry};

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
/// First word of `wal_control`: "FSWALCTL" in memory.
pub const FS_WAL_CONTROL_MAGIC: u64 = 0x4c54_434c_4157_5346;
/// Version of the layout of `wal_control`.
pub const FS_WAL_CONTROL_VERSION: u32 = 1;
/// The log takes events, or is about to; or its writer has died meanwhile.
pub const FS_WAL_STATE_OPEN: u32 = 1;
/// The log has failed and takes no more events.
pub const FS_WAL_STATE_FAILED: u32 = 2;
/// The log was shut down, and everything in it is durable.
pub const FS_WAL_STATE_CLOSED: u32 = 3;

const _: () = assert!(FS_WAL_CONTROL_MAGIC == telemetry::CONTROL_MAGIC);
const _: () = assert!(FS_WAL_CONTROL_VERSION == telemetry::CONTROL_VERSION);
const _: () = assert!(FS_WAL_STATE_OPEN as u64 == telemetry::STATE_OPEN);
const _: () = assert!(FS_WAL_STATE_FAILED as u64 == telemetry::STATE_FAILED);
const _: () = assert!(FS_WAL_STATE_CLOSED as u64 == telemetry::STATE_CLOSED);
const _: () = assert!(FS_WAL_SEGMENT_MAGIC == format::SEGMENT_MAGIC as u32);
const _: () = assert!(FS_WAL_FORMAT_VERSION == format::FORMAT_VERSION as u32);
const _: () = assert!(FS_WAL_SEGMENT_HEADER_SIZE as usize == format::SEGMENT_HEADER_SIZE);
const _: () = assert!(FS_WAL_BLOCK_HEADER_SIZE as usize == format::BLOCK_HEADER_SIZE);
const _: () = assert!(FS_WAL_EVENTS_PER_BLOCK as usize == format::EVENTS_PER_BLOCK);
const _: () = assert!(FS_WAL_BLOCK_SIZE as usize == format::BLOCK_SIZE);
const _: () = assert!(FS_WAL_MIN_BLOCKS == format::MIN_BLOCKS);
const _: () = assert!(FS_WAL_MAX_BLOCKS == format::MAX_BLOCKS);
