//! A log that is followed: what was read of it, what may be given, and where it leads.

use std::path::Path;
use std::sync::Arc;

use crate::directory::ControlView;
use crate::error::{Cause, Error, Place, Result};
use crate::format::{file_name, IdentityRecord, RequestEvent, MAX_EVENT_ID};
use crate::segment::{Batch, Look, Sought, Step};

use super::super::counts::ReaderMetrics;
use super::super::log_files::{LogFiles, Segment};
use super::super::reader::Reader;
use super::lineage::Lineage;
use super::options::FollowOptions;
use super::quiet::Quiet;

/// A log, and a place in it.
pub(super) struct Followed {
    reader: Reader,
    options: FollowOptions,
    /// The log that everything which was read and not given belongs to.
    lineage: Lineage,
    /// How many of the reader's events may be given.
    limit: usize,
    /// The last event that was given.
    shown: u64,
    /// What is durable, as it was last seen.
    durable: u64,
    /// Of this generation, once it was needed.
    control: Option<ControlView>,
    quiet: Quiet,
    has_ended: bool,
}

impl Followed {
    /// Begins at the oldest event.
    pub(super) fn begin(mut files: LogFiles, options: FollowOptions) -> Result<Self> {
        files.follows = options.follow;
        // First: what is read after this is of this identity, or of one that takes its place.
        let lineage = Lineage::read(&*files.wal)?;
        let mut reader = Reader::begin(files);
        reader.end_behind(options.end_event_id);
        Ok(Followed {
            reader,
            options,
            lineage,
            limit: 0,
            shown: 0,
            durable: 0,
            control: None,
            quiet: Quiet::default(),
            has_ended: false,
        })
    }

    #[inline]
    pub(super) fn has_events(&self) -> bool {
        self.reader.given < self.limit
    }

    /// Whether looking for more makes no system call.
    pub(super) fn is_in_memory(&self) -> bool {
        self.reader.segment.as_ref().is_some_and(|segment| segment.cursor.is_mapped())
    }

    /// Whether the last error was the end of this log.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    #[inline]
    pub(super) fn give_one(&mut self) -> RequestEvent {
        debug_assert!(self.has_events());
        let event = self.reader.batch.events()[self.reader.given];
        self.reader.given += 1;
        self.shown = self.shown.max(event.event_id);
        event
    }

    pub(super) fn give_all(&mut self) -> &[RequestEvent] {
        debug_assert!(self.has_events());
        let from = std::mem::replace(&mut self.reader.given, self.limit);
        let events = &self.reader.batch.events()[from..self.limit];
        self.shown = events.last().map_or(self.shown, |last| self.shown.max(last.event_id));
        events
    }

    /// The next event out of mapped memory alone, one at a time: for who waits for each. Where many
    /// are waiting, they are read together.
    #[inline]
    pub(super) fn look(&mut self) -> Look {
        let reader = &mut self.reader;
        let goes_the_long_way = reader.has_read_ahead()
            || self.options.durable_only
            || self.options.end_event_id != 0
            || reader.gap.is_some()
            || reader.from_time.is_some();
        let Some(segment) = reader.segment.as_mut().filter(|_| !goes_the_long_way) else {
            return Look::Elsewhere;
        };
        let look = segment.cursor.look();
        match &look {
            Look::Nothing if self.quiet.may_look_again() => Look::Nothing,
            Look::Event(event) if self.quiet.has_begun() && event.event_id >= reader.from => {
                if segment.cursor.is_half_read() && reader.prepared.is_none() {
                    return Look::Elsewhere;
                }
                segment.cursor.take(event);
                reader.from = event.event_id + 1;
                reader.counts.events += 1;
                self.shown = self.shown.max(event.event_id);
                self.quiet.end();
                look
            }
            _ => Look::Elsewhere,
        }
    }

    pub(super) fn seek(&mut self, sought: Sought) -> Result<()> {
        match sought {
            Sought::Id(event_id) => self.reader.seek(event_id)?,
            Sought::Time(time) => self.reader.seek_time(time)?,
        }
        self.reader.prepared = None;
        self.limit = 0;
        Ok(())
    }

    pub(super) fn metrics(&self) -> ReaderMetrics {
        self.reader.metrics()
    }

