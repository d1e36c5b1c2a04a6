//! A hold that a reader moves along, so that a consumer that is started again goes on by itself.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::format::MAX_EVENT_ID;

use super::hold::Hold;
use super::wal_directory::WalDirectory;

/// A move takes a lock and writes: not more often than this.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);

/// Where a consumer stands. What it was given last it may still be at; to come back for more is to
/// be done with that.
#[derive(Debug)]
pub struct Bookmark {
    hold: Hold,
    /// Whose hold it is: a forked child reads on and moves nothing.
    process: u32,
    moved_at: Instant,
    /// The last event given to the consumer; 0 = none yet.
    given: u64,
    /// The last event that it is done with; 0 = none.
    done: u64,
}

impl Bookmark {
    /// Opens the hold of this name, or makes it at the oldest event there is. Returns it, and the
    /// event to begin with.
    pub fn open(directory: WalDirectory, name: &str) -> Result<(Self, u64)> {
        let hold = Hold::open(directory, name, 0)?;
        let begin = hold.event_id()?;
        let process = std::process::id();
        Ok((Bookmark { hold, process, moved_at: Instant::now(), given: 0, done: 0 }, begin))
    }

    /// This event is given, and all before it: the consumer has it until it comes back.
    #[inline]
    pub fn give(&mut self, event_id: u64) {
        (self.done, self.given) = (self.given, event_id);
    }

    /// The consumer has come back: it is done with what it was given. Moves the hold past that, at
    /// most once a second. A failure is returned again by every call that would move it.
    pub fn pass(&mut self) -> Result<()> {
        self.done = self.given;
        if self.moved_at.elapsed() < MOVE_INTERVAL {
            return Ok(());
        }
        self.move_now()?;
        self.moved_at = Instant::now();
        Ok(())
    }

    /// Moves the hold past what the consumer is done with, whenever it was moved last.
    pub fn move_now(&mut self) -> Result<()> {
        if self.done == 0 || self.process != std::process::id() {
            return Ok(());
        }
        self.hold.move_to((self.done + 1).min(MAX_EVENT_ID))
    }
}
