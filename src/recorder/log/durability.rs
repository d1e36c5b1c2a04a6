//! How far a log is: what was appended, what is durable, and whether it has failed. Who waits for
//! the watermark waits here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::MetaState;
use crate::poison::Poison;
use crate::recorder::threads::{Signal, Waiters};

use super::meta_store::{MetaStore, Progress};

/// Progress, the failure latch, and those who wait for either.
#[derive(Debug)]
pub struct Durability {
    poison: Poison,
    meta: MetaStore,
    /// Held to move the watermark, and to poison: it is either moved before or not at all.
    watermark: Mutex<()>,
    /// The id that somebody wants durable soon, whatever the policy.
    wanted: AtomicU64,
    waiters: Waiters,
    persister: Arc<Signal>,
}

impl Durability {
    /// Both triples begin at the end of the recovered log. `persister` is raised for who waits.
    pub fn new(end: MetaState, persister: Arc<Signal>) -> Self {
        Durability {
            poison: Poison::default(),
            meta: MetaStore::new(end),
            watermark: Mutex::new(()),
            wanted: AtomicU64::new(0),
            waiters: Waiters::default(),
            persister,
        }
    }

    /// Where the appending thread publishes.
    #[inline(always)]
    pub fn progress(&self) -> &Progress {
        &self.meta.appended
    }

    /// Whether the log takes calls.
    #[inline(always)]
    pub fn poison(&self) -> &Poison {
        &self.poison
    }

    /// What was appended last.
    pub fn appended(&self) -> MetaState {
        self.meta.appended.snapshot()
    }

    /// What is on stable storage.
    pub fn durable(&self) -> MetaState {
        self.meta.durable.snapshot()
    }

    /// Whether somebody waits for more than is durable.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire) > self.durable().last_event_id
    }

    /// Waits until an event is durable, or until the deadline (`None` = for ever).
    pub fn wait(&self, event_id: u64, deadline: Option<Instant>) -> Result<()> {
        let durable = || self.meta.durable.snapshot().last_event_id;
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
            // Asks for no more than there is: an id of the future must not change the policy for
            // what comes before it. It is asked for at a later look.
            let wanted = event_id.min(self.appended().last_event_id);
            if wanted > durable() && self.wanted.fetch_max(wanted, Ordering::AcqRel) < wanted {
                self.persister.raise();
            }
            None
        })
    }

    /// Moves the watermark to an event that a sync has just covered; not if the log has failed
    /// meanwhile, in whatever worker: then it stays where it is.
    pub fn move_watermark(&self, position: u64, event_id: u64) -> Result<()> {
        let held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.check_failed()?;
        self.meta.durable.publish(position, event_id);
        drop(held);
        self.waiters.wake();
        Ok(())
    }

    /// Poisons the log and lets everybody who waits for it know.
    pub fn fail(&self, error: &Error) {
        let held = self.watermark.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.poison(error);
        drop(held);
        self.waiters.wake();
    }

    /// From now on calls are turned away, those that wait too.
    pub fn close(&self) {
        self.poison.close();
        self.waiters.wake();
    }
}
