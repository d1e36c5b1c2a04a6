//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Times, to three digits.
pub struct Times(Histogram<u64>);

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub p9999_ns: u64,
    pub max_ns: u64,
}

impl Times {
    pub fn new() -> Self {
        const LONGEST_NS: u64 = 3_600_000_000_000;
        Times(Histogram::new_with_max(LONGEST_NS, 3).expect("these bounds are possible"))
    }

    pub fn add(&mut self, taken: Duration) {
        self.0.saturating_record(taken.as_nanos() as u64);
    }

    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Percentiles {
            count: self.0.len(),
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            p9999_ns: at(0.9999),
            max_ns: self.0.max(),
        }
    }
}
