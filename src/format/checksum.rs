//! XXH64, as the format uses it.

/// `XXH64(bytes, seed)`.
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh64::xxh64(bytes, seed)
}

/// Checksum and chained checksum of a block's events.
pub fn block_checksums(events: &[u8], previous_chained: u64) -> (u64, u64) {
    (xxh64(events, 0), xxh64(events, previous_chained))
}
