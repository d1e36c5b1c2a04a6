//! The segment header: 64 bytes at offset 0.

use super::fields::fields;
use super::primitives::{EVENTS_PER_BLOCK, FORMAT_VERSION, MAX_BLOCKS};
use super::primitives::{SEGMENT_HEADER_SIZE, SEGMENT_MAGIC};
use super::xxh64;
use super::MAX_EVENT_ID;

/// First 64 bytes of a segment file, little-endian. A closed segment counts its blocks and events
/// here. In an open one (`closed_ts_ns` is 0) the counts and ids mean nothing: its events are
/// found by scanning the blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SegmentHeader {
    /// `FS_WAL_SEGMENT_MAGIC`.
    pub magic: u16,
    /// `FS_WAL_FORMAT_VERSION`.
    pub version: u8,
    /// Bytes of this header: 64.
    pub header_size: u8,
    /// Index of the segment, the number in the file's name.
    pub segment_index: u32,
    /// Blocks that hold events.
    pub block_count: u32,
    /// Events in the segment.
    pub event_count: u32,
    /// Id of the first event, 0 = none.
    pub first_event_id: u64,
    /// Id of the last event, 0 = none.
    pub last_event_id: u64,
    /// When the segment was created: wall clock, nanoseconds since 1970.
    pub created_ts_ns: u64,
    /// When the segment was closed: wall clock, nanoseconds since 1970; 0 = still open.
    pub closed_ts_ns: u64,
    /// Checksum of this header: `XXH64(bytes[56..64], XXH64(bytes[0..48], 0))`.
    pub header_checksum: u64,
    /// `chained_checksum` of the last block.
    pub last_chained_checksum: u64,
}

fields! { SegmentHeader, SEGMENT_HEADER_SIZE:
    0 magic,
    2 version,
    3 header_size,
    4 segment_index,
    8 block_count,
    12 event_count,
    16 first_event_id,
    24 last_event_id,
    32 created_ts_ns,
    40 closed_ts_ns,
    48 header_checksum,
    56 last_chained_checksum,
}

impl SegmentHeader {
    /// The header of a segment that has no events yet.
    pub fn open(segment_index: u32, created_ts_ns: u64) -> Self {
        SegmentHeader {
            magic: SEGMENT_MAGIC,
            version: FORMAT_VERSION,
            header_size: SEGMENT_HEADER_SIZE as u8,
            segment_index,
            created_ts_ns,
            ..SegmentHeader::default()
        }
    }

    /// Whether the segment was closed: its counts are final.
    pub fn is_closed(&self) -> bool {
        self.closed_ts_ns != 0
    }

    /// Whether the counts and ids of a closed segment fit together.
    pub fn is_consistent(&self) -> bool {
        let (first, last) = (self.first_event_id, self.last_event_id);
        let ids_fit = match self.event_count {
            0 => (first, last) == (0, 0),
            _ => 0 < first && first <= last && last <= MAX_EVENT_ID,
        };
        let blocks = self.event_count.div_ceil(EVENTS_PER_BLOCK as u32);
        ids_fit && self.block_count == blocks && blocks <= MAX_BLOCKS
    }

    /// The bytes, with the checksum that belongs to them.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_SIZE] {
        let mut bytes = self.to_bytes();
        let checksum = Self::checksum_of(&bytes);
        bytes[48..56].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, or `None` when magic, version, size or checksum are not right.
    pub fn decode(bytes: &[u8; SEGMENT_HEADER_SIZE]) -> Option<Self> {
        let header = Self::from_bytes(bytes);
        let valid = header.magic == SEGMENT_MAGIC
            && header.version == FORMAT_VERSION
            && usize::from(header.header_size) == SEGMENT_HEADER_SIZE
            && header.header_checksum == Self::checksum_of(bytes);
        valid.then_some(header)
    }

    fn checksum_of(bytes: &[u8; SEGMENT_HEADER_SIZE]) -> u64 {
        xxh64(&bytes[56..64], xxh64(&bytes[0..48], 0))
    }
}
