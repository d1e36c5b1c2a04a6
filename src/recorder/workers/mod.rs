//! The workers of a log, in the order of a segment's life: `segment_preparer`, `persister` and
//! `sealer`, `segment_maintainer` with `letting_go`, `retention`, `held`, `removal`, `retry`,
//! `stock`, `ends` and `disk_use`, `segment_freezer`; `meta_coordinator` and `watcher` beside them.
//! `worker` is what they have in common, `watched` says whether files are still what their names
//! say, `crew` is all workers together. They hand on through the log's queues only: no worker knows
//! another.

mod cold_file;
mod crew;
mod disk_use;
mod ends;
mod held;
mod letting_go;
mod meta_coordinator;
mod persister;
mod removal;
mod retention;
mod retry;
mod sealer;
mod segment_freezer;
mod segment_maintainer;
mod segment_preparer;
mod stock;
mod watched;
mod watcher;
mod worker;

pub use crew::{Crew, Role, Threads};
pub use held::Held;
pub use persister::Persister;
pub use segment_maintainer::{close, SegmentMaintainer};
pub use segment_preparer::{create_active, SegmentPreparer};
