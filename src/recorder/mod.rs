//! The recorder, in reading order: `segment_writer` and `slot` are the hot path (`next_segment`:
//! when a segment is full), `segment` is what it writes into, `log` is what the threads of a log
//! share, `workers` do everything behind the writer, `threads` run them. `recovery` comes before
//! all of this, `manager` opens and shuts down.

mod clock;
mod history;
mod log;
mod manager;
#[cfg(all(test, loom))]
mod models;
mod next_segment;
#[cfg(all(test, loom))]
mod reading_models;
mod recovery;
mod report;
mod sampling;
mod segment;
mod segment_writer;
mod slot;
mod threads;
mod workers;

pub use log::Log;
pub use manager::Manager;
pub use recovery::{foresee, Foresight};
pub use report::RecoveryReport;
pub use segment_writer::Writer;
pub(crate) use threads::{lanes, Lanes};
pub use threads::{Decided, Step};
pub use workers::{Crew, Role};
