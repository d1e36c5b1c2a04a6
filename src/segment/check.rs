//! Whether a sealed block holds what its header says, and follows on what is before it.

use crate::error::Error;
use crate::format::{block_checksums, xxh64, BlockHeader, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE, MAX_EVENT_ID};

use super::blocks::events_of;
use super::damage::DamageKind;

/// What is wrong with a block.
#[derive(Debug)]
pub struct BadBlock {
    pub kind: DamageKind,
    pub what: &'static str,
    /// The block's header, if that is right.
    pub header: Option<BlockHeader>,
    /// Why it cannot be read.
    pub error: Option<Error>,
}

/// A block that is right by itself.
#[derive(Debug, Clone, Copy)]
pub struct GoodBlock {
    pub header: BlockHeader,
    /// Its ids are not above those before it: it is left from the file's former use.
    pub is_stale: bool,
    /// It continues the chain of checksums, as far as the chain is known.
    pub continues_chain: bool,
}

/// What a block is checked against.
#[derive(Debug, Clone, Copy)]
pub struct BlockCheck<'a> {
    pub block: u32,
    /// The last event before it.
    pub last_event_id: u64,
    /// The chained checksum of the block before it, where that is known.
    pub chained: Option<u64>,
    /// The segment's header, where that can be trusted: it counts the events, so that none of the
    /// blocks can be left from the file's former use.
    pub segment: Option<&'a SegmentHeader>,
    /// Whether the block must be just what the segment's header says of it.
    pub strict: bool,
    /// Of events below this id only the header is checked.
    pub from: u64,
    /// Whether the checksums of the events are checked.
    pub checksums: bool,
}

impl BlockCheck<'_> {
    /// Checks a block of which `read` bytes could be read.
    pub fn examine(&self, block: &[u8], read: usize) -> Result<GoodBlock, BadBlock> {
        let bad = |kind, what, header| Err(BadBlock { kind, what, header, error: None });
        if read < BLOCK_HEADER_SIZE {
            const WHAT: &str = "the file ends before the events it counts";
            return bad(DamageKind::Truncated, WHAT, None);
        }
        let Some(header) = block.first_chunk().and_then(BlockHeader::decode) else {
            return bad(DamageKind::BlockHeader, "the block header is not valid", None);
        };
        if header.block_index != self.block {
            let header = self.strict.then_some(header);
            return bad(DamageKind::BlockHeader, "the block header is another block's", header);
        }
        let is_stale = header.first_event_id <= self.last_event_id;
        match self.segment {
            Some(segment) if self.strict => self.matches(segment, &header)?,
            Some(_) if is_stale => {
                const WHAT: &str = "event ids do not rise from the ones before";
                return bad(DamageKind::Order, WHAT, Some(header));
            }
            _ => {}
        }
        let wanted = header.last_event_id >= self.from;
        let events = events_of(block, usize::from(header.event_count));
        // A trimmed file may end with its last event.
        let is_cut = read < BLOCK_HEADER_SIZE + events.len();
        if is_cut && (wanted || !self.strict) {
            return bad(DamageKind::Truncated, "the file ends in this block", Some(header));
        }
        let good = GoodBlock { header, is_stale, continues_chain: true };
        if is_stale || !wanted {
            return Ok(good);
        }
        let chained = match self.chained {
            _ if !self.checksums => Some((header.block_checksum, header.chained_checksum)),
            Some(before) => Some(block_checksums(events, before)),
            None => None,
        };
        let checksum = chained.map_or_else(|| xxh64(events, 0), |(checksum, _)| checksum);
        if checksum != header.block_checksum {
            return bad(DamageKind::Block, "the block checksum does not match", Some(header));
        }
        if !rises(events, &header) {
            return bad(DamageKind::Order, "event ids do not rise", Some(header));
        }
        let continues_chain = chained.is_none_or(|(_, chained)| chained == header.chained_checksum);
        Ok(GoodBlock { continues_chain, ..good })
    }

    /// Whether a block's header is the one that the segment's header asks for.
    fn matches(&self, segment: &SegmentHeader, header: &BlockHeader) -> Result<(), BadBlock> {
        let is_last = self.block + 1 == segment.block_count;
        let left = segment.event_count - self.block * EVENTS_PER_BLOCK as u32;
        let what = if u32::from(header.event_count) != left.min(EVENTS_PER_BLOCK as u32) {
            "the block header is another block's"
        } else if header.first_event_id <= self.last_event_id
            || header.first_event_id > header.last_event_id
            || (self.block == 0 && header.first_event_id != segment.first_event_id)
            || (is_last && header.last_event_id != segment.last_event_id)
        {
            "the block header's event ids do not follow"
        } else if is_last && header.chained_checksum != segment.last_chained_checksum {
            "the chained checksum is not the one the segment header ends with"
        } else {
            return Ok(());
        };
        Err(BadBlock { kind: DamageKind::BlockHeader, what, header: Some(*header), error: None })
    }
}

/// Whether the ids rise, from the header's first to its last, and are valid ids.
fn rises(events: &[u8], header: &BlockHeader) -> bool {
    let ids = events.chunks_exact(EVENT_SIZE);
    let mut ids = ids.filter_map(|event| event.first_chunk().map(|id| u64::from_le_bytes(*id)));
    let first = ids.next();
    let last = ids.try_fold(header.first_event_id, |before, id| (before < id).then_some(id));
    first == Some(header.first_event_id)
        && last == Some(header.last_event_id)
        && header.last_event_id <= MAX_EVENT_ID
}
