//! The one way to walk a segment, for everything that reads one: replay, verify, recovery, the
//! freezer. Walking writes nothing.
//!
//! In reading order: `header` (what a file's header says of it), `file` (questions to a file as a
//! whole), `blocks` (its blocks, out of a file or an LZ4 frame: `frame`, `frame_block`,
//! `frame_search`, `frame_jump`), `batch` (their events, given out where they lie), `memory` (the
//! events of an active segment), `check` (a sealed block against its header and the chain),
//! `cursor` (block by block; `strict`, `salvage` and `open` are its parts for walks that stop at
//! damage, for walks that pass it, and for open segments), `division` (walks of one segment from
//! several places at once), `seek` (where in it something begins). `cpp` knows the open segments of
//! the C++ recorder, and `pair` which file counts of a segment that has two. `damage` is what a
//! cursor reports, and `findings` what it has found so far.
//!
//! A cursor belongs to one thread; others may walk the same file at the same time. Its place is a
//! block, the last event and the chained checksum before it, so a walk can begin at any block:
//! where the checksum is not known the chain is checked from the next block on.

mod batch;
mod blocks;
mod check;
mod cpp;
mod cursor;
mod damage;
mod division;
mod file;
mod findings;
mod frame;
mod frame_block;
mod frame_jump;
mod frame_search;
mod gone;
mod header;
mod memory;
mod open;
mod pair;
mod salvage;
mod sealed;
mod seek;
mod strict;

pub use batch::Batch;
pub(crate) use blocks::BLOCKS_PER_READ;
pub use cpp::{is_reopened_by_cpp, is_unfinished_by_cpp};
pub use cursor::{Cursor, Effort, Look, Seen, Step};
pub use damage::{Damage, DamageKind, Site, MAX_DAMAGES};
pub use division::{Division, Position};
pub use file::{
    begins_among, compare_files, durable_id, events_above, first_slot, for_each_block, hold,
    last_covered, last_sealed, scan_segment, seals_go_on,
};
pub use frame::FrameContent;
pub use gone::{gone_from_disk, not_on_disk};
pub use header::{
    closed, closed_header, cold_header, misnamed, read_block_header, read_header, HeaderState,
};
pub use memory::Memory;
pub use pair::{examine_pair, ColdFound, HotFound, PairFound};
pub use seek::Sought;
