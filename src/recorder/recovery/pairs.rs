//! Recovery finds both files of a segment, hot and cold: the crash came between freezing and
//! removing, or somebody put one there. Which of them stays is decided by what they hold, whatever
//! their headers say.

use std::sync::Arc;

use crate::directory::Inventory;
use crate::error::{Cause, Result};
use crate::format::{file_name, BlockHeader, Layout, BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use crate::segment::{closed, read_header, Cursor, Site, Step};
use crate::storage::{Directory, File, Open};

use super::table::{decide, ColdFound, HotFound, Pair, PairFound, Row, PAIR};
use super::walk::events_above;

/// What becomes of the two files of a segment.
#[derive(Debug, Clone, Copy)]
pub struct PairSurvey {
    /// The segment.
    pub index: u32,
    /// The row.
    pub row: &'static Row<PairFound, Pair>,
}

/// What a survey of all pairs comes to.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Each pair.
    pub all: Vec<PairSurvey>,
    /// Hot files that stay though their headers are not those of closed segments: their events
    /// decide, wherever they lie.
    pub unsettled: Vec<u32>,
}

/// Decides which file of each pair stays, and takes the other one out of the inventory.
pub fn judge_pairs(wal: &dyn Directory, inventory: &mut Inventory) -> Result<Pairs> {
    let mut pairs = Pairs::default();
    let both: Vec<u32> = inventory.hot.intersection(&inventory.cold).copied().collect();
    for index in both {
        let hot = wal.open(&file_name::hot(index), Open::Read)?;
        let cold = wal.open(&file_name::cold(index), Open::Read)?;
        let (Some(hot), Some(cold)) = (hot, cold) else { continue };
        let row = decide(&PAIR, &look(wal, index, &*hot, cold)?)?;
        match row.then {
            Pair::Cold => inventory.hot.remove(&index),
            Pair::Hot => inventory.cold.remove(&index),
        };
        if row.then == Pair::Hot && closed(read_header(&*hot)?, index).is_none() {
            pairs.unsettled.push(index);
        }
        pairs.all.push(PairSurvey { index, row });
    }
    Ok(pairs)
}

fn look(wal: &dyn Directory, index: u32, hot: &dyn File, cold: Arc<dyn File>) -> Result<PairFound> {
    let has_events = events_above(hot, 0)? > 0;
    let path = wal.path_of(&file_name::cold(index));
    let site = Site { index, name: path.display().to_string() };
    let (cold, contradicted) = match read_cold(site, cold, hot) {
        Ok(found) => {
            (ColdFound::Good, found.contradicted || events_above(hot, found.last_event_id)? > 0)
        }
        Err(error) if error.cause() == Some(Cause::Corrupt) => (ColdFound::Bad, false),
        Err(error) => return Err(error),
    };
    let hot = match (has_events, contradicted) {
        (false, _) => HotFound::Nothing,
        (true, false) => HotFound::Within,
        (true, true) => HotFound::More,
    };
    Ok(PairFound { cold, hot })
}

/// A cold file that is whole.
struct WholeCold {
    last_event_id: u64,
    /// A sealed block of the hot file holds something else.
    contradicted: bool,
}

/// Reads all of a cold file, and compares it with the hot one. Damage is an error.
fn read_cold(site: Site, cold: Arc<dyn File>, hot: &dyn File) -> Result<WholeCold> {
    let mut cursor = Cursor::cold(site, cold, 0, true)?;
    let (mut contradicted, mut number, mut events) = (false, 0, Vec::new());
    while cursor.step(0, &mut events)? == Step::Block {
        contradicted |= contradicts(hot, number, cursor.block_events())?;
        number += 1;
        events.clear();
    }
    Ok(WholeCold { last_event_id: cursor.last_event_id(), contradicted })
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
