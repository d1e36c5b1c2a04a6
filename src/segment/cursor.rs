//! Walks through one segment, block by block, and gives out its events.
//!
//! A *strict* walk stops with an error at the first damage. A *salvaging* one goes on behind it
//! and reports it: a block then counts by itself, by the checksums of its header and its events.
//! What lies between the last good block and the next one is what may be missing, so damage whose
//! header is lost is reported only once its end is known. Verifying is a salvaging walk.

use crate::error::Result;
use crate::format::{BlockHeader, Layout, RequestEvent, SegmentHeader};
use crate::format::{BLOCK_SIZE, EVENT_SIZE};
use crate::format::{MAX_BLOCKS, SEGMENT_HEADER_SIZE};

use super::blocks::{events_of, Blocks, Source};
use super::check::{BadBlock, BlockCheck, GoodBlock};
use super::damage::{Damage, DamageKind, Site};
use super::findings::{of_frame, Findings};
use super::header::read_block_header;

pub(super) const WRONG_CHAIN: &str = "the chained checksum does not match";

/// What a step through a segment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A block was read; its wanted events, perhaps none, were added.
    Block,
    /// The segment has no more: the log goes on in the next one, if there is one.
    Complete,
    /// Nothing more right now: this is the end of the log.
    End,
    /// The active file has become another segment's. This one is durable on disk: what comes next
    /// is read there.
    Moved,
}

/// What a walk has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Blocks with events that were given out.
    pub blocks: u64,
    /// Those events.
    pub events: u64,
    /// First of them, 0 = none.
    pub first_event_id: u64,
    /// Bytes looked at.
    pub bytes: u64,
}

/// What decides which events a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    /// It is closed: its header, and the seal of every block.
    Header,
    /// It is open: the rules of `format::log_end`.
    Events {
        /// The highest event id of it that is known durable.
        durable_id: u64,
        /// Later events are known durable. If not, the log ends in it unless it is full.
        goes_on: bool,
    },
}

/// A walk through one segment.
pub struct Cursor {
    pub(super) site: Site,
    pub(super) blocks: Blocks,
    pub(super) authority: Authority,
    /// Stops at damage.
    pub(super) strict: bool,
    /// Checks the checksums of events.
    pub(super) checksums: bool,
    /// The header of a closed segment, as long as it can be trusted.
    pub(super) header: Option<SegmentHeader>,
    pub(super) has_room: bool,
    /// The file holds whole blocks and nothing else.
    pub(super) is_exact: bool,
    /// The next block, and the one to stop before.
    pub(super) block: u32,
    pub(super) block_limit: u32,
    /// Chained checksum of the block before, where it is known.
    pub(super) chained: Option<u64>,
    pub(super) last_event_id: u64,
    pub(super) seen: Seen,
    pub(super) findings: Findings,
    pub(super) end: Option<Step>,
}

impl Cursor {
    pub(super) fn new(site: Site, source: Source, authority: Authority, floor: u64) -> Self {
        Cursor {
            site,
            blocks: Blocks::new(source),
            authority,
            strict: false,
            checksums: true,
            header: None,
            has_room: false,
            is_exact: true,
            block: 0,
            block_limit: MAX_BLOCKS,
            chained: Some(0),
            last_event_id: floor,
            seen: Seen { bytes: SEGMENT_HEADER_SIZE as u64, ..Seen::default() },
            findings: Findings::default(),
            end: None,
        }
    }

    /// The first event's id, by a header that is right or, in an open segment, by what stands in
    /// the first slot; 0 = none or, when salvaging, not known.
    pub fn first_event_id(&self) -> Result<u64> {
        if let Some(header) = &self.header {
            return Ok(header.first_event_id);
        }
        let first_slot = self.blocks.first_slot();
        if self.strict || self.is_live() {
            return first_slot;
        }
        let Source::File(file) = &self.blocks.source else { return Ok(0) };
        Ok(match read_block_header(&**file, 0) {
            _ if self.end.is_some() => 0,
            Ok(Some(header)) => header.first_event_id,
            Ok(None) if !self.is_closed() => first_slot.unwrap_or(0),
            _ => 0,
        })
    }

