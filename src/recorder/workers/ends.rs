//! Where a segment ends, by its header, or by what is behind one that is damaged.

use std::collections::BTreeSet;

use crate::error::Cause;
use crate::format::file_name;
use crate::segment::{closed_header, first_slot};
use crate::storage::Open;

use super::retention::Kept;
use crate::recorder::log::Log;

/// Whether a segment was found damaged, or its header is not that of this segment, closed. What
/// cannot be read may be whole.
pub fn is_damaged(log: &Log, kept: &Kept, index: u32) -> bool {
    kept.damaged.contains(&index)
        || match closed_header(&*log.wal, index, kept.hot.contains(&index)) {
            Ok(header) => header.is_none(),
            Err(error) => error.cause() == Some(Cause::Corrupt),
        }
}

/// The id of a segment's last event; of one that is damaged, the highest that it may be.
pub fn last_event_id(log: &Log, kept: &Kept, index: u32) -> Option<u64> {
    if is_damaged(log, kept, index) {
        return first_event_id_after(log, kept, index).map(|first| first.saturating_sub(1));
    }
    let header = closed_header(&*log.wal, index, kept.hot.contains(&index)).ok().flatten();
    header.map(|header| header.last_event_id)
}

/// The first id of the segment behind this one.
fn first_event_id_after(log: &Log, kept: &Kept, index: u32) -> Option<u64> {
    let Kept { hot, cold, .. } = kept;
    let behind = |set: &BTreeSet<u32>| set.range(index..).find(|next| **next > index).copied();
    let Some(next) = behind(hot).into_iter().chain(behind(cold)).min() else {
        let active = file_name::hot(log.durable().last_segment_index);
        let file = log.wal.open(&active, Open::Read).ok().flatten()?;
        return first_slot(&*file).ok().filter(|id| *id != 0);
    };
    let header = closed_header(&*log.wal, next, hot.contains(&next)).ok().flatten();
    header.map(|header| header.first_event_id)
}
