//! Threads, whatever runs on them: a `lane` is a thread that steps tasks in turn, `wake` is how it
//! is woken, `pool` holds the lanes that logs share, `placement` says where a thread runs. Nothing
//! here imports the log.

mod lane;
mod placement;
mod pool;
mod wake;

pub use lane::{finish, Lane, Running, Seat, Step, Task};
#[cfg(all(test, loom))]
pub use lane::{run, Inbox};
pub use placement::{Decided, Placement, Placements};
pub use pool::{join, lanes, LaneKey, Lanes, Membership};
#[cfg(all(test, loom))]
pub use wake::Bell;
pub use wake::{Signal, Waiters};