    /// The header of a closed segment, as long as it can be trusted.
    pub fn header(&self) -> Option<SegmentHeader> {
        self.header
    }

    pub fn is_full(&self) -> bool {
        self.seen.events == u64::from(Layout { blocks: self.block_limit }.capacity())
    }

    /// The last event read or passed over, or the floor.
    pub fn last_event_id(&self) -> u64 {
        self.last_event_id
    }

    pub fn is_closed(&self) -> bool {
        self.authority == Authority::Header
    }

    /// Whether it is open, and read from its disk file.
    pub fn is_open_on_disk(&self) -> bool {
        !self.is_closed() && !self.is_live()
    }

    /// Whether events appended later can be read from here, without finding the segment anew.
    pub fn is_live(&self) -> bool {
        matches!(self.blocks.source, Source::Memory(_))
    }

    /// Whether the log may yet go on in it: it is closed, hot and not full.
    pub fn has_room(&self) -> bool {
        self.has_room
    }

    pub fn is_damaged(&self) -> bool {
        self.findings.any()
    }

    /// Whether [`Cursor::take_damage`] has something.
    pub fn has_damage(&self) -> bool {
        self.findings.has_found()
    }

    /// The next damage that was found.
    pub fn take_damage(&mut self) -> Option<Damage> {
        self.findings.take()
    }

    /// How many slots of an open segment were read.
    pub fn slots_read(&self) -> u32 {
        debug_assert!(!self.is_closed());
        self.seen.events as u32
    }

    pub fn seen(&self) -> Seen {
        let bytes = match &self.blocks.source {
            Source::File(_) | Source::Direct(..) | Source::Memory(_) => self.seen.bytes,
            Source::Frame(content) => content.file_size(),
        };
        Seen { bytes, ..self.seen }
    }

    /// The events of the block that the last step read, as they lie in it. For strict walks through
    /// closed segments.
    pub fn block_events(&self) -> &[u8] {
        let block = self.blocks.bytes();
        let header = block.first_chunk().and_then(BlockHeader::decode);
        events_of(block, header.map_or(0, |header| usize::from(header.event_count)))
    }

    /// All bytes of that block, as they lie in the file.
    pub fn block_bytes(&self) -> &[u8] {
        self.blocks.bytes()
    }

