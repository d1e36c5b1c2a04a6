//! The bytes on disk, and nothing but bytes: no input or output happens here.
//!
//! All integers are little-endian; the structs below have no padding, and their sizes and offsets
//! are asserted at compile time. `docs/format.md` draws them.

mod block;
mod checksum;
pub mod cold_frame;
mod event;
pub mod file_name;
mod frame_header;
mod fused_xxh64;
mod identity_record;
mod log_end;
mod meta_record;
mod segment_header;

pub use block::{BlockHeader, Layout};
pub use checksum::{block_checksums, xxh64};
pub use event::{RequestEvent, EVENT_SIZE, MAX_EVENT_ID};
pub use frame_header::{FrameHeader, MAX_FRAME_HEADER_SIZE};
pub use identity_record::IdentityRecord;
pub use log_end::{LogEnd, Rule, SegmentScan};
pub use meta_record::{MetaState, META_RECORD_SIZE};
pub use segment_header::SegmentHeader;

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

/// Little-endian fields out of a byte slice. The callers' slices are arrays of fixed size, so an
/// offset out of range is a defect and not an input.
fn le_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le_u32(bytes, at)) | u64::from(le_u32(bytes, at + 4)) << 32
}
