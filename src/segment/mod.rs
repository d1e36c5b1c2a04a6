//! The one way to walk a segment, for everything that reads one: replay, verify, recovery, the
//! freezer. Writes nothing.
//!
//! In reading order: `header` (what a file's header says of it), `file` (questions to a file as a
//! whole), `blocks` (its blocks, out of a file or of an LZ4 frame, `frame`), `memory` (the events
//! of an active segment), `check` (a sealed block against its header and the chain), `cursor`
//! (block by block; its parts for segments that are not closed, `open`, and for damage,
//! `salvage`). `cpp` knows the open segments of the C++ recorder. `damage` is what a cursor
//! reports, and `findings` what it has found so far.
//!
//! A cursor is one thread's; it holds the file and its place: block, last event, chained checksum.

mod blocks;
mod check;
mod cpp;
mod cursor;
mod damage;
mod file;
mod findings;
mod frame;
mod header;
mod memory;
mod open;
mod salvage;

pub use cpp::{is_reopened_by_cpp, is_unfinished_by_cpp};
pub use cursor::{Cursor, Seen, Step};
pub use damage::{Damage, DamageKind, Site, MAX_DAMAGES};
pub use file::{
    as_io, begins_among, durable_id, first_slot, for_each_block, hold, scan_segment, FileStream,
};
pub use frame::FrameContent;
pub use header::{
    closed, closed_header, cold_header, misnamed, read_block_header, read_header, HeaderState,
};
