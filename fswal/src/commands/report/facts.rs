//! What the page tells of a log, gathered: nothing of the log is changed.

use flashstrike_wal::directory::load_meta;
use flashstrike_wal::format::{file_name, SnapshotHeader, SNAPSHOT_HEADER_SIZE};
use flashstrike_wal::replay::VerifyReport;
use flashstrike_wal::storage::{read_small, Open};
use flashstrike_wal::telemetry::{HistogramSnapshot, CONTROL_PAGE, CONTROL_SIZE};

use crate::directory::{Log, State};
use crate::failure::{Outcome, Verdict};
use crate::history::{opens, Opened};
use crate::hold_files::hold_files;
use crate::output::Tone;
use crate::table::count;

use super::probes::{self, Probe};
use super::segments::{self, Segment};

pub struct Facts {
    pub log: Log,
    pub found: VerifyReport,
    pub segments: Vec<Segment>,
    pub probes: Vec<Probe>,
    pub opens: Vec<Opened>,
    pub holds: Vec<Hold>,
    pub snapshots: Vec<Snapshot>,
    /// Those of a log that is open, or whose process died in this boot.
    pub latencies: Option<[HistogramSnapshot; 6]>,
    pub disk_bytes: u64,
    pub disk_free_bytes: u64,
    /// What `wal_meta.dat` says is durable.
    pub meta_event_id: u64,
}

#[derive(Debug)]
pub struct Hold {
    pub name: String,
    pub state: &'static str,
    pub event_id: Option<u64>,
    pub updated_ns: u64,
}

#[derive(Debug)]
pub struct Snapshot {
    pub event_id: u64,
    pub is_readable: bool,
    pub created_ns: u64,
    pub size: u64,
    pub file_bytes: u64,
}

/// In one word and in a sentence how the log is.
pub struct Headline {
    pub tone: Tone,
    pub word: String,
    pub why: String,
}

impl Facts {
    /// Of a log that was looked at; `verify` is called when its files are listed.
    pub fn gather(
        log: Log,
        verify: impl FnOnce(&Log, &[Segment]) -> Outcome<VerifyReport>,
    ) -> Outcome<Facts> {
        let mut segments = segments::list(&log)?;
        let found = verify(&log, &segments)?;
        segments::count_damaged(&mut segments);
        segments::count_open(&mut segments, &found);
        let snapshots = snapshots(&log)?;
        let of_segments = segments.iter().map(|one| one.hot_bytes + one.cold_bytes);
        let of_snapshots = snapshots.iter().map(|one| one.file_bytes);
        Ok(Facts {
            disk_bytes: of_segments.chain(of_snapshots).sum(),
            disk_free_bytes: log.wal.status()?.available,
            probes: probes::probes(&log, &segments, &found.damages),
            opens: opens(&log)?,
            holds: holds(&log)?,
            latencies: latencies(&log)?,
            meta_event_id: load_meta(&*log.wal)?.flatten().map_or(0, |meta| meta.last_event_id),
            snapshots,
            segments,
            found,
            log,
        })
    }

    pub fn verdict(&self) -> Verdict {
        let is_damaged = self.found.damages.iter().any(|damage| damage.error.is_none());
        match self.found.damage_count {
            0 if self.needs_decision() => Verdict::Wrong,
            0 if self.log.state == State::MemoryUnreadable => Verdict::Unreadable,
            0 => Verdict::Well,
            _ if is_damaged => Verdict::Wrong,
            _ => Verdict::Unreadable,
        }
    }

    /// As `status` judges.
    fn needs_decision(&self) -> bool {
        let state = self.log.state;
        matches!(state, State::Failed | State::MemoryLost)
            || state == State::Unidentified
            || self.holds.iter().any(|hold| hold.event_id.is_none())
    }

    pub fn headline(&self) -> Headline {
        let state = self.log.state.words();
        let wrong = count(self.found.damage_count, "thing");
        let (tone, word, why) = match (self.verdict(), self.log.state) {
            (Verdict::Wrong, _) if self.found.damage_count > 0 => {
                (Tone::Bad, "Damaged", format!("{wrong} wrong; {state}"))
            }
            (Verdict::Unreadable, _) if self.found.damage_count == 0 => {
                (Tone::Doubtful, "Not known", state.to_owned())
            }
            (Verdict::Unreadable, _) => (
                Tone::Bad,
                "Cannot be read",
                format!("{} cannot be read; {state}", count(self.found.damage_count, "part")),
            ),
            (Verdict::Wrong, _) => (Tone::Bad, "Needs a decision", state.to_owned()),
            (Verdict::Well, State::Live) => {
                (Tone::Good, "Healthy", "live; every byte that is on disk is right".into())
            }
            (Verdict::Well, State::ShutDown) => {
                (Tone::Good, "Healthy", "shut down cleanly; every byte is right".into())
            }
            (Verdict::Well, _) => {
                (Tone::Doubtful, "Sound", format!("every byte is right; {state}"))
            }
        };
        Headline { tone, word: word.to_owned(), why }
    }
}

fn holds(log: &Log) -> Outcome<Vec<Hold>> {
    let holds = hold_files(log)?.into_iter().map(|hold| Hold {
        state: hold.state(),
        event_id: hold.event_id(),
        updated_ns: hold.record.map_or(0, |record| record.updated_ns),
        name: hold.name,
    });
    Ok(holds.collect())
}

fn snapshots(log: &Log) -> Outcome<Vec<Snapshot>> {
    let mut snapshots = Vec::new();
    for &event_id in &log.inventory.snapshots {
        let name = file_name::snapshot(event_id);
        let Some(status) = log.wal.status_of(&name)? else { continue };
        let head = read_small(&*log.wal, &name, SNAPSHOT_HEADER_SIZE)?.unwrap_or_default();
        let header = head.first_chunk().and_then(SnapshotHeader::decode);
        snapshots.push(Snapshot {
            event_id,
            is_readable: header.is_some_and(|header| header.event_id == event_id),
            created_ns: header.map_or(0, |header| header.created_ns),
            size: header.map_or(0, |header| header.size),
            file_bytes: status.size,
        });
    }
    Ok(snapshots)
}

/// The histograms of the control file, once its counters could be read.
fn latencies(log: &Log) -> Outcome<Option<[HistogramSnapshot; 6]>> {
    const BUCKETS: usize = 320;
    let (Some(active), Some(_)) = (&log.active, &log.metrics) else { return Ok(None) };
    let Some(file) = active.open(file_name::CONTROL, Open::Read)? else { return Ok(None) };
    let mut bytes = vec![0; CONTROL_SIZE - CONTROL_PAGE];
    if file.read_at(&mut bytes, CONTROL_PAGE as u64)? < bytes.len() {
        return Ok(None);
    }
    let word = |n: usize| {
        let bytes = bytes[n * 8..].first_chunk().copied();
        bytes.map_or(0, u64::from_le_bytes)
    };
    let of = |n: usize| HistogramSnapshot::of(|bucket| word(n * BUCKETS + bucket));
    Ok(Some(std::array::from_fn(of)))
}
