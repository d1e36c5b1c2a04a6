//! Recovery: what an earlier process left becomes a log that goes on.
//!
//! In reading order: `table` decides, as data; `origin` (where the log is), `pairs` (hot and cold
//! files of one segment), `scan`, `tail`, `doubts` and `walk` (the segments, to the end of the log)
//! find what it decides by, and change nothing; `refusal` says no; `aside` and `apply` do what was
//! decided; `generation` goes from the log that was to the one that is. `foresight` says what would
//! be decided, and does nothing of it.

mod apply;
mod aside;
mod doubts;
mod foresight;
mod generation;
mod origin;
mod pairs;
mod recovered;
mod refusal;
mod scan;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod walk;

pub use apply::{apply, reopen, reserve};
pub use aside::open_hot;
pub use foresight::{foresee, Foresight};
pub use generation::{announce_cut, close_log, closed_identity, next_generation};
pub use origin::Purpose;
pub use recovered::{OpenSegment, Recovered};
pub use refusal::check_refusal;
pub use scan::survey;
