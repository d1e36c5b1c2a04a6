//! Events over time, in as many bins as a chart has bars, out of moments of some of them.

use flashstrike_wal::replay::Damage;

use crate::clock::event_time;

use super::probes::{lies_between, Probe};
use super::scale::BINS;
use super::segments::Segment;

/// By which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The events' timestamps, nanoseconds since 1970.
    Events,
    /// The events' timestamps, in a unit of the engine's.
    Unit,
    /// When segments were closed, by the wall clock: the timestamps are of no use.
    Closed,
}

pub struct Timeline {
    pub clock: Clock,
    pub first: u64,
    pub last: u64,
    /// Events in each bin, all equally long.
    pub bins: Vec<f64>,
    /// Times in which no event falls, the longest first: begin, end.
    pub quiet: Vec<(u64, u64)>,
    /// Timestamps that are below the one before them, of those that were looked at.
    pub falls: usize,
}

impl Timeline {
    /// `None` when nothing is known of any time.
    pub fn of(probes: &[Probe], segments: &[Segment], damages: &[Damage]) -> Option<Timeline> {
        let falls = probes.windows(2).filter(|two| two[1].timestamp < two[0].timestamp).count();
        let span = |points: &[Probe]| Some((points.first()?.timestamp, points.last()?.timestamp));
        let closings;
        let (clock, points) = match span(probes) {
            Some((first, last)) if falls == 0 && first < last => (clock_of(first, last), probes),
            _ => {
                closings = closings_of(segments);
                (Clock::Closed, &closings[..])
            }
        };
        let (first, last) = span(points).filter(|(first, last)| first < last)?;
        let bins = spread(points, first, last);
        let quiet = quiet(points, last - first, damages);
        Some(Timeline { clock, first, last, bins, quiet, falls })
    }

    /// Where a bin begins, and where it ends.
    pub fn bounds(&self, bin: usize) -> (u64, u64) {
        let at = |n: usize| {
            let width = u128::from(self.last - self.first);
            self.first + (width * n as u128 / BINS as u128) as u64
        };
        (at(bin), at(bin + 1))
    }
}

fn clock_of(first: u64, last: u64) -> Clock {
    let is_time = |timestamp| event_time(timestamp).ends_with('Z');
    match is_time(first) && is_time(last) {
        true => Clock::Events,
        false => Clock::Unit,
    }
}

fn closings_of(segments: &[Segment]) -> Vec<Probe> {
    let mut rank = 0;
    let mut closings: Vec<Probe> = Vec::new();
    for segment in segments {
        rank += segment.events;
        let timestamp = segment.closed_ns;
        if timestamp > closings.last().map_or(0, |last| last.timestamp) {
            closings.push(Probe { rank, event_id: segment.last_event_id, timestamp });
        }
    }
    closings
}

/// The events between two moments are spread evenly between them.
fn spread(points: &[Probe], first: u64, last: u64) -> Vec<f64> {
    let mut bins = vec![0.0; BINS];
    let place = |time: u64| (time - first) as f64 / (last - first) as f64 * BINS as f64;
    bins[0] += 1.0;
    for two in points.windows(2) {
        let events = (two[1].rank - two[0].rank) as f64;
        let (begin, end) = (place(two[0].timestamp), place(two[1].timestamp));
        // One event, or several at the same moment: they are where the later one is.
        if events <= 1.0 || end - begin < 1e-9 {
            bins[(end as usize).min(BINS - 1)] += events;
            continue;
        }
        for (bin, sum) in bins.iter_mut().enumerate().take(end.ceil() as usize).skip(begin as usize)
        {
            let share = end.min(bin as f64 + 1.0) - begin.max(bin as f64);
            *sum += events * share.max(0.0) / (end - begin);
        }
    }
    bins
}

/// Between an event and the next one, longer than a bin. Of what is damaged between them nothing is
/// known.
fn quiet(points: &[Probe], width: u64, damages: &[Damage]) -> Vec<(u64, u64)> {
    let long = width / BINS as u64;
    let is_quiet = |two: &&[Probe]| {
        let is_pause = two[1].rank - two[0].rank <= 1;
        let is_damaged = damages.iter().any(|damage| lies_between(damage, &two[0], &two[1]));
        is_pause && !is_damaged && two[1].timestamp - two[0].timestamp > long
    };
    let mut quiet: Vec<_> = points
        .windows(2)
        .filter(is_quiet)
        .map(|two| (two[0].timestamp, two[1].timestamp))
        .collect();
    quiet.sort_by_key(|(begin, end)| std::cmp::Reverse(end - begin));
    quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(rank: u64, timestamp: u64) -> Probe {
        Probe { rank, event_id: rank + 1, timestamp }
    }

    #[test]
    fn events_are_where_their_time_is() {
        let of = |points: &[Probe]| Timeline::of(points, &[], &[]);
        let even = of(&[probe(0, 1000), probe(9599, 1000 + 9600)]).unwrap();
        assert_eq!((even.clock, even.bins.len(), even.falls), (Clock::Unit, BINS, 0));
        assert!((even.bins.iter().sum::<f64>() - 9600.0).abs() < 1e-6);
        assert!(even.bins.iter().all(|events| (99.0..102.0).contains(events)), "{:?}", even.bins);
        let paused =
            of(&[probe(0, 0), probe(99, 100), probe(100, 9500), probe(199, 9600)]).unwrap();
        assert_eq!(paused.quiet, [(100, 9500)]);
        assert_eq!(paused.bins[50], 0.0);
        assert!((paused.bins.iter().sum::<f64>() - 200.0).abs() < 1e-6);
        assert_eq!(paused.bounds(BINS - 1), (9500, 9600));
        assert!(of(&[]).is_none() && of(&[probe(0, 5)]).is_none());
    }

    #[test]
    fn timestamps_that_do_not_rise_are_no_axis() {
        let closed = |index, closed_ns| Segment {
            index,
            kept: super::super::segments::Kept::Hot,
            events: 10,
            first_event_id: 1,
            last_event_id: 10,
            hot_bytes: 1,
            cold_bytes: 0,
            whole_bytes: 1,
            closed_ns,
        };
        let points = [probe(0, 7), probe(5, 6), probe(9, 8)];
        let seen = Timeline::of(&points, &[closed(0, 100), closed(1, 300)], &[]).unwrap();
        assert_eq!((seen.clock, seen.falls, seen.first, seen.last), (Clock::Closed, 1, 100, 300));
        assert!(Timeline::of(&points, &[closed(0, 100)], &[]).is_none());
    }
}
