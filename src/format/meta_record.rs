//! The persisted MetaState.

use std::mem::size_of;

use super::primitives::{le_u32, le_u64};
use super::xxh64;

/// Bytes of `wal_meta.dat`.
pub const META_RECORD_SIZE: usize = 24;

/// A place in the log: the last event of it, and where that event lies. All zero = none yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MetaState {
    /// Segment that holds the event.
    pub last_segment_index: u32,
    /// Byte offset just past the event in that segment.
    pub last_offset: u32,
    /// The event's id.
    pub last_event_id: u64,
}

const _: () = assert!(size_of::<MetaState>() == 16);

impl MetaState {
    /// The record of `wal_meta.dat`.
    pub fn encode(&self) -> [u8; META_RECORD_SIZE] {
        let mut bytes = [0; META_RECORD_SIZE];
        bytes[0..4].copy_from_slice(&self.last_segment_index.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.last_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.last_event_id.to_le_bytes());
        let checksum = xxh64(&bytes[0..16], 0);
        bytes[16..24].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The state in a record, or `None` when its size or checksum is not right.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != META_RECORD_SIZE || le_u64(bytes, 16) != xxh64(&bytes[0..16], 0) {
            return None;
        }
        Some(MetaState {
            last_segment_index: le_u32(bytes, 0),
            last_offset: le_u32(bytes, 4),
            last_event_id: le_u64(bytes, 8),
        })
    }
}
