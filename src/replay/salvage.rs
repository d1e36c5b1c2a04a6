//! A segment with whatever is wrong with it: gives the events that can be proved, and tells where
//! others were. Reading around damage and verifying are this same walk.
//!
//! A block counts by itself: its header's checksum, and the checksum of its events. What lies
//! before a block that is right and behind the last one that was, is the range that may be missing;
//! so damage whose header is lost is told only once its end is known.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{xxh64, BlockHeader, Layout, RequestEvent, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use crate::format::{MAX_BLOCKS, MAX_EVENT_ID, SEGMENT_HEADER_SIZE};
use crate::storage::File;

use super::block_check::{events_of, first_id_of, BadBlock, BlockCheck};
use super::damage::{Damage, DamageKind};
use super::findings::Findings;
use super::frame::FrameContent;
use super::{Site, Step};

mod open;

enum Source {
    Hot(Arc<dyn File>),
    Cold(Box<FrameContent>),
}

enum Judge {
    /// A closed segment: every block has its checksums.
    Sealed,
    /// By the rules of `format::log_end`.
    Open {
        durable_id: u64,
        /// Events behind it are known to be durable. If not, the log ends in it unless it is full.
        goes_on: bool,
    },
}

/// What a walk has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Blocks with events that were given.
    pub blocks: u64,
    /// Those events.
    pub events: u64,
    /// First of them, 0 = none.
    pub first_event_id: u64,
    /// Bytes looked at.
    pub bytes: u64,
}

/// Walks through a segment. It goes on behind everything that is wrong.
pub struct SalvagedSegment {
    site: Site,
    source: Source,
    judge: Judge,
    /// The header, as long as it can be trusted.
    header: Option<SegmentHeader>,
    has_room: bool,
    /// The file holds whole blocks and nothing else.
    is_exact: bool,
    block: u32,
    block_limit: u32,
    /// Chained checksum of the block before, where it is known.
    chained: Option<u64>,
    last_event_id: u64,
    seen: Seen,
    findings: Findings,
    end: Option<Step>,
    buffer: Vec<u8>,
}

impl SalvagedSegment {
    /// A hot segment that is closed, or was.
    pub fn hot(
        site: Site,
        file: Arc<dyn File>,
        header: Result<Option<SegmentHeader>>,
        floor: u64,
    ) -> Result<Self> {
        let layout = Layout::of_file(file.size()?);
        let mut walk = Self::new(site, Source::Hot(file), Judge::Sealed, layout.blocks, floor);
        walk.has_room = matches!(&header, Ok(Some(h)) if h.event_count < layout.capacity());
        match header {
            // One that says that it is open is not right either.
            Ok(header) => walk.take_header(header.filter(|header| header.is_closed())),
            Err(error) => walk.miss_header(error),
        }
        Ok(walk)
    }

    /// A cold segment.
    pub fn cold(site: Site, file: Arc<dyn File>, floor: u64) -> Result<Self> {
        let mut content = Box::new(FrameContent::open(file)?);
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let read = content.read_at(&mut bytes, 0);
        let header = SegmentHeader::decode(&bytes).filter(|header| header.is_closed());
        let source = Source::Cold(content);
        let mut walk = Self::new(site, source, Judge::Sealed, MAX_BLOCKS, floor);
        walk.pass_faults(0);
        walk.take_header(header.filter(|_| read == bytes.len()));
        Ok(walk)
    }

    fn new(site: Site, source: Source, judge: Judge, block_limit: u32, floor: u64) -> Self {
        SalvagedSegment {
            site,
            source,
            judge,
            header: None,
            has_room: false,
            is_exact: true,
            block: 0,
            block_limit,
            chained: Some(0),
            last_event_id: floor,
            seen: Seen { bytes: SEGMENT_HEADER_SIZE as u64, ..Seen::default() },
            findings: Findings::default(),
            end: None,
            buffer: vec![0; BLOCK_SIZE],
        }
    }

    /// Believes the header of a closed segment, if it can be.
    fn take_header(&mut self, header: Option<SegmentHeader>) {
        let Some(header) = header else { return self.doubt_header("the header is not valid") };
        let ids = (header.first_event_id, header.last_event_id);
        if header.segment_index != self.site.index {
            let what = format!("the header is that of segment {}", header.segment_index);
            self.tell(DamageKind::Misnamed, 0, ids, &what);
            self.end = Some(Step::Complete);
        } else if !header.is_consistent() {
            self.doubt_header("the header's counts and event ids do not fit together");
        } else {
            self.block_limit = header.block_count;
            self.header = Some(header);
        }
    }

    /// Tells that the segment's header is not right; the blocks speak for themselves.
    pub fn doubt_header(&mut self, what: &str) {
        self.tell(DamageKind::SegmentHeader, 0, (0, 0), what);
        self.header = None;
    }