    /// Reads the next block and adds its events from the id `from` on. A block that ends below
    /// `from` is passed over by what its header says. Only a strict walk fails, or one through an
    /// active segment.
    pub fn step(&mut self, from: u64, events: &mut Vec<RequestEvent>) -> Result<Step> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        if self.is_live() {
            return self.memory_block(from, events);
        }
        if self.block == self.block_limit {
            return self.finish();
        }
        let offset = Layout::block_offset(self.block);
        // An open segment may be written at this moment: what is read ahead of it would be old.
        let ahead_to = if self.is_closed() { self.block_limit } else { self.block + 1 };
        let read = self.blocks.load(self.block, ahead_to);
        if self.header.is_none() && self.is_closed() && matches!(read, Ok(0)) {
            return self.finish();
        }
        self.seen.bytes += *read.as_ref().unwrap_or(&0) as u64;
        match self.authority {
            Authority::Header => self.sealed_block(read, from, events)?,
            Authority::Events { durable_id, .. } => {
                self.open_block(read, durable_id, from, events)?;
            }
        }
        self.report_faults_before(offset + BLOCK_SIZE as u64);
        self.block += 1;
        Ok(Step::Block)
    }

    fn sealed_block(
        &mut self,
        read: Result<usize>,
        from: u64,
        events: &mut Vec<RequestEvent>,
    ) -> Result<()> {
        self.pull_faults(self.ids_left())?;
        let check = BlockCheck {
            block: self.block,
            last_event_id: self.last_event_id,
            chained: self.chained,
            segment: self.header.as_ref(),
            strict: self.strict,
            from,
            checksums: self.checksums,
        };
        let examined = match read {
            Ok(read) => check.examine(self.blocks.bytes(), read),
            Err(error) => {
                let kind = DamageKind::Unreadable;
                Err(BadBlock { kind, what: "cannot be read", header: None, error: Some(error) })
            }
        };
        match examined {
            Ok(good) if good.is_stale => Ok(()),
            Ok(good) => self.good_block(good, from, events),
            Err(bad) if self.strict => {
                let header = bad.header;
                let ids = header.map_or(self.ids_left(), |h| (h.first_event_id, h.last_event_id));
                let offset = Layout::block_offset(self.block);
                let damage = self.damage(bad.kind, offset, ids, bad.what);
                Err(Damage { error: bad.error, ..damage }.to_error())
            }
            Err(bad) => {
                self.bad_block(bad);
                Ok(())
            }
        }
    }

    fn good_block(
        &mut self,
        good: GoodBlock,
        from: u64,
        events: &mut Vec<RequestEvent>,
    ) -> Result<()> {
        let header = good.header;
        let ids = (header.first_event_id, header.last_event_id);
        debug_assert!(self.last_event_id < ids.0, "events are given out once, in order");
        self.close_pending(ids.0 - 1);
        if !good.continues_chain {
            let offset = Layout::block_offset(self.block);
            self.report(self.damage(DamageKind::Chain, offset, ids, WRONG_CHAIN))?;
        }
        self.chained = Some(header.chained_checksum);
        self.give(usize::from(header.event_count), ids, from, events);
        Ok(())
    }

    fn ids_left(&self) -> (u64, u64) {
        (self.last_event_id + 1, self.header.map_or(0, |header| header.last_event_id))
    }

    /// Adds the first `count` events of the block, with these first and last ids.
    pub(super) fn give(
        &mut self,
        count: usize,
        (first, last): (u64, u64),
        from: u64,
        events: &mut Vec<RequestEvent>,
    ) {
        // A block of which nothing is wanted was not verified either, so its ids mean nothing.
        if last >= from {
            let first_new = events.len();
            let all = events_of(self.blocks.bytes(), count).chunks_exact(EVENT_SIZE);
            let all = all.map(|event| event.try_into().expect("a chunk of that size"));
            events.extend(all.map(RequestEvent::decode));
            let below = events[first_new..].partition_point(|event| event.event_id < from);
            events.drain(first_new..first_new + below);
        }
        if self.seen.events == 0 {
            self.seen.first_event_id = first;
        }
        self.last_event_id = last;
        self.seen.events += count as u64;
        self.seen.blocks += 1;
    }

    /// Behind the last block.
    fn finish(&mut self) -> Result<Step> {
        let end = match self.authority {
            Authority::Header => {
                if !self.finish_closed() {
                    return Ok(Step::Block);
                }
                Step::Complete
            }
            Authority::Events { durable_id, goes_on } => self.finish_open(durable_id, goes_on)?,
        };
        if let Source::Frame(content) = &mut self.blocks.source {
            if self.checksums {
                content.read_rest();
                self.pull_faults((0, 0))?;
                self.report_faults_before(u64::MAX);
            }
        }
        self.end = Some(end);
        Ok(end)
    }

    /// Stops a strict walk, or takes note of the damage.
    pub(super) fn report(&mut self, damage: Damage) -> Result<()> {
        if self.strict {
            return Err(damage.to_error());
        }
        self.findings.report(damage);
        Ok(())
    }

    pub(super) fn damage(
        &self,
        kind: DamageKind,
        offset: u64,
        ids: (u64, u64),
        what: &str,
    ) -> Damage {
        let file_offset = self.blocks.file_offset(offset);
        Damage { file_offset, ..Damage::at(&self.site, kind, offset, ids, what) }
    }

    /// Takes note of what is wrong with the frame, as far as it was read. A strict walk fails with
    /// it: what is behind the frame harms nothing in it.
    pub(super) fn pull_faults(&mut self, event_ids: (u64, u64)) -> Result<()> {
        let Source::Frame(content) = &mut self.blocks.source else { return Ok(()) };
        while let Some(fault) = content.take_fault() {
            if !self.strict {
                self.findings.add_fault(fault);
            } else if !fault.trailing {
                let offset = Layout::block_offset(self.block);
                let damage = of_frame(&self.site, &fault);
                return Err(Damage { offset, event_ids, ..damage }.to_error());
            }
        }
        Ok(())
    }
}
