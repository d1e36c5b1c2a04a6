//! The segment header: 64 bytes at offset 0.

use std::mem::{offset_of, size_of};

use super::primitives::{le_u16, le_u32, le_u64};
use super::primitives::{EVENTS_PER_BLOCK, FORMAT_VERSION, MAX_BLOCKS};
use super::primitives::{SEGMENT_HEADER_SIZE, SEGMENT_MAGIC};
use super::xxh64;
use super::MAX_EVENT_ID;

/// First 64 bytes of a segment file. An open segment (`closed_ts_ns` 0) counts nothing: its events
/// are found by scanning the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SegmentHeader {
    /// `FS_WAL_SEGMENT_MAGIC`.
    pub magic: u16,
    /// `FS_WAL_FORMAT_VERSION`.
    pub version: u8,
    /// 64.
    pub header_size: u8,
    /// The number in the file's name.
    pub segment_index: u32,
    /// Blocks in use.
    pub block_count: u32,
    /// Events in the segment.
    pub event_count: u32,
    /// 0 = none.
    pub first_event_id: u64,
    /// 0 = none.
    pub last_event_id: u64,
    /// Wall clock, ns.
    pub created_ts_ns: u64,
    /// Wall clock, ns; 0 = still open.
    pub closed_ts_ns: u64,
    /// `XXH64(bytes[56..64], XXH64(bytes[0..48], 0))`.
    pub header_checksum: u64,
    /// Chained checksum of the last block.
    pub last_chained_checksum: u64,
}

const _: () = assert!(size_of::<SegmentHeader>() == SEGMENT_HEADER_SIZE);
const _: () = assert!(offset_of!(SegmentHeader, segment_index) == 4);
const _: () = assert!(offset_of!(SegmentHeader, block_count) == 8);
const _: () = assert!(offset_of!(SegmentHeader, event_count) == 12);
const _: () = assert!(offset_of!(SegmentHeader, first_event_id) == 16);
const _: () = assert!(offset_of!(SegmentHeader, last_event_id) == 24);
const _: () = assert!(offset_of!(SegmentHeader, created_ts_ns) == 32);
const _: () = assert!(offset_of!(SegmentHeader, closed_ts_ns) == 40);
const _: () = assert!(offset_of!(SegmentHeader, header_checksum) == 48);
const _: () = assert!(offset_of!(SegmentHeader, last_chained_checksum) == 56);

impl SegmentHeader {
    /// The header of a segment that has no events yet.
    pub fn open(segment_index: u32, created_ts_ns: u64) -> Self {
        SegmentHeader {
            magic: SEGMENT_MAGIC,
            version: FORMAT_VERSION,
            header_size: SEGMENT_HEADER_SIZE as u8,
            segment_index,
            block_count: 0,
            event_count: 0,
            first_event_id: 0,
            last_event_id: 0,
            created_ts_ns,
            closed_ts_ns: 0,
            header_checksum: 0,
            last_chained_checksum: 0,
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
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        bytes[0..2].copy_from_slice(&self.magic.to_le_bytes());
        bytes[2] = self.version;
        bytes[3] = self.header_size;
        bytes[4..8].copy_from_slice(&self.segment_index.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.block_count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.event_count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_event_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last_event_id.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created_ts_ns.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.closed_ts_ns.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.last_chained_checksum.to_le_bytes());
        let checksum = Self::checksum_of(&bytes);
        bytes[48..56].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, or `None` when magic, version, size or checksum are not right.
    pub fn decode(bytes: &[u8; SEGMENT_HEADER_SIZE]) -> Option<Self> {
        let header = SegmentHeader {
            magic: le_u16(bytes, 0),
            version: bytes[2],
            header_size: bytes[3],
            segment_index: le_u32(bytes, 4),
            block_count: le_u32(bytes, 8),
            event_count: le_u32(bytes, 12),
            first_event_id: le_u64(bytes, 16),
            last_event_id: le_u64(bytes, 24),
            created_ts_ns: le_u64(bytes, 32),
            closed_ts_ns: le_u64(bytes, 40),
            header_checksum: le_u64(bytes, 48),
            last_chained_checksum: le_u64(bytes, 56),
        };
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
