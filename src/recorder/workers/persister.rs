//! Worker: follows the writer, makes its events durable as the policy says, and moves the
//! watermark.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::SyncMode;
use crate::error::Result;
use crate::format::MetaState;

use super::sealer::{Sealer, Staging};
use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::{Finished, Segment};
use crate::recorder::threads::Step;

/// First sleep between two looks for new events, doubled each time; and the sleep that is too long:
/// the persister parks instead, after 13 ms without an event, and the watcher looks in its place.
const SHORTEST_SLEEP: Duration = Duration::from_micros(50);
const LONGEST_SLEEP: Duration = Duration::from_millis(8);
/// The longest while somebody waits for an event that is not appended yet.
const LONGEST_AWAITED_SLEEP: Duration = Duration::from_millis(1);
/// Time until a push to a full ring of segments to close is tried again.
const CLOSE_RING_WAIT: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct Persister {
    log: Arc<Log>,
    current: Option<Sealer>,
    staging: Staging,
    /// A full segment that the maintainer has not taken yet.
    finished: Option<Finished>,
    sleep: Duration,
    last_sync: Instant,
    lag: Lag,
}

/// Since when the oldest event that is not durable waits.
#[derive(Debug, Default)]
struct Lag {
    durable_id: u64,
    since: Option<Instant>,
    last_look: Option<Instant>,
}

impl Lag {
    /// The events up to `appended_id` are there, those up to `durable_id` are durable.
    fn look(&mut self, now: Instant, appended_id: u64, durable_id: u64) -> Option<Instant> {
        let moved = std::mem::replace(&mut self.durable_id, durable_id) != durable_id;
        self.since = match self.since {
            _ if appended_id <= durable_id => None,
            // What is left came after the look before, which began the batch that is durable now.
            Some(_) if moved => self.last_look,
            since => since.or(Some(now)),
        };
        self.last_look = Some(now);
        self.since
    }
}

impl Worker for Persister {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        self.log.parking.leave();
        if !self.hand_to_maintainer() {
            return Ok(Step::RestFor(CLOSE_RING_WAIT));
        }
        let appended = self.log.appended();
        let durable_id = self.log.durable().last_event_id;
        let since = self.lag.look(Instant::now(), appended.last_event_id, durable_id);
        self.log.counts.set_behind_since(since);
        if self.persist(appended, stopping)? {
            self.sleep = SHORTEST_SLEEP;
            return Ok(Step::Busy);
        }
        if stopping {
            return self.finish_last();
        }
        if self.log.config.spin {
            std::hint::spin_loop();
            return Ok(Step::Busy);
        }
        Ok(self.rest(appended.last_event_id))
    }
}

impl Persister {
    /// Begins with the segment that the recovered log goes on in, and how many events it holds.
    pub fn new(log: Arc<Log>, current: Option<(Segment, u32)>) -> Result<Self> {
        let seal = |(segment, n)| Sealer::new(Arc::clone(&log), segment, n);
        let current = current.map(seal).transpose()?;
        let (staging, last_sync) = (Staging::new()?, Instant::now());
        let (sleep, lag) = (SHORTEST_SLEEP, Lag::default());
        Ok(Persister { log, current, staging, finished: None, sleep, last_sync, lag })
    }

    /// Makes durable what is due in the current segment. Returns whether something was done.
    fn persist(&mut self, appended: MetaState, stopping: bool) -> Result<bool> {
        let Some(sealer) = &mut self.current else {
            self.current = self.enter_next()?;
            return Ok(self.current.is_some());
        };
        let upto = sealer.appended(appended);
        debug_assert!(sealer.persisted() <= upto, "what is durable was appended");
        let capacity = sealer.segment().layout.capacity();
        if upto == sealer.persisted() && upto < capacity {
            return Ok(false);
        }
        if upto > sealer.persisted() {
            if !(stopping || upto == capacity || is_due(&self.log, self.last_sync)) {
                return Ok(false);
            }
            let is_first = sealer.persisted() == 0;
            sealer.persist(upto, &mut self.staging)?;
            if is_first {
                // The segment counts as hot from its first durable event on: one may expire now.
                self.log.signals.maintainer.raise();
            }
            self.last_sync = Instant::now();
            self.log.signals.coordinator.raise();
            sealer.look_ahead();
        }
        if sealer.persisted() == capacity {
            self.leave()?;
        }
        Ok(true)
    }

    /// Looks again soon, then less often, then only when the watcher sees an event after `seen_id`.
    fn rest(&mut self, seen_id: u64) -> Step {
        let sleep = self.sleep;
        let is_awaited = self.log.durability.is_awaited();
        let longest = longest_sleep(self.log.config.sync_mode, is_awaited);
        if sleep < longest || is_awaited || self.waits_for_its_time(seen_id) {
            self.sleep = (sleep * 2).min(longest);
            return Step::RestFor(sleep.min(longest));
        }
        self.log.parking.park(seen_id);
        self.log.signals.watcher.raise();
        Step::Rest
    }

