//! Reads a log from event to event, across its segments.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Cause, Error, Place, Result};
use crate::format::{RequestEvent, EVENTS_PER_BLOCK};
use crate::storage::{PosixStorage, Storage};

use super::segment_reader::Step;
use super::segment_source::{LogFiles, SegmentSource};

/// How a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Every block's checksums are checked before its events are given out.
    pub verify: bool,
}

/// Reads a log. For one thread at a time.
///
/// At the end it answers [`Error::End`]; asked again later, it goes on where it stopped, with what
/// has been appended since.
pub struct Reader {
    files: LogFiles,
    /// The segment being read, and its index.
    segment: Option<(u32, SegmentSource)>,
    /// The index to open next; `None` = the oldest there is.
    next_index: Option<u32>,
    /// The last event read from the files; 0 = none.
    last_event_id: u64,
    /// Events below this id are passed over.
    from_event_id: u64,
    events: Vec<RequestEvent>,
    given: usize,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("files", &self.files)
            .field("last_event_id", &self.last_event_id)
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
        Ok(Reader {
            files: LogFiles::open(storage, directory, options.verify)?,
            segment: None,
            next_index: None,
            last_event_id: 0,
            from_event_id: 0,
            events: Vec::with_capacity(EVENTS_PER_BLOCK),
            given: 0,
        })
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

    /// The next events, at least one: what is left of a block. Valid until the next call.
    pub fn next_batch(&mut self) -> Result<&[RequestEvent]> {
        if self.given == self.events.len() {
            self.fill()?;
        }
        let from = std::mem::replace(&mut self.given, self.events.len());
        Ok(&self.events[from..])
    }

    /// Goes to the first event with this id or a higher one.
    pub fn seek(&mut self, event_id: u64) -> Result<()> {
        let indexes: Vec<u32> = self.files.inventory()?.indexes().into_iter().collect();
        // The last segment that begins at or below the id. Unused ones begin nowhere.
        let (mut low, mut high) = (0, indexes.len());
        let mut floor = 0;
        while low < high {
            let middle = (low + high) / 2;
            match self.files.first_event_id(indexes[middle])? {
                Some(first) if first != 0 && first <= event_id => {
                    floor = first - 1;
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        self.segment = None;
        self.next_index = low.checked_sub(1).map(|at| indexes[at]);
        self.last_event_id = floor;
        self.from_event_id = event_id;
        self.events.clear();
        self.given = 0;
        Ok(())
    }

    /// Gets the next events that are wanted.
    fn fill(&mut self) -> Result<()> {
        self.events.clear();
        self.given = 0;
        loop {
            let (index, step) = match &mut self.segment {
                Some((index, source)) => {
                    (*index, source.step(self.last_event_id, &mut self.events)?)
                }
                None => {
                    self.enter()?;
                    continue;
                }
            };
            match step {
                Step::Events => {
                    let Some(last) = self.events.last() else { continue };
                    self.last_event_id = last.event_id;
                    let from = self.from_event_id;
                    self.given = self.events.partition_point(|event| event.event_id < from);
                    if self.given < self.events.len() {
                        return Ok(());
                    }
                    self.events.clear();
                    self.given = 0;
                }
                Step::Complete => {
                    self.segment = None;
                    self.next_index = Some(index.checked_add(1).ok_or(Error::End)?);
                }
                Step::End => return Err(self.at_end(index)),
            }
        }
    }

    /// The end of the log. What is there of this segment may be elsewhere when we are asked again.
    fn at_end(&mut self, index: u32) -> Error {
        if self.segment.as_ref().is_some_and(|(_, source)| source.is_spent()) {
            self.segment = None;
            self.next_index = Some(index);
            // The segment is read again from its beginning then; what was given out is passed over.
            self.from_event_id = self.from_event_id.max(self.last_event_id + 1);
            self.last_event_id = 0;
        }
        Error::End
    }

    /// Opens the next segment.
    fn enter(&mut self) -> Result<()> {
        let index = match self.next_index {
            Some(index) => index,
            None => *self.files.inventory()?.indexes().first().ok_or(Error::End)?,
        };
        match self.files.open_segment(index, self.last_event_id)? {
            Some(source) => {
                self.segment = Some((index, source));
                self.next_index = Some(index);
                Ok(())
            }
            None => Err(self.missing(index)?),
        }
    }

    /// The segment to go on with is not there: the end, or what is missing.
    fn missing(&self, index: u32) -> Result<Error> {
        let indexes = self.files.inventory()?.indexes();
        let Some(&next) = indexes.range(index..).next() else { return Ok(Error::End) };
        let place = Place { segment_index: Some(index), ..Place::default() };
        if indexes.first() != Some(&next) {
            let path = self.files.path_of(index);
            let message = format!("{}: missing, though segment {next} is there", path.display());
            return Ok(Error::new(Cause::Corrupt, message).at(place));
        }
        let first = self.files.first_event_id(next)?.unwrap_or(0);
        let from = self.last_event_id.max(self.from_event_id.saturating_sub(1)) + 1;
        let message = format!("retention has removed events {from} to {}", first.saturating_sub(1));
        let place = Place { event_ids: Some((from, first.saturating_sub(1))), ..place };
        Ok(Error::new(Cause::Gap, message).at(place))
    }
}
