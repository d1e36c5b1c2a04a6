//! The part of a walk that is for open segments. On disk their events are found by the rules of
//! `format::log_end`; in the active directory ids rise, and the first one that does not is the end.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{xxh64, EVENTS_PER_BLOCK, MAX_EVENT_ID};
use crate::format::{BlockHeader, Layout, RequestEvent, Rule, SegmentScan};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use crate::storage::{File, Slots};

use super::batch::Batch;
use super::blocks::{events_of, first_id_of, Source};
use super::cursor::{Authority, Cursor, Look, Step, WRONG_CHAIN};
use super::damage::{Damage, DamageKind, Site};
use super::memory::Memory;

const WRONG_CHECKSUM: &str = "the block checksum does not match";
const DURABLE_GONE: &str = "events that were durable are gone";

impl Cursor {
    /// A strict walk through an open segment on disk, of a log of which everything up to
    /// `durable_id` is known durable.
    pub fn open(site: Site, file: Arc<dyn File>, durable_id: u64, floor: u64) -> Result<Self> {
        let mut walk = Self::salvage_open(site, file, durable_id, false, floor)?;
        walk.strict = true;
        Ok(walk)
    }

    /// A salvaging walk through the same. `goes_on`: later segments hold events that are known
    /// durable.
    pub fn salvage_open(
        site: Site,
        file: Arc<dyn File>,
        durable_id: u64,
        goes_on: bool,
        floor: u64,
    ) -> Result<Self> {
        let size = file.size()?;
        let layout = Layout::of_file(size);
        let authority = Authority::Events { durable_id, goes_on };
        let mut walk = Self::new(site, Source::File(file), authority, floor);
        walk.block_limit = layout.blocks;
        walk.is_exact = layout.is_exact(size);
        Ok(walk)
    }

    /// Has a salvaging walk look at what is left of the block in which the file was cut. What its
    /// seal covers may be there.
    pub fn with_cut_block(mut self) -> Self {
        let block = self.block_limit;
        if !self.is_exact && self.blocks.load(block, block + 1).is_ok() {
            let header = self.blocks.bytes().first_chunk().and_then(BlockHeader::decode);
            let is_whole = header.is_some_and(|header| {
                header.block_index == block && header.covers(self.blocks.bytes())
            });
            self.block_limit += u32::from(is_whole);
        }
        self
    }

    /// Events may be missing behind the last block, though it is whole.
    pub fn was_cut(&mut self) {
        self.is_exact = false;
    }

    /// A walk through an active segment.
    pub fn memory(site: Site, memory: Memory, floor: u64) -> Self {
        let layout = memory.layout();
        let source = Source::Memory(memory);
        let authority = Authority::Events { durable_id: 0, goes_on: false };
        Cursor { block_limit: layout.blocks, ..Self::new(site, source, authority, floor) }
    }

    /// Has a walk through memory take what is sealed in this file of the same segment from there:
    /// it is proved, and memory is not.
    pub fn prefer_sealed(&mut self, disk: Arc<dyn File>) {
        self.sealed_in = Some(disk);
    }

    /// Gives what is sealed of the current block on disk. `false`: there is nothing.
    fn take_sealed(&mut self, from: u64) -> Result<bool> {
        let block = self.seen.events as u32 / EVENTS_PER_BLOCK as u32;
        let is_begin = self.seen.events % EVENTS_PER_BLOCK as u64 == 0 && block < self.block_limit;
        let Some(disk) = self.sealed_in.as_ref().filter(|_| is_begin) else { return Ok(false) };
        let (mut slots, offset) = (Arc::default(), Layout::block_offset(block));
        let bytes = Slots::to_fill(&mut slots, &mut Vec::new(), BLOCK_SIZE);
        if disk.read_at(bytes, offset).unwrap_or(0) < BLOCK_SIZE {
            return Ok(false);
        }
        let is_next = |header: &BlockHeader| {
            header.block_index == block && header.first_event_id > self.last_event_id
        };
        let header = bytes.first_chunk().and_then(BlockHeader::decode).filter(is_next);
        let Some(header) = header.filter(|header| header.covers(bytes)) else { return Ok(false) };
        let count = usize::from(header.event_count);
        let mut memory = vec![0; count * EVENT_SIZE];
        if let Source::Memory(source) = &self.blocks.source {
            source.peek(&mut memory, offset + BLOCK_HEADER_SIZE as u64)?;
        }
        if memory != events_of(bytes, count) {
            let what = "the active directory has other events than the block that is sealed here";
            self.findings.report(self.damage(DamageKind::Active, offset, (0, 0), what));
        }
        let begin = BLOCK_HEADER_SIZE / EVENT_SIZE;
        self.batch = Batch::new(&slots, begin..begin + count);
        self.last_event_id = header.last_event_id;
        self.seen.events += count as u64;
        self.pass_below(from);
        Ok(true)
    }

