//! Whether a block of a closed segment is right by itself.

use crate::error::Error;
use crate::format::{xxh64, BlockHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENT_SIZE, MAX_EVENT_ID};

use super::damage::DamageKind;

/// What is wrong with a block, and its header if that is right.
#[derive(Debug)]
pub struct BadBlock {
    /// What kind of damage.
    pub kind: DamageKind,
    /// In words.
    pub what: &'static str,
    /// Its header.
    pub header: Option<BlockHeader>,
    /// Why it cannot be read.
    pub error: Option<Error>,
}

/// What a block is checked for.
#[derive(Debug, Clone, Copy)]
pub struct BlockCheck {
    /// Its number.
    pub block: u32,
    /// The last event before it.
    pub last_event_id: u64,
    /// A header counts the segment's events: whatever is in the block is one of them, and not left
    /// from the file's former life.
    pub counted: bool,
    /// Of events below this id only the header is checked.
    pub from: u64,
}

impl BlockCheck {
    /// The header of a block of which `read` bytes were read; it and the events are right, but a
    /// block left from a former life is not looked at.
    pub fn examine(self, block: &[u8], read: usize) -> Result<BlockHeader, BadBlock> {
        let bad = |kind, what, header| Err(BadBlock { kind, what, header, error: None });
        if read < BLOCK_HEADER_SIZE {
            const WHAT: &str = "the file ends before the events it counts";
            return bad(DamageKind::Truncated, WHAT, None);
        }
        let Some(header) = block.first_chunk().and_then(BlockHeader::decode) else {
            return bad(DamageKind::BlockHeader, "the block header is not valid", None);
        };
        if header.block_index != self.block {
            return bad(DamageKind::BlockHeader, "the block header is another block's", None);
        }
        let rises_from_before = header.first_event_id > self.last_event_id;
        if !rises_from_before && self.counted {
            const WHAT: &str = "event ids do not rise from the ones before";
            return bad(DamageKind::Order, WHAT, Some(header));
        }
        let events = events_of(block, usize::from(header.event_count));
        if read < BLOCK_HEADER_SIZE + events.len() {
            return bad(DamageKind::Truncated, "the file ends in this block", Some(header));
        }
        if !rises_from_before || header.last_event_id < self.from {
            return Ok(header);
        }
        if xxh64(events, 0) != header.block_checksum {
            return bad(DamageKind::Block, "the block checksum does not match", Some(header));
        }
        if !rises(events, &header) {
            return bad(DamageKind::Order, "event ids do not rise", Some(header));
        }
        Ok(header)
    }
}

/// The first `count` events of a block.
pub fn events_of(block: &[u8], count: usize) -> &[u8] {
    &block[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE]
}

/// What stands in the first slot.
pub fn first_id_of(block: &[u8]) -> u64 {
    block[BLOCK_HEADER_SIZE..].first_chunk().map_or(0, |id| u64::from_le_bytes(*id))
}

/// Whether the ids rise, from the header's first to its last, and are ids.
fn rises(events: &[u8], header: &BlockHeader) -> bool {
    let ids = events.chunks_exact(EVENT_SIZE);
    let mut ids = ids.filter_map(|event| event.first_chunk().map(|id| u64::from_le_bytes(*id)));
    let first = ids.next();
    let last = ids.try_fold(header.first_event_id, |before, id| (before < id).then_some(id));
    first == Some(header.first_event_id)
        && last == Some(header.last_event_id)
        && header.last_event_id <= MAX_EVENT_ID
}
