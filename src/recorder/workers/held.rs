//! What holds and snapshots make retention keep: the maintainer asks here before it deletes, and
//! here what keeps too much is given up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::keep::{HoldsLock, Keeper, Keepers, KeptFor, Seen};
use crate::recorder::log::Log;

/// How often it is looked for snapshots that have expired, when nothing is deleted.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long somebody may publish before that is reported. It takes a few syncs.
const LONGEST_PUBLISHING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Held {
    keepers: Keepers,
    looked_at: Option<Instant>,
    /// Since when the lock has been somebody else's.
    refused_since: Option<Instant>,
    is_refusal_told: bool,
    /// What cannot be read, and was reported.
    unreadable: BTreeSet<String>,
    /// Whether it was reported that events are kept beyond the limits.
    is_told: bool,
}

/// What is kept beyond the limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Excess {
    /// How much.
    pub bytes: u64,
    /// Where the lowest hold or snapshot stood when that was found.
    pub floor: u64,
    /// The last event of it, if that is known.
    pub last_event_id: Option<u64>,
}

/// While this lives nobody publishes.
#[derive(Debug)]
pub struct Entered {
    lock: HoldsLock,
    seen: Seen,
}

impl Entered {
    /// The event from which on nothing may be deleted; 0 = none.
    pub fn floor(&self) -> u64 {
        self.seen.floor()
    }
}

impl Held {
    pub fn new(keepers: Keepers) -> Self {
        Held {
            keepers,
            looked_at: None,
            refused_since: None,
            is_refusal_told: false,
            unreadable: BTreeSet::new(),
            is_told: false,
        }
    }

    /// Removes snapshots that have expired, every few seconds.
    pub fn look(&mut self, log: &Log) -> Result<()> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL) {
            self.looked_at = Some(Instant::now());
            drop(self.enter(log)?);
        }
        Ok(())
    }

    /// What must be kept now, and the right to delete the rest; `None` while somebody publishes.
    pub fn enter(&mut self, log: &Log) -> Result<Option<Entered>> {
        let lock = match self.keepers.try_lock() {
            Err(error) if error.cause() == Some(Cause::Locked) => {
                self.tell_refused(log, &error);
                return Ok(None);
            }
            lock => lock?,
        };
        (self.refused_since, self.is_refusal_told) = (None, false);
        let seen = self.keepers.look()?;
        self.tell_unreadable(log, &seen.unreadable);
        for &event_id in &seen.expired {
            self.keepers.remove_snapshot(event_id)?;
            let name = file_name::snapshot(event_id);
            log.config.log.info(&format!("{name} has expired, and is deleted"));
        }
        Ok(Some(Entered { lock, seen }))
    }

    /// Whether what was seen still counts: nobody can have published meanwhile. To be asked at the
    /// last moment before something is deleted.
    pub fn is_inside(&self, entered: &Entered) -> Result<bool> {
        self.keepers.is_locked_by(&entered.lock)
    }

    /// What is kept beyond the limits now. Returns whether something was given up for that, so that
    /// more can be deleted now.
    pub fn keep(&mut self, log: &Log, excess: Excess) -> Result<bool> {
        let bytes = excess.bytes;
        log.counts.set_held_bytes(bytes);
        let limit = log.config.max_held_bytes;
        if limit > 0 && bytes > limit {
            return self.break_lowest(log, excess);
        }
        if bytes > 0 && !self.is_told {
            if let Some(lowest) = self.enter(log)?.as_ref().and_then(|now| now.seen.lowest()) {
                let (name, from) = (lowest.name(), lowest.event_id);
                let path = log.wal.path().display();
                log.config.log.warn(&format!(
                    "{path}: {bytes} bytes are kept beyond the limits: {name} holds the events \
                     from {from} on"
                ));
                self.is_told = true;
            }
        }
        self.is_told &= bytes > 0;
        Ok(false)
    }

    /// Gives up what holds the most.
    fn break_lowest(&mut self, log: &Log, excess: Excess) -> Result<bool> {
        let Excess { bytes, floor, last_event_id } = excess;
        let Some(entered) = self.enter(log)? else { return Ok(false) };
        let Some(lowest) = entered.seen.lowest() else { return Ok(true) };
        if lowest.event_id > floor {
            // What held so much has let go since. This one may hold little.
            return Ok(true);
        }
        self.keepers.break_it(lowest)?;
        log.counters().maintainer.broken_holds.add(1);
        let Keeper { of, event_id } = lowest;
        let kind = match of {
            KeptFor::Hold(_) => "its owner gets a gap",
            KeptFor::Snapshot(_) => "it cannot be recovered from any more",
        };
        let to = last_event_id.map_or(String::new(), |last| format!(" to {last}"));
        let (path, limit) = (log.wal.path().display(), log.config.max_held_bytes);
        let (name, broken) = (lowest.name(), file_name::broken(&lowest.name()));
        log.config.log.warn(&format!(
            "{path}: {name} was broken, and is {broken} now: {bytes} bytes were kept beyond the \
             limits, and max_held_bytes is {limit}; it held the events from {event_id}{to}, and \
             {kind}"
        ));
        Ok(true)
    }

    fn tell_refused(&mut self, log: &Log, error: &Error) {
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= LONGEST_PUBLISHING && !self.is_refusal_told {
            self.is_refusal_told = true;
            log.config.log.warn(&format!("nothing is deleted while this is locked: {error}"));
        }
    }

    fn tell_unreadable(&mut self, log: &Log, unreadable: &[Error]) {
        let now: BTreeSet<String> = unreadable.iter().map(Error::to_string).collect();
        for message in now.difference(&self.unreadable) {
            log.config.log.warn(message);
        }
        self.unreadable = now;
    }
}
