//! The header of a snapshot: 64 bytes at offset 0, before the LZ4 frame of the state.

use super::fields::fields;
use super::xxh64;

/// First four bytes of a snapshot: `FSSN`.
const MAGIC: u32 = u32::from_le_bytes(*b"FSSN");
/// Version of the header and of what follows it.
const VERSION: u16 = 1;
/// Bytes of the header.
pub const SNAPSHOT_HEADER_SIZE: usize = 64;
/// Where its checksum is: over all bytes before.
const CHECKSUM_AT: usize = 56;

/// First 64 bytes of a snapshot, little-endian: whose state it is, and as of which event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SnapshotHeader {
    magic: u32,
    version: u16,
    header_size: u16,
    /// The state is that after this event.
    pub event_id: u64,
    /// The log, as in its `wal_identity`.
    pub log_id: u128,
    /// The generation of the log when the snapshot was begun.
    pub generation: u64,
    /// When it was begun: wall clock, nanoseconds since 1970.
    pub created_ns: u64,
    /// Bytes of the state, before compression.
    pub size: u64,
    checksum: u64,
}

fields! { SnapshotHeader, SNAPSHOT_HEADER_SIZE:
    0 magic,
    4 version,
    6 header_size,
    8 event_id,
    16 log_id,
    32 generation,
    40 created_ns,
    48 size,
    56 checksum,
}

impl SnapshotHeader {
    /// That of a snapshot whose state is yet to be written.
    pub fn begun(event_id: u64, log_id: u128, generation: u64, created_ns: u64) -> Self {
        SnapshotHeader { event_id, log_id, generation, created_ns, ..SnapshotHeader::default() }
    }

    /// The bytes, with what says that they are such a header.
    pub fn encode(self) -> [u8; SNAPSHOT_HEADER_SIZE] {
        let header_size = SNAPSHOT_HEADER_SIZE as u16;
        let header = SnapshotHeader { magic: MAGIC, version: VERSION, header_size, ..self };
        let mut bytes = header.to_bytes();
        let checksum = xxh64(&bytes[..CHECKSUM_AT], 0);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, or `None` when anything about it is not right.
    pub fn decode(bytes: &[u8; SNAPSHOT_HEADER_SIZE]) -> Option<Self> {
        let header = Self::from_bytes(bytes);
        let is_right = header.magic == MAGIC
            && header.version == VERSION
            && usize::from(header.header_size) == SNAPSHOT_HEADER_SIZE
            && header.checksum == xxh64(&bytes[..CHECKSUM_AT], 0);
        is_right.then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_is_noticed_anywhere() {
        let header = SnapshotHeader { size: 5, ..SnapshotHeader::begun(1, 2, 3, 4) };
        let bytes = header.encode();
        let decoded = SnapshotHeader::decode(&bytes).unwrap();
        assert_eq!((decoded.encode(), decoded.size), (bytes, 5));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SnapshotHeader::decode(&changed), None, "bit {bit}");
        }
    }
}
