//! Moments of the log's events, enough for charts.

use flashstrike_wal::replay::{Damage, Reader, ReaderOptions};

use crate::directory::Log;

use super::scale::BINS;
use super::segments::Segment;

/// How many events are looked at for their times.
const MOST_PROBES: usize = 2048;
/// And in one segment.
const MOST_IN_SEGMENT: usize = 65;
/// Pauses within segments that are looked for.
const MOST_PAUSES: usize = 96;
/// Gaps of ids within segments that are looked for.
const MOST_GAPS: usize = 96;

/// An event's place among all of them, and its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Events before it.
    pub rank: u64,
    pub event_id: u64,
    pub timestamp: u64,
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
    let (mut before, mut budget) = (0, MOST_GAPS);
    for (n, segment) in segments.iter().filter(|segment| segment.events > 0).enumerate() {
        if n % stride == 0 || n + 1 == with_events {
            probes.extend(look_at_events(&mut reader, segment, before, each, &mut budget));
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
        let Some(next) = probes.get(n + 1) else { break };
        let is_long = next.timestamp.saturating_sub(probe.timestamp) > long.max(1);
        let is_damaged = damages.iter().any(|damage| lies_between(damage, &probe, next));
        if is_long && !is_damaged && next.rank > probe.rank + 1 && searched < MOST_PAUSES {
            searched += 1;
            found.extend(around_pause(reader, probe, *next).unwrap_or_default());
        }
    }
    found
}

pub fn lies_between(damage: &Damage, one: &Probe, next: &Probe) -> bool {
    let (first, last) = damage.event_ids;
    first > 0 && first <= next.event_id && one.event_id <= last.max(first)
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

/// Looks at so many events of a segment, at equal distances of their ids. How many events lie
/// between two of them goes by the ids, without those that are found to be left out.
fn look_at_events(
    reader: &mut Reader,
    segment: &Segment,
    before: u64,
    each: usize,
    budget: &mut usize,
) -> Vec<Probe> {
    let ids = segment.last_event_id - segment.first_event_id;
    let mut probes: Vec<Probe> = Vec::new();
    // Events up to each, and ids that no event has, as far as is known.
    let (mut reached, mut left_out) = (0, 0);
    for n in 0..each as u64 {
        let share = (u128::from(ids) * u128::from(n) / (each as u128 - 1)) as u64;
        let wanted = segment.first_event_id + share;
        let Some(mut found) = look_at(reader, wanted) else { continue };
        let known = probes.last().map(|last| last.event_id);
        if known >= Some(found.event_id) || found.event_id > segment.last_event_id {
            continue;
        }
        // The first ones may be damaged.
        let last = known.unwrap_or(segment.first_event_id);
        let may_follow_gap = known.is_some() && found.event_id > wanted && ids >= segment.events;
        let mut edge = None;
        if may_follow_gap && *budget > 0 {
            *budget -= 1;
            edge = before_gap(reader, last, &found);
        }
        if let Some(mut edge) = edge {
            reached += edge.event_id - last;
            left_out += found.event_id - edge.event_id - 1;
            edge.rank = reached;
            probes.extend((edge.event_id > last).then_some(edge));
            reached += 1;
        } else {
            reached += found.event_id - last;
        }
        found.rank = reached;
        probes.push(found);
    }
    // Where other ids are left out too, they are spread evenly.
    let scaled = |rank: u64| {
        let (events, ids) = (segment.events - 1, (ids - left_out).max(1));
        (u128::from(rank) * u128::from(events) / u128::from(ids)) as u64
    };
    probes.iter_mut().for_each(|probe| probe.rank = before + scaled(probe.rank));
    probes
}

fn look_at(reader: &mut Reader, wanted: u64) -> Option<Probe> {
    let event = reader.seek(wanted).and_then(|()| reader.next()).ok()?;
    Some(Probe { rank: 0, event_id: event.event_id, timestamp: event.timestamp })
}

/// The event before the ids that are left out right before this one. `known` has an event.
fn before_gap(reader: &mut Reader, known: u64, found: &Probe) -> Option<Probe> {
    let (mut there, mut free) = (known, found.event_id);
    while free - there > 1 {
        let middle = there + (free - there) / 2;
        match look_at(reader, middle)?.event_id {
            next if next >= found.event_id => free = middle,
            next => there = next,
        }
    }
    look_at(reader, there)
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
