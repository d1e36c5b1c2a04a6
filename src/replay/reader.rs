//! Reads a log from event to event, across its segments.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Cause, Error, Place, Result};
use crate::format::{RequestEvent, EVENTS_PER_BLOCK};
use crate::segment::{Damage, DamageKind, Step};
use crate::storage::{PosixStorage, Storage};

use super::log_files::{How, LogFiles, Segment};

/// How often in a row the files may contradict each other before that counts: a listing is not a
/// snapshot, and the writer goes on meanwhile.
const LOOKS: u32 = 10;

/// How a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Every block's checksums are checked before its events are given out.
    pub verify: bool,
}

/// Reads a log. For one thread at a time.
///
/// At the end it returns [`Error::End`]; asked again later, it goes on where it stopped, with what
/// has been appended since. When retention was faster it reports that once ([`Cause::Gap`]) and
/// goes on at the oldest event there is. After any other error it stays where it was: asked again,
/// it tries again. One that salvages does not: it reports every damage once and goes on behind it.
///
/// The segment it stands in is held, by its disk file: what retention deletes meanwhile can be read
/// to its end.
pub struct Reader {
    pub(super) files: LogFiles,
    pub(super) segment: Option<Box<Segment>>,
    /// The segment to open when none is; `None` = the oldest there is.
    pub(super) next_index: Option<u32>,
    /// The last event before that segment, as far as it is known.
    pub(super) floor: u64,
    /// Events below this id are passed over: they were read already, or a seek went past them.
    pub(super) from: u64,
    events: Vec<RequestEvent>,
    given: usize,
    pub(super) salvages: bool,
    /// The last damage that was reported. Damage to events below `sought` is not reported.
    pub(super) reported: Option<(u32, u64, DamageKind)>,
    sought: u64,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("files", &self.files)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a log at its oldest event.
    pub fn open(directory: &Path, options: ReaderOptions) -> Result<Reader> {
        Self::open_with(Arc::new(PosixStorage::for_reading()), directory, options)
    }