    /// Whether it has come to where it was to end.
    pub(super) fn is_past_end(&self) -> bool {
        self.reader.is_past_end() && !self.reader.has_read_ahead()
    }

    /// After what has ended it: what was shown before does not matter any more.
    pub(super) fn begin_again(&mut self) -> Result<()> {
        self.lineage = Lineage::read(&*self.reader.files.wal)?;
        (self.shown, self.durable, self.has_ended) = (0, 0, false);
        self.control = None;
        Ok(())
    }

    /// After a sleep, memory may have been given back.
    pub(super) fn has_rested(&mut self) -> Result<()> {
        self.reader.segment.as_mut().map_or(Ok(()), |segment| segment.cursor.doubt_memory())
    }

    /// Reads the next events that may be given: at least one, or [`Error::End`]. `path` is where
    /// the log is looked for when its directory is gone.
    pub(super) fn read(&mut self, path: &Path) -> Result<()> {
        loop {
            self.limit = 0;
            if self.reader.has_read_ahead() {
                let limit = self.limit_of_durable()?;
                let has_more = limit > self.reader.given;
                if !has_more && self.options.follow && !self.quiet.is_long() {
                    return Err(Error::End);
                }
                if self.is_lineage_current(path)? {
                    self.limit = limit;
                    return if self.has_events() { Ok(()) } else { Err(Error::End) };
                }
                continue;
            }
            match self.read_memory()? {
                Looked::Events => {}
                Looked::Nothing => return Err(Error::End),
                Looked::Elsewhere => {
                    let filled = self.reader.fill();
                    let is_current = self.is_lineage_current(path)?;
                    match filled {
                        // Told once, and then it goes on behind the gap.
                        Err(error) if error.cause() == Some(Cause::Gap) => return Err(error),
                        _ if !is_current => continue,
                        filled => filled?,
                    }
                }
            }
            self.quiet.end();
            if !self.options.durable_only {
                self.limit = self.reader.batch.len();
                return Ok(());
            }
        }
    }

    /// Looks for events in mapped memory alone.
    #[inline]
    fn read_memory(&mut self) -> Result<Looked> {
        let reader = &mut self.reader;
        if reader.gap.is_some() || reader.is_past_end() {
            return Ok(Looked::Elsewhere);
        }
        let is_mapped = |segment: &&mut Box<Segment>| segment.cursor.is_mapped();
        let Some(segment) = reader.segment.as_mut().filter(is_mapped) else {
            return Ok(Looked::Elsewhere);
        };
        if segment.cursor.is_at_end_of_mapped() {
            return Ok(match self.quiet.is_long() {
                true => Looked::Elsewhere,
                false => Looked::Nothing,
            });
        }
        // Given back first, so that the next events are read into the same memory.
        (reader.batch, reader.given) = (Batch::default(), 0);
        if segment.cursor.step(reader.from)? != Step::Block {
            return Ok(Looked::Elsewhere);
        }
        let (batch, last) = (segment.cursor.take_batch(), segment.cursor.last_event_id());
        let is_half_read = segment.cursor.is_half_read();
        reader.receive(batch, last);
        if reader.batch.is_empty() {
            return Ok(Looked::Elsewhere);
        }
        reader.counts.events += reader.batch.len() as u64;
        if is_half_read && reader.prepared.is_none() {
            self.open_ahead();
        }
        Ok(Looked::Events)
    }

    /// Opens the segment behind, if it is prepared.
    #[cold]
    fn open_ahead(&mut self) {
        let reader = &mut self.reader;
        let Some(next) = reader.segment.as_ref().and_then(|found| found.index.checked_add(1))
        else {
            return;
        };
        let name = file_name::hot(next);
        if !matches!(reader.files.wal.status_of(&name), Ok(Some(_))) {
            return;
        }
        // What is wrong with it is found when its time has come.
        let found = reader.files.open_segment(next, 0).ok().flatten();
        reader.prepared = found.filter(|found| found.cursor.is_mapped());
    }

