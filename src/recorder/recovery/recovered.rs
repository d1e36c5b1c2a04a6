//! What a recovery comes to.

use crate::directory::Inventory;
use crate::format::{Layout, MetaState};

/// The log as recovery leaves it.
#[derive(Debug)]
pub struct Recovered {
    /// The last event.
    pub end: MetaState,
    /// The segment that goes on: it has room. Its header on disk is that of an open segment.
    pub last: Option<OpenSegment>,
    /// Index of the next new segment; `None` when they are used up.
    pub next_index: Option<u32>,
    /// The segments there are.
    pub inventory: Inventory,
    /// Events that were only in the active directory.
    pub carried_over: u64,
    /// Events above D that were proved and made durable.
    pub accepted: u64,
    /// Events kept aside.
    pub kept_aside: u64,
    /// What else was noticed.
    pub notes: Vec<String>,
}

/// A segment that goes on.
#[derive(Debug)]
pub struct OpenSegment {
    /// Its number.
    pub index: u32,
    /// Its room.
    pub layout: Layout,
    /// Its events so far.
    pub event_count: u32,
    /// When it was made.
    pub created_ts_ns: u64,
}
