//! Waking threads: workers when there is work, and callers when the durable watermark has moved. A
//! worker that rests sleeps until it is woken, so no wake-up may be lost. The loom models
//! (`models`), in which no wait ends by itself, show that none is.

#[cfg(all(test, loom))]
use loom::sync::{
    atomic::{fence, AtomicUsize, Ordering},
    Mutex, MutexGuard,
};
#[cfg(not(all(test, loom)))]
use std::sync::{
    atomic::{fence, AtomicUsize, Ordering},
    Condvar, Mutex, MutexGuard,
};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

#[cfg(all(test, loom))]
pub use never_by_itself::Condvar;

/// Wakes the thread that steps tasks. Rung by whoever has something for one of them.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Wakes the thread, or lets its next wait return at once.
    pub fn ring(&self) {
        if !std::mem::replace(&mut *self.lock(), true) {
            self.changed.notify_all();
        }
    }

    /// Waits until rung, or until the deadline (`None` = for ever).
    ///
    /// Whoever rings has raised a signal or filled the inbox before, and the thread looks at both
    /// after every wait. What comes during that look has rung, so the next wait returns at once.
    /// Nothing is missed.
    pub fn wait(&self, deadline: Option<Instant>) {
        let mut rung = self.lock();
        while !*rung {
            let left = time_left(deadline, Duration::MAX);
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(rung, left);
            rung = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one task when there is work. Never used by the appending thread.
#[derive(Debug, Default)]
pub struct Signal(Mutex<SignalState>);

#[derive(Debug, Default)]
struct SignalState {
    raised: bool,
    stopping: bool,
    /// Of the thread that steps the task, if one does.
    bell: Option<Arc<Bell>>,
}

impl Signal {
    /// Lets the task look for work.
    pub fn raise(&self) {
        self.lock().raise();
    }

    /// Asks the task to finish.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        // A signal that is raised already rings no bell, and the task may be in a pause.
        state.raised = false;
        state.raise();
    }

    /// Whether the task is to finish.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Whether it was raised since it was last lowered.
    pub fn is_raised(&self) -> bool {
        self.lock().raised
    }

    /// Called before the task looks for work: work that comes later raises the signal again.
    /// Returns whether the task is to finish.
    pub fn lower(&self) -> bool {
        let mut state = self.lock();
        state.raised = false;
        state.stopping
    }

    /// From now on, raising the signal rings this bell.
    pub fn ring_at(&self, bell: &Arc<Bell>) {
        self.lock().bell = Some(Arc::clone(bell));
    }

    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SignalState {
    fn raise(&mut self) {
        if !std::mem::replace(&mut self.raised, true) {
            if let Some(bell) = &self.bell {
                bell.ring();
            }
        }
    }
}

/// Threads that wait for the durable watermark.
#[derive(Debug, Default)]
pub struct Waiters {
    count: AtomicUsize,
    moved: Mutex<()>,
    changed: Condvar,
}

impl Waiters {
    /// Lets every waiter look again. Costs next to nothing when there is none.
    ///
    /// A waiter counts itself and then looks; the caller moves the watermark and then reads the
    /// count. Both have a full fence in between, so either the waiter is counted here or it sees
    /// the new watermark. Taking the lock keeps this from happening between its look and its wait.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        drop(self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until `ready` returns a result, or until the deadline (`None` = for ever).
    pub fn wait(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<Result<()>>,
    ) -> Result<()> {
        /// Looks again after this time even if a clock or a wake-up should fail.
        const LONGEST: Duration = Duration::from_secs(1);
        self.count.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut guard = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let result = loop {
            if let Some(result) = ready() {
                break result;
            }
            let left = time_left(deadline, LONGEST);
            if left.is_zero() {
                break Err(Error::Timeout);
            }
            let waited = self.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        let waiting = self.count.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(waiting > 0);
        result
    }
}

/// The time until the deadline (`None` = for ever), but no more than `longest`.
fn time_left(deadline: Option<Instant>, longest: Duration) -> Duration {
    deadline.map_or(longest, |at| at.saturating_duration_since(Instant::now()).min(longest))
}

/// For the models.
#[cfg(all(test, loom))]
mod never_by_itself {
    use std::sync::LockResult;
    use std::time::Duration;

    use loom::sync::MutexGuard;

    /// A condition variable whose waits never time out.
    #[derive(Debug, Default)]
    pub struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub fn notify_all(&self) {
            self.0.notify_all();
        }

        pub fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            Ok((self.0.wait(guard).unwrap(), ()))
        }
    }
}
