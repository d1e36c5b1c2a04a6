//! Pairs: segments that have both a hot and a cold file. What is in the two decides which one
//! counts, whatever their headers say.

use std::sync::Arc;

use crate::error::{Cause, Result};
use crate::format::{file_name, BlockHeader, Layout, BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use crate::storage::{Directory, File};

use super::cursor::{Cursor, Step};
use super::damage::Site;
use super::file::events_above;
use super::header::{read_header, HeaderState};

/// Whether the cold file of a segment that has its hot file too is whole by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColdFound {
    Good,
    Bad,
}

/// What the hot file holds beside a cold one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HotFound {
    /// No event.
    Nothing,
    /// Events, and none that a good cold file lacks. Also beside a bad cold file.
    Within,
    /// Events that the cold file lacks.
    More,
    /// The same, and by its header it is another segment.
    Another,
}

/// Both files of a segment.
#[derive(Debug, Clone, Copy)]
pub struct PairFound {
    pub cold: ColdFound,
    pub hot: HotFound,
}

impl PairFound {
    /// Whether the cold file counts, and not the hot one. No event of a good cold file is lost to a
    /// hot file that holds less.
    pub fn cold_counts(&self) -> bool {
        match self.cold {
            ColdFound::Good => self.hot != HotFound::More,
            ColdFound::Bad => self.hot == HotFound::Nothing,
        }
    }
}

/// Looks at both files of a segment, and reads all of the cold one. An error says nothing about
/// what is in them.
pub fn examine_pair(
    wal: &dyn Directory,
    index: u32,
    hot: &dyn File,
    cold: Arc<dyn File>,
) -> Result<PairFound> {
    let site = Site { index, name: wal.path_of(&file_name::cold(index)).display().to_string() };
    let (cold, hot_has_more) = match lacks_events(site, cold, hot) {
        Ok(lacks_events) => (ColdFound::Good, lacks_events),
        Err(error) if error.cause() == Some(Cause::Corrupt) => (ColdFound::Bad, false),
        Err(error) => return Err(error),
    };
    let is_another = HeaderState::of(read_header(hot)?, index) == HeaderState::OtherIndex;
    let hot = match events_above(hot, 0)? {
        0 => HotFound::Nothing,
        _ if hot_has_more && is_another => HotFound::Another,
        _ if hot_has_more => HotFound::More,
        _ => HotFound::Within,
    };
    Ok(PairFound { cold, hot })
}

/// Reads all of a cold file, and says whether the hot one has sealed blocks with other events, or
/// later events. Damage of the cold file is an error.
fn lacks_events(site: Site, cold: Arc<dyn File>, hot: &dyn File) -> Result<bool> {
    let mut cursor = Cursor::cold(site, cold, 0, true)?;
    let (mut contradicted, mut number) = (false, 0);
    while cursor.step(0)? == Step::Block {
        contradicted |= contradicts(hot, number, cursor.block_events())?;
        number += 1;
    }
    Ok(contradicted || events_above(hot, cursor.last_event_id())? > 0)
}

/// Whether a block of the hot file is sealed over other events. A torn one says nothing.
fn contradicts(hot: &dyn File, number: u32, cold: &[u8]) -> Result<bool> {
    let mut block = vec![0; BLOCK_SIZE];
    if hot.read_at(&mut block, Layout::block_offset(number))? < block.len() {
        return Ok(false);
    }
    let sealed = block.first_chunk().and_then(BlockHeader::decode);
    let sealed = sealed.filter(|header| header.block_index == number && header.covers(&block));
    Ok(sealed.is_some_and(|header| {
        let end = BLOCK_HEADER_SIZE + usize::from(header.event_count) * EVENT_SIZE;
        !cold.starts_with(&block[BLOCK_HEADER_SIZE..end])
    }))
}
