//! Pairs: segments that have both a hot and a cold file, because the crash came between compressing
//! and removing, or because somebody put one there. Recovery decides which file stays by the events
//! in them, whatever their headers say.

use std::sync::Arc;

use crate::directory::Inventory;
use crate::error::{Cause, Result};
use crate::format::{file_name, BlockHeader, Layout, BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use crate::segment::{read_header, Cursor, HeaderState, Site, Step};
use crate::storage::{Directory, File, Open};

use super::table::{decide, ColdFound, HotFound, Pair, PairFound, Row, PAIR};
use super::walk::events_above;

/// What becomes of the two files of a segment.
#[derive(Debug, Clone, Copy)]
pub struct PairSurvey {
    /// The segment.
    pub index: u32,
    /// The row of the table that holds.
    pub row: &'static Row<PairFound, Pair>,
}

/// Decides which file of each pair stays, and takes the other one out of the inventory.
pub fn judge_pairs(wal: &dyn Directory, inventory: &mut Inventory) -> Result<Vec<PairSurvey>> {
    let mut pairs = Vec::new();
    let both: Vec<u32> = inventory.hot.intersection(&inventory.cold).copied().collect();
    for index in both {
        let hot = wal.open(&file_name::hot(index), Open::Read)?;
        let cold = wal.open(&file_name::cold(index), Open::Read)?;
        let (Some(hot), Some(cold)) = (hot, cold) else { continue };
        let row = decide(&PAIR, &examine(wal, index, &*hot, cold)?)?;
        match row.then {
            Pair::Cold | Pair::ColdAlone => inventory.hot.remove(&index),
            Pair::Hot => inventory.cold.remove(&index),
        };
        pairs.push(PairSurvey { index, row });
    }
    debug_assert!(inventory.hot.is_disjoint(&inventory.cold), "one file of each segment stays");
    Ok(pairs)
}

fn examine(
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
    let (mut contradicted, mut number, mut events) = (false, 0, Vec::new());
    while cursor.step(0, &mut events)? == Step::Block {
        contradicted |= contradicts(hot, number, cursor.block_events())?;
        number += 1;
        events.clear();
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
