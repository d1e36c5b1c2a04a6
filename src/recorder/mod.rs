//! The recorder. In reading order, along one event's journey: `segment_writer` (the hot path),
//! `segment` (what it writes into), `log` (what the threads of a log share), `workers` (what is done
//! behind the writer), `threads` (what runs them), `recovery` (before all of it), `manager` (puts it
//! all together).

mod clock;
mod log;
mod manager;
#[cfg(all(test, loom))]
mod models;
mod recovery;
mod report;
mod segment;
mod segment_writer;
mod threads;
mod workers;

pub use log::Log;
pub use manager::Manager;
pub use report::RecoveryReport;
pub use segment_writer::Writer;
pub use threads::Step;
pub(crate) use threads::{lanes, Lanes};
pub use workers::{Crew, Role};
