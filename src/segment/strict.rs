//! Walks that stop at the first damage: how they begin. In closed segments they go by the header.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{Layout, SegmentHeader, BLOCK_SIZE};
use crate::storage::{File, Pages, PAGE};

use super::blocks::Source;
use super::cursor::{Authority, Cursor};
use super::damage::{Damage, DamageKind, Site};
use super::findings::of_frame;
use super::frame::FrameContent;
use super::header::{misnamed, HeaderState, DENIES_EVENTS};

impl Cursor {
    /// A strict walk through a closed hot segment, with its header. `verify`: checks the checksums
    /// of events, not only of headers.
    pub fn hot(
        site: Site,
        file: Arc<dyn File>,
        header: SegmentHeader,
        floor: u64,
        verify: bool,
    ) -> Result<Self> {
        Self::hot_from(site, Source::File(Arc::clone(&file)), &*file, header, floor, verify)
    }

    /// The same past the page cache, verifying, some blocks at a time.
    pub fn hot_direct(
        site: Site,
        file: Arc<dyn File>,
        header: SegmentHeader,
        blocks_at_a_time: usize,
    ) -> Result<Self> {
        let pages = Pages::new(blocks_at_a_time * BLOCK_SIZE + 2 * PAGE);
        Self::hot_from(site, Source::Direct(Arc::clone(&file), pages), &*file, header, 0, true)
    }

    fn hot_from(
        site: Site,
        source: Source,
        file: &dyn File,
        header: SegmentHeader,
        floor: u64,
        verify: bool,
    ) -> Result<Self> {
        let capacity = Layout::of_file(file.size()?).capacity();
        let has_room = header.event_count < capacity;
        let walk = Self::new(site, source, Authority::Header, floor);
        Cursor { has_room, ..walk }.strict(header, verify)
    }

    /// The same of a cold segment.
    pub fn cold(site: Site, file: Arc<dyn File>, floor: u64, verify: bool) -> Result<Self> {
        let mut content = FrameContent::open(file)
            .map_err(|error| Damage::unreadable(&site, 0, (0, 0), error).to_error())?;
        let header = content.header_despite_faults();
        while let Some(fault) = content.take_fault() {
            if !fault.trailing {
                return Err(of_frame(&site, &fault).to_error());
            }
        }
        let what = match (HeaderState::of(header, site.index), header) {
            (HeaderState::Closed, Some(header)) => {
                let source = Source::Frame(Box::new(content));
                let walk = Self::new(site, source, Authority::Header, floor);
                return walk.strict(header, verify);
            }
            (HeaderState::OtherIndex, Some(other)) => {
                return Err(misnamed(&site, &other).to_error())
            }
            _ => "the header is not that of a closed segment",
        };
        Err(Damage::at(&site, DamageKind::SegmentHeader, 0, (0, 0), what).to_error())
    }

    /// Makes the walk a strict one, by a header whose counts and ids fit together.
    fn strict(mut self, header: SegmentHeader, verify: bool) -> Result<Self> {
        let (first, last) = (header.first_event_id, header.last_event_id);
        let what = if !header.is_consistent() {
            "the header's counts and event ids do not fit together"
        } else if self.blocks.are_denied_by(&header)? {
            DENIES_EVENTS
        } else if first != 0 && first <= self.last_event_id {
            "event ids do not rise from the segment before"
        } else {
            (self.strict, self.checksums, self.header) = (true, verify, Some(header));
            self.block_limit = header.block_count;
            return Ok(self);
        };
        Err(Damage::at(&self.site, DamageKind::SegmentHeader, 0, (first, last), what).to_error())
    }
}
