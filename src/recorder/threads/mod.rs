//! Threads, whatever runs in them: a `lane` is one that steps tasks in turn, `wake` how it is woken,
//! `pool` the lanes that logs share, `placement` where a thread runs. Nothing here knows a log.

mod lane;
mod placement;
mod pool;
mod wake;

#[cfg(all(test, loom))]
pub use lane::{run, Inbox};
pub use lane::{Lane, Step, Task};
pub use placement::{check as check_placement, Placement};
pub use pool::{join, lanes, Key, Kind, Lanes, Membership};
#[cfg(all(test, loom))]
pub use wake::Bell;
pub use wake::{Signal, Waiters};
