//! The recorder. In reading order, along one event's journey: `segment_writer` (the hot path),
//! `segment` (what it writes into), `meta_store` (how its progress is published), `persister` and
//! `sealer` (to the disk), `segment_preparer`, `segment_maintainer`, `segment_freezer`,
//! `retention`, `meta_coordinator`, `watcher` (the other workers), `worker`, `wake`, `lane`, `pool`,
//! `placement` and `crew` (what runs them, and where), `recovery` (before all of it), `manager`
//! (puts it all together) and `log` (what all of them share).

mod crew;
mod lane;
mod log;
mod manager;
mod meta_coordinator;
mod meta_store;
mod persister;
mod placement;
mod pool;
mod recovery;
mod report;
mod retention;
mod ring;
mod sealer;
mod segment;
mod segment_freezer;
mod segment_maintainer;
mod segment_preparer;
mod segment_writer;
mod wake;
#[cfg(all(test, loom))]
mod wake_model;
mod watcher;
mod worker;

pub use crew::{Crew, Role};
pub use log::Log;
pub use manager::Manager;
pub(crate) use pool::{lanes, Lanes};
pub(crate) use report::fixed_text;
pub use report::RecoveryReport;
pub use segment_writer::Writer;
pub use worker::Step;
