//! What a backup says of itself.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::failure::Outcome;
use crate::output::Output;
use crate::table::{bytes, count};

use super::source::Source;

#[derive(Debug, Default, Serialize)]
pub struct Report {
    dir: String,
    out: String,
    pub up_to_event_id: u64,
    pub first_event_id: u64,
    pub events: u64,
    pub segments_kept: u64,
    pub segments_copied: u64,
    /// Of the others, those that were sealed anew.
    pub segments_written: u64,
    pub snapshots: u64,
    pub bytes_copied: u64,
    pub notes: Vec<String>,
}

impl Report {
    pub fn of(source: &Source, out: &Path) -> Self {
        Report {
            dir: source.log.path.display().to_string(),
            out: out.display().to_string(),
            up_to_event_id: source.last,
            ..Report::default()
        }
    }

    /// Counts events that were added, behind those before.
    pub fn add(&mut self, events: u32, first_event_id: u64) {
        if self.events == 0 {
            self.first_event_id = first_event_id;
        }
        self.events += u64::from(events);
    }

    pub fn show(&self, output: &mut Output) -> Outcome<()> {
        match output.is_json() {
            true => output.object(self),
            false => self.lines().iter().try_for_each(|line| output.line(line)),
        }
    }

    /// Where standard output is the backup itself.
    pub fn show_on_stderr(&self, output: &Output) -> Outcome<()> {
        match output.is_json() {
            true => eprintln!("{}", serde_json::to_string(self).map_err(io::Error::from)?),
            false => self.lines().iter().for_each(|line| eprintln!("{line}")),
        }
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        let out = if self.out == "-" { "standard output" } else { &self.out };
        let dir = &self.dir;
        let mut lines = vec![
            format!("{out}: a backup of {dir}, up to event {}, checked", self.up_to_event_id),
            format!("  {} from id {} on", count(self.events, "event"), self.first_event_id),
            format!(
                "  {} copied ({}), {} written, {} kept; {}",
                count(self.segments_copied, "segment"),
                bytes(self.bytes_copied),
                self.segments_written,
                self.segments_kept,
                count(self.snapshots, "snapshot")
            ),
        ];
        lines.extend(self.notes.iter().map(|note| format!("  note: {note}")));
        lines
    }
}
