//! The segments of the log, and moments of its events: enough for charts, and never more of it in
//! memory than a line a segment.

use flashstrike_wal::format::{file_name, Layout};
use flashstrike_wal::replay::{closed_header, Damage, Reader, ReaderOptions, VerifyReport};

use crate::directory::Log;
use crate::failure::Outcome;

use super::scale::BINS;

/// How many events are looked at for their times.
const MOST_PROBES: usize = 2048;
/// And in one segment.
const MOST_IN_SEGMENT: usize = 65;
/// Pauses within segments that are looked for.
const MOST_PAUSES: usize = 96;

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

/// An event's place among all of them, and its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Events before it.
    pub rank: u64,
    pub event_id: u64,
    pub timestamp: u64,
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

/// Moments of events, in the order of the log: those of damaged blocks are left out.
pub fn probes(log: &Log, segments: &[Segment], damages: &[Damage]) -> Vec<Probe> {
    let with_events = segments.iter().filter(|segment| segment.events > 0).count();
    let Ok(mut reader) = Reader::open(&log.path, ReaderOptions { verify: true }) else {
        return Vec::new();
    };
    let each = (MOST_PROBES / with_events.max(1)).clamp(2, MOST_IN_SEGMENT);
    let stride = (2 * with_events).div_ceil(MOST_PROBES).max(1);
    let mut probes: Vec<Probe> = Vec::new();
    let mut before = 0;
    for (n, segment) in segments.iter().filter(|segment| segment.events > 0).enumerate() {
        if n % stride == 0 || n + 1 == with_events {
            look_at_events(&mut reader, segment, before, each, &mut probes);
        }
        before += segment.events;
    }
    find_pauses(&mut reader, probes, damages)
}

/// Adds the events before and behind long pauses, so that a pause is seen where it is. What lies
/// around damage is no pause.
fn find_pauses(reader: &mut Reader, probes: Vec<Probe>, damages: &[Damage]) -> Vec<Probe> {
    let (Some(first), Some(last)) = (probes.first(), probes.last()) else { return probes };
    let long = last.timestamp.saturating_sub(first.timestamp) / BINS as u64;
    let (mut found, mut searched) = (Vec::with_capacity(probes.len()), 0);
    for (n, &probe) in probes.iter().enumerate() {
        found.push(probe);
        let Some(&next) = probes.get(n + 1) else { break };
        let is_long = next.timestamp.saturating_sub(probe.timestamp) > long.max(1);
        let is_damaged = damages.iter().any(|damage| {
            let (first, last) = damage.event_ids;
            first > 0 && first <= next.event_id && probe.event_id <= last.max(first)
        });
        if is_long && !is_damaged && next.rank > probe.rank + 1 && searched < MOST_PAUSES {
            searched += 1;
            found.extend(around_pause(reader, probe, next).unwrap_or_default());
        }
    }
    found
}

/// Two events next to each other between these, on the two sides of the longest pause: each step
/// takes the half that took longer.
fn around_pause(reader: &mut Reader, begin: Probe, end: Probe) -> Option<Vec<Probe>> {
    let (mut left, mut right, mut free) = (begin, end, end.event_id);
    while free - left.event_id > 1 {
        let middle = left.event_id + (free - left.event_id) / 2;
        let event = reader.seek(middle).and_then(|()| reader.next()).ok()?;
        if event.event_id >= right.event_id {
            // No event has an id from the middle on up to the right one.
            free = middle;
            continue;
        }
        let (event_id, timestamp) = (event.event_id, event.timestamp);
        let seen = Probe { rank: 0, event_id, timestamp };
        let before = timestamp.checked_sub(left.timestamp)?;
        match before > right.timestamp.checked_sub(timestamp)? {
            true => (right, free) = (seen, event_id),
            false => left = seen,
        }
    }
    // By the ids, which have no gap but this one as far as is known.
    let events = (left.event_id - begin.event_id).min(end.rank - begin.rank - 1);
    left.rank = begin.rank + events;
    right.rank = left.rank + 1;
    Some(
        [left, right]
            .into_iter()
            .filter(|one| one.event_id != begin.event_id && one.event_id != end.event_id)
            .collect(),
    )
}

fn look_at_events(
    reader: &mut Reader,
    segment: &Segment,
    before: u64,
    each: usize,
    probes: &mut Vec<Probe>,
) {
    let share = |of: u64, n: usize| (u128::from(of) * n as u128 / (each - 1) as u128) as u64;
    for n in 0..each {
        let wanted =
            segment.first_event_id + share(segment.last_event_id - segment.first_event_id, n);
        let event = reader.seek(wanted).and_then(|()| reader.next());
        let Ok(event) = event else { continue };
        let is_new = probes.last().is_none_or(|last| last.event_id < event.event_id);
        if is_new && event.event_id <= segment.last_event_id {
            let rank = before + share(segment.events - 1, n);
            let (event_id, timestamp) = (event.event_id, event.timestamp);
            probes.push(Probe { rank, event_id, timestamp });
        }
    }
}

/// Ranges of ids that no event has, as far as they were found: between segments, and at pauses. The
/// widest first.
pub fn id_gaps(segments: &[Segment], probes: &[Probe]) -> Vec<(u64, u64)> {
    let next_to = |two: &&[Probe]| two[1].rank <= two[0].rank + 1;
    let apart = |two: &[Probe]| (two[0].event_id + 1, two[1].event_id - 1);
    let pauses = probes.windows(2).filter(next_to).map(apart);
    let mut gaps: Vec<_> = pauses.filter(|(first, last)| first <= last).collect();
    let mut last = 0;
    for segment in segments.iter().filter(|segment| segment.events > 0) {
        if last > 0 && segment.first_event_id > last + 1 {
            gaps.push((last + 1, segment.first_event_id - 1));
        }
        last = segment.last_event_id;
    }
    gaps.sort_unstable_by_key(|&(first, last)| (std::cmp::Reverse(last - first), first));
    gaps.dedup();
    gaps
}
