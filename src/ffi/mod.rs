//! The C ABI: the only place with `extern "C"`. Names and shapes follow the published header, so
//! the types here bear C names.
//!
//! `recorder` and `reader` are what an engine calls; `handle` is what its pointers point to;
//! `guard` keeps panics inside; `status` and `last_error` make codes and texts of errors.
#![allow(non_camel_case_types, reason = "the names of the C header")]

// In the order in which the generated header shows what is in them.
mod config;

mod recorder;

mod metrics;

mod reader;

mod status;

mod last_error;

mod version;

mod fork;
mod guard;
mod handle;

pub use config::*;
pub use handle::fs_wal;
pub use last_error::*;
pub use metrics::*;
pub use reader::*;
pub use recorder::*;
pub use status::*;
pub use version::*;

/// `FS_WAL_SEGMENT_MAGIC`: first two bytes of a segment.
pub const FS_WAL_SEGMENT_MAGIC: u16 = 0x4653;
/// Version of the on-disk format.
pub const FS_WAL_FORMAT_VERSION: u8 = 1;
/// Bytes of a segment header.
pub const FS_WAL_SEGMENT_HEADER_SIZE: u32 = 64;
/// Bytes of a block header.
pub const FS_WAL_BLOCK_HEADER_SIZE: u32 = 64;
/// Events of a full block.
pub const FS_WAL_EVENTS_PER_BLOCK: u32 = 256;
/// Bytes of a block: header and 256 events. Block i of a segment starts at 64 + i * 16448.
pub const FS_WAL_BLOCK_SIZE: u32 = 16_448;
/// Fewest blocks of a segment.
pub const FS_WAL_MIN_BLOCKS: u32 = 16;
/// Most blocks of a segment.
pub const FS_WAL_MAX_BLOCKS: u32 = 261_120;

const _: () = {
    use crate::format as f;
    assert!(FS_WAL_SEGMENT_MAGIC == f::SEGMENT_MAGIC);
    assert!(FS_WAL_FORMAT_VERSION == f::FORMAT_VERSION);
    assert!(FS_WAL_SEGMENT_HEADER_SIZE as usize == f::SEGMENT_HEADER_SIZE);
    assert!(FS_WAL_BLOCK_HEADER_SIZE as usize == f::BLOCK_HEADER_SIZE);
    assert!(FS_WAL_EVENTS_PER_BLOCK as usize == f::EVENTS_PER_BLOCK);
    assert!(FS_WAL_BLOCK_SIZE as usize == f::BLOCK_SIZE);
    assert!(FS_WAL_MIN_BLOCKS == f::MIN_BLOCKS);
    assert!(FS_WAL_MAX_BLOCKS == f::MAX_BLOCKS);
};