    /// Reads what is committed in the current block; its events from the id `from` on are the
    /// batch.
    pub(super) fn memory_block(&mut self, from: u64) -> Result<Step> {
        if self.take_sealed(from)? {
            return Ok(Step::Block);
        }
        let Source::Memory(memory) = &mut self.blocks.source else { return Ok(Step::End) };
        let begin = self.seen.events as u32;
        let capacity = memory.layout().capacity();
        debug_assert!(begin <= capacity);
        let end = (begin / EVENTS_PER_BLOCK as u32 + 1) * EVENTS_PER_BLOCK as u32;
        let slots = begin..end.min(capacity);
        if slots.is_empty() {
            return Ok(Step::Complete);
        }
        let Some(committed) = memory.events(slots, self.last_event_id)? else {
            return Ok(Step::Moved);
        };
        let Some(last) = committed.events().last() else { return Ok(Step::End) };
        self.last_event_id = last.event_id;
        self.seen.events += committed.len() as u64;
        self.batch = committed;
        self.pass_below(from);
        Ok(Step::Block)
    }

    /// Whether there is more in memory behind what was read, or the memory is another segment's.
    pub fn memory_goes_on(&mut self) -> Result<bool> {
        let (begin, floor) = (self.seen.events as u32, self.last_event_id);
        let Source::Memory(memory) = &mut self.blocks.source else { return Ok(false) };
        if begin == memory.layout().capacity() {
            return Ok(true);
        }
        let next = memory.events(begin..begin + 1, floor)?;
        Ok(next.is_none_or(|event| !event.is_empty()))
    }

    /// Whether a step would find nothing new in mapped memory; no system call tells it.
    pub fn is_at_end_of_mapped(&self) -> bool {
        let Source::Memory(memory) = &self.blocks.source else { return false };
        let slot = self.seen.events as u32;
        let next = (slot < memory.layout().capacity()).then(|| memory.mapped_id(slot)).flatten();
        next.is_some_and(|id| id <= self.last_event_id || id > MAX_EVENT_ID)
    }

    /// The next event, if mapped memory has it: for a follower that waits for each of them.
    #[inline]
    pub fn look(&self) -> Look {
        let Source::Memory(memory) = &self.blocks.source else { return Look::Elsewhere };
        let slot = self.seen.events as u32;
        if self.end.is_some() || slot >= memory.layout().capacity() {
            return Look::Elsewhere;
        }
        match memory.mapped_event(slot, self.last_event_id) {
            None => Look::Elsewhere,
            Some(None) => Look::Nothing,
            Some(Some(event)) => Look::Event(event),
        }
    }

    /// Passes over the event that a look has given.
    #[inline]
    pub fn take(&mut self, event: &RequestEvent) {
        debug_assert!(self.is_live() && event.event_id > self.last_event_id);
        self.last_event_id = event.event_id;
        self.seen.events += 1;
    }

    /// Before a follower that has rested looks into mapped memory again.
    pub fn doubt_memory(&mut self) -> Result<()> {
        match &mut self.blocks.source {
            Source::Memory(memory) => memory.doubt(),
            _ => Ok(()),
        }
    }

    /// Puts an active segment that was opened ahead of time behind the event `floor`.
    pub fn begin_above(&mut self, floor: u64) {
        debug_assert!(self.is_live() && self.seen.events == 0);
        self.last_event_id = floor;
    }

    /// Looks at the current block.
    pub(super) fn open_block(
        &mut self,
        read: Result<usize>,
        durable_id: u64,
        from: u64,
    ) -> Result<()> {
        let offset = Layout::block_offset(self.block);
        if let Err(error) = read {
            return self.miss_block(offset, error);
        }
        // A salvaging walk reports a break of the chain by itself: it costs no event.
        let chained = self.chained.filter(|_| self.strict);
        let rule = Rule::Disk { durable_id };
        let mut scan = SegmentScan::from_block(rule, self.last_event_id, self.block, chained);
        let accepted = scan.block(self.blocks.bytes());
        let header = self.blocks.bytes().first_chunk().and_then(BlockHeader::decode);
        if let Some(ids) = scan.damaged() {
            debug_assert_eq!(accepted, 0, "nothing of a damaged block counts");
            self.close_pending(ids.0 - 1);
            let damage = self.damage(DamageKind::Block, offset, ids, WRONG_CHECKSUM);
            self.report(Damage { len: BLOCK_SIZE as u64, ..damage })?;
            self.last_event_id = ids.1.min(MAX_EVENT_ID);
            self.chained = header.map(|header| header.chained_checksum);
            return Ok(());
        }
        let first_id = first_id_of(self.blocks.bytes());
        let ids = (first_id, scan.end().last_event_id);
        if self.strict {
            self.chained = scan.chained();
        } else {
            self.report_seal(header, accepted, ids, durable_id, from)?;
        }
        if accepted > 0 {
            self.give(accepted, ids, from);
        }
        if scan.has_ended() {
            self.end_in_block(accepted, durable_id);
        }
        Ok(())
    }

