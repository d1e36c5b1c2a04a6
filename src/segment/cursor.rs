//! Walks through one segment, block by block, and gives out its events.
//!
//! A *strict* walk stops with an error at the first damage. A *salvaging* one goes on behind it
//! and reports it: a block then counts by itself, by the checksums of its header and its events.
//! What lies between the last good block and the next one is what may be missing, so damage whose
//! header is lost is reported only once its end is known. Verifying is a salvaging walk.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, RequestEvent, SegmentHeader, BLOCK_SIZE};
use crate::format::{MAX_BLOCKS, SEGMENT_HEADER_SIZE};

use crate::storage::{File, Slots};

use super::batch::Batch;
use super::blocks::{events_of, Blocks, Source};
use super::damage::{Damage, DamageKind, Site};
use super::findings::{of_frame, Findings};
use super::header::read_block_header;

pub(super) const WRONG_CHAIN: &str = "the chained checksum does not match";

/// What a step through a segment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A block was read; its wanted events, perhaps none, are the batch.
    Block,
    /// The segment has no more: the log goes on in the next one, if there is one.
    Complete,
    /// Nothing more right now: this is the end of the log.
    End,
    /// The active file has become another segment's. This one is durable on disk: what comes next
    /// is read there.
    Moved,
}

/// What a look into mapped memory came to, without a system call.
#[derive(Debug, Clone, Copy)]
pub enum Look {
    /// The next event.
    Event(RequestEvent),
    /// It is not there yet.
    Nothing,
    /// That cannot be told here.
    Elsewhere,
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

/// What a walk has cost since it was asked last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Blocks whose seal was checked.
    pub blocks: u64,
    /// Bytes of blocks that were looked at.
    pub bytes: u64,
    /// Time in reading from files.
    pub read: Duration,
    /// Time in reading and decompressing frames.
    pub decompress: Duration,
    /// Time in checking blocks against their seals.
    pub verify: Duration,
}

impl Effort {
    /// Adds another one.
    pub fn add(&mut self, other: &Effort) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.read += other.read;
        self.decompress += other.decompress;
        self.verify += other.verify;
    }
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
    /// The file holds whole blocks and nothing else, and was not cut behind one.
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
    pub(super) batch: Batch,
    pub(super) effort: Effort,
    /// The disk file of a segment in memory, where what is sealed in it counts before that.
    pub(super) sealed_in: Option<Arc<dyn File>>,
    /// What memory still has of a closed segment: what is damaged on disk is looked for there.
    pub(super) retired: Option<Box<Blocks>>,
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
            batch: Batch::default(),
            effort: Effort::default(),
            sealed_in: None,
            retired: None,
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

    /// Whether it is read out of mapped memory: then looking for more makes no system call.
    pub fn is_mapped(&self) -> bool {
        matches!(&self.blocks.source, Source::Memory(memory) if memory.is_mapped())
    }

    /// Whether more than half of the slots of an active segment were read.
    pub fn is_half_read(&self) -> bool {
        self.seen.events * 2 > u64::from(Layout { blocks: self.block_limit }.capacity())
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
            Source::Frame(content) => content.file_size(),
            _ => self.seen.bytes,
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

    /// What it has cost since it was asked last.
    pub fn take_effort(&mut self) -> Effort {
        let taken = std::mem::take(&mut self.blocks.taken);
        let mut effort = std::mem::take(&mut self.effort);
        match &self.blocks.source {
            Source::Frame(_) => effort.decompress = taken,
            _ => effort.read = taken,
        }
        effort
    }

    /// Memory to read into while what was read before is still in use.
    pub fn lend(&mut self, spares: impl IntoIterator<Item = Arc<Slots>>) {
        self.blocks.lend(spares);
    }

    /// The memory that it reads into, and what it was lent: for another walk.
    pub fn take_memory(&mut self) -> impl Iterator<Item = Arc<Slots>> + '_ {
        self.blocks.take_memory()
    }

    /// The wanted events of the block that the last step read, if they were not taken yet.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The same, taken away. While the caller keeps them, other blocks are read elsewhere.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Reads the next block; its events from the id `from` on become the batch. A block that ends
    /// below `from` is passed over by what its header says. Only a strict walk fails, or one
    /// through an active segment.
    pub fn step(&mut self, from: u64) -> Result<Step> {
        self.batch = Batch::default();
        if let Some(end) = self.end {
            return Ok(end);
        }
        if self.is_live() {
            return self.memory_block(from);
        }
        if self.block == self.block_limit {
            return self.finish();
        }
        let offset = Layout::block_offset(self.block);
        // An open segment may be written at this moment: what is read ahead of it would be old.
        let ahead_to = if self.is_closed() { self.block_limit } else { self.block + 1 };
        let read = self.blocks.load(self.block, ahead_to);
        // Where nothing says how many blocks there are, they end with the file.
        let is_counted =
            self.header.is_some() || self.blocks_of_frame().is_some() || self.retired.is_some();
        if !is_counted && self.is_closed() && matches!(read, Ok(0)) {
            return self.finish();
        }
        let bytes = *read.as_ref().unwrap_or(&0) as u64;
        self.seen.bytes += bytes;
        self.effort.bytes += bytes;
        match self.authority {
            Authority::Header => self.sealed_block(read, from)?,
            Authority::Events { durable_id, .. } => self.open_block(read, durable_id, from)?,
        }
        self.report_faults_before(offset + BLOCK_SIZE as u64);
        self.block += 1;
        Ok(Step::Block)
    }

    /// Makes the first `count` events of the block, with these first and last ids, the batch.
    pub(super) fn give(&mut self, count: usize, (first, last): (u64, u64), from: u64) {
        // A block of which nothing is wanted was not verified either, so its ids mean nothing.
        if last >= from {
            self.batch = self.blocks.batch(0, count);
            self.pass_below(from);
        }
        if self.seen.events == 0 {
            self.seen.first_event_id = first;
        }
        self.last_event_id = last;
        self.seen.events += count as u64;
        self.seen.blocks += 1;
    }

    /// Drops the events of the batch below `from`.
    pub(super) fn pass_below(&mut self, from: u64) {
        let below = self.batch.events().partition_point(|event| event.event_id < from);
        self.batch.drop_first(below);
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
        let offset = Layout::block_offset(self.block);
        let Source::Frame(content) = &mut self.blocks.source else { return Ok(()) };
        // What is wrong further on, and was met because blocks are read ahead, comes later.
        let end = if self.block < self.block_limit { offset + BLOCK_SIZE as u64 } else { u64::MAX };
        while let Some(fault) = content.take_fault_before(end) {
            if !self.strict {
                self.findings.add_fault(fault);
            } else if !fault.trailing {
                let damage = of_frame(&self.site, &fault);
                return Err(Damage { offset, event_ids, ..damage }.to_error());
            }
        }
        Ok(())
    }
}
