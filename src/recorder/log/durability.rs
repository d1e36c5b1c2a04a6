//! How far a log has come (appended, durable), whether it has failed, and who waits for either.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::MetaState;
use crate::poison::Poison;
use crate::recorder::threads::{Signal, Waiters};

use super::meta_store::Progress;

#[derive(Debug)]
pub struct Durability {
    poison: Poison,
    /// The last appended event. Written by the appending thread.
    appended: Progress,
    /// The last durable event. Written by the persister, after the sync that covers it.
    durable: Progress,
    /// Held to move the watermark and to poison, so that the watermark never moves afterwards.
    watermark: Mutex<()>,
    /// Highest id that somebody waits for: it is made durable soon, whatever the sync mode.
    wanted: AtomicU64,
    waiters: Waiters,
    persister: Arc<Signal>,
}

impl Durability {
    /// Both triples begin at the end of the recovered log. Waiting raises `persister`.
    pub fn new(end: MetaState, persister: Arc<Signal>) -> Self {
        Durability {
            poison: Poison::default(),
            appended: Progress::new(end),
            durable: Progress::new(end),
            watermark: Mutex::new(()),
            wanted: AtomicU64::new(0),
            waiters: Waiters::default(),
            persister,
        }
    }

    #[inline(always)]
    pub fn progress(&self) -> &Progress {
        &self.appended
    }

    #[inline(always)]
    pub fn poison(&self) -> &Poison {
        &self.poison
    }

    pub fn appended(&self) -> MetaState {
        self.appended.snapshot()
    }

    /// The last durable event: the watermark.
    pub fn durable(&self) -> MetaState {
        self.durable.snapshot()
    }

    /// Whether somebody waits for more than is durable.
    pub fn is_wanted(&self) -> bool {
        let wanted = self.wanted.load(Ordering::Acquire);
        debug_assert!(wanted <= self.appended().last_event_id, "nobody asks for a future event");
        wanted > self.durable().last_event_id
    }

    /// Waits until an event is durable, or until the deadline (`None` = for ever).
    pub fn wait(&self, event_id: u64, deadline: Option<Instant>) -> Result<()> {
        let durable = || self.durable().last_event_id;
        if !self.poison.is_forked() && durable() >= event_id {
            return Ok(());
        }
        self.waiters.wait(deadline, || {
            if let Err(error) = self.poison.check() {
                return Some(Err(error));
            }
            if durable() >= event_id {
                return Some(Ok(()));
            }
            // Asks for no more than was appended: a future id must not change the policy for the
            // events before it. `wait` looks again later and asks then.
            let wanted = event_id.min(self.appended().last_event_id);
            if wanted > durable() && self.wanted.fetch_max(wanted, Ordering::AcqRel) < wanted {
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
        self.durable.publish(position, event_id);
        drop(held);
        self.waiters.wake();
        Ok(())
    }

    pub fn fail(&self, error: &Error) {
        let held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.poison(error);
        drop(held);
        debug_assert!(self.poison.check_failed().is_err() && !self.poison.is_running());
        self.waiters.wake();
    }

    /// Turns calls away from now on, those that wait included.
    pub fn close(&self) {
        self.poison.close();
        debug_assert!(!self.poison.is_running());
        self.waiters.wake();
    }
}
