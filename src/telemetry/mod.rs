//! Counters of one log. Workers add to them; the append path touches them only at a rotation, and
//! when an append is sampled. They lie in a file that other processes read, in the layout of
//! [`ControlFile`] and [`ControlHistograms`].

mod control_file;
mod histogram;
mod metrics;
mod prometheus;

#[cfg(not(all(test, loom)))]
pub use control_file::ControlHistograms;
pub use control_file::{ControlFile, ControlWorker};
pub use control_file::{CONTROL_MAGIC, CONTROL_PAGE, CONTROL_SIZE, CONTROL_VERSION};
pub use control_file::{STATE_CLOSED, STATE_FAILED, STATE_OPEN};
pub use histogram::{Histogram, HistogramSnapshot, LatencySnapshot};
pub use metrics::{Counter, Gauge, Timing};
pub use metrics::{MetricsSnapshot, RingSnapshot, TimingSnapshot, WorkerSnapshot};
pub use prometheus::{prometheus_text, LogMetrics};
