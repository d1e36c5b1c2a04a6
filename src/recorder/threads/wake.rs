//! Waking threads up: workers that something is to be done, and callers that the durable watermark
//! has moved. A worker that rests waits for ever, so no wake-up may be lost: the models
//! (`wake_model`), where no wait ends by itself, show that none is.

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

/// What a thread that runs workers sleeps by. Rung by whoever has something for one of them.
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
    /// Who rings has left a note before (a raised signal, a task in the inbox), and the thread
    /// looks for notes only after a wait: one that is left during the look has rung for the next
    /// wait, which then returns at once. No note stays unread.
    pub fn wait(&self, deadline: Option<Instant>) {
        let mut rung = self.lock();
        while !*rung {
            let waited = match deadline {
                None => self.changed.wait(rung).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.changed.wait_timeout(rung, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            rung = waited;
        }
        *rung = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells one worker that there is something to do. Never used by the appending thread.
#[derive(Debug, Default)]
pub struct Signal {
    state: Mutex<SignalState>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    raised: bool,
    stopping: bool,
    ended: bool,
    /// Of the thread that runs the worker, if one does.
    bell: Option<Arc<Bell>>,
}

impl Signal {
    /// Lets the worker look for work.
    pub fn raise(&self) {
        self.lock().raise();
    }

    /// Tells the worker to finish.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        // Raised already, it may have been left for the end of a pause.
        state.raised = false;
        state.raise();
    }

    /// Whether the worker is to finish.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Whether it was raised since it was last lowered.
    pub fn is_raised(&self) -> bool {
        self.lock().raised
    }

    /// Before the worker looks for work: what it is raised for from now on is for the next look.
    /// Returns whether the worker is to finish.
    pub fn lower(&self) -> bool {
        let mut state = self.lock();
        state.raised = false;
        state.stopping
    }

    /// From now on, being raised rings this bell.
    pub fn ring_at(&self, bell: &Arc<Bell>) {
        self.lock().bell = Some(Arc::clone(bell));
    }

    /// There is no worker any more.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.bell = None;
        self.ended.notify_all();
    }

    /// Waits until the worker has ended.
    pub fn wait_for_end(&self) {
        let mut state = self.lock();
        while !state.ended {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Lets every waiter look again; costs next to nothing when there is none.
    ///
    /// A waiter counts itself before it looks, the caller moves what it looks at before reading
    /// the count, and a full fence is between the two on both sides: either the waiter is seen
    /// here, or it sees what was moved. The lock makes it impossible to fall between its look and
    /// its wait.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        drop(self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until `ready` answers, or until the deadline (`None` = for ever).
    pub fn wait(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<Result<()>>,
    ) -> Result<()> {
        /// A look now and then, should a clock or a wake-up ever fail.
        const LONGEST: Duration = Duration::from_secs(1);
        self.count.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut guard = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let result = loop {
            if let Some(result) = ready() {
                break result;
            }
            let left = match deadline {
                None => LONGEST,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(LONGEST),
            };
            if left.is_zero() {
                break Err(Error::Timeout);
            }
            let waited = self.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        self.count.fetch_sub(1, Ordering::Relaxed);
        result
    }
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

        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(guard)
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
