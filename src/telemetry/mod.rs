//! Counters of one log. Workers add to them; the append path touches them only at a rotation.

mod metrics;
mod prometheus;

pub use metrics::{Counter, Metrics, MetricsSnapshot, RingSnapshot, TimingSnapshot};
pub use prometheus::prometheus_text;
