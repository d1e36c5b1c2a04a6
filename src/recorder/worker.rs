//! Worker threads: a name, a way to wake and to stop them, and what happens when one panics.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{fence, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Cause, Error, Result};

use super::log::Log;

/// Wakes one worker. Never used by the appending thread.
#[derive(Debug, Default)]
pub struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    raised: bool,
    stopping: bool,
}

impl Signal {
    /// Wakes the worker, or lets its next wait return at once.
    pub fn raise(&self) {
        let was_raised = std::mem::replace(&mut self.lock().raised, true);
        if !was_raised {
            self.changed.notify_all();
        }
    }

    /// Tells the worker to finish.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Whether the worker is to finish.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits until raised, stopped, or `timeout` has passed.
    pub fn wait(&self, timeout: Duration) {
        let idle = |state: &mut SignalState| !state.raised && !state.stopping;
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.raised = false;
    }

    /// Lets `time` pass, or less if stopped. Being raised meanwhile is left for the next wait.
    pub fn pause(&self, time: Duration) {
        let running = |state: &mut SignalState| !state.stopping;
        drop(self.changed.wait_timeout_while(self.lock(), time, running));
    }

    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Starts a worker. A panic in it poisons the log; its result is then `None`.
pub fn spawn<T: Send + 'static>(
    log: &Arc<Log>,
    name: &str,
    work: impl FnOnce(Arc<Log>) -> T + Send + 'static,
) -> Result<JoinHandle<Option<T>>> {
    let for_worker = Arc::clone(log);
    let thread_name = name.to_owned();
    let body = move || {
        let for_work = Arc::clone(&for_worker);
        match catch_unwind(AssertUnwindSafe(|| work(for_work))) {
            Ok(result) => Some(result),
            Err(panic) => {
                let text = panic_text(&*panic);
                let message = format!("defect: worker {thread_name} panicked: {text}");
                for_worker.fail(&Error::new(Cause::Internal, message));
                None
            }
        }
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| Error::io(format_args!("start worker {name}"), &error))
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
