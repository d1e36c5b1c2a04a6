//! The recovery table as pure functions: from what was found to what is done. Every row has a
//! label, which its test and the recovery report carry.

/// What `wal_identity` says about the log in this directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFound {
    /// There is none.
    Missing,
    /// It cannot be trusted.
    Unreadable,
    /// It was given to another directory: this one is a copy.
    OtherDirectory,
    /// The last shutdown was clean.
    Clean,
    /// Unclean, and the machine was started again since.
    OtherBoot,
    /// Unclean, and the machine has been up since: the active directory must be there.
    SameBoot {
        /// It is there, and of this log and generation.
        active_found: bool,
    },
}

/// Where the log is to be looked for: the first half of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A new log.
    NewLog,
    /// The C++ recorder's directory or a damaged one: the WAL directory alone is the log.
    UnknownIdentity,
    /// A copied directory: a new log id, the other's active directory is left alone.
    Copy,
    /// Nothing to recover.
    CleanShutdown,
    /// Reboot or power cut: the WAL directory alone is the log.
    Reboot,
    /// The events in the active directory are carried over.
    ProcessCrash,
    /// Acknowledged events may be lost: refused.
    ActiveDirectoryLost,
}

/// How the log ends: the second half of the table. *D* is the highest id known durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing follows the last event.
    Whole,
    /// Events follow a break at or above D: they are kept aside.
    TailCut,
    /// A break below D: durable events are damaged or gone. Refused.
    BreakBelowDurable,
    /// A segment is missing between others. Refused.
    MissingSegment,
    /// The process crashed, and the file of its last segment is not in the active directory:
    /// acknowledged events may be lost. Refused.
    ActiveSegmentLost,
    /// Active events contradict persisted ones, or are broken themselves. Refused.
    ActiveContradicts,
    /// A file with events bears the name of another index. Refused.
    Misnamed,
}

/// What was found at the end of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndFound {
    /// D.
    pub durable_event_id: u64,
    /// The last event that can be accepted.
    pub last_event_id: u64,
    /// Events behind a break.
    pub events_beyond: u64,
    /// A segment between others is missing.
    pub missing_segment: bool,
    /// The active directory is there, and the last segment's file is not in it.
    pub active_missing: bool,
    /// Active and persisted events do not agree.
    pub contradiction: bool,
    /// A file with events bears the name of another index.
    pub misnamed: bool,
}

/// Decides where the log is to be looked for.
pub fn origin(identity: IdentityFound, has_segments: bool) -> Origin {
    match (identity, has_segments) {
        (IdentityFound::Missing | IdentityFound::Unreadable, false) => Origin::NewLog,
        (IdentityFound::Missing | IdentityFound::Unreadable, true) => Origin::UnknownIdentity,
        (IdentityFound::OtherDirectory, _) => Origin::Copy,
        (IdentityFound::Clean, _) => Origin::CleanShutdown,
        (IdentityFound::OtherBoot, _) => Origin::Reboot,
        (IdentityFound::SameBoot { active_found: true }, _) => Origin::ProcessCrash,
        (IdentityFound::SameBoot { active_found: false }, _) => Origin::ActiveDirectoryLost,
    }
}

/// Decides how the log ends.
pub fn ending(found: EndFound) -> Ending {
    if found.misnamed {
        Ending::Misnamed
    } else if found.contradiction {
        Ending::ActiveContradicts
    } else if found.missing_segment {
        Ending::MissingSegment
    } else if found.last_event_id < found.durable_event_id {
        Ending::BreakBelowDurable
    } else if found.active_missing {
        Ending::ActiveSegmentLost
    } else if found.events_beyond > 0 {
        Ending::TailCut
    } else {
        Ending::Whole
    }
}

impl Origin {
    /// A stable name for the row.
    pub fn label(self) -> &'static str {
        match self {
            Origin::NewLog => "new-log",
            Origin::UnknownIdentity => "unknown-identity",
            Origin::Copy => "copy",
            Origin::CleanShutdown => "clean",
            Origin::Reboot => "reboot",
            Origin::ProcessCrash => "process-crash",
            Origin::ActiveDirectoryLost => "active-directory-lost",
        }
    }

    /// Whether the log is only opened with `FS_WAL_FLAG_ACCEPT_LOSS`.
    pub fn is_refused(self) -> bool {
        self == Origin::ActiveDirectoryLost
    }

    /// Whether everything was synced by whoever had the log before.
    pub fn is_clean(self) -> bool {
        matches!(self, Origin::NewLog | Origin::CleanShutdown)
    }
}

impl Ending {
    /// A stable name for the row.
    pub fn label(self) -> &'static str {
        match self {
            Ending::Whole => "whole",
            Ending::TailCut => "tail-cut",
            Ending::BreakBelowDurable => "break-below-durable",
            Ending::MissingSegment => "missing-segment",
            Ending::ActiveSegmentLost => "active-segment-lost",
            Ending::ActiveContradicts => "active-contradicts",
            Ending::Misnamed => "misnamed",
        }
    }

    /// Whether the log is only opened with `FS_WAL_FLAG_ACCEPT_LOSS`.
    pub fn is_refused(self) -> bool {
        !matches!(self, Ending::Whole | Ending::TailCut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identity_hits_its_row() {
        use IdentityFound::*;
        let rows = [
            (Missing, false, Origin::NewLog),
            (Unreadable, false, Origin::NewLog),
            (Missing, true, Origin::UnknownIdentity),
            (Unreadable, true, Origin::UnknownIdentity),
            (OtherDirectory, true, Origin::Copy),
            (Clean, true, Origin::CleanShutdown),
            (Clean, false, Origin::CleanShutdown),
            (OtherBoot, true, Origin::Reboot),
            (SameBoot { active_found: true }, true, Origin::ProcessCrash),
            (SameBoot { active_found: false }, true, Origin::ActiveDirectoryLost),
            (SameBoot { active_found: false }, false, Origin::ActiveDirectoryLost),
        ];
        for (identity, has_segments, row) in rows {
            assert_eq!(origin(identity, has_segments), row, "{identity:?} {has_segments}");
            assert_eq!(row.is_refused(), row == Origin::ActiveDirectoryLost);
        }
    }

    #[test]
    fn a_break_is_judged_by_what_is_known_durable() {
        let found = EndFound { durable_event_id: 10, last_event_id: 10, ..EndFound::default() };
        assert_eq!(ending(found), Ending::Whole);
        assert_eq!(ending(EndFound { events_beyond: 1, ..found }), Ending::TailCut);
        let below = EndFound { last_event_id: 9, ..found };
        assert_eq!(ending(below), Ending::BreakBelowDurable);
        assert_eq!(ending(EndFound { events_beyond: 5, ..below }), Ending::BreakBelowDurable);
        assert_eq!(ending(EndFound { missing_segment: true, ..found }), Ending::MissingSegment);
        assert_eq!(ending(EndFound { contradiction: true, ..found }), Ending::ActiveContradicts);
        assert_eq!(ending(EndFound { misnamed: true, ..found }), Ending::Misnamed);
        assert_eq!(ending(EndFound { active_missing: true, ..found }), Ending::ActiveSegmentLost);
        let rows = [Ending::Whole, Ending::TailCut];
        assert!(rows.iter().all(|row| !row.is_refused()));
        assert!(Ending::BreakBelowDurable.is_refused() && Ending::Misnamed.is_refused());
    }
}
