//! What a salvage could not read: where, and between which events.

use std::path::Path;

use flashstrike_wal::directory::{load_meta, ControlView, Inventory};
use flashstrike_wal::error::{Cause, Failure};
use flashstrike_wal::format::{file_name, Layout, BLOCK_SIZE, SEGMENT_HEADER_SIZE};
use flashstrike_wal::replay::{DamageKind, Reader};
use flashstrike_wal::storage::Directory;
use serde::Serialize;

use crate::directory::{Log, State};

/// A place of which nothing could be read. Bytes and blocks are those of the segment,
/// uncompressed.
#[derive(Debug, Serialize)]
pub struct Lost {
    pub segment: Option<u32>,
    /// Another one than `segment` only where whole segments are missing in a row.
    pub last_segment: Option<u32>,
    pub block: Option<u64>,
    /// `None` beside a first one: how far it goes is not known.
    pub last_block: Option<u64>,
    pub first_byte: Option<u64>,
    pub last_byte: Option<u64>,
    /// What is lost lies behind this event; 0 = the log's beginning.
    pub after_event_id: u64,
    /// And before this one; `None` = to the end.
    pub before_event_id: Option<u64>,
    pub why: String,
    /// The first event that is lost, where only its id is known and not its place.
    #[serde(skip)]
    named_from: Option<u64>,
    /// Events that were durable, and what is there of their segment ends before them.
    #[serde(skip)]
    is_end: bool,
}

/// Something that is wrong and costs no event.
#[derive(Debug, Serialize)]
pub struct Damaged {
    pub segment: Option<u32>,
    pub why: String,
}

/// What came of a salvage.
#[derive(Debug, Serialize)]
pub struct Salvaged {
    pub dir: String,
    pub out: String,
    pub events: u64,
    pub first_event_id: u64,
    pub last_event_id: u64,
    pub lost: Vec<Lost>,
    pub damaged: Vec<Damaged>,
    /// What cannot be told from here.
    pub doubts: Vec<String>,
    #[serde(skip)]
    indexes: Vec<u32>,
}

impl Salvaged {
    pub fn new(log: &Log, out: &Path) -> Self {
        Salvaged {
            dir: log.path.display().to_string(),
            out: out.display().to_string(),
            events: 0,
            first_event_id: 0,
            last_event_id: 0,
            lost: Vec::new(),
            damaged: Vec::new(),
            doubts: Vec::new(),
            indexes: indexes(&log.inventory),
        }
    }

