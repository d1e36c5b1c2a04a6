//! The bytes on disk, and nothing but bytes: no input or output happens here.
//!
//! All integers are little-endian; the structs below have no padding, and their sizes and offsets
//! are asserted at compile time. `docs/format.md` draws them.

mod block;
mod checksum;
pub mod cold_frame;
mod event;
mod fields;
pub mod file_name;
mod frame_header;
mod fused_xxh64;
mod hold_record;
mod identity_record;
mod log_end;
mod meta_record;
mod primitives;
mod segment_header;
mod snapshot_header;

pub use block::{BlockHeader, Layout};
pub use checksum::{block_checksums, xxh64};
pub use event::{RequestEvent, EVENT_SIZE, MAX_EVENT_ID};
pub use frame_header::{FrameHeader, FrameKind, MAX_FRAME_HEADER_SIZE};
pub use hold_record::{HoldRecord, HOLD_RECORD_SIZE};
pub use identity_record::{Ancestor, Cut, IdentityRecord};
pub use log_end::{LogEnd, Rule, SegmentScan};
pub use meta_record::{MetaState, META_RECORD_SIZE};
pub use primitives::{
    BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, FORMAT_VERSION, MAX_BLOCKS, MIN_BLOCKS,
    SEGMENT_HEADER_SIZE, SEGMENT_MAGIC,
};
pub use segment_header::SegmentHeader;
pub use snapshot_header::{SnapshotHeader, SNAPSHOT_HEADER_SIZE};