    /// Tells that the segment's header cannot be read.
    pub fn miss_header(&mut self, error: Error) {
        let damage = self.damage(DamageKind::Unreadable, 0, (0, 0), "cannot be read");
        self.findings.tell(Damage { error: Some(error), ..damage });
    }

    /// The first event's id by a header that is right or, in an open segment, as it stands in the
    /// first slot; 0 = none, or not known.
    pub fn first_event_id(&self) -> u64 {
        if let Some(header) = &self.header {
            return header.first_event_id;
        }
        let (Source::Hot(file), None) = (&self.source, self.end) else { return 0 };
        let mut bytes = [0; BLOCK_HEADER_SIZE + EVENT_SIZE];
        let read = file.read_at(&mut bytes, Layout::block_offset(0)).unwrap_or(0);
        if read < bytes.len() {
            return 0;
        }
        match bytes.first_chunk().and_then(BlockHeader::decode) {
            Some(header) => header.first_event_id,
            None if self.is_sealed() => 0,
            None => first_id_of(&bytes),
        }
    }

    /// The header of a closed segment, as long as it can be trusted.
    pub fn header(&self) -> Option<SegmentHeader> {
        self.header
    }

    /// Whether there is no room for another event.
    pub fn is_full(&self) -> bool {
        self.seen.events == u64::from(Layout { blocks: self.block_limit }.capacity())
    }

    /// The last event read or passed over, or the floor.
    pub fn last_event_id(&self) -> u64 {
        self.last_event_id
    }

    /// Whether the segment is closed.
    pub fn is_sealed(&self) -> bool {
        matches!(self.judge, Judge::Sealed)
    }

    /// Whether the log may yet go on in it.
    pub fn has_room(&self) -> bool {
        self.has_room
    }

    /// Whether something is wrong, in what was seen so far.
    pub fn is_damaged(&self) -> bool {
        self.findings.any()
    }

    /// Whether [`SalvagedSegment::take_damage`] has something.
    pub fn has_damage_to_tell(&self) -> bool {
        self.findings.has_found()
    }

    /// The next damage that was found.
    pub fn take_damage(&mut self) -> Option<Damage> {
        self.findings.take()
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        let bytes = match &self.source {
            Source::Hot(_) => self.seen.bytes,
            Source::Cold(content) => content.file_size(),
        };
        Seen { bytes, ..self.seen }
    }