    pub fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.damaged.is_empty()
    }

    /// Events with these first and last ids were read.
    pub fn pass(&mut self, first: u64, last: u64) {
        if self.first_event_id == 0 {
            self.first_event_id = first;
        }
        self.last_event_id = last;
        for lost in self.lost.iter_mut().filter(|lost| lost.before_event_id.is_none()) {
            lost.before_event_id = Some(first);
        }
        // What memory lacked was on disk.
        let is_found = |lost: &Lost| lost.named_from == Some(first);
        let found = self.lost.iter().position(is_found).map(|at| self.lost.remove(at));
        self.damaged.extend(found.map(|lost| Damaged { segment: lost.segment, why: lost.why }));
    }

    /// Takes note of what the reader reports.
    pub fn add(&mut self, failure: Failure) {
        let segment = failure.place.segment_index;
        let why = failure.message.clone();
        let is_before = segment.is_some_and(|segment| Some(&segment) < self.indexes.first());
        if failure.cause == Cause::Gap || (is_before && !costs_events(&failure)) {
            // Retention may have deleted it.
            self.doubts.push(why);
        } else if costs_events(&failure) {
            self.lose(&failure);
        } else {
            self.damaged.push(Damaged { segment, why });
        }
    }

    fn lose(&mut self, failure: &Failure) {
        let begin = Some(Layout::event_offset(0));
        if kind_of(failure) == Some(DamageKind::DurableLost) && failure.place.offset == begin {
            // Nothing of them is in this segment, so they may have been in the one before.
            return self.lose_the_end(failure.message.clone());
        }
        let (place, len) = (failure.place, failure.place.len);
        let (head, size) = (SEGMENT_HEADER_SIZE as u64, BLOCK_SIZE as u64);
        let block_of = |byte: u64| byte.saturating_sub(head) / size;
        // Of a file in the place of another, or of which nothing can be read, nothing says how much
        // it held.
        let is_whole =
            matches!(kind_of(failure), None | Some(DamageKind::Misnamed | DamageKind::Frame));
        let has_bytes = len > 0 || !is_whole;
        let first_byte = place.offset.filter(|_| has_bytes);
        let last_byte = first_byte.filter(|_| len > 0).map(|first| first + len - 1);
        let named_from = place.event_ids.map(|(first, _)| first).filter(|_| len == 0);
        self.lost.push(Lost {
            segment: place.segment_index,
            last_segment: self.last_of(failure),
            block: first_byte.map(block_of),
            last_block: last_byte.map(block_of),
            first_byte,
            last_byte,
            after_event_id: self.last_event_id,
            before_event_id: None,
            why: failure.message.clone(),
            named_from,
            is_end: kind_of(failure) == Some(DamageKind::DurableLost),
        });
    }

    /// The last of the segments that a loss concerns: where files are missing, the one before the
    /// next file.
    fn last_of(&self, failure: &Failure) -> Option<u32> {
        let first = failure.place.segment_index?;
        let is_missing = failure.place.offset.is_none() && !self.indexes.contains(&first);
        if !is_missing {
            return Some(first);
        }
        let next = self.indexes.iter().find(|index| **index > first)?;
        Some(next - 1)
    }

    /// Looks for what the segments cannot tell: whether events followed them in memory, and whether
    /// the small files are right.
    pub fn look_beside(&mut self, log: &Log, reader: &Reader) {
        // Nothing follows, so nobody knows how far the segment was used.
        let last = self.lost.last_mut();
        if let Some(lost) = last.filter(|lost| lost.is_end && lost.before_event_id.is_none()) {
            (lost.last_block, lost.last_byte) = (None, None);
        }
        let is_meta_right = match load_meta(&*log.wal) {
            Ok(None) => log.state != State::ShutDown,
            Ok(Some(meta)) => meta.is_some(),
            Err(_) => false,
        };
        if !is_meta_right {
            let what = "whether the log went on behind what was read is not known";
            self.miss_file(log, file_name::META, what);
        }
        if log.identity.is_none() && log.is_ours() {
            self.miss_file(log, file_name::IDENTITY, "it names the log and its memory");
        }
        match reader.active_directory() {
            Ok(Some(active)) => self.look_in_memory(log, &*active),
            Ok(None) => self.miss_memory(log),
            Err(error) => self.lose_the_end(format!("its memory cannot be read: {error}")),
        }
    }

    fn miss_file(&mut self, log: &Log, name: &str, what: &str) {
        let path = log.wal.path_of(name);
        let why = format!("{}: missing or not valid: {what}", path.display());
        self.damaged.push(Damaged { segment: None, why });
    }

    /// A log that is written meanwhile has more in memory than was read.
    fn look_in_memory(&mut self, log: &Log, active: &dyn Directory) {
        let damaged = |why| Damaged { segment: None, why };
        let appended = match ControlView::open(active) {
            Ok(Some(control)) => control.appended().last_event_id,
            Ok(None) => {
                let path = active.path_of(file_name::CONTROL);
                let what = "missing: whether more was appended is not known";
                return self.damaged.push(damaged(format!("{}: {what}", path.display())));
            }
            Err(error) => return self.damaged.push(damaged(error.to_string())),
        };
        let is_written = matches!(log.state, State::Live | State::Failed);
        if appended > self.last_event_id && !is_written {
            self.lose_the_end(format!(
                "events up to {appended} were appended, and are neither on disk nor in memory"
            ));
        }
    }

    fn miss_memory(&mut self, log: &Log) {
        const HINT: &str = "--active-dir names the directory that it is in";
        match log.state {
            State::MemoryLost | State::MemoryUnreadable => self.lose_the_end(format!(
                "the log was not shut down, and its memory, with what was appended last, is not \
                 found; {HINT}"
            )),
            State::Unidentified if log.is_ours() => self.lose_the_end(format!(
                "if the log was not shut down, what was appended last was in memory, which is not \
                 found; {HINT}"
            )),
            State::Unidentified => self.doubts.push(
                "without wal_identity it is not known whether the log was shut down".to_owned(),
            ),
            State::Rebooted => self.doubts.push(
                "the machine was restarted under the log: what was not durable then is gone"
                    .to_owned(),
            ),
            State::Copy if log.identity.as_ref().is_some_and(|identity| !identity.clean) => {
                self.doubts.push(
                    "a copy of a log that was not shut down: what was appended last may be in the \
                     original's memory"
                        .to_owned(),
                );
            }
            _ => {}
        }
    }

    /// What followed the last event is lost, or may be, and where it was is not known.
    fn lose_the_end(&mut self, why: String) {
        self.lost.push(Lost {
            segment: None,
            last_segment: None,
            block: None,
            last_block: None,
            first_byte: None,
            last_byte: None,
            after_event_id: self.last_event_id,
            before_event_id: None,
            why,
            named_from: None,
            is_end: false,
        });
    }
}

/// Whether events are lost by what the reader reports, and not only something wrong beside them.
fn costs_events(failure: &Failure) -> bool {
    let place = &failure.place;
    match kind_of(failure) {
        _ if place.len > 0 => true,
        Some(DamageKind::DurableLost | DamageKind::Misnamed) => true,
        Some(DamageKind::Active | DamageKind::Frame | DamageKind::Truncated) => {
            place.event_ids.is_some()
        }
        Some(_) => false,
        // A segment that is missing or cannot be opened, or events that were durable; but not a
        // header that cannot be read, behind which its blocks are.
        None => place.offset.is_none(),
    }
}

fn kind_of(failure: &Failure) -> Option<DamageKind> {
    failure.damage.and_then(DamageKind::numbered)
}

fn indexes(inventory: &Inventory) -> Vec<u32> {
    inventory.indexes().into_iter().collect()
}
