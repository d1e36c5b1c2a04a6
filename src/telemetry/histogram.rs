//! Times by how long they took, in buckets whose width grows with the time: an eighth of it at
//! most. The buckets are words of the control file.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of a histogram. The last one has everything from about 68 minutes on.
pub const BUCKETS: usize = 320;
/// Buckets to a doubling of the time.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 3;

/// Times that were counted.
#[derive(Debug)]
#[repr(C)]
pub struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    /// Counts one that took `ns`.
    pub fn add_ns(&self, ns: u64) {
        self.0[bucket_of(ns)].fetch_add(1, Ordering::Relaxed);
    }
}

/// The bucket of a time: below 8 ns one for each nanosecond, then 8 for each doubling.
fn bucket_of(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let shift = ns.ilog2() - STEP_BITS;
    let bucket = u64::from(shift + 1) * STEPS + ((ns >> shift) & (STEPS - 1));
    (bucket as usize).min(BUCKETS - 1)
}

/// The shortest time of a bucket.
fn shortest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket / STEPS {
        0 => bucket,
        doubling => (STEPS + bucket % STEPS) << (doubling - 1),
    }
}

/// How long things took, in nanoseconds. Each is the longest time of the bucket that it falls
/// into, so it is up to an eighth too long, never too short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LatencySnapshot {
    /// How many there were.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 90 % took no longer.
    pub p90_ns: u64,
    /// 99 % took no longer.
    pub p99_ns: u64,
    /// 99.9 % took no longer.
    pub p999_ns: u64,
}

impl LatencySnapshot {
    /// Of a histogram, bucket by bucket.
    pub fn of(bucket: impl Fn(usize) -> u64) -> Self {
        let count = (0..BUCKETS).map(&bucket).sum::<u64>();
        let mut latency = LatencySnapshot { count, ..Self::default() };
        let parts = [500, 900, 990, 999];
        let (mut found, mut seen) = ([0; 4], 0_u64);
        for n in 0..BUCKETS {
            let before = seen;
            // Later than `count`, so it may be more by now.
            seen = (seen + bucket(n)).min(count);
            for (place, part) in found.iter_mut().zip(parts) {
                let rank = (u128::from(count) * part).div_ceil(1000) as u64;
                if before < rank && rank <= seen {
                    *place = shortest_of(n + 1) - 1;
                }
            }
        }
        [latency.p50_ns, latency.p90_ns, latency.p99_ns, latency.p999_ns] = found;
        latency
    }
}

/// Bounds of the histograms in Prometheus text: 2^7 ns, 2^8 ns and so on, to 17 s.
pub const BOUNDS: usize = 28;
const FIRST_BOUND: u32 = 7;

/// A histogram at a moment: for each bound, how many took no longer; and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Up to each bound.
    pub up_to: [u64; BOUNDS],
    /// In all.
    pub count: u64,
}

impl HistogramSnapshot {
    /// Of a histogram, bucket by bucket.
    pub fn of(bucket: impl Fn(usize) -> u64) -> Self {
        let mut snapshot = Self::default();
        for n in 0..BUCKETS {
            let (counted, longest) = (bucket(n), shortest_of(n + 1) - 1);
            snapshot.count += counted;
            for (bound, up_to) in snapshot.up_to.iter_mut().enumerate() {
                if longest < Self::bound_ns(bound) {
                    *up_to += counted;
                }
            }
        }
        snapshot
    }

    /// A bound in nanoseconds.
    pub fn bound_ns(bound: usize) -> u64 {
        1 << (FIRST_BOUND + bound as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(times: impl IntoIterator<Item = u64>) -> impl Fn(usize) -> u64 {
        let histogram = Histogram::default();
        times.into_iter().for_each(|ns| histogram.add_ns(ns));
        move |n: usize| histogram.0[n].load(Ordering::Relaxed)
    }

    #[test]
    fn every_time_has_the_bucket_that_begins_at_or_below_it() {
        let near = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1, power + power / 2]
        });
        for ns in near.chain(0..5000) {
            let bucket = bucket_of(ns);
            assert!(shortest_of(bucket) <= ns, "{ns}");
            let is_last = bucket == BUCKETS - 1;
            assert!(is_last || ns < shortest_of(bucket + 1), "{ns}");
            let width = shortest_of(bucket + 1) - shortest_of(bucket);
            assert!(is_last || width <= (ns / 8).max(1), "{ns}: {width}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!(shortest_of(BUCKETS - 1) > 3_600_000_000_000);
    }

    #[test]
    fn percentiles_are_never_too_short_and_hardly_too_long() {
        let of = |count: u64| LatencySnapshot::of(counted((1..=count).map(|n| n * 1000)));
        let exact = |p: u64, count: u64| (count * p).div_ceil(1000) * 1000;
        for count in [1, 2, 10, 1000, 12_345] {
            let LatencySnapshot { count: all, p50_ns, p90_ns, p99_ns, p999_ns } = of(count);
            assert_eq!(all, count);
            for (p, found) in [(500, p50_ns), (900, p90_ns), (990, p99_ns), (999, p999_ns)] {
                let exact = exact(p, count);
                assert!((exact..=exact + exact / 8).contains(&found), "{p} of {count}: {found}");
            }
        }
        assert_eq!(LatencySnapshot::of(counted([])), LatencySnapshot::default());
    }

    #[test]
    fn what_took_no_longer_than_a_bound_is_counted_there() {
        let seen = HistogramSnapshot::of(counted([0, 127, 128, 255, 256, 1 << 34, 1 << 40]));
        assert_eq!((seen.up_to[..3].to_vec(), seen.count), (vec![2, 4, 5], 7));
        assert_eq!((HistogramSnapshot::bound_ns(27), seen.up_to[27]), (1 << 34, 5));
    }
}
