//! Where the log ends: which events of a segment belong to the log.
//!
//! *In memory* (an active segment of the same boot and generation, written in program order) an
//! event belongs to the log when its id is greater than the one before it. Old content of a
//! recycled file ends the log by itself, because ids only rise.
//!
//! *On disk* (written back in any order) the same holds up to the highest id known durable, but for
//! blocks that a header of their own contradicts: those are damaged, or another block was put in
//! their place. Beyond that id only events count that a valid block header's checksum covers.

use super::fields::field;
use super::primitives::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK};
use super::{xxh64, BlockHeader, EVENT_SIZE, MAX_EVENT_ID};

/// Which of the two rules holds for a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Written in program order.
    Memory,
    /// Written back in any order.
    Disk {
        /// The highest event id known durable.
        durable_id: u64,
    },
}

/// What a scan found in one segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Events that belong to the log.
    pub event_count: u32,
    /// First of them, 0 = none.
    pub first_event_id: u64,
    /// Last of them, or the floor the scan began with.
    pub last_event_id: u64,
    /// Slots past the end whose id is above the last one: events that do not belong to the log.
    pub events_beyond: u32,
}

/// Scans one segment, fed block by block.
#[derive(Debug)]
pub struct SegmentScan {
    rule: Rule,
    end: LogEnd,
    ended: bool,
    blocks: u32,
    /// Chained checksum of the last block; `None` = not known.
    chained: Option<u64>,
    damaged: Option<(u64, u64)>,
}

impl SegmentScan {
    /// A scan of a segment whose events must be above `floor`: the last id before the segment.
    pub fn new(rule: Rule, floor: u64) -> Self {
        let end = LogEnd { last_event_id: floor, ..LogEnd::default() };
        SegmentScan { rule, end, ended: false, blocks: 0, chained: Some(0), damaged: None }
    }

    /// A scan that begins in the middle: at this block, behind the event `floor` and, where that is
    /// known, the chained checksum of the block before.
    pub fn from_block(rule: Rule, floor: u64, block: u32, chained: Option<u64>) -> Self {
        SegmentScan { blocks: block, chained, ..Self::new(rule, floor) }
    }

    /// Takes the next block: header and 256 slots. Returns how many of its events, from the
    /// first on, belong to the log.
    pub fn block(&mut self, block: &[u8]) -> usize {
        debug_assert_eq!(block.len(), BLOCK_SIZE);
        let covered = self.covered(block);
        self.blocks += 1;
        let mut accepted = 0;
        for slot in 0..EVENTS_PER_BLOCK {
            let id = field(block, BLOCK_HEADER_SIZE + slot * EVENT_SIZE);
            let rises = id > self.end.last_event_id && id <= MAX_EVENT_ID;
            if self.ended {
                self.end.events_beyond += u32::from(rises);
            } else if rises && (slot < covered || self.is_known(id)) {
                accepted += 1;
                self.accept(id);
            } else {
                self.ended = true;
                self.end.events_beyond += u32::from(rises);
            }
        }
        if !self.ended && self.rule != Rule::Memory {
            self.chained = self.chained.map(|chained| xxh64(&block[BLOCK_HEADER_SIZE..], chained));
        }
        accepted
    }

    /// The result.
    pub fn end(&self) -> LogEnd {
        self.end
    }

    /// Whether the end of the log has been met: no later block belongs to it.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The chained checksum of the last block, where it is known.
    pub fn chained(&self) -> Option<u64> {
        self.chained
    }

    /// First and last id of the block whose durable events are not what its header covers, if that
    /// is what ended the log.
    pub fn damaged(&self) -> Option<(u64, u64)> {
        self.damaged
    }

    fn accept(&mut self, id: u64) {
        if self.end.event_count == 0 {
            self.end.first_event_id = id;
        }
        self.end.event_count += 1;
        self.end.last_event_id = id;
    }

    /// Events accepted by their id alone.
    fn is_known(&self, id: u64) -> bool {
        match self.rule {
            Rule::Memory => true,
            Rule::Disk { durable_id } => id <= durable_id,
        }
    }

