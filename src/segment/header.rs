//! What the header of a segment file says of the file: asked here and nowhere else.

use crate::error::Result;
use crate::format::{file_name, BlockHeader, Layout, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, SEGMENT_HEADER_SIZE};
use crate::storage::{Directory, File, Open};

use super::damage::{Damage, DamageKind, Site};
use super::frame::FrameContent;

/// What is wrong with a header that counts no events though there are some.
pub const DENIES_EVENTS: &str = "the header counts no events, though there are some";

/// What a header is to the file that bears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderState {
    /// This segment's, closed: it counts the events, for good.
    Closed,
    /// This segment's, open: it counts nothing yet.
    Open,
    /// Valid, but of a segment with another index.
    OtherIndex,
    /// Torn, damaged or never written.
    Invalid,
}

impl HeaderState {
    /// The state of the decoded header of the file named after `index`.
    pub fn of(header: Option<SegmentHeader>, index: u32) -> Self {
        match header {
            None => HeaderState::Invalid,
            Some(header) if header.segment_index != index => HeaderState::OtherIndex,
            Some(header) if header.is_closed() => HeaderState::Closed,
            Some(_) => HeaderState::Open,
        }
    }

    /// Whether the header is this segment's.
    pub fn is_own(self) -> bool {
        matches!(self, HeaderState::Closed | HeaderState::Open)
    }
}

/// The damage of a file whose header is another segment's.
pub fn misnamed(site: &Site, other: &SegmentHeader) -> Damage {
    let ids = (other.first_event_id, other.last_event_id);
    let what = format!("the header is that of segment {}", other.segment_index);
    Damage::at(site, DamageKind::Misnamed, 0, ids, &what)
}

/// The header, if it is that of the closed segment `index`.
pub fn closed(header: Option<SegmentHeader>, index: u32) -> Option<SegmentHeader> {
    header.filter(|_| HeaderState::of(header, index) == HeaderState::Closed)
}

/// The header of a hot segment, or `None` when it is not valid.
pub fn read_header(file: &dyn File) -> Result<Option<SegmentHeader>> {
    let mut bytes = [0; SEGMENT_HEADER_SIZE];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes).filter(|_| read == bytes.len()))
}

/// The header that stands before a block's events, or `None` when it is not valid.
pub fn read_block_header(file: &dyn File, block: u32) -> Result<Option<BlockHeader>> {
    let mut bytes = [0; BLOCK_HEADER_SIZE];
    let read = file.read_at(&mut bytes, Layout::block_offset(block))?;
    Ok(BlockHeader::decode(&bytes).filter(|_| read == bytes.len()))
}

/// The header of a cold segment, or `None` when there is no such file or no valid header in it.
/// What the disk cannot read is an error: it says nothing about the file.
pub fn cold_header(wal: &dyn Directory, index: u32) -> Result<Option<SegmentHeader>> {
    let Some(file) = wal.open(&file_name::cold(index), Open::Read)? else { return Ok(None) };
    file.read_nothing_ahead();
    FrameContent::open(file)?.segment_header()
}

/// The header of the closed segment `index`, out of its hot file or out of its cold one.
pub fn closed_header(
    wal: &dyn Directory,
    index: u32,
    is_hot: bool,
) -> Result<Option<SegmentHeader>> {
    let header = if is_hot {
        match wal.open(&file_name::hot(index), Open::Read)? {
            Some(file) => read_header(&*file)?,
            None => None,
        }
    } else {
        cold_header(wal, index)?
    };
    Ok(closed(header, index))
}
