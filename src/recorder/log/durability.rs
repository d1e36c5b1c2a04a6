//! How far a log has come (appended, durable), whether it has failed, and who waits for either.

use std::os::fd::OwnedFd;
#[cfg(not(all(test, loom)))]
use std::sync::{
    atomic::{AtomicU64, Ordering},
    Mutex,
};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

#[cfg(all(test, loom))]
use loom::sync::{
    atomic::{AtomicU64, Ordering},
    Mutex,
};

use crate::error::{Error, Result};
use crate::format::MetaState;
use crate::poison::Poison;
use crate::recorder::threads::{Signal, Waiters};

use super::awaited::Awaited;
use super::control::SharedControl;
use super::listeners::Listeners;

#[derive(Debug)]
pub struct Durability {
    poison: Poison,
    /// Where both triples are, and for others whether the log has failed.
    control: SharedControl,
    /// Held to move the watermark and to poison, so that the watermark never moves afterwards.
    watermark: Mutex<()>,
    /// Highest appended id that somebody has asked for: it is made durable soon, whatever the sync
    /// mode.
    wanted: AtomicU64,
    /// Ids that will be asked for when they are appended.
    awaited: Awaited,
    waiters: Waiters,
    listeners: Listeners,
    persister: Arc<Signal>,
}

impl Durability {
    /// Waiting raises `persister`.
    pub fn new(control: SharedControl, persister: Arc<Signal>) -> Self {
        Durability {
            poison: Poison::default(),
            control,
            watermark: Mutex::new(()),
            wanted: AtomicU64::new(0),
            awaited: Awaited::default(),
            waiters: Waiters::default(),
            listeners: Listeners::default(),
            persister,
        }
    }

    #[cfg(all(test, loom))]
    pub fn control(&self) -> &super::control::Control {
        &self.control
    }

    pub fn poison(&self) -> &Poison {
        &self.poison
    }

    pub fn appended(&self) -> MetaState {
        self.control.appended.snapshot()
    }

    /// The last durable event: the watermark.
    pub fn durable(&self) -> MetaState {
        self.control.durable.snapshot()
    }

    /// Whether somebody waits for more than is durable, and it was appended.
    pub fn is_wanted(&self) -> bool {
        let (durable, appended) = (self.durable().last_event_id, self.appended().last_event_id);
        let wanted = self.wanted.load(Ordering::Acquire);
        debug_assert!(wanted <= self.appended().last_event_id, "nobody asks for a future event");
        let lowest = self.awaited.lowest();
        wanted > durable || (durable < lowest && lowest <= appended)
    }

    /// Whether somebody waits for an event that may be appended at any moment.
    pub fn is_awaited(&self) -> bool {
        self.awaited.is_any()
    }

    /// Waits until an event is durable, or until the deadline (`None` = for ever).
    pub fn wait(&self, event_id: u64, deadline: Option<Instant>) -> Result<()> {
        let durable = || self.durable().last_event_id;
        if !self.poison.is_forked() && durable() >= event_id {
            return Ok(());
        }
        // A future id does not change the policy for the events before it: it is entered, and the
        // persister, which may be parked, begins to look for it.
        let is_future = event_id > self.appended().last_event_id;
        let waits = deadline.is_none_or(|at| at > Instant::now());
        let _entry = (is_future && waits).then(|| {
            let entry = self.awaited.enter(event_id);
            self.persister.raise();
            entry
        });
        self.waiters.wait(deadline, || {
            if let Err(error) = self.poison.check() {
                return Some(Err(error));
            }
            if durable() >= event_id {
                return Some(Ok(()));
            }
            let is_appended = event_id <= self.appended().last_event_id;
            if is_appended && self.wanted.fetch_max(event_id, Ordering::AcqRel) < event_id {
                self.persister.raise();
            }
            None
        })
    }

    /// Moves the watermark to an event that a sync has just covered, unless the log has failed
    /// meanwhile, in any thread.
    pub fn move_watermark(&self, position: u64, event_id: u64) -> Result<()> {
        let held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.check_failed()?;
        debug_assert!(event_id <= self.appended().last_event_id, "only what was appended");
        debug_assert!(self.durable().last_event_id < event_id, "the watermark rises");
        self.control.durable.publish(position, event_id);
        drop(held);
        self.waiters.wake();
        self.listeners.tell();
        Ok(())
    }

    /// A descriptor that becomes readable when the watermark has moved, and when the log fails or
    /// ends.
    pub fn listen(&self) -> Result<OwnedFd> {
        self.poison.check()?;
        let given = self.listeners.listen()?;
        // A failure that came in between was told to nobody.
        self.poison.check().map(|()| given)
    }

    /// The log has ended, in whatever way: tells those who listen a last time.
    pub fn end(&self) {
        self.listeners.end();
    }

    pub fn fail(&self, error: &Error) {
        let held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.poison(error);
        self.control.fail(error);
        drop(held);
        debug_assert!(self.poison.check_failed().is_err() && !self.poison.is_running());
        self.waiters.wake();
        self.listeners.tell();
    }

    /// Turns calls away from now on, those that wait included.
    pub fn close(&self) {
        self.poison.close();
        debug_assert!(!self.poison.is_running());
        self.waiters.wake();
    }
}
