//! The persisted MetaState.

use super::fields::fields;
use super::{xxh64, MAX_EVENT_ID};

/// Bytes of `wal_meta.dat`.
pub const META_RECORD_SIZE: usize = 24;
/// Bytes of the fields, which the checksum follows.
const FIELDS_SIZE: usize = 16;

/// A place in the log: an event, and where it lies. All 0 = there is none yet. 16 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MetaState {
    /// Index of the segment that holds the event.
    pub last_segment_index: u32,
    /// Byte offset just past the event in that segment.
    pub last_offset: u32,
    /// Id of the event.
    pub last_event_id: u64,
}

fields! { MetaState, FIELDS_SIZE:
    0 last_segment_index,
    4 last_offset,
    8 last_event_id,
}

impl MetaState {
    /// The state as a pair of words, in which it is published: the id, and where it is.
    pub fn to_pair(self) -> (u64, u64) {
        let position = u64::from(self.last_segment_index) << 32 | u64::from(self.last_offset);
        (self.last_event_id, position)
    }

    /// The state that a pair stands for.
    pub fn of_pair((last_event_id, position): (u64, u64)) -> Self {
        MetaState {
            last_segment_index: (position >> 32) as u32,
            last_offset: position as u32,
            last_event_id,
        }
    }

    /// The record of `wal_meta.dat`.
    pub fn encode(&self) -> [u8; META_RECORD_SIZE] {
        let fields = self.to_bytes();
        let mut bytes = [0; META_RECORD_SIZE];
        bytes[..FIELDS_SIZE].copy_from_slice(&fields);
        bytes[FIELDS_SIZE..].copy_from_slice(&xxh64(&fields, 0).to_le_bytes());
        bytes
    }

    /// The state in the C++ recorder's record, which has no checksum: offset, index, event id. 0 or
    /// an impossible id = it says nothing.
    pub fn decode_cpp(bytes: &[u8]) -> Option<Self> {
        let fields: &[u8; FIELDS_SIZE] = bytes.try_into().ok()?;
        let swapped = Self::from_bytes(fields);
        let is_event = (1..=MAX_EVENT_ID).contains(&swapped.last_event_id);
        is_event.then_some(MetaState {
            last_segment_index: swapped.last_offset,
            last_offset: swapped.last_segment_index,
            ..swapped
        })
    }

    /// The state in a record, or `None` when its size or checksum is not right.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, checksum) = bytes.split_first_chunk()?;
        (checksum == xxh64(fields, 0).to_le_bytes()).then(|| Self::from_bytes(fields))
    }
}
