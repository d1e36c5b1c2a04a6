//! Reads a log from event to event: what the caller gets next, and what is reported instead.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::directory::load_identity;
use crate::error::{Error, Result};
use crate::format::RequestEvent;
use crate::segment::{Batch, Damage, DamageKind, Step};
use crate::storage::{Directory, PosixStorage, Slots, Storage};

use super::counts::{Counts, ReaderMetrics};
use super::log_files::{How, LogFiles, Segment};
use super::preloader::{Loaded, Preloader};

/// How often in a row the files may contradict each other before that counts: a listing is not a
/// snapshot, and the writer goes on meanwhile.
const LOOKS: u32 = 10;

/// How a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Every block's checksums are checked before its events are given out.
    pub verify: bool,
}

impl ReaderOptions {
    pub(super) fn how(self) -> How {
        match self.verify {
            true => How::Checked,
            false => How::Unverified,
        }
    }
}

/// Reads a log. For one thread at a time.
///
/// At the end it returns [`Error::End`]; asked again later, it goes on where it stopped, with what
/// has been appended since. When retention was faster it reports that once
/// ([`Gap`](crate::error::Cause::Gap)) and goes on at the oldest event there is. After any other
/// error it stays where it was: asked again, it tries again. One that salvages does not: it reports
/// every damage once and goes on behind it.
///
/// The segment it stands in is held, by its disk file: what retention deletes meanwhile can be read
/// to its end.
pub struct Reader {
    pub(super) files: Arc<LogFiles>,
    pub(super) segment: Option<Box<Segment>>,
    /// The segment to open when none is; `None` = the oldest there is.
    pub(super) next_index: Option<u32>,
    /// The last event before that segment, as far as it is known.
    pub(super) floor: u64,
    /// Events below this id are passed over: they were read already, or a seek went past them.
    pub(super) from: u64,
    /// Events that were read, and how many of them were given out.
    pub(super) batch: Batch,
    pub(super) given: usize,
    /// Events behind damage that is not reported yet.
    pub(super) behind_damage: Batch,
    /// A follower's: the segment behind, opened before its time.
    pub(super) prepared: Option<Box<Segment>>,
    pub(super) salvages: bool,
    /// The last damage that was reported. Damage to events below `sought` is not reported.
    pub(super) reported: Option<(u32, u64, DamageKind)>,
    pub(super) sought: u64,
    /// Reported by the next read, once.
    pub(super) gap: Option<Error>,
    /// Events before the first one of this time or a later one are passed over.
    pub(super) from_time: Option<u64>,
    end_event_id: u64,
    pub(super) preloader: Option<Preloader>,
    /// The segment that the reader stands in is with the preloader.
    pub(super) ahead: bool,
    /// The segment was just opened, and nothing was read of it.
    pub(super) is_new: bool,
    /// Of the next step, which was taken ahead.
    pub(super) outcome: Option<Result<Step>>,
    pub(super) counts: Counts,
    /// What the last segment was read into, for the next one.
    pub(super) memory: Vec<Arc<Slots>>,
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
        Ok(Self::begin(LogFiles::open(storage, directory, options.how())?))
    }

    /// Opens a log that may be damaged, to read around what is wrong with it.
    pub fn open_salvaging(directory: &Path) -> Result<Reader> {
        Self::open_salvaging_with(Arc::new(PosixStorage::for_reading()), directory)
    }

    /// The same, on any storage.
    pub fn open_salvaging_with(storage: Arc<dyn Storage>, directory: &Path) -> Result<Reader> {
        Ok(Self::begin(LogFiles::open(storage, directory, How::Salvage)?))
    }

    /// The same, for whoever makes a log of all that is left. Where the log does not name its
    /// active directory any more, or has it elsewhere now, it is looked for in `parent`; and what
    /// is sealed on disk is taken before what is in memory.
    pub fn open_salvaging_beside(directory: &Path, parent: &Path) -> Result<Reader> {
        let storage = Arc::new(PosixStorage::for_reading());
        let mut files = LogFiles::open(storage, directory, How::Salvage)?;
        files.memory_parent = Some(parent.to_owned());
        Ok(Self::begin(files))
    }

    /// The active directory that it reads in, if there is one that counts.
    pub fn active_directory(&self) -> Result<Option<Arc<dyn Directory>>> {
        self.files.active_directory(&load_identity(&*self.files.wal)?)
    }

    /// Begins at the oldest event.
    pub(super) fn begin(files: LogFiles) -> Reader {
        let mut reader = Reader {
            salvages: files.how() == How::Salvage,
            files: Arc::new(files),
            segment: None,
            next_index: None,
            floor: 0,
            from: 1,
            batch: Batch::default(),
            given: 0,
            behind_damage: Batch::default(),
            prepared: None,
            reported: None,
            sought: 0,
            gap: None,
            from_time: None,
            end_event_id: 0,
            preloader: None,
            ahead: false,
            is_new: false,
            outcome: None,
            counts: Counts::default(),
            memory: Vec::new(),
        };
        reader.hold();
        reader
    }

    /// What it has done so far.
    pub fn metrics(&self) -> ReaderMetrics {
        ReaderMetrics {
            counts: self.counts,
            threads: self.preloader.as_ref().map_or(0, Preloader::threads),
            active_denied: self.files.was_denied(),
        }
    }

    /// Has this many threads open, decompress and verify segments ahead. Before the first read.
    pub fn use_threads(&mut self, threads: u32) -> Result<()> {
        if threads > 0 {
            self.preloader = Some(Preloader::start(Arc::clone(&self.files), threads)?);
        }
        Ok(())
    }

    /// Reading ends behind this event; 0 = at the end of the log.
    pub fn end_behind(&mut self, event_id: u64) {
        self.end_event_id = event_id;
    }

    /// The next event.
    #[inline]
    #[allow(
        clippy::should_implement_trait,
        reason = "it is not an iterator: it goes on after its end"
    )]
    pub fn next(&mut self) -> Result<RequestEvent> {
        if self.given == self.batch.len() {
            self.fill()?;
        }
        let event = self.batch.events()[self.given];
        self.given += 1;
        Ok(event)
    }

    /// Whether the next event was read already, so that giving it takes no system call.
    pub fn has_read_ahead(&self) -> bool {
        self.given < self.batch.len()
    }

    /// The next events, at least one: what is left of a block. Valid until the next call.
    pub fn next_batch(&mut self) -> Result<&[RequestEvent]> {
        if self.given == self.batch.len() {
            self.fill()?;
        }
        let from = std::mem::replace(&mut self.given, self.batch.len());
        Ok(&self.batch.events()[from..])
    }

    /// Reads the next wanted events: at least one.
    #[cold]
    pub(super) fn fill(&mut self) -> Result<()> {
        self.drop_batch();
        if let Some(gap) = self.gap.take() {
            return Err(gap);
        }
        let mut looks = 0;
        loop {
            // What was met on the way to the end comes before it.
            self.report_damage(&mut looks)?;
            if self.batch.is_empty() {
                self.batch = std::mem::take(&mut self.behind_damage);
            }
            if !self.batch.is_empty() {
                self.counts.events += self.batch.len() as u64;
                return Ok(());
            }
            if self.is_past_end() {
                return Err(Error::End);
            }
            if self.ahead && self.take_ahead() {
                continue;
            }
            if self.segment.is_none() {
                self.enter(&mut looks)?;
                continue;
            }
            if self.is_new && self.read_ahead_from_here() {
                continue;
            }
            self.step(&mut looks)?;
        }
    }

    /// One step in the segment that the reader stands in.
    fn step(&mut self, looks: &mut u32) -> Result<()> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let step = self.outcome.take().unwrap_or_else(|| segment.cursor.step(self.from));
        self.counts.effort.add(&segment.cursor.take_effort());
        match step {
            Ok(Step::Block) => {
                let (batch, last) = (segment.cursor.take_batch(), segment.cursor.last_event_id());
                self.receive(batch, last);
            }
            // The end is met again once the damage is reported.
            Ok(Step::Complete | Step::End) if segment.cursor.has_damage() => {}
            Ok(Step::Complete) => self.leave(looks)?,
            // What was read of it is passed over in its disk file.
            Ok(Step::Moved) => self.segment = self.files.on_disk(segment, self.floor)?,
            Ok(Step::End) => {
                let end = segment.cursor.last_event_id();
                self.stop_at(end, looks)?;
            }
            Err(error) => {
                let unchanged = self.files.is_unchanged(segment)?;
                self.segment = None;
                if unchanged || !self.look_again(looks) {
                    self.counts.damages += 1;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes what a block has of the wanted events. `last`: the last one in it.
    pub(super) fn receive(&mut self, mut batch: Batch, last: u64) {
        let events = batch.events();
        let mut first = events.partition_point(|event| event.event_id < self.from);
        if let Some(time) = self.from_time {
            let there = events[first..].iter().position(|event| event.timestamp >= time);
            first = there.map_or(events.len(), |there| first + there);
            if there.is_some() {
                self.from_time = None;
            }
        }
        if self.end_event_id != 0 {
            let wanted = events.partition_point(|event| event.event_id <= self.end_event_id);
            batch.keep_first(wanted.max(first));
        }
        batch.drop_first(first);
        self.batch = batch;
        self.from = self.from.max(last.saturating_add(1));
    }

    pub(super) fn is_past_end(&self) -> bool {
        self.end_event_id != 0 && self.from > self.end_event_id
    }

    pub(super) fn drop_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.given = 0;
        if let Some(preloader) = &self.preloader {
            preloader.give_back(batch);
        }
    }

    /// Takes what was read ahead of the segment. `false` when the reader goes on in it by itself.
    fn take_ahead(&mut self) -> bool {
        let Some(preloader) = &mut self.preloader else { return false };
        match preloader.next(&mut self.counts) {
            Loaded::Batch(batch, last) => {
                self.receive(batch, last);
                true
            }
            Loaded::Back(segment, outcome) => {
                (self.segment, self.outcome, self.ahead) = (Some(segment), outcome, false);
                false
            }
            Loaded::Nothing => {
                // A forked child has none of the threads. It finds the segment again, and passes
                // over what was read of it.
                (self.preloader, self.ahead) = (None, false);
                false
            }
        }
    }

    /// Has the threads go on from here, if there are some.
    fn read_ahead_from_here(&mut self) -> bool {
        self.is_new = false;
        let Some(preloader) = &mut self.preloader else { return false };
        let Some(segment) = self.segment.take_if(|segment| !segment.cursor.is_damaged()) else {
            return false;
        };
        preloader.adopt(*segment, self.floor, self.from);
        self.ahead = true;
        true
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
            self.counts.damages += 1;
            if !self.batch.is_empty() {
                self.behind_damage = std::mem::take(&mut self.batch);
            }
            return Err(damage.to_error());
        }
    }

    pub(super) fn is_news(&self, damage: &Damage) -> bool {
        let (first, last) = damage.event_ids;
        let is_before = last != 0 && last < self.sought;
        let is_behind = self.end_event_id != 0 && first > self.end_event_id;
        Some(damage.order()) > self.reported && !is_before && !is_behind
    }
}

pub(super) fn look_again(files: &LogFiles, looks: &mut u32) -> bool {
    *looks += 1;
    if *looks > 1 {
        files.pause();
    }
    *looks < LOOKS
}
