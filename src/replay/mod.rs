//! Replay: reading a log, while it is written or at rest. Writes nothing, anywhere.
//!
//! In reading order: `reader` (across segments), `seeking` (where it begins), `end` (where it
//! stops), `log_files` (which file holds a segment right now, and the lock that keeps it),
//! `salvaging` (the same around damage), `neighbours` (what other files say of a segment),
//! `in_memory` (what is in the active directory), `preloader` and `ahead` (threads that read
//! ahead), `follow` (a log that goes on), `counts` (a reader's metrics), and for verifying `verify`
//! (a log), `verify_records` (its small files) and `verify_segment`. The events of one segment are
//! walked in `segment`.

mod ahead;
mod counts;
mod crossing;
mod end;
mod follow;
mod in_memory;
mod log_files;
mod neighbours;
mod preloader;
mod queue;
mod reader;
mod salvaging;
mod seeking;
mod verify;
mod verify_records;
mod verify_segment;
mod work;

pub use crate::segment::{closed_header, Damage, DamageKind, Effort, Look, MAX_DAMAGES};
pub use counts::{Counts, ReaderMetrics};
pub use follow::{FollowOptions, Follower, DEFAULT_SPIN};
pub use reader::{Reader, ReaderOptions};
pub use verify::{verify, verify_telling, Newest, VerifyReport};
