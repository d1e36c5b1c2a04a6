//! Pairs: segments that have both a hot and a cold file, because the crash came between compressing
//! and removing, or because somebody put one there. Recovery decides which file stays by the events
//! in them, whatever their headers say.

use crate::directory::Inventory;
use crate::error::Result;
use crate::format::file_name;
use crate::segment::{examine_pair, PairFound};
use crate::storage::{Directory, Open};

use super::table::{decide, Pair, Row, PAIR};

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
        let row = decide(&PAIR, &examine_pair(wal, index, &*hot, cold)?)?;
        match row.then {
            Pair::Cold | Pair::ColdAlone => inventory.hot.remove(&index),
            Pair::Hot => inventory.cold.remove(&index),
        };
        pairs.push(PairSurvey { index, row });
    }
    debug_assert!(inventory.hot.is_disjoint(&inventory.cold), "one file of each segment stays");
    Ok(pairs)
}
