//! A distribution of times: recorded in ticks, read in nanoseconds.

use hdrhistogram::Histogram;

use crate::clock;

/// The percentiles in the tables.
pub const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

#[derive(Debug, Clone)]
pub struct Latencies {
    ticks: Histogram<u64>,
}

impl Latencies {
    pub fn new() -> Self {
        Latencies { ticks: Histogram::new(3).expect("3 digits are possible") }
    }

    /// The distribution of these ticks.
    pub fn of(ticks: impl Iterator<Item = u64>) -> Self {
        let mut latencies = Latencies::new();
        ticks.for_each(|tick| latencies.record(tick));
        latencies
    }

    pub fn record(&mut self, ticks: u64) {
        self.ticks.record(ticks).expect("the histogram grows");
    }

    pub fn add(&mut self, other: &Latencies) {
        self.ticks.add(&other.ticks).expect("the histogram grows");
    }

    pub fn percentile_ns(&self, percentile: f64) -> f64 {
        clock::to_ns(self.ticks.value_at_percentile(percentile) as f64)
    }

    pub fn max_ns(&self) -> f64 {
        clock::to_ns(self.ticks.max() as f64)
    }

    pub fn count(&self) -> u64 {
        self.ticks.len()
    }
}
