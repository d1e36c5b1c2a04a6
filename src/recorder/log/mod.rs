//! What the threads of one log share: `shared` is [`Log`], made of parts that each keep one rule.
//! `durability`: the watermark never moves once the log has failed. `queues`: a push raises the
//! worker that takes the entry out. `notices`: a condition is reported when it begins and when it
//! ends. `counts` counts, `parking` lets an idle persister rest; `meta_store`, `awaited`, `ring`
//! and `signals` are what these are made of. What others may see of it lies in `control`.

mod awaited;
mod control;
mod control_file;
mod counts;
mod durability;
mod listeners;
mod meta_store;
mod notices;
mod parking;
mod queues;
mod ring;
mod shared;
mod signals;

pub use control::{Control, SharedControl};
pub use control_file::create_control;
#[cfg(all(test, loom))]
pub use durability::Durability;
pub use meta_store::pack;
#[cfg(all(test, loom))]
pub use meta_store::Progress;
pub use parking::ParkState;
#[cfg(all(test, loom))]
pub use parking::Parking;
pub use shared::Log;
pub(in crate::recorder) use signals::MOST_FREEZERS;
