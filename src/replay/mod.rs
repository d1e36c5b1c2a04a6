//! Replay: reading a log, while it is written or at rest. Writes nothing, anywhere.
//!
//! In reading order: `reader` (across segments), `end` (where it stops), `log_files` (which file
//! holds a segment right now, and the lock that keeps it), `neighbours` (what other files say of a
//! segment), `in_memory` (what is in the active directory), and for verifying `verify` (a log),
//! `verify_records` (its small files) and `verify_segment`. The events of one segment are walked in
//! `segment`.

mod end;
mod in_memory;
mod log_files;
mod neighbours;
mod reader;
mod verify;
mod verify_records;
mod verify_segment;

pub use crate::segment::{Damage, DamageKind, MAX_DAMAGES};
pub use reader::{Reader, ReaderOptions};
pub use verify::{verify, Newest, VerifyReport};