    /// Whether events wait for the end of the sync interval.
    fn waits_for_its_time(&self, seen_id: u64) -> bool {
        matches!(self.log.config.sync_mode, SyncMode::Interval(_))
            && seen_id > self.log.durable().last_event_id
    }

    fn enter_next(&mut self) -> Result<Option<Sealer>> {
        let Some(segment) = self.log.queues.to_persist.pop() else { return Ok(None) };
        let durable = self.log.durable();
        debug_assert!(
            segment.index > durable.last_segment_index || durable.last_event_id == 0,
            "indexes rise"
        );
        // The writer has taken a prepared segment: there is room for another one.
        self.log.signals.preparer.raise();
        Sealer::new(Arc::clone(&self.log), segment, 0).map(Some)
    }

    /// Hands the full segment on: its file to be closed, its memory to be reused.
    fn leave(&mut self) -> Result<()> {
        let Some(sealer) = self.current.take() else { return Ok(()) };
        debug_assert_eq!(sealer.persisted(), sealer.segment().layout.capacity());
        let (finished, segment) = sealer.finish()?;
        debug_assert!(self.finished.is_none(), "the maintainer has the one before");
        self.finished = Some(finished);
        let handed_on = self.log.queues.active_to_reuse.push(segment.active);
        debug_assert!(handed_on.is_ok(), "the ring has room for every mapped file there is");
        Ok(())
    }

    /// At the end of the log: hands on the last segment as far as it was filled. One that was never
    /// written to is put back into the ring, for the shutdown to remove its file.
    fn finish_last(&mut self) -> Result<Step> {
        debug_assert!(self.log.appended() == self.log.durable(), "all is durable at the end");
        let Some(sealer) = self.current.take() else {
            debug_assert!(self.log.queues.to_persist.is_empty());
            return Ok(Step::Done);
        };
        if sealer.persisted() == 0 {
            self.log.hand_to_persister(sealer.segment().clone())?;
            return Ok(Step::Done);
        }
        self.finished = Some(sealer.finish()?.0);
        Ok(Step::Busy)
    }

    /// Whether the maintainer has every full segment. While its ring is full the disk is behind,
    /// and the writer has to wait once the prepared segments are used up.
    fn hand_to_maintainer(&mut self) -> bool {
        if let Some(finished) = self.finished.take() {
            self.finished = self.log.queues.to_close.push(finished).err();
        }
        self.finished.is_none()
    }
}

/// A sync interval is kept to within a quarter of it.
fn longest_sleep(mode: SyncMode, is_awaited: bool) -> Duration {
    let longest = if is_awaited { LONGEST_AWAITED_SLEEP } else { LONGEST_SLEEP };
    match mode {
        SyncMode::Interval(interval) => (interval / 4).clamp(SHORTEST_SLEEP, longest),
        _ => longest,
    }
}

/// Whether new events in a segment that is not full must be made durable now.
fn is_due(log: &Log, last_sync: Instant) -> bool {
    let wanted = log.durability.is_wanted();
    match log.config.sync_mode {
        SyncMode::Continuous => true,
        SyncMode::Interval(interval) => wanted || last_sync.elapsed() >= interval,
        SyncMode::Rotation => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever waits does not make anybody else wait longer.
    #[test]
    fn f40_an_awaited_event_shortens_the_sleep_and_never_lengthens_it() {
        let (ms, us) = (Duration::from_millis, Duration::from_micros);
        for (mode, alone, awaited) in [
            (SyncMode::Continuous, ms(8), ms(1)),
            (SyncMode::Interval(ms(100)), ms(8), ms(1)),
            (SyncMode::Interval(ms(10)), us(2500), ms(1)),
            (SyncMode::Interval(ms(1)), us(250), us(250)),
        ] {
            assert_eq!(longest_sleep(mode, false), alone, "{mode:?}");
            assert_eq!(longest_sleep(mode, true), awaited, "{mode:?}");
        }
    }

    /// Under load something is always behind, but not always the same event.
    #[test]
    fn f25_the_lag_is_that_of_the_oldest_event_that_waits() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut lag = Lag::default();
        assert_eq!(lag.look(at(0), 7, 7), None, "all are durable");
        assert_eq!(lag.look(at(1), 8, 7), Some(at(1)));
        assert_eq!(lag.look(at(2), 9, 7), Some(at(1)), "8 waits on");
        assert_eq!(lag.look(at(5), 20, 9), Some(at(2)), "10 came after the last look");
        assert_eq!(lag.look(at(6), 30, 20), Some(at(5)));
        assert_eq!(lag.look(at(7), 30, 30), None);
        assert_eq!(lag.look(at(8), 31, 30), Some(at(8)));
    }
}
