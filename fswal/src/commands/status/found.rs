//! What `status` finds of a log.

use serde::Serialize;

use crate::directory::State;
use crate::history::Opened;

use super::runway::Runway;

#[derive(Debug, Serialize)]
pub struct Status {
    pub dir: String,
    pub state: State,
    pub healthy: bool,
    pub problems: Vec<String>,
    pub notes: Vec<String>,
    pub log_id: Option<String>,
    pub generation: Option<u64>,
    pub pid: Option<u64>,
    pub opened_ns: Option<u64>,
    pub active_dir: Option<String>,
    pub appended_event_id: Option<u64>,
    pub durable_event_id: u64,
    pub oldest_event_id: Option<u64>,
    pub lag_events: Option<u64>,
    pub lag_ns: Option<u64>,
    pub events_per_second: Option<f64>,
    pub hot_segments: usize,
    pub cold_segments: usize,
    pub disk_bytes: u64,
    pub disk_free_bytes: u64,
    /// Seconds until the disk is full at this rate; none where the limits end the growth before,
    /// and where nothing is appended.
    pub runway_seconds: Option<u64>,
    #[serde(skip)]
    pub runway: Option<Runway>,
    pub holds: usize,
    pub held_from_event_id: Option<u64>,
    pub broken_holds: usize,
    pub snapshots: usize,
    pub newest_snapshot_event_id: Option<u64>,
    pub kept_aside_files: usize,
    pub last_cut: Option<Cut>,
    pub last_open: Option<LastOpen>,
}

/// What the last open of the log decided: the newest line of `wal_history`.
#[derive(Debug, Serialize)]
pub struct LastOpen {
    pub time: String,
    pub decision: String,
    pub events_carried_over: u64,
    pub events_accepted: u64,
    pub events_kept_aside: u64,
    pub notes: String,
}

impl From<Opened> for LastOpen {
    fn from(open: Opened) -> Self {
        LastOpen {
            time: open.time,
            decision: open.decision,
            events_carried_over: open.carried_over,
            events_accepted: open.accepted,
            events_kept_aside: open.kept_aside,
            notes: open.notes,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Cut {
    pub generation: u64,
    pub last_event_id: u64,
}