    /// The same, on any storage.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        directory: &Path,
        options: ReaderOptions,
    ) -> Result<Reader> {
        let how = if options.verify { How::Checked } else { How::Unverified };
        Self::open_how(storage, directory, how)
    }

    /// Opens a log that may be damaged, to read around what is wrong with it.
    pub fn open_salvaging(directory: &Path) -> Result<Reader> {
        Self::open_salvaging_with(Arc::new(PosixStorage::for_reading()), directory)
    }

    /// The same, on any storage.
    pub fn open_salvaging_with(storage: Arc<dyn Storage>, directory: &Path) -> Result<Reader> {
        Self::open_how(storage, directory, How::Salvage)
    }

    fn open_how(storage: Arc<dyn Storage>, directory: &Path, how: How) -> Result<Reader> {
        let mut reader = Reader {
            files: LogFiles::open(storage, directory, how)?,
            segment: None,
            next_index: None,
            floor: 0,
            from: 1,
            events: Vec::with_capacity(EVENTS_PER_BLOCK),
            given: 0,
            salvages: how == How::Salvage,
            reported: None,
            sought: 0,
        };
        reader.hold();
        Ok(reader)
    }

    /// The next event.
    #[inline]
    #[allow(
        clippy::should_implement_trait,
        reason = "it is not an iterator: it goes on after its end"
    )]
    pub fn next(&mut self) -> Result<RequestEvent> {
        if self.given == self.events.len() {
            self.fill()?;
        }
        let event = self.events[self.given];
        self.given += 1;
        Ok(event)
    }

    /// Whether the next event was read already, so that giving it takes no system call.
    pub fn has_read_ahead(&self) -> bool {
        self.given < self.events.len()
    }

    /// The next events, at least one: what is left of a block. Valid until the next call.
    pub fn next_batch(&mut self) -> Result<&[RequestEvent]> {
        if self.given == self.events.len() {
            self.fill()?;
        }
        let from = std::mem::replace(&mut self.given, self.events.len());
        Ok(&self.events[from..])
    }

    /// Goes to the first event with this id or a higher one, of those that are still there.
    pub fn seek(&mut self, event_id: u64) -> Result<()> {
        let (next_index, floor) = self.find(event_id)?;
        self.segment = None;
        self.next_index = next_index;
        self.floor = floor;
        self.from = event_id.max(1);
        (self.reported, self.sought) = (None, event_id);
        self.events.clear();
        self.given = 0;
        self.hold();
        Ok(())
    }

    /// Holds the segment that reading begins in, so that retention does not take it. From here on
    /// what is lost is a gap. The first read reports what is wrong with the segment.
    fn hold(&mut self) {
        let mut looks = 0;
        while self.segment.is_none() {
            let before = (self.next_index, self.from, self.reported);
            if self.enter(&mut looks).is_err() {
                (self.next_index, self.from, self.reported) = before;
                break;
            }
        }
    }

    /// The last segment that begins at or below an id, and an id below its first event's. Segments
    /// without events are ignored; damaged ones are stepped over, so that one does not hide the
    /// others.
    fn find(&self, event_id: u64) -> Result<(Option<u32>, u64)> {
        let indexes = self.files.indexes()?;
        let mut best = None;
        let (mut low, mut high) = (0, indexes.len());
        while low < high {
            let middle = (low + high) / 2;
            let mut probe = middle;
            let first = loop {
                match self.files.open_segment(indexes[probe], 0) {
                    Ok(Some(segment)) => break Some((segment.cursor.first_event_id()?, segment)),
                    // Retention removes the oldest, as much as it wants.
                    Ok(None) => {}
                    Err(error) if self.salvages || error.cause() == Some(Cause::Corrupt) => {}
                    Err(error) => return Err(error),
                }
                probe += 1;
                if probe == high {
                    break None;
                }
            };
            match first {
                Some((first, segment)) if first != 0 && first <= event_id => {
                    best = Some((probe, first - 1, segment.cursor.is_closed()));
                    low = probe + 1;
                }
                _ => high = middle,
            }
        }
        let Some((mut at, mut floor, mut closed)) = best else { return Ok((None, 0)) };
        // Whether the events of an open segment count is decided by the open ones before it.
        while !closed && at > 0 {
            let before = match self.files.open_segment(indexes[at - 1], 0) {
                Ok(Some(before)) => before,
                Ok(None) => break,
                Err(_) if self.salvages => break,
                Err(error) => return Err(error),
            };
            closed = before.cursor.is_closed();
            if !closed {
                at -= 1;
                floor = before.cursor.first_event_id()?.saturating_sub(1);
            }
        }
        Ok((Some(indexes[at]), floor))
    }

    /// Reads the next wanted events: at least one.
    #[cold]
    fn fill(&mut self) -> Result<()> {
        self.events.clear();
        self.given = 0;
        let mut looks = 0;
        loop {
            self.report_damage(&mut looks)?;
            if !self.events.is_empty() {
                return Ok(());
            }
            let Some(segment) = &mut self.segment else {
                self.enter(&mut looks)?;
                continue;
            };
            match segment.cursor.step(self.from, &mut self.events) {
                Ok(Step::Block) => {
                    self.from = self.from.max(segment.cursor.last_event_id() + 1);
                }
                // The end is met again once the damage is reported.
                Ok(Step::Complete | Step::End) if segment.cursor.has_damage() => {}
                Ok(Step::Complete) => self.leave(&mut looks)?,
                // What was read of it is passed over in its disk file.
                Ok(Step::Moved) => self.segment = self.files.on_disk(segment, self.floor)?,
                Ok(Step::End) => {
                    let end = segment.cursor.last_event_id();
                    self.stop_at(end, &mut looks)?;
                }
                Err(error) => {
                    let unchanged = self.files.is_unchanged(segment)?;
                    self.segment = None;
                    if unchanged || !self.look_again(&mut looks) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Fails with the next damage of the segment that was not reported before. Events that were
    /// read together with it are given out after it.
    fn report_damage(&mut self, looks: &mut u32) -> Result<()> {
        loop {
            let damage = self.segment.as_mut().and_then(|segment| segment.cursor.take_damage());
            let (Some(damage), Some(segment)) = (damage, &self.segment) else { return Ok(()) };
            if !self.is_news(&damage) {
                continue;
            }
            if !self.files.is_unchanged(segment).unwrap_or(true) && look_again(&self.files, looks) {
                self.segment = None;
                return Ok(());
            }
            self.reported = Some(damage.order());
            return Err(damage.to_error());
        }
    }

    pub(super) fn is_news(&self, damage: &Damage) -> bool {
        let last = damage.event_ids.1;
        Some(damage.order()) > self.reported && (last == 0 || last >= self.sought)
    }

    /// A segment that cannot be read at all, or is missing. A salvaging reader reports it once.
    fn pass_over(&mut self, index: u32, next: Option<u32>, error: Error) -> Result<()> {
        if !self.salvages {
            return Err(error);
        }
        let order = Some((index, u64::MAX, DamageKind::MissingSegment));
        let is_news = order > self.reported;
        self.reported = self.reported.max(order);
        if let Some(next) = next {
            self.next_index = Some(next);
        } else if !is_news {
            return Err(Error::End);
        }
        if is_news {
            return Err(error);
        }
        Ok(())
    }

    /// Opens the next segment.
    fn enter(&mut self, looks: &mut u32) -> Result<()> {
        let Some(index) = self.next_index.or(self.files.indexes()?.first().copied()) else {
            return self.stop_at(0, looks);
        };
        match self.files.open_segment(index, self.floor) {
            Ok(Some(segment)) => {
                self.segment = Some(segment);
                self.next_index = Some(index);
                return Ok(());
            }
            Ok(None) => {}
            Err(error) => return self.pass_over(index, index.checked_add(1), error),
        }
        let indexes = self.files.indexes()?;
        let Some(&next) = indexes.iter().find(|&&other| other >= index) else {
            return self.stop_at(self.floor, looks);
        };
        // The oldest may go before anything of it was read; or it was not in the first listing.
        if (self.next_index.is_none() || next == index) && self.look_again(looks) {
            return Ok(());
        }
        // Prepared segments that were never used are removed in any order, so that none is missing
        // when one before it is gone.
        if !self.has_events_from(index)? {
            return self.stop_at(self.floor, looks);
        }
        if indexes.first() == Some(&next) {
            return self.pass_gap(index);
        }
        if self.look_again(looks) {
            return Ok(());
        }
        let path = self.files.path_of(index);
        let message = format!("{}: missing, though segment {next} is there", path.display());
        let place = Place { segment_index: Some(index), ..Place::default() };
        let missing = Error::new(Cause::Corrupt, message).at(place);
        self.pass_over(index, Some(next), missing)
    }

    /// Goes on behind a segment that is read to its end.
    fn leave(&mut self, looks: &mut u32) -> Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        let end = segment.cursor.last_event_id();
        let Some(next) = segment.index.checked_add(1) else { return self.stop_at(end, looks) };
        if segment.cursor.has_room() {
            // A log that was shut down goes on in its last segment. So a segment behind one with
            // room counts only if it holds events and the one before has not changed meanwhile.
            if !self.has_events_from(next)? {
                return self.stop_at(end, looks);
            }
            if !self.files.is_unchanged(segment)? {
                self.segment = None;
                return Ok(());
            }
        }
        self.segment = None;
        self.next_index = Some(next);
        self.floor = end;
        Ok(())
    }

    /// Whether a segment of this index or a later one holds events.
    fn has_events_from(&self, index: u32) -> Result<bool> {
        for &later in self.files.indexes()?.iter().filter(|&&other| other >= index) {
            match self.files.open_segment(later, 0) {
                // A salvaging reader enters a damaged segment and reports the damage.
                Ok(Some(segment))
                    if segment.cursor.first_event_id()? != 0 || segment.cursor.is_damaged() =>
                {
                    return Ok(true);
                }
                Ok(_) => {}
                Err(_) if self.salvages => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

pub(super) fn look_again(files: &LogFiles, looks: &mut u32) -> bool {
    *looks += 1;
    if *looks > 1 {
        files.pause();
    }
    *looks < LOOKS
}
