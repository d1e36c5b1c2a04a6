//! Where a walk stands, and walks of one segment that begin at different blocks.

use std::sync::Arc;

use crate::format::{BlockHeader, SegmentHeader, BLOCK_SIZE, EVENTS_PER_BLOCK};
use crate::format::{Layout, SEGMENT_HEADER_SIZE};
use crate::storage::File;

use super::blocks::Source;
use super::cursor::{Authority, Cursor, Seen};
use super::damage::Site;
use super::header::read_block_header;

/// Where a walk that has met no damage stands. Two walks of the same segment that stand at the same
/// place go on in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    block: u32,
    last_event_id: u64,
    chained: Option<u64>,
    seen: Seen,
}

/// A closed hot segment whose header can be trusted. Parts of it can be walked at the same time.
#[derive(Debug, Clone)]
pub struct Division {
    site: Site,
    file: Arc<dyn File>,
    header: SegmentHeader,
    strict: bool,
    checksums: bool,
    has_room: bool,
}

impl Division {
    /// A walk that begins at a block other than the first, as if it had come there from the first
    /// one. It goes by the header of the block before, which whoever walks up to there must find
    /// to be right. `None` when that header is not valid.
    pub fn walk_from(&self, block: u32) -> Option<Cursor> {
        let before = read_block_header(&*self.file, block - 1).ok().flatten()?;
        let source = Source::File(Arc::clone(&self.file));
        let mut walk = Cursor::new(self.site.clone(), source, Authority::Header, 0);
        walk.strict = self.strict;
        walk.checksums = self.checksums;
        walk.header = Some(self.header);
        walk.has_room = self.has_room;
        walk.block_limit = self.header.block_count;
        walk.stand_behind(&before, block - 1).then_some(walk)
    }

    /// One past its last block.
    pub fn end(&self) -> u32 {
        self.header.block_count
    }
}

impl Cursor {
    /// Where it stands, as long as there was no damage.
    pub fn position(&self) -> Position {
        debug_assert!(!self.is_damaged());
        Position {
            block: self.block,
            last_event_id: self.last_event_id,
            chained: self.chained,
            seen: self.seen,
        }
    }

    /// The next block.
    pub fn block(&self) -> u32 {
        self.block
    }

    /// What is needed to walk other parts of it at the same time, where that is possible.
    pub fn division(&self) -> Option<Division> {
        let (Source::File(file), Some(header)) = (&self.blocks.source, self.header) else {
            return None;
        };
        // What is damaged is looked for in memory by one walk only.
        let is_good = self.is_closed() && !self.is_damaged() && self.end.is_none();
        let is_good = is_good && self.retired.is_none();
        is_good.then(|| Division {
            site: self.site.clone(),
            file: Arc::clone(file),
            header,
            strict: self.strict,
            checksums: self.checksums,
            has_room: self.has_room,
        })
    }

    /// Stands at the block `index` with this header, of which nothing before is known.
    pub(super) fn stand_before(&mut self, own: &BlockHeader, index: u32) {
        if let Some(header) = self.header {
            self.last_event_id = own.first_event_id.saturating_sub(1);
            self.chained = None;
            self.pass_to(index, &header);
        }
    }

    /// Stands behind a block with this header, as if it had walked there from the first block.
    /// `false`: the header cannot be that of the block `index` of this segment.
    pub(super) fn stand_behind(&mut self, before: &BlockHeader, index: u32) -> bool {
        let Some(header) = self.header else { return false };
        let is_full = usize::from(before.event_count) == EVENTS_PER_BLOCK;
        let ids = header.first_event_id..header.last_event_id;
        if before.block_index != index || !is_full || !ids.contains(&before.last_event_id) {
            return false;
        }
        self.last_event_id = before.last_event_id;
        self.chained = Some(before.chained_checksum);
        self.pass_to(index + 1, &header);
        true
    }

    /// Stands at a block as if all before it were read.
    fn pass_to(&mut self, block: u32, header: &SegmentHeader) {
        self.block = block;
        self.seen = Seen {
            blocks: u64::from(block),
            events: u64::from(Layout { blocks: block }.capacity()),
            first_event_id: header.first_event_id,
            bytes: (SEGMENT_HEADER_SIZE + block as usize * BLOCK_SIZE) as u64,
        };
        self.blocks.forget();
    }
}
