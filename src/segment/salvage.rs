//! The part of a walk that goes on behind damage, and reports it.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::SEGMENT_HEADER_SIZE;
use crate::format::{Layout, SegmentHeader, BLOCK_SIZE, MAX_BLOCKS, MAX_EVENT_ID};
use crate::storage::File;

use super::blocks::{first_id_of, Blocks, Source};
use super::check::BadBlock;
use super::cursor::{Authority, Cursor, Step};
use super::damage::{Damage, DamageKind, Site};
use super::findings::of_frame;
use super::frame::FrameContent;
use super::header::{misnamed, HeaderState, DENIES_EVENTS};
use super::memory::Memory;

impl Cursor {
    /// A salvaging walk through a hot segment that is closed, or was.
    pub fn salvage_hot(
        site: Site,
        file: Arc<dyn File>,
        header: Result<Option<SegmentHeader>>,
        floor: u64,
    ) -> Result<Self> {
        let size = file.size()?;
        let layout = Layout::of_file(size);
        let mut walk = Self::new(site, Source::File(file), Authority::Header, floor);
        // The last block of a file that was cut may have all its events.
        walk.block_limit = layout.blocks + u32::from(!layout.is_exact(size));
        walk.has_room = matches!(&header, Ok(Some(h)) if h.event_count < layout.capacity());
        match header {
            // One that says that it is open is not right either.
            Ok(header) => walk.take_header(header.filter(|header| header.is_closed())),
            Err(error) => walk.miss_header(error),
        }
        Ok(walk)
    }

    /// A salvaging walk through what memory still has of a closed segment. Its file on disk is not
    /// there, or holds nothing of it: the damage says which.
    pub fn retired(site: Site, memory: Memory, kind: DamageKind, what: &str, floor: u64) -> Self {
        let blocks = memory.layout().blocks;
        let mut walk = Self::new(site, Source::Retired(memory), Authority::Header, floor);
        walk.block_limit = blocks;
        walk.findings.report(walk.damage(kind, 0, (0, 0), what));
        walk
    }

    /// The same walk through a closed segment, where what is damaged in its file is looked for in
    /// what memory still has of it.
    pub fn or_in_memory(mut self, memory: Memory) -> Self {
        if self.end.is_some() {
            let why = self.take_damage().map_or_else(String::new, |damage| damage.what + "; ");
            let what = format!("{why}its events are in memory");
            let kind = DamageKind::SegmentHeader;
            return Self::retired(self.site, memory, kind, &what, self.last_event_id);
        }
        if self.header.is_none() {
            self.block_limit = memory.layout().blocks;
        }
        self.retired = Some(Box::new(Blocks::new(Source::Retired(memory))));
        self
    }

    /// A salvaging walk through a cold segment.
    pub fn salvage_cold(site: Site, file: Arc<dyn File>, floor: u64) -> Result<Self> {
        let mut content = Box::new(FrameContent::open_doubting(file)?);
        let header = content.header_despite_faults();
        let holds_nothing = content.holds_nothing();
        let mut walk = Self::new(site, Source::Frame(content), Authority::Header, floor);
        if holds_nothing && walk.blocks_of_frame().is_none() {
            // That is all there is to say of it.
            walk.lose_everything();
            walk.end = Some(Step::Complete);
            return Ok(walk);
        }
        walk.report_faults_before(0);
        walk.take_header(header.filter(SegmentHeader::is_closed));
        if let (None, Some(blocks)) = (walk.header, walk.blocks_of_frame()) {
            walk.block_limit = blocks;
        }
        Ok(walk)
    }

    /// Nothing of the frame can be read, nor how many blocks there were.
    fn lose_everything(&mut self) {
        let mut ids = (self.last_event_id + 1, 0);
        let Source::Frame(content) = &mut self.blocks.source else { return };
        while let Some(fault) = content.take_fault() {
            let damage = of_frame(&self.site, &fault);
            self.findings.report(Damage { event_ids: std::mem::take(&mut ids), ..damage });
        }
    }

    /// Trusts the header of a closed segment, if that is possible.
    fn take_header(&mut self, header: Option<SegmentHeader>) {
        let Some(header) = header else { return self.doubt_header("the header is not valid") };
        if HeaderState::of(Some(header), self.site.index) == HeaderState::OtherIndex {
            let file_offset = self.blocks.file_offset(0);
            self.findings.report(Damage { file_offset, ..misnamed(&self.site, &header) });
            self.end = Some(Step::Complete);
        } else if !header.is_consistent() {
            self.doubt_header("the header's counts and event ids do not fit together");
        } else if matches!(self.blocks.are_denied_by(&header), Ok(true)) {
            self.doubt_header(DENIES_EVENTS);
        } else {
            self.block_limit = header.block_count;
            self.header = Some(header);
        }
    }

