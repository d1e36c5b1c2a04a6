//! The segments of the log, a line of memory for each.

use flashstrike_wal::format::{file_name, Layout};
use flashstrike_wal::replay::{closed_header, VerifyReport};

use crate::directory::Log;
use crate::failure::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Cold,
    Hot,
    Open,
    /// Its header cannot be read.
    Damaged,
}

#[derive(Debug, Clone, Copy)]
pub struct Segment {
    pub index: u32,
    pub kept: Kept,
    pub events: u64,
    /// 0 when it has no events.
    pub first_event_id: u64,
    pub last_event_id: u64,
    /// Of its files.
    pub hot_bytes: u64,
    pub cold_bytes: u64,
    /// What a cold one takes uncompressed.
    pub whole_bytes: u64,
    /// By the wall clock; 0 while it is open.
    pub closed_ns: u64,
}

/// All segments, by their headers.
pub fn list(log: &Log) -> Outcome<Vec<Segment>> {
    let mut segments = Vec::new();
    for index in log.inventory.indexes() {
        segments.extend(look(log, index)?);
    }
    Ok(segments)
}

/// `None` when retention has removed it meanwhile.
fn look(log: &Log, index: u32) -> Outcome<Option<Segment>> {
    let hot = log.wal.status_of(&file_name::hot(index))?.map(|status| status.size);
    let cold = log.wal.status_of(&file_name::cold(index))?.map(|status| status.size);
    if hot.is_none() && cold.is_none() {
        return Ok(None);
    }
    let mut segment = Segment {
        index,
        kept: if hot.is_some() { Kept::Open } else { Kept::Damaged },
        events: 0,
        first_event_id: 0,
        last_event_id: 0,
        hot_bytes: hot.unwrap_or(0),
        cold_bytes: cold.unwrap_or(0),
        whole_bytes: 0,
        closed_ns: 0,
    };
    match closed_header(&*log.wal, index, hot.is_some()) {
        Ok(Some(header)) => {
            segment.kept = if hot.is_some() { Kept::Hot } else { Kept::Cold };
            segment.events = header.event_count.into();
            segment.first_event_id = header.first_event_id;
            segment.last_event_id = header.last_event_id;
            segment.whole_bytes = Layout { blocks: header.block_count }.file_size();
            segment.closed_ns = header.closed_ts_ns;
        }
        Ok(None) => {}
        Err(_) => segment.kept = Kept::Damaged,
    }
    Ok(Some(segment))
}

/// The headers of open segments count nothing: what `verify` has found behind the last closed one
/// is in the first of them.
pub fn count_open(segments: &mut [Segment], found: &VerifyReport) {
    let closed = |segment: &&Segment| segment.events > 0;
    let floor = segments.iter().filter(closed).map(|segment| segment.last_event_id).max();
    let floor = floor.unwrap_or(0);
    let counted: u64 = segments.iter().filter(closed).map(|segment| segment.events).sum();
    let Some(open) = segments.iter_mut().find(|segment| segment.kept == Kept::Open) else { return };
    if found.last_event_id > floor {
        open.first_event_id = (floor + 1).max(found.first_event_id);
        open.last_event_id = found.last_event_id;
        let ids = open.last_event_id - open.first_event_id + 1;
        open.events = match found.damage_count {
            0 => found.events.saturating_sub(counted).min(ids),
            _ => ids,
        };
    }
}

/// What a damaged segment has that does not say it by itself: the ids between its neighbours. They
/// are neither a gap nor a pause, also where all of them are damaged; which are, the damages say.
pub fn count_damaged(segments: &mut [Segment]) {
    for n in 1..segments.len().saturating_sub(1) {
        let (before, after) = (segments[n - 1].last_event_id, segments[n + 1].first_event_id);
        let one = &mut segments[n];
        let is_unknown = one.kept == Kept::Damaged && one.events == 0;
        if is_unknown && before > 0 && after > before + 1 {
            (one.first_event_id, one.last_event_id) = (before + 1, after - 1);
            one.events = after - before - 1;
        }
    }
}
