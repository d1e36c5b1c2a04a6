//! What is wrong with a log, where, and which events it concerns.

use std::path::Path;

use crate::error::{Cause, Error, Place};

/// Damages that a report lists; more are only counted.
pub const MAX_DAMAGES: usize = 16;

/// Kinds of damage, in the order in which those of one place are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// A file or a part of one cannot be read; the error number says why.
    Unreadable,
    /// The LZ4 frame of a cold segment.
    Frame,
    /// Bytes that follow the frame of a cold segment.
    Trailing,
    /// A segment header: not valid, or not what the blocks say.
    SegmentHeader,
    /// The file is another segment's.
    Misnamed,
    /// A block header is not valid, or another block's.
    BlockHeader,
    /// The events of a block are not those of its checksum.
    Block,
    /// A block does not continue the chain of checksums.
    Chain,
    /// Event ids that do not rise.
    Order,
    /// The file ends before the events it counts.
    Truncated,
    /// The hot and the cold file of a segment differ.
    Twins,
    /// A segment is missing between others.
    MissingSegment,
    /// Events that were durable are gone.
    DurableLost,
    /// `wal_meta.dat` is not valid.
    Meta,
    /// `wal_identity` is not valid.
    Identity,
    /// The active directory is gone, or contradicts the segments on disk.
    Active,
}

impl DamageKind {
    /// All of them, in their order.
    const ALL: [DamageKind; 16] = [
        DamageKind::Unreadable,
        DamageKind::Frame,
        DamageKind::Trailing,
        DamageKind::SegmentHeader,
        DamageKind::Misnamed,
        DamageKind::BlockHeader,
        DamageKind::Block,
        DamageKind::Chain,
        DamageKind::Order,
        DamageKind::Truncated,
        DamageKind::Twins,
        DamageKind::MissingSegment,
        DamageKind::DurableLost,
        DamageKind::Meta,
        DamageKind::Identity,
        DamageKind::Active,
    ];

    /// The kind that an error says it is of.
    pub fn of(error: &Error) -> Option<Self> {
        Self::numbered(error.damage()?)
    }

    /// The kind of this number in an error.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Damage {
    /// What kind of thing.
    pub kind: DamageKind,
    /// The segment, where it is one's.
    pub segment_index: Option<u32>,
    /// The file, for messages a whole path.
    pub path: String,
    /// Offset in the segment of the block, header or event concerned.
    pub offset: u64,
    /// Bytes of the segment, from `offset` on, of which no event can be read; 0 = it costs none, or
    /// their end is not known.
    pub len: u64,
    /// The offset in the file: another one in a cold segment.
    pub file_offset: u64,
    /// First and last id of the events that cannot be trusted; zeros when there are none.
    pub event_ids: (u64, u64),
    /// In words.
    pub what: String,
    /// Why it cannot be read.
    pub error: Option<Error>,
}

impl Damage {
    /// Damage of a file that is no segment.
    pub fn of_file(kind: DamageKind, path: &Path, what: &str) -> Self {
        Damage {
            kind,
            segment_index: None,
            path: path.display().to_string(),
            offset: 0,
            len: 0,
            file_offset: 0,
            event_ids: (0, 0),
            what: what.to_owned(),
            error: None,
        }
    }

    /// Damage of a segment's file, of none of its events.
    pub fn of_segment(kind: DamageKind, index: u32, path: &Path, what: &str) -> Self {
        Damage { segment_index: Some(index), ..Self::of_file(kind, path, what) }
    }

    /// Damage at an offset of a segment, and the events that cannot be read because of it.
    pub fn at(site: &Site, kind: DamageKind, offset: u64, ids: (u64, u64), what: &str) -> Self {
        let damage = Self::of_segment(kind, site.index, Path::new(&site.name), what);
        Damage { offset, file_offset: offset, event_ids: ids, ..damage }
    }

    /// What cannot be read at an offset of a segment, and why.
    pub fn unreadable(site: &Site, offset: u64, ids: (u64, u64), error: Error) -> Self {
        let damage = Self::at(site, DamageKind::Unreadable, offset, ids, "cannot be read");
        Damage { error: Some(error), ..damage }
    }

    /// The file's name without its directory.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Its rank among the damages of a log that is read from front to back.
    pub fn order(&self) -> (u32, u64, DamageKind) {
        (self.segment_index.unwrap_or(0), self.offset, self.kind)
    }

    /// As an error: of the operating system, or corruption.
    pub fn to_error(&self) -> Error {
        let mut message = format!("{}: ", self.path);
        if self.segment_index.is_some() {
            message += &format!("offset {}: ", self.offset);
        }
        message += &self.what;
        let (first, last) = self.event_ids;
        let names_events = first != 0 && (last == 0 || first <= last);
        match (first, last) {
            _ if !names_events => {}
            (_, 0) => message += &format!(" (events from id {first} on)"),
            _ => message += &format!(" (event ids {first} to {last})"),
        }
        let place = Place {
            segment_index: self.segment_index,
            offset: self.segment_index.map(|_| self.offset),
            event_ids: names_events.then_some((first, last)),
            len: self.len,
        };
        match &self.error {
            Some(error) => {
                message += &format!(": {error}");
                let cause = error.cause().unwrap_or(Cause::Io);
                Error::with_errno(cause, message, error.errno()).at(place)
            }
            None => Error::new(Cause::Corrupt, message).at(place).of_damage(self.kind as u8),
        }
    }
}

/// A segment's number, and the name of its file for messages.
#[derive(Debug, Clone)]
pub struct Site {
    pub index: u32,
    pub name: String,
}

impl PartialEq for Damage {
    fn eq(&self, other: &Self) -> bool {
        let key = |d: &Damage| (d.order(), d.file_offset, d.event_ids);
        key(self) == key(other) && self.path == other.path && self.what == other.what
    }
}
