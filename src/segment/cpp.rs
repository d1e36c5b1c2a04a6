//! Segments that the C++ recorder has open, or had when it died. Ask only in a directory without
//! `wal_identity`, which it does not write: elsewhere such a header is damage.

use crate::error::Result;
use crate::format::{xxh64, Layout, SegmentHeader, EVENT_SIZE, SEGMENT_HEADER_SIZE};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK};
use crate::storage::File;

use super::header::read_block_header;

/// Whether it never closed the segment: it writes the checksum and the closing time of a header
/// only then, and the first byte may be zero until then.
pub fn is_unfinished_by_cpp(file: &dyn File) -> Result<bool> {
    let mut bytes = [0; SEGMENT_HEADER_SIZE];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(read == bytes.len() && (bytes[0] == 0 || bytes[40..56] == [0; 16]))
}

/// Whether it has gone on in a segment behind what the closed header counts: it leaves the header
/// as it is until it closes the segment again. The header was true once, so the counted events
/// must end with the header's last id and chained checksum; and a sealed block must continue that
/// chain with later ones.
pub fn is_reopened_by_cpp(file: &dyn File, header: &SegmentHeader) -> Result<bool> {
    let Some(newest) = header.block_count.checked_sub(1).filter(|_| header.is_consistent()) else {
        return Ok(false);
    };
    let before = match newest.checked_sub(1) {
        Some(block) => read_block_header(file, block)?.map(|sealed| sealed.chained_checksum),
        None => Some(0),
    };
    let counted = (header.event_count - newest * EVENTS_PER_BLOCK as u32) as usize;
    let mut events = vec![0; counted * EVENT_SIZE];
    let offset = Layout::block_offset(newest) + BLOCK_HEADER_SIZE as u64;
    file.read_at(&mut events, offset)?;
    let last = events.rchunks_exact(EVENT_SIZE).next().and_then(|event| event.first_chunk());
    let was_true = last.is_some_and(|id| u64::from_le_bytes(*id) == header.last_event_id)
        && before.is_some_and(|before| xxh64(&events, before) == header.last_chained_checksum);
    if !was_true {
        return Ok(false);
    }
    // The block that has grown since, or, behind a full one, the next.
    let (block, chained) = match counted {
        EVENTS_PER_BLOCK => (newest + 1, header.last_chained_checksum),
        _ => (newest, before.unwrap_or(0)),
    };
    let sealed = read_block_header(file, block)?.filter(|sealed| sealed.block_index == block);
    let Some(sealed) = sealed.filter(|sealed| sealed.last_event_id > header.last_event_id) else {
        return Ok(false);
    };
    let mut events = vec![0; usize::from(sealed.event_count) * EVENT_SIZE];
    file.read_at(&mut events, Layout::block_offset(block) + BLOCK_HEADER_SIZE as u64)?;
    Ok(xxh64(&events, chained) == sealed.chained_checksum)
}
