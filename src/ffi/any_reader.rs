//! What stands behind a handle of a reader: one that ends, or one that follows, and the hold that
//! it moves along.

use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::format::RequestEvent;
use crate::keep::Bookmark;
use crate::replay::{Follower, Look, Reader, ReaderMetrics};

#[derive(Debug)]
pub(super) struct AnyReader {
    source: Source,
    bookmark: Option<Box<Bookmark>>,
}

#[derive(Debug)]
pub(super) enum Source {
    Ending(Box<Reader>),
    Following(Box<Follower>),
}

impl AnyReader {
    pub(super) fn new(source: Source) -> Self {
        AnyReader { source, bookmark: None }
    }

    /// Begins where the hold stands, and moves it from now on.
    pub(super) fn resume(&mut self, (bookmark, begin): (Bookmark, u64)) -> Result<()> {
        self.seek(begin)?;
        self.bookmark = Some(Box::new(bookmark));
        Ok(())
    }

    /// The caller is done with what it was given before.
    fn pass(&mut self) -> Result<()> {
        match &mut self.bookmark {
            // What was read ahead is given without a system call.
            Some(bookmark) if !self.source.has_read_ahead() => bookmark.pass(),
            _ => Ok(()),
        }
    }

    /// Moves the hold past what the caller is done with: not what it was given last.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.bookmark.as_mut().map_or(Ok(()), |bookmark| bookmark.move_now())
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<RequestEvent> {
        if self.bookmark.is_none() {
            return self.source.next();
        }
        self.pass()?;
        let event = self.source.next()?;
        if let Some(bookmark) = &mut self.bookmark {
            bookmark.give(event.event_id);
        }
        Ok(event)
    }

    /// The next event, or that there is none yet, if a follower finds that without a system call.
    #[inline]
    pub(super) fn look(&mut self) -> Look {
        match (&mut self.source, &self.bookmark) {
            (Source::Following(follower), None) => follower.look(),
            _ => Look::Elsewhere,
        }
    }

    pub(super) fn next_batch(&mut self) -> Result<&[RequestEvent]> {
        self.pass()?;
        let events = self.source.next_batch()?;
        if let (Some(bookmark), Some(last)) = (&mut self.bookmark, events.last()) {
            bookmark.give(last.event_id);
        }
        Ok(events)
    }

    pub(super) fn seek(&mut self, event_id: u64) -> Result<()> {
        self.source.seek(event_id)
    }

    pub(super) fn seek_time(&mut self, time: u64) -> Result<()> {
        self.source.seek_time(time)
    }

    pub(super) fn metrics(&self) -> ReaderMetrics {
        self.source.metrics()
    }

    /// `None`: for ever.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.pass()?;
        self.source.wait(timeout)
    }

    /// Whether the next event can be given without a system call.
    #[inline]
    pub(super) fn has_read_ahead(&self) -> bool {
        self.source.has_read_ahead()
    }
}

impl Source {
    #[inline]
    fn next(&mut self) -> Result<RequestEvent> {
        match self {
            Source::Ending(reader) => reader.next(),
            Source::Following(follower) => follower.next(),
        }
    }

    fn next_batch(&mut self) -> Result<&[RequestEvent]> {
        match self {
            Source::Ending(reader) => reader.next_batch(),
            Source::Following(follower) => follower.next_batch(),
        }
    }

    fn seek(&mut self, event_id: u64) -> Result<()> {
        match self {
            Source::Ending(reader) => reader.seek(event_id),
            Source::Following(follower) => follower.seek(event_id),
        }
    }

    fn seek_time(&mut self, time: u64) -> Result<()> {
        match self {
            Source::Ending(reader) => reader.seek_time(time),
            Source::Following(follower) => follower.seek_time(time),
        }
    }

    fn metrics(&self) -> ReaderMetrics {
        match self {
            Source::Ending(reader) => reader.metrics(),
            Source::Following(follower) => follower.metrics(),
        }
    }

    /// `None`: for ever.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        match self {
            Source::Ending(_) => {
                let message = "reader does not follow: it was opened without FS_WAL_READER_FOLLOW";
                Err(Error::new(Cause::InvalidArgument, message))
            }
            Source::Following(follower) => follower.wait(timeout),
        }
    }

    /// Whether the next event can be given without a system call.
    #[inline]
    fn has_read_ahead(&self) -> bool {
        match self {
            Source::Ending(reader) => reader.has_read_ahead(),
            Source::Following(follower) => follower.has_read_ahead(),
        }
    }
}
