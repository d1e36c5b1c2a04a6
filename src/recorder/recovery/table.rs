//! The recovery table as data: what was found decides what is done. Every row has a label, which
//! appears in its test, in the recovery report and in the error of a refusal. For anything that can
//! be found, exactly one row of a table holds; `tests` tries every combination.

use std::cmp::Ordering;
use std::fmt::Debug;

use crate::directory::{is_same_run, Ground};
use crate::error::{Cause, Error, Result};
use crate::segment::{ColdFound, HeaderState, HotFound, PairFound};

/// A row: what must have been found for it to hold, and what is done then.
#[derive(Debug)]
pub struct Row<F, D> {
    /// A stable name.
    pub label: &'static str,
    /// Whether this is what was found.
    pub holds: fn(&F) -> bool,
    /// What is done.
    pub then: D,
}

const fn row<F, D>(label: &'static str, holds: fn(&F) -> bool, then: D) -> Row<F, D> {
    Row { label, holds, then }
}

/// The row that holds.
pub fn decide<F: Debug, D>(rows: &'static [Row<F, D>], found: &F) -> Result<&'static Row<F, D>> {
    rows.iter().find(|row| (row.holds)(found)).ok_or_else(|| {
        Error::new(Cause::Internal, format!("defect: no row of the recovery table for {found:?}"))
    })
}

/// `wal_identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFound {
    Missing,
    Damaged,
    Whole,
}

/// The active directory that the identity names. Only looked for when the log was not shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveFound {
    Gone,
    /// Another log's or another generation's.
    Foreign,
    /// It cannot be read, or it is not known whose it is.
    Unreadable,
    Ours,
}

/// What decides where the log is looked for.
#[derive(Debug, Clone, Copy)]
pub struct OriginFound {
    pub identity: IdentityFound,
    pub has_segments: bool,
    pub ground: Ground,
    pub clean: bool,
    pub same_boot: bool,
    pub active: ActiveFound,
    /// The active directory is on a filesystem in memory, which outlives no reboot, or may be.
    pub in_memory: bool,
}

impl OriginFound {
    fn is_whole(&self) -> bool {
        self.identity == IdentityFound::Whole
    }

    fn is_here(&self) -> bool {
        self.is_whole() && self.ground == Ground::Same
    }

    /// The newest events may be in memory only.
    fn is_live(&self) -> bool {
        !self.clean && is_same_run(self.same_boot, self.is_waiting() && self.in_memory)
    }

    /// Something has the name of the active directory, and it may be that.
    fn is_waiting(&self) -> bool {
        matches!(self.active, ActiveFound::Ours | ActiveFound::Unreadable)
    }

    /// The process crashed here, and the machine has been up since.
    fn crashed(&self) -> bool {
        self.is_here() && self.is_live()
    }

    /// The same volume, mounted again while the active directory was waiting; or another directory,
    /// and the one that it was copied from is gone.
    fn is_moved(&self) -> bool {
        self.ground != Ground::Same && self.is_live() && self.is_waiting()
    }
}

/// Where the log is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is new.
    New,
    /// In the WAL directory, all of it.
    Clean,
    /// In the WAL directory, whatever has got there.
    Disk,
    /// There too, as a log with an id of its own.
    DiskAsNew,
    /// In the WAL directory and in the active directory: that is carried over.
    Memory,
    /// Acknowledged events are lost. Accepted, the log is in the WAL directory.
    Refuse,
    /// Acknowledged events may be in an active directory that cannot be used. Accepted, the log is
    /// in the WAL directory, with an id of its own: nobody ever touches that active directory
    /// again.
    RefuseAsNew,
}

impl Origin {
    /// Whether the log is only opened with `FS_WAL_FLAG_ACCEPT_LOSS`.
    pub fn is_refused(self) -> bool {
        matches!(self, Origin::Refuse | Origin::RefuseAsNew)
    }
}

/// Where the log is looked for: the first part of the table.
pub static ORIGIN: [Row<OriginFound, Origin>; 10] = [
    row("new-log", |found| !found.is_whole() && !found.has_segments, Origin::New),
    row("unknown-identity", |found| !found.is_whole() && found.has_segments, Origin::DiskAsNew),
    row(
        "copy",
        |found| found.is_whole() && found.ground != Ground::Same && !found.is_moved(),
        Origin::DiskAsNew,
    ),
    row("moved", |found| found.is_whole() && found.is_moved(), Origin::RefuseAsNew),
    row("clean", |found| found.is_here() && found.clean, Origin::Clean),
    row("reboot", |found| found.is_here() && !found.clean && !found.is_live(), Origin::Disk),
    row(
        "process-crash",
        |found| found.crashed() && found.same_boot && found.active == ActiveFound::Ours,
        Origin::Memory,
    ),
    row(
        "other-boot-id",
        |found| found.crashed() && !found.same_boot && found.active == ActiveFound::Ours,
        Origin::Memory,
    ),
    row(
        "active-directory-lost",
        |found| found.crashed() && matches!(found.active, ActiveFound::Gone | ActiveFound::Foreign),
        Origin::Refuse,
    ),
    row(
        "active-directory-unreadable",
        |found| found.crashed() && found.active == ActiveFound::Unreadable,
        Origin::RefuseAsNew,
    ),
];

/// Which of the two files stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// The cold one: the hot file holds no event that it lacks.
    Cold,
    /// The hot one. The cold one is kept aside.
    Hot,
    /// The cold one. The hot one is another segment, and kept aside.
    ColdAlone,
}