    /// Reports that the segment's header is wrong; the blocks speak for themselves.
    pub fn doubt_header(&mut self, what: &str) {
        self.findings.report(self.damage(DamageKind::SegmentHeader, 0, (0, 0), what));
        self.header = None;
    }

    /// Reports that the segment's header cannot be read.
    pub fn miss_header(&mut self, error: Error) {
        self.findings.report(Damage::unreadable(&self.site, 0, (0, 0), error));
    }

    pub(super) fn bad_block(&mut self, bad: BadBlock) {
        let offset = Layout::block_offset(self.block);
        let from = self.last_event_id + 1;
        let known = bad.header.filter(|header| header.first_event_id >= from);
        if !self.findings.blame_frame(&self.site, offset, BLOCK_SIZE as u64, from) {
            let ids = bad.header.map(|header| (header.first_event_id, header.last_event_id));
            if let (Some(header), Some(ids)) = (known, ids) {
                self.close_pending(header.first_event_id - 1);
                let damage = self.damage(bad.kind, offset, ids, bad.what);
                self.findings.report(Damage { len: BLOCK_SIZE as u64, ..damage });
            } else {
                let first_id = first_id_of(self.blocks.bytes());
                let is_event = first_id >= from && first_id <= MAX_EVENT_ID;
                let ids = ids.filter(|_| bad.kind == DamageKind::Order);
                let looks_used = ids.is_some() || is_event || bad.error.is_some();
                let damage = self.damage(bad.kind, offset, ids.unwrap_or((from, 0)), bad.what);
                self.findings.pend(Damage { error: bad.error, ..damage }, looks_used);
            }
        }
        self.chained = bad.header.map(|header| header.chained_checksum);
        if let Some(header) = known {
            self.last_event_id = header.last_event_id.min(MAX_EVENT_ID);
        }
    }

    /// Whether this is the end of a closed segment. It is not when its header turns out to be
    /// wrong.
    pub(super) fn finish_closed(&mut self) -> bool {
        if self.strict {
            return true;
        }
        let Some(header) = self.header else {
            self.findings.end_of_file();
            return true;
        };
        self.close_pending(header.last_event_id);
        if !self.findings.any() && !self.agrees_with(&header) {
            self.doubt_header("the header does not say what its blocks do");
            let limit = match &self.blocks.source {
                Source::File(file) | Source::Direct(file, _) => {
                    file.size().map_or(0, |size| Layout::of_file(size).blocks)
                }
                Source::Frame(_) | Source::Memory(_) | Source::Retired(_) => MAX_BLOCKS,
            };
            // Part of a block behind the last whole one has been read already.
            self.block_limit = limit.max(self.block);
            return false;
        }
        self.last_event_id = self.last_event_id.max(header.last_event_id);
        true
    }

    fn agrees_with(&self, header: &SegmentHeader) -> bool {
        self.seen.events == u64::from(header.event_count)
            && self.seen.first_event_id == header.first_event_id
            && (self.last_event_id == header.last_event_id || header.event_count == 0)
            && self.chained == Some(header.last_chained_checksum)
    }

    pub(super) fn close_pending(&mut self, last: u64) {
        let end = Layout::block_offset(self.block);
        self.last_event_id = self.last_event_id.max(self.findings.close(last, end));
    }

    /// How many blocks the content of a frame has, by what the frame says.
    pub(super) fn blocks_of_frame(&self) -> Option<u32> {
        let Source::Frame(content) = &self.blocks.source else { return None };
        let size = content.content_size()?.checked_sub(SEGMENT_HEADER_SIZE as u64)?;
        u32::try_from(size.div_ceil(BLOCK_SIZE as u64)).ok().filter(|blocks| *blocks <= MAX_BLOCKS)
    }

    /// Reports what is wrong with the frame before `end` and has cost no event.
    pub(super) fn report_faults_before(&mut self, end: u64) {
        if !self.strict {
            let pulled = self.pull_faults((0, 0));
            debug_assert!(pulled.is_ok(), "only a strict walk fails");
            self.findings.report_faults(&self.site, end);
        }
    }
}
