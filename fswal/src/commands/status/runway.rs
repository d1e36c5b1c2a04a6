//! How long the disk lasts.

use std::time::Duration;

use flashstrike_wal::format::{file_name, BLOCK_SIZE, EVENTS_PER_BLOCK};
use flashstrike_wal::telemetry::MetricsSnapshot;

use crate::clock::span;
use crate::directory::Log;
use crate::failure::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runway {
    /// Nothing is appended.
    Still,
    /// The log's limits end its growth before the disk is full.
    Enough,
    /// So many seconds. `held`: holds keep more than the limits, which end nothing then.
    Seconds { seconds: u64, held: bool },
}

/// How a log grows.
#[derive(Debug, Clone, Copy)]
struct Growth {
    bytes_per_second: f64,
    /// Bytes that its limits still allow, uncompressed.
    hot_room: u64,
    cold_room: u64,
    /// Compressed size over the uncompressed one.
    ratio: f64,
    held: bool,
}

impl Runway {
    pub fn of(log: &Log, metrics: &MetricsSnapshot, rate: f64, free: u64) -> Outcome<Runway> {
        const BYTES_PER_EVENT: f64 = BLOCK_SIZE as f64 / EVENTS_PER_BLOCK as f64;
        let newest = log.inventory.hot.last().map(|&index| file_name::hot(index));
        let newest = newest.map(|name| log.wal.status_of(&name)).transpose()?.flatten();
        let segment = newest.map_or(0, |status| status.size);
        let room = |limit: u64, now: u64| limit.saturating_sub(now).saturating_mul(segment);
        let growth = Growth {
            bytes_per_second: rate * BYTES_PER_EVENT,
            hot_room: room(metrics.max_segments, metrics.hot_segments),
            cold_room: room(metrics.max_compressed_segments, metrics.cold_segments),
            ratio: match metrics.compression_bytes_in {
                0 => 1.0,
                read => metrics.compression_bytes_out as f64 / read as f64,
            },
            held: metrics.held_bytes > 0,
        };
        Ok(growth.until(free))
    }

    pub fn seconds(self) -> Option<u64> {
        match self {
            Runway::Seconds { seconds, .. } => Some(seconds),
            Runway::Still | Runway::Enough => None,
        }
    }

    pub fn words(self, has_holds: bool) -> String {
        let span = |seconds| span(Duration::from_secs(seconds));
        match self {
            Runway::Still => "nothing is appended now".to_owned(),
            Runway::Enough if has_holds => {
                "the disk is enough for its limits, if holds move".into()
            }
            Runway::Enough => "the disk is enough for its limits".to_owned(),
            Runway::Seconds { seconds, held: true } => {
                format!("{}, if no hold moves: they keep more than the limits", span(seconds))
            }
            Runway::Seconds { seconds, held: false } => span(seconds),
        }
    }
}

impl Growth {
    fn until(self, free: u64) -> Runway {
        // A rate that is measured for half a second is not exact.
        if self.bytes_per_second < 1.0 {
            return Runway::Still;
        }
        let free = free as f64;
        let hot = self.hot_room as f64;
        let cold = match self.held {
            true => f64::INFINITY,
            false => self.cold_room as f64 * self.ratio,
        };
        if hot + cold <= free {
            return Runway::Enough;
        }
        // Hot segments fill first; behind their limit what stays is compressed.
        let seconds = match hot >= free {
            true => free / self.bytes_per_second,
            false => (hot + (free - hot) / self.ratio.max(1e-3)) / self.bytes_per_second,
        };
        Runway::Seconds { seconds: seconds as u64, held: self.held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_lasts_until_it_is_full_or_the_limits_are_reached() {
        let growth = Growth {
            bytes_per_second: 100.0,
            hot_room: 1000,
            cold_room: 4000,
            ratio: 0.5,
            held: false,
        };
        let seconds = |seconds, held| Runway::Seconds { seconds, held };
        assert_eq!(growth.until(3000), Runway::Enough);
        assert_eq!(growth.until(500), seconds(5, false));
        // 1,000 bytes as they are, and then 1,500 that were twice as many.
        assert_eq!(growth.until(2500), seconds(10 + 30, false));
        // What holds keep, no limit ends.
        let held = Growth { held: true, ..growth };
        assert_eq!(held.until(3000), seconds(10 + 40, true));
        assert_eq!(Growth { bytes_per_second: 0.0, ..held }.until(3000), Runway::Still);
        let all = Growth { hot_room: u64::MAX, cold_room: u64::MAX, ..growth };
        assert_eq!(all.until(500), seconds(5, false));
    }

    #[test]
    fn a_promise_that_depends_on_holds_says_so() {
        assert_eq!(Runway::Enough.words(false), "the disk is enough for its limits");
        assert!(Runway::Enough.words(true).ends_with("if holds move"));
        let held = Runway::Seconds { seconds: 90, held: true };
        assert!(held.words(true).starts_with("90 s, if no hold moves"));
        assert_eq!(Runway::Still.seconds(), None);
    }
}