/// Both `.wal` and `.wal.lz4` of a segment.
pub static PAIR: [Row<PairFound, Pair>; 4] = [
    row(
        "cold-good",
        |found| {
            found.cold == ColdFound::Good
                && matches!(found.hot, HotFound::Nothing | HotFound::Within)
        },
        Pair::Cold,
    ),
    row(
        "hot-misnamed",
        |found| found.cold == ColdFound::Good && found.hot == HotFound::Another,
        Pair::ColdAlone,
    ),
    row(
        "cold-dropped",
        |found| match found.hot {
            HotFound::Nothing => false,
            HotFound::Within | HotFound::Another => found.cold == ColdFound::Bad,
            HotFound::More => true,
        },
        Pair::Hot,
    ),
    row(
        "cold-unreadable",
        |found| found.cold == ColdFound::Bad && found.hot == HotFound::Nothing,
        Pair::Cold,
    ),
];

/// A segment where the log comes to it.
#[derive(Debug, Clone, Copy)]
pub struct SegmentFound {
    pub is_cold: bool,
    pub header: HeaderState,
    /// Whether it has events above the last accepted one. A cold one is not asked.
    pub has_events: bool,
}

/// What becomes of a segment where the log comes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentAction {
    /// It is as it should be.
    Accept,
    /// Its events decide, and its header is written anew.
    Rebuild,
    /// Nothing is in it.
    Discard,
    /// Cold and not readable: reading stops there.
    Note,
    /// It holds events, and nobody knows where they belong.
    Refuse,
}

/// Each segment: the second part of the table.
pub static SEGMENT: [Row<SegmentFound, SegmentAction>; 6] = [
    row(
        "closed",
        |found| found.header == HeaderState::Closed && (found.is_cold || found.has_events),
        SegmentAction::Accept,
    ),
    row(
        "unclosed",
        |found| found.header == HeaderState::Open && !found.is_cold && found.has_events,
        SegmentAction::Accept,
    ),
    row(
        "header-rebuilt",
        |found| found.header == HeaderState::Invalid && !found.is_cold && found.has_events,
        SegmentAction::Rebuild,
    ),
    row("unused", |found| !found.is_cold && !found.has_events, SegmentAction::Discard),
    row(
        "cold-unreadable",
        |found| found.is_cold && matches!(found.header, HeaderState::Invalid | HeaderState::Open),
        SegmentAction::Note,
    ),
    row(
        "misnamed",
        |found| found.header == HeaderState::OtherIndex && (found.is_cold || found.has_events),
        SegmentAction::Refuse,
    ),
];

/// The first place where the next event cannot be accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Break {
    /// In a segment: the next slot holds nothing, or nothing that is proved.
    #[default]
    Slot,
    /// A segment is missing, and events are behind it.
    Missing,
    /// A segment with events bears the name of another index.
    Misnamed,
    /// A later segment begins among the events of the one the log ends in: a block of that one is
    /// another segment's.
    Overlap,
    /// A segment before the end is neither closed nor full: it was copied while it was written.
    Unclosed,
    /// Events follow those that the log was shut down with: an older state was copied over it.
    BeyondShutdown,
    /// The process crashed, and the segment's file is not in the active directory.
    ActiveLost,
    /// Active events differ from the persisted ones, or do not rise.
    ActiveContradicts,
}

/// What decides how the log ends.
#[derive(Debug, Clone, Copy)]
pub struct EndFound {
    pub at: Break,
    /// Events follow the break.
    pub beyond: bool,
    /// They were acknowledged, whatever D is: in closed segments, or before a crash of the process.
    pub proven_beyond: bool,
    /// The last accepted id, against *D*: the highest id known durable.
    pub last_to_durable: Ordering,
}

impl EndFound {
    fn is_below_durable(&self) -> bool {
        self.last_to_durable == Ordering::Less
    }

    /// Something is missing that was durable, or acknowledged without being durable.
    fn loses_acknowledged(&self) -> bool {
        self.is_below_durable() || self.proven_beyond
    }
}

/// How the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing follows the last event.
    Whole,
    /// What follows was never promised: it is kept aside.
    Cut,
    /// What was promised is damaged or gone. Accepted, the log ends here, and what follows is kept
    /// aside.
    Refuse,
}

/// How the log ends: the third part of the table.
pub static ENDING: [Row<EndFound, Ending>; 10] = [
    row(
        "whole",
        |found| found.at == Break::Slot && !found.beyond && !found.is_below_durable(),
        Ending::Whole,
    ),
    row(
        "tail-cut",
        |found| match found.at {
            Break::Slot => found.beyond && !found.is_below_durable(),
            Break::Missing => !found.loses_acknowledged(),
            _ => false,
        },
        Ending::Cut,
    ),
    row(
        "break-below-durable",
        |found| found.at == Break::Slot && found.is_below_durable(),
        Ending::Refuse,
    ),
    row(
        "missing-segment",
        |found| found.at == Break::Missing && found.loses_acknowledged(),
        Ending::Refuse,
    ),
    row("misnamed", |found| found.at == Break::Misnamed, Ending::Refuse),
    row("overlap", |found| found.at == Break::Overlap, Ending::Refuse),
    row("unclosed", |found| found.at == Break::Unclosed, Ending::Refuse),
    row("beyond-shutdown", |found| found.at == Break::BeyondShutdown, Ending::Refuse),
    row("active-segment-lost", |found| found.at == Break::ActiveLost, Ending::Refuse),
    row("active-contradicts", |found| found.at == Break::ActiveContradicts, Ending::Refuse),
];
