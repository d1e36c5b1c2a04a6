//! XXH64, as the format uses it.

use super::fused_xxh64::xxh64_pair;

/// `XXH64(bytes, seed)`.
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh64::xxh64(bytes, seed)
}

/// Checksum and chained checksum of a block's events.
pub fn block_checksums(events: &[u8], previous_chained: u64) -> (u64, u64) {
    if previous_chained == 0 {
        // A segment's first block: the chain begins with the seed of the block checksum.
        let checksum = xxh64(events, 0);
        return (checksum, checksum);
    }
    xxh64_pair(events, 0, previous_chained)
}
