//! Waking threads up: workers that something is to be done, and callers that the durable watermark
//! has moved. Every wait also ends by itself, so a wake-up that is lost would show as a delay and
//! nothing else; the model at the end, where no wait ends by itself, shows that none is lost.

#[cfg(all(test, loom))]
use loom::sync::{
    atomic::{fence, AtomicUsize, Ordering},
    Mutex, MutexGuard,
};
#[cfg(all(test, loom))]
use model::Condvar;
use std::sync::PoisonError;
#[cfg(not(all(test, loom)))]
use std::sync::{
    atomic::{fence, AtomicUsize, Ordering},
    Condvar, Mutex, MutexGuard,
};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

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

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::format::MetaState;
    use crate::recorder::meta_store::{pack, Progress};
    use loom::sync::atomic::AtomicU64;
    use loom::sync::Arc;
    use std::sync::LockResult;

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

        pub fn wait_timeout_while<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            _: Duration,
            mut condition: impl FnMut(&mut T) -> bool,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            while condition(&mut guard) {
                guard = self.0.wait(guard).unwrap();
            }
            Ok((guard, ()))
        }
    }

    /// What `Log` shares between those who wait for the watermark and the persister.
    struct Shared {
        wanted: AtomicU64,
        durable: Progress,
        persister: Signal,
        waiters: Waiters,
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Shared {
                wanted: AtomicU64::new(0),
                durable: Progress::new(MetaState::default()),
                persister: Signal::default(),
                waiters: Waiters::default(),
            })
        }

        /// As `Log::wait_durable`.
        fn wait(&self, event_id: u64) {
            let durable = || self.durable.snapshot().last_event_id >= event_id;
            if durable() {
                return;
            }
            self.wanted.fetch_max(event_id, Ordering::AcqRel);
            self.persister.raise();
            self.waiters.wait(None, || durable().then_some(Ok(()))).unwrap();
        }

        /// As the persister in `SyncMode::Rotation`: nothing is synced unless it is wanted.
        fn persist_until(&self, event_id: u64) {
            let mut durable = 0;
            while durable < event_id {
                let wanted = self.wanted.load(Ordering::Acquire);
                if wanted > durable {
                    durable = wanted;
                    self.durable.publish(pack(0, wanted as u32), wanted);
                    self.waiters.wake();
                } else {
                    self.persister.wait(Duration::MAX);
                }
            }
        }
    }

    /// A wake-up that is lost leaves both sides asleep, which the model reports.
    #[test]
    fn no_wake_up_is_lost_between_a_waiter_and_the_persister() {
        loom::model(|| {
            let shared = Shared::new();
            let persister = Arc::clone(&shared);
            let persister = loom::thread::spawn(move || persister.persist_until(1));
            shared.wait(1);
            persister.join().unwrap();
        });
    }

    #[test]
    fn no_wake_up_is_lost_when_two_wait() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let shared = Shared::new();
            let (persister, other) = (Arc::clone(&shared), Arc::clone(&shared));
            let persister = loom::thread::spawn(move || persister.persist_until(2));
            let other = loom::thread::spawn(move || other.wait(1));
            shared.wait(2);
            other.join().unwrap();
            persister.join().unwrap();
        });
    }

    /// A worker that is told to stop while it goes to sleep.
    #[test]
    fn no_stop_is_lost() {
        loom::model(|| {
            let signal = Arc::new(Signal::default());
            let worker = Arc::clone(&signal);
            let worker = loom::thread::spawn(move || {
                while !worker.is_stopping() {
                    worker.wait(Duration::MAX);
                }
            });
            signal.raise();
            signal.stop();
            worker.join().unwrap();
        });
    }
}