    /// The highest id that is durable, as far as it is told: by the control file of the generation
    /// that was read, or, where there is none, by what is on disk.
    fn watermark(&mut self) -> Result<u64> {
        let Some(record) = self.lineage.record() else { return self.reader.files.durable_id() };
        if record.clean {
            return Ok(MAX_EVENT_ID);
        }
        if self.control.is_none() {
            self.control = self.reader.files.control(record);
        }
        match &self.control {
            Some(control) => Ok(control.durable().last_event_id),
            None => self.reader.files.durable_id(),
        }
    }

    /// How many of the events that were read are durable.
    fn limit_of_durable(&mut self) -> Result<usize> {
        let is_closed = |reader: &Reader| {
            reader.segment.as_ref().is_some_and(|segment| segment.cursor.is_closed())
        };
        // A segment is closed when all of it is durable.
        if !self.options.durable_only || is_closed(&self.reader) {
            return Ok(self.reader.batch.len());
        }
        let next = self.reader.batch.events()[self.reader.given].event_id;
        if self.durable < next {
            self.durable = self.watermark()?;
        }
        let events = self.reader.batch.events();
        Ok(events.partition_point(|event| event.event_id <= self.durable))
    }

    /// Whether what was read and not given is still the log's. If not, it is dropped, and the next
    /// read goes on in the log as it is now; or this one has ended, which is the error.
    fn is_lineage_current(&mut self, path: &Path) -> Result<bool> {
        if self.lineage.is_current(&*self.reader.files.wal)? {
            return Ok(true);
        }
        let (files, now) = match self.find_now(path)? {
            Some(found) => found,
            // Nothing has taken its place.
            None => return Ok(true),
        };
        let Some(record) = now.record() else { return Ok(true) };
        if !self.lineage.leads_to(record) {
            self.has_ended = true;
            let message = format!(
                "{}: the log that was followed is gone, and another one is in its place",
                path.display()
            );
            return Err(Error::new(Cause::NotFound, message));
        }
        let cut = self.lineage.lowest_cut(record);
        if let Some(cut) = cut.filter(|cut| cut.last_event_id < self.shown) {
            return Err(self.taken_back(path, record, cut.last_event_id));
        }
        let is_moved = files.is_some();
        if let Some(files) = files {
            self.reader.files = Arc::new(files);
        }
        self.lineage = now;
        let is_below = cut.is_some_and(|cut| cut.last_event_id < self.reader.floor);
        self.read_again(is_moved || is_below)?;
        Ok(false)
    }

    /// The identity that has taken the place of the one that is known, and its files if they are
    /// not the known ones.
    fn find_now(&self, path: &Path) -> Result<Option<(Option<LogFiles>, Lineage)>> {
        let files = &self.reader.files;
        if files.wal.status()?.links > 0 {
            return Ok(Some((None, Lineage::read(&*files.wal)?)));
        }
        match LogFiles::open(Arc::clone(&files.storage), path, files.how()) {
            Err(error) if error.cause() == Some(Cause::NotFound) => Ok(None),
            Err(error) => Err(error),
            Ok(mut there) => {
                there.follows = files.follows;
                let lineage = Lineage::read(&*there.wal)?;
                Ok(Some((Some(there), lineage)))
            }
        }
    }

    fn taken_back(&mut self, path: &Path, now: &IdentityRecord, kept: u64) -> Error {
        self.has_ended = true;
        let ids = (kept + 1, self.shown);
        let message = format!(
            "{}: events {} to {} were read here and are not in the log any more: generation {} was \
             opened without them (wal_identity); drop what they did, and seek",
            path.display(),
            ids.0,
            ids.1,
            now.generation,
        );
        let place = Place { event_ids: Some(ids), ..Place::default() };
        Error::new(Cause::Corrupt, message).at(place)
    }

    /// Drops what was read and not given.
    fn read_again(&mut self, from_the_headers: bool) -> Result<()> {
        let reader = &mut self.reader;
        if let Some(next) = reader.batch.events().get(reader.given) {
            reader.from = next.event_id;
        }
        (reader.batch, reader.given, self.durable) = (Batch::default(), 0, 0);
        (reader.segment, reader.prepared, self.control) = (None, None, None);
        match from_the_headers {
            true => reader.seek(reader.from),
            false => Ok(()),
        }
    }
}

/// What a look into memory came to.
enum Looked {
    Events,
    Nothing,
    /// Files are to be looked at.
    Elsewhere,
}
