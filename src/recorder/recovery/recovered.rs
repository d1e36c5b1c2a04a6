//! The result of a recovery.

use crate::directory::Inventory;
use crate::format::{Layout, MetaState, SegmentHeader};

/// The log as recovery leaves it.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What was decided, as the report calls it.
    pub label: String,
    /// The log was new or had been shut down.
    pub clean: bool,
    /// D, as the log was found.
    pub durable_event_id: u64,
    /// The last event.
    pub end: MetaState,
    /// The segment in which the log goes on, if the last one has room.
    pub last: Option<OpenSegment>,
    /// Index of the next new segment; `None` when they are used up.
    pub next_index: Option<u32>,
    /// The segments there are.
    pub inventory: Inventory,
    /// Events that were only in the active directory.
    pub carried_over: u64,
    /// Events that were not known durable, were proved and made durable.
    pub accepted: u64,
    /// Events kept aside.
    pub kept_aside: u64,
    /// What else was noticed.
    pub notes: Vec<String>,
}

/// A segment that goes on.
#[derive(Debug)]
pub struct OpenSegment {
    /// Its index.
    pub index: u32,
    /// How many blocks it has room for.
    pub layout: Layout,
    /// Its events so far.
    pub event_count: u32,
    /// When it was made.
    pub created_ts_ns: u64,
}

impl OpenSegment {
    /// The header it has while it is open.
    pub fn open_header(&self) -> SegmentHeader {
        SegmentHeader::open(self.index, self.created_ts_ns)
    }
}
