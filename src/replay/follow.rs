//! Follows a log while it is written, and reads one no further than it is durable.
//!
//! A follower is a [`Reader`](super::Reader) that does not end. Where that one stands in mapped
//! memory, looking for the next event is a load (`segment::memory`). At files it looks only when
//! the segment ends, when nothing has come for a while, or when the memory is not the log's any
//! more. Whatever it reads out of files counts only if `wal_identity` is the one it knows
//! (`lineage`): each open replaces that, and says there whether events may have been taken back.
//! Then what was read and not given is read again, or, if some of it was given, that is the end.

mod followed;
mod lineage;
mod options;
mod quiet;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::thread::{nanosleep, Timespec};

use crate::error::{Cause, Error, Result};
use crate::format::RequestEvent;
use crate::segment::{Look, Sought};
use crate::storage::{PosixStorage, Storage};

use super::counts::ReaderMetrics;
use super::log_files::LogFiles;
use followed::Followed;
pub use options::{FollowOptions, DEFAULT_SPIN};

/// The first sleep, and the longest one.
const SHORTEST_SLEEP: Duration = Duration::from_micros(50);
const LONGEST_SLEEP: Duration = Duration::from_millis(1);
/// Looks between two at the clock while spinning.
const LOOKS_PER_CLOCK: u32 = 16;

/// A place in a log that goes on. For one thread at a time.
pub struct Follower {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    options: FollowOptions,
    /// `None` while there is no log.
    log: Option<Followed>,
    /// Where to begin when it comes; `None` = at its oldest event.
    sought: Option<Sought>,
    /// Why it does not go on.
    over: Option<Error>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Follower {
    /// Opens a log at its oldest event.
    pub fn open(directory: &Path, options: FollowOptions) -> Result<Follower> {
        Self::open_with(Arc::new(PosixStorage::for_reading()), directory, options)
    }

    /// The same, on any storage.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        directory: &Path,
        options: FollowOptions,
    ) -> Result<Follower> {
        let mut follower = Follower {
            storage,
            path: directory.to_owned(),
            options,
            log: None,
            sought: None,
            over: None,
        };
        match follower.find_log() {
            Err(Error::WouldBlock) if options.follow => {}
            found => found?,
        }
        // It is looked for again later, when the process may be somewhere else.
        if let Ok(path) = std::path::absolute(directory) {
            follower.path = path;
        }
        Ok(follower)
    }

    /// The next event. [`Error::WouldBlock`] when there is none yet.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "it is not an iterator: it does not end")]
    pub fn next(&mut self) -> Result<RequestEvent> {
        Ok(self.ready()?.give_one())
    }

    /// The next event, or that there is none yet, if mapped memory tells; there is no system call.
    #[inline]
    pub fn look(&mut self) -> Look {
        match &mut self.log {
            Some(log) if self.over.is_none() => log.look(),
            _ => Look::Elsewhere,
        }
    }

    /// The next events, at least one. Valid until the next call.
    pub fn next_batch(&mut self) -> Result<&[RequestEvent]> {
        Ok(self.ready()?.give_all())
    }

    /// Whether the next event can be given without a system call.
    pub fn has_read_ahead(&self) -> bool {
        self.log.as_ref().is_some_and(Followed::has_events)
    }

    /// Goes to the first event with this id or a higher one. What ended a follower is forgotten.
    pub fn seek(&mut self, event_id: u64) -> Result<()> {
        self.begin_at(Sought::Id(event_id))
    }

    /// Goes to the first event of this time or a later one, as [`super::Reader::seek_time`].
    pub fn seek_time(&mut self, time: u64) -> Result<()> {
        self.begin_at(Sought::Time(time))
    }

    fn begin_at(&mut self, sought: Sought) -> Result<()> {
        let Some(log) = &mut self.log else {
            self.sought = Some(sought);
            return Ok(());
        };
        log.seek(sought)?;
        match self.over.take() {
            None => Ok(()),
            Some(_) => log.begin_again(),
        }
    }

    /// What it has done so far.
    pub fn metrics(&self) -> ReaderMetrics {
        self.log.as_ref().map_or_else(ReaderMetrics::default, Followed::metrics)
    }

    /// Waits until [`Follower::next`] has an event, or fails as that would. `None`: for ever.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        if !self.options.follow {
            let message = "reader: only one that follows can wait (FS_WAL_READER_FOLLOW)";
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        let begin = Instant::now();
        let mut sleep = SHORTEST_SLEEP;
        loop {
            for _ in 0..LOOKS_PER_CLOCK {
                match self.ready() {
                    Err(Error::WouldBlock) => {}
                    ready => return ready.map(|_| ()),
                }
                if !self.is_in_memory() {
                    break;
                }
            }
            let waited = begin.elapsed();
            let left = timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(waited));
            if left.is_zero() {
                return Err(Error::Timeout);
            }
            if waited < self.options.spin && self.is_in_memory() {
                continue;
            }
            rest(sleep.min(left));
            sleep = (sleep * 2).min(LONGEST_SLEEP);
            if let Some(log) = &mut self.log {
                log.has_rested()?;
            }
        }
    }

    fn is_in_memory(&self) -> bool {
        self.log.as_ref().is_some_and(Followed::is_in_memory)
    }

    /// The log, with an event to give.
    #[inline]
    fn ready(&mut self) -> Result<&mut Followed> {
        if !self.has_read_ahead() {
            self.read()?;
        }
        self.log.as_mut().ok_or(Error::WouldBlock)
    }

    fn read(&mut self) -> Result<()> {
        if let Some(over) = &self.over {
            return Err(over.clone());
        }
        if self.log.is_none() {
            self.find_log()?;
        }
        let Some(log) = &mut self.log else { return Err(Error::WouldBlock) };
        match log.read(&self.path) {
            Err(Error::End) if self.options.follow && !log.is_past_end() => Err(Error::WouldBlock),
            Err(error) => {
                if log.has_ended() {
                    self.over = Some(error.clone());
                }
                Err(error)
            }
            read => read,
        }
    }

    /// Looks whether the log is there by now.
    fn find_log(&mut self) -> Result<()> {
        let how = self.options.read.how();
        let files = match LogFiles::open(Arc::clone(&self.storage), &self.path, how) {
            Err(error) if self.options.follow && error.cause() == Some(Cause::NotFound) => {
                return Err(Error::WouldBlock);
            }
            files => files?,
        };
        let mut log = Followed::begin(files, self.options)?;
        if let Some(sought) = self.sought {
            log.seek(sought)?;
        }
        self.log = Some(log);
        Ok(())
    }
}

/// Not the C library's sleep, which is a cancellation point. Interrupted or not, the next look is
/// due.
fn rest(time: Duration) {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    let _ = nanosleep(&time);
}