    /// The block cannot be read.
    fn miss_block(&mut self, offset: u64, error: Error) -> Result<()> {
        let ids = (self.last_event_id + 1, 0);
        let damage = Damage::unreadable(&self.site, offset, ids, error);
        if self.strict {
            return Err(damage.to_error());
        }
        self.findings.pend(damage, true);
        self.chained = None;
        Ok(())
    }

    /// Reports what is wrong with the seal of a block of which `accepted` events count, with these
    /// first and last ids.
    fn report_seal(
        &mut self,
        header: Option<BlockHeader>,
        accepted: usize,
        ids: (u64, u64),
        durable_id: u64,
        from: u64,
    ) -> Result<()> {
        let block = self.blocks.bytes();
        let sealed = header.filter(|h| h.first_event_id == ids.0 && h.covers(block));
        let continues = match (sealed, self.chained) {
            (Some(h), Some(before)) if h.last_event_id >= from => {
                let events = events_of(block, usize::from(h.event_count));
                xxh64(events, before) == h.chained_checksum
            }
            _ => true,
        };
        if accepted > 0 {
            let offset = Layout::block_offset(self.block);
            self.close_pending(ids.0 - 1);
            if ids.0 <= durable_id && header.is_none() {
                // It is written and synced before its events count as durable.
                let what = "the block header is not valid, though its events were durable";
                self.report(self.damage(DamageKind::BlockHeader, offset, (0, 0), what))?;
            }
            if let (false, Some(sealed)) = (continues, sealed) {
                let ids = (sealed.first_event_id, sealed.last_event_id);
                self.report(self.damage(DamageKind::Chain, offset, ids, WRONG_CHAIN))?;
            }
        }
        self.chained = sealed.map(|header| header.chained_checksum);
        Ok(())
    }

    /// The log, or what counts of it in this segment, ends behind the first `accepted` events of
    /// the block.
    fn end_in_block(&mut self, accepted: usize, durable_id: u64) {
        if self.strict || (!self.findings.has_pending() && self.last_event_id >= durable_id) {
            self.block_limit = self.block + 1;
        } else if !self.findings.has_pending() {
            let n = self.block * EVENTS_PER_BLOCK as u32 + accepted as u32;
            let (at, ids) = (Layout::event_offset(n), (self.last_event_id + 1, 0));
            self.findings.pend(self.damage(DamageKind::DurableLost, at, ids, DURABLE_GONE), true);
        }
    }

    /// Behind the last block of an open segment: nothing may follow one that is not full.
    pub(super) fn finish_open(&mut self, durable_id: u64, goes_on: bool) -> Result<Step> {
        let is_whole = self.is_exact && self.is_full();
        if self.strict {
            // A file that was cut has lost what came next, so the log ends here.
            if is_whole {
                return Ok(Step::Complete);
            }
            if self.last_event_id >= durable_id {
                return Ok(Step::End);
            }
            let offset = Layout::event_offset(self.seen.events as u32);
            let ids = (self.last_event_id + 1, durable_id);
            let damage = self.damage(DamageKind::DurableLost, offset, ids, DURABLE_GONE);
            return Err(damage.to_error());
        }
        if !self.is_exact {
            let lost = (self.last_event_id + 1, durable_id);
            let ids = if lost.0 <= lost.1 && goes_on { lost } else { (0, 0) };
            let what = "the file was cut";
            let offset = Layout::block_offset(self.block);
            self.report(self.damage(DamageKind::Truncated, offset, ids, what))?;
        } else if goes_on && !self.is_full() && !self.findings.any() {
            self.doubt_header("not that of a closed segment, though the log goes on behind it");
        }
        self.close_pending(durable_id);
        Ok(if goes_on || self.is_full() { Step::Complete } else { Step::End })
    }
}