    /// How many events of the block its header proves. A header that is missing, or left from the
    /// file's former use (its ids are lower: they only rise), proves nothing.
    fn covered(&mut self, block: &[u8]) -> usize {
        let Rule::Disk { durable_id } = self.rule else { return 0 };
        let floor = self.end.last_event_id;
        let header = block.first_chunk().and_then(BlockHeader::decode);
        let is_newer = |header: &BlockHeader| !self.ended && header.first_event_id > floor;
        let Some(header) = header.filter(is_newer) else { return 0 };
        if self.fits(&header, block) {
            return usize::from(header.event_count);
        }
        // A header is written after its events and synced with them, so it fits once they are
        // durable. Before that it may reach the disk first: then the ids up to D decide. A block
        // that was sealed for another place does not belong to this segment.
        let elsewhere = header.block_index != self.blocks || header.covers(block);
        if elsewhere || header.last_event_id <= durable_id {
            self.ended = true;
            let ids = (header.first_event_id, header.last_event_id);
            self.damaged = (header.first_event_id <= durable_id).then_some(ids);
        }
        0
    }

    /// Whether a header is that of the events in its block, and these are the ones that follow.
    fn fits(&self, header: &BlockHeader, block: &[u8]) -> bool {
        let count = usize::from(header.event_count);
        let events = &block[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE];
        header.block_index == self.blocks
            && header.first_event_id == field(events, 0)
            && header.last_event_id == field(events, events.len() - EVENT_SIZE)
            && header.covers(block)
            && self.chained.is_none_or(|chained| header.chained_checksum == xxh64(events, chained))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::RequestEvent;

    /// A block with these ids in its first slots, sealed over the first `sealed` of them.
    fn block(ids: &[u64], sealed: usize) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_SIZE];
        for (slot, &event_id) in ids.iter().enumerate() {
            let at = BLOCK_HEADER_SIZE + slot * EVENT_SIZE;
            let event = RequestEvent { event_id, timestamp: event_id ^ 3, ..Default::default() };
            bytes[at..at + EVENT_SIZE].copy_from_slice(&event.encode());
        }
        if sealed > 0 {
            let events = &bytes[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + sealed * EVENT_SIZE];
            let header = BlockHeader::seal(0, events, 0, 0).encode();
            bytes[..BLOCK_HEADER_SIZE].copy_from_slice(&header);
        }
        bytes
    }

    #[test]
    fn a_durable_block_that_its_own_header_contradicts_is_damaged() {
        let rule = Rule::Disk { durable_id: 9 };
        let mut bytes = block(&[1, 2, 3], 3);
        bytes[BLOCK_HEADER_SIZE + EVENT_SIZE + 20] ^= 1;
        let mut scan = SegmentScan::new(rule, 0);
        assert_eq!(scan.block(&bytes), 0);
        assert_eq!(scan.damaged(), Some((1, 3)));
        assert_eq!((scan.end().last_event_id, scan.end().events_beyond), (0, 3));
        // Whichever byte it is, an id at the block's edge too.
        for slot in 0..3 {
            let mut bytes = block(&[10, 20, 30], 3);
            bytes[BLOCK_HEADER_SIZE + slot * EVENT_SIZE] ^= 1;
            let mut scan = SegmentScan::new(Rule::Disk { durable_id: 30 }, 9);
            assert_eq!((scan.block(&bytes), scan.damaged()), (0, Some((10, 30))), "slot {slot}");
        }
        // A header of the file's former use says nothing about these events.
        let mut reused = block(&[5, 6, 7], 0);
        reused[..BLOCK_HEADER_SIZE].copy_from_slice(&block(&[1, 2, 3], 3)[..BLOCK_HEADER_SIZE]);
        let mut scan = SegmentScan::new(rule, 4);
        assert_eq!(scan.block(&reused), 3);
        assert_eq!(scan.damaged(), None);
        // Ahead of its events, it leaves those below D to their ids.
        let mut torn = block(&[8, 9, 10], 3);
        torn[BLOCK_HEADER_SIZE + 2 * EVENT_SIZE + 20] ^= 1;
        assert_eq!(scan_of(rule, 0, &torn), (2, 9));
    }

    fn scan_of(rule: Rule, floor: u64, bytes: &[u8]) -> (u32, u64) {
        let end = scan(rule, floor, bytes);
        (end.event_count, end.last_event_id)
    }

    fn scan(rule: Rule, floor: u64, bytes: &[u8]) -> LogEnd {
        let mut scan = SegmentScan::new(rule, floor);
        scan.block(bytes);
        scan.end()
    }

    /// Every byte of what is given out is right, and yet it is not what was appended.
    #[test]
    fn another_block_in_a_blocks_place_is_damage() {
        let sealed = |number: u32, first: u64, chained: u64| {
            let ids: Vec<u64> = (first..first + 256).collect();
            let mut bytes = block(&ids, 0);
            let header = BlockHeader::seal(number, &bytes[BLOCK_HEADER_SIZE..], chained, 0);
            bytes[..BLOCK_HEADER_SIZE].copy_from_slice(&header.encode());
            (bytes, header.chained_checksum)
        };
        let (first, chained) = sealed(0, 1, 0);
        let (second, _) = sealed(1, 257, chained);
        let (of_another_segment, _) = sealed(1, 5000, 77);
        let (of_another_place, _) = sealed(2, 513, chained);
        for (block, damaged) in [
            (second, None),
            (of_another_segment, Some((5000, 5255))),
            (of_another_place, Some((513, 768))),
        ] {
            // In its middle, too: a part of a block that is not ours is not ours.
            for durable_id in [0, 600, 5100, 9000] {
                let mut scan = SegmentScan::new(Rule::Disk { durable_id }, 0);
                assert_eq!(scan.block(&first), 256);
                let accepted = scan.block(&block);
                assert_eq!(accepted, if damaged.is_none() { 256 } else { 0 }, "{damaged:?}");
                assert_eq!(scan.damaged(), damaged.filter(|(first, _)| *first <= durable_id));
            }
        }
    }

    #[test]
    fn an_id_that_its_header_contradicts_is_damage() {
        for slot in [0, 2] {
            let mut bytes = block(&[1, 4, 7], 3);
            bytes[BLOCK_HEADER_SIZE + slot * EVENT_SIZE] ^= 2;
            let mut scan = SegmentScan::new(Rule::Disk { durable_id: 9 }, 0);
            assert_eq!((scan.block(&bytes), scan.damaged()), (0, Some((1, 7))), "slot {slot}");
        }
    }

    #[test]
    fn memory_ends_where_ids_stop_rising() {
        let end = scan(Rule::Memory, 4, &block(&[5, 6, 9, 2, 10], 0));
        assert_eq!((end.event_count, end.first_event_id, end.last_event_id), (3, 5, 9));
        assert_eq!(end.events_beyond, 1, "10 lies beyond the end");
        let end = scan(Rule::Memory, 0, &block(&[u64::MAX], 0));
        assert_eq!(end, LogEnd::default());
        let end = scan(Rule::Memory, 7, &block(&[7, 8], 0));
        assert_eq!((end.event_count, end.last_event_id, end.events_beyond), (0, 7, 1));
    }

    #[test]
    fn disk_takes_what_is_known_durable_or_covered() {
        let rule = Rule::Disk { durable_id: 2 };
        let end = scan(rule, 0, &block(&[1, 2, 3, 4], 0));
        assert_eq!((end.event_count, end.events_beyond), (2, 2), "unsealed beyond D");
        let end = scan(rule, 0, &block(&[1, 2, 3, 4], 3));
        assert_eq!((end.event_count, end.events_beyond), (3, 1), "sealed up to 3");
        let mut torn = block(&[1, 2, 3, 4], 4);
        torn[BLOCK_HEADER_SIZE + 3 * EVENT_SIZE + 9] ^= 1;
        let end = scan(rule, 0, &torn);
        assert_eq!((end.event_count, end.events_beyond), (2, 2), "checksum does not match");
    }
}