    /// Looks at the next block and adds its events from the id `from` on.
    pub fn step(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Step {
        if let Some(end) = self.end {
            return end;
        }
        if self.block == self.block_limit {
            return self.finish();
        }
        let offset = Layout::block_offset(self.block);
        let read = match &mut self.source {
            Source::Hot(file) => file.read_at(&mut self.buffer, offset),
            Source::Cold(content) => Ok(content.read_at(&mut self.buffer, offset)),
        };
        if self.header.is_none() && self.is_sealed() && matches!(read, Ok(0)) {
            return self.finish();
        }
        if let Ok(read) = read {
            self.buffer[read..].fill(0);
            self.seen.bytes += read as u64;
        }
        match self.judge {
            Judge::Sealed => self.sealed_block(read, from, events),
            Judge::Open { durable_id, .. } => self.open_block(read, durable_id, from, events),
        }
        self.pass_faults(offset + BLOCK_SIZE as u64);
        self.block += 1;
        Step::Block
    }

    fn sealed_block(&mut self, read: Result<usize>, from: u64, events: &mut Vec<RequestEvent>) {
        self.pull_faults();
        let (block, last_event_id) = (self.block, self.last_event_id);
        let check = BlockCheck { block, last_event_id, counted: self.header.is_some(), from };
        let examined = match read {
            Ok(read) => check.examine(&self.buffer, read),
            Err(error) => {
                let kind = DamageKind::Unreadable;
                Err(BadBlock { kind, what: "cannot be read", header: None, error: Some(error) })
            }
        };
        match examined {
            // Without a header to count them: what a recycled file still holds of its former life.
            Ok(stale) if self.header.is_none() && stale.first_event_id <= self.last_event_id => {}
            Ok(header) => {
                self.close_pending(header.first_event_id - 1);
                self.check_chain(&header, from);
                self.chained = Some(header.chained_checksum);
                let ids = (header.first_event_id, header.last_event_id);
                self.give(usize::from(header.event_count), ids, from, events);
            }
            Err(bad) => self.bad_block(bad),
        }
    }

    /// The block is right by itself; does it follow the one before?
    fn check_chain(&mut self, header: &BlockHeader, from: u64) {
        let Some(before) = self.chained.filter(|_| header.last_event_id >= from) else { return };
        let events = events_of(&self.buffer, usize::from(header.event_count));
        if xxh64(events, before) != header.chained_checksum {
            let ids = (header.first_event_id, header.last_event_id);
            let what = "the chained checksum does not match";
            self.tell(DamageKind::Chain, Layout::block_offset(self.block), ids, what);
        }
    }

    fn bad_block(&mut self, bad: BadBlock) {
        let offset = Layout::block_offset(self.block);
        let from = self.last_event_id + 1;
        let known = bad.header.filter(|header| header.first_event_id >= from);
        if !self.findings.blame_frame(&self.site, offset, BLOCK_SIZE as u64, from) {
            if let Some(header) = known {
                self.close_pending(header.first_event_id - 1);
            }
            if let Some(header) = bad.header {
                let ids = (header.first_event_id, header.last_event_id);
                self.tell(bad.kind, offset, ids, bad.what);
            } else {
                let first_id = first_id_of(&self.buffer);
                let looks_used = first_id >= from && first_id <= MAX_EVENT_ID;
                let damage = self.damage(bad.kind, offset, (from, 0), bad.what);
                self.findings.pend(Damage { error: bad.error, ..damage }, looks_used);
            }
        }
        self.chained = bad.header.map(|header| header.chained_checksum);
        if let Some(header) = known {
            self.last_event_id = header.last_event_id.min(MAX_EVENT_ID);
        }
    }

    /// Adds the first `count` events of the block, with these first and last ids.
    fn give(
        &mut self,
        count: usize,
        (first, last): (u64, u64),
        from: u64,
        events: &mut Vec<RequestEvent>,
    ) {
        // A block of which nothing is wanted was not verified either: what its ids say is nothing.
        if last >= from {
            let all = events_of(&self.buffer, count).chunks_exact(EVENT_SIZE);
            let all = all.map(|event| event.try_into().expect("a chunk of that size"));
            events.extend(all.map(RequestEvent::decode).filter(|event| event.event_id >= from));
        }
        if self.seen.events == 0 {
            self.seen.first_event_id = first;
        }
        self.last_event_id = last;
        self.seen.events += count as u64;
        self.seen.blocks += 1;
    }

    /// Behind the last block.
    fn finish(&mut self) -> Step {
        match (self.header, &self.judge) {
            (Some(header), _) => {
                self.close_pending(header.last_event_id);
                if !self.findings.any() && !self.agrees_with(&header) {
                    self.doubt_header("the header does not say what its blocks do");
                    self.block_limit = match &self.source {
                        Source::Hot(file) => {
                            file.size().map_or(self.block, |size| Layout::of_file(size).blocks)
                        }
                        Source::Cold(_) => MAX_BLOCKS,
                    };
                    return Step::Block;
                }
                self.last_event_id = self.last_event_id.max(header.last_event_id);
            }
            (None, Judge::Sealed) => self.findings.end_of_file(),
            (None, Judge::Open { durable_id, goes_on }) => self.finish_open(*durable_id, *goes_on),
        }
        if let Source::Cold(content) = &mut self.source {
            content.read_rest();
            self.pass_faults(u64::MAX);
        }
        let end = match self.judge {
            Judge::Open { goes_on: false, .. } if !self.is_full() => Step::End,
            _ => Step::Complete,
        };
        self.end = Some(end);
        end
    }

    fn agrees_with(&self, header: &SegmentHeader) -> bool {
        self.seen.events == u64::from(header.event_count)
            && self.seen.first_event_id == header.first_event_id
            && (self.last_event_id == header.last_event_id || header.event_count == 0)
            && self.chained == Some(header.last_chained_checksum)
    }

    fn close_pending(&mut self, last: u64) {
        self.last_event_id = self.last_event_id.max(self.findings.close(last));
    }

    fn tell(&mut self, kind: DamageKind, offset: u64, ids: (u64, u64), what: &str) {
        self.findings.tell(self.damage(kind, offset, ids, what));
    }

    fn damage(&self, kind: DamageKind, offset: u64, event_ids: (u64, u64), what: &str) -> Damage {
        let file_offset = match &self.source {
            Source::Hot(_) => offset,
            Source::Cold(content) => content.file_offset_of(offset),
        };
        let (segment_index, path) = (Some(self.site.index), self.site.name.clone());
        let (what, error) = (what.to_owned(), None);
        Damage { kind, segment_index, path, offset, file_offset, event_ids, what, error }
    }

    fn pull_faults(&mut self) {
        if let Source::Cold(content) = &mut self.source {
            while let Some(fault) = content.take_fault() {
                self.findings.add_fault(fault);
            }
        }
    }

    /// Tells what is wrong with the frame before `end` and has cost no event.
    fn pass_faults(&mut self, end: u64) {
        self.pull_faults();
        self.findings.pass_faults(&self.site, end);
    }
}
