//! A lane: one thread that steps any number of tasks, in turn.
//!
//! Others reach it by raising a signal, or by leaving a new task (or the request to end) in the
//! inbox, and ring the bell after that. So adding a task waits for no step that is under way, and
//! the thread sleeps while there is nothing to do.
//!
//! Each task is in a seat, which is locked while the task is stepped. Whoever ends a task takes it
//! out of there, and does the rest of its work himself ([`finish`]). So he waits for the step under
//! way, if there is one, and not for the steps of other logs' tasks. Only for the end of threads
//! that nobody needs any more he waits, for all at once: one at the lowest priority, on a busy
//! machine, gets no processor for seconds. (With 9 busy processes for each processor, a shutdown
//! that waited for four freezers one after the other took 12 to 26 s, and takes 7 to 14.)

#[cfg(all(test, loom))]
use loom::sync::{Mutex, MutexGuard};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
#[cfg(not(all(test, loom)))]
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Result;

use super::placement::Placement;
use super::wake::{Bell, Signal};

/// What a step did, and when the next one should come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done, and there may be more.
    Busy,
    /// There is nothing to do until the signal is raised.
    Rest,
    /// There is nothing to do until the signal is raised, or for this long.
    RestFor(Duration),
    /// There is nothing to do until the signal is raised, or until the next whole multiple of this
    /// time since the thread started: one wake-up then serves the workers of all logs.
    RestUntilTick(Duration),
    /// Nothing should be done for this long, even if the signal is raised.
    Pause(Duration),
    /// The task has ended.
    Done,
}

/// What a lane runs.
pub trait Task: Debug + Send + 'static {
    /// What wakes it. The signal outlives the task.
    fn signal(&self) -> &Arc<Signal>;

    /// Does some of its work, without waiting for anybody. It must not panic, and handles its own
    /// failures. After [`Step::Done`] it is dropped.
    fn step(&mut self, stopping: bool) -> Step;
}

/// A thread that steps tasks.
#[derive(Debug)]
pub struct Lane {
    inbox: Arc<Inbox>,
    thread: JoinHandle<()>,
}

impl Lane {
    /// Starts the thread, with nothing to do.
    pub fn start(name: &str, placement: Placement) -> Result<Self> {
        let inbox = Arc::new(Inbox::default());
        let own = Arc::clone(&inbox);
        let thread = placement.spawn(name, move || run(&own))?;
        Ok(Lane { inbox, thread })
    }

    /// Gives the lane another task, which it steps at once.
    pub fn add(&self, task: Box<dyn Task>) -> Arc<Seat> {
        self.inbox.add(task)
    }

    /// Ends threads whose tasks have all ended: all at once, since each has to get a processor.
    pub fn end(lanes: Vec<Lane>) {
        for lane in &lanes {
            lane.inbox.end();
        }
        for lane in lanes {
            let _ = lane.thread.join();
        }
    }
}

/// Where a task is until it has ended, or somebody has taken it.
#[derive(Debug)]
pub struct Seat {
    signal: Arc<Signal>,
    /// Somebody is about to take the task: the lane, which is quicker to lock again, steps it no
    /// more. Only a hint: the lock decides who has the task.
    wanted: AtomicBool,
    /// Locked while the task is stepped.
    task: Mutex<Option<Running>>,
}

/// Finishes tasks on the calling thread. Each is asked to when the one before it has ended, and
/// goes on until then: it takes what that one hands on.
pub fn finish(seats: &[Arc<Seat>]) {
    let (begin, bell) = (Instant::now(), Arc::new(Bell::default()));
    let mut tasks: Vec<Running> = seats.iter().filter_map(|seat| seat.take()).collect();
    // What was raised until now is still raised, so that no ring is missed.
    tasks.iter().for_each(|task| task.signal().ring_at(&bell));
    while let Some(first) = tasks.first() {
        if !first.signal().is_stopping() {
            first.signal().stop();
        }
        let (now, mut stepped) = (Instant::now(), false);
        tasks.retain_mut(|task| {
            let is_due = task.is_due(now);
            stepped |= is_due;
            !(is_due && task.step(begin) == Step::Done)
        });
        if !stepped {
            bell.wait(tasks.iter().filter_map(|task| task.due).min());
        }
    }
}

impl Seat {
    fn new(task: Box<dyn Task>) -> Self {
        let signal = Arc::clone(task.signal());
        Seat { signal, wanted: AtomicBool::new(false), task: Mutex::new(Some(Running::new(task))) }
    }

    /// Asks the task to finish, in its lane or where it is taken to.
    pub fn stop(&self) {
        self.signal.stop();
    }

    fn take(&self) -> Option<Running> {
        self.wanted.store(true, Ordering::Relaxed);
        self.lock().take()
    }

    /// Steps the task if it is due. Returns whether it did, and when it is due next.
    fn step(&self, now: Instant, begin: Instant) -> (bool, Option<Instant>) {
        let mut seat = self.lock();
        let is_wanted = self.wanted.load(Ordering::Relaxed);
        let Some(task) = seat.as_mut().filter(|_| !is_wanted) else { return (false, None) };
        if !task.is_due(now) {
            return (false, task.due);
        }
        let is_done = task.step(begin) == Step::Done;
        let due = task.due;
        if is_done {
            // Who finds the seat empty knows that the task is gone.
            *seat = None;
        }
        (true, due)
    }

    fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How other threads reach a lane.
#[derive(Debug, Default)]
pub struct Inbox {
    bell: Arc<Bell>,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    arrived: Vec<Arc<Seat>>,
    ending: bool,
}

impl Inbox {
    pub fn add(&self, task: Box<dyn Task>) -> Arc<Seat> {
        let seat = Arc::new(Seat::new(task));
        seat.signal.ring_at(&self.bell);
        let mut notes = self.lock();
        debug_assert!(!notes.ending, "a lane that ends takes no task");
        notes.arrived.push(Arc::clone(&seat));
        drop(notes);
        self.bell.ring();
        seat
    }

    pub fn end(&self) {
        self.lock().ending = true;
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the lane's thread does. In each round every task that is due does one step, so that none
/// waits for more than one step of each of the others.
pub fn run(inbox: &Inbox) {
    let begin = Instant::now();
    let mut seats: Vec<Arc<Seat>> = Vec::new();
    loop {
        let ending = {
            let mut notes = inbox.lock();
            seats.append(&mut notes.arrived);
            notes.ending
        };
        seats.retain(|seat| !seat.is_empty());
        if ending && seats.is_empty() {
            return;
        }
        let now = Instant::now();
        let (mut stepped, mut next) = (false, None);
        for seat in seats.iter().rev() {
            let (did_step, due) = seat.step(now, begin);
            stepped |= did_step;
            next = due.into_iter().chain(next).min();
        }
        if !stepped {
            inbox.bell.wait(next);
        }
    }
}

/// A task between its steps: in a lane, or in a test that steps it by hand.
#[derive(Debug)]
pub struct Running {
    task: Box<dyn Task>,
    /// When its next step is due, if nothing brings it forward; `None` = not by time.
    due: Option<Instant>,
    /// Whether raising the signal does not bring that step forward: only a stop does.
    pausing: bool,
    /// Whether its last step was asked to stop.
    stopping: bool,
}

impl Running {
    /// A task that has not been stepped yet.
    pub fn new(task: Box<dyn Task>) -> Self {
        Running { task, due: Some(Instant::now()), pausing: false, stopping: false }
    }

    /// The task itself, to be given to a lane.
    pub fn into_task(self) -> Box<dyn Task> {
        self.task
    }

    /// Whether it does nothing until its signal is raised.
    pub fn is_asleep(&self) -> bool {
        self.due.is_none() && !self.task.signal().is_raised()
    }

    /// Its signal.
    pub fn signal(&self) -> &Signal {
        self.task.signal()
    }

    fn is_due(&self, now: Instant) -> bool {
        let signal = self.task.signal();
        let brought_forward = || match self.pausing {
            true => !self.stopping && signal.is_stopping(),
            false => signal.is_raised(),
        };
        self.due.is_some_and(|at| at <= now) || brought_forward()
    }

    /// Does one step, on a thread that started at `begin`. None may follow [`Step::Done`].
    pub fn step(&mut self, begin: Instant) -> Step {
        // Lowered before the step, which so sees everything that was handed over until then.
        let stopping = self.task.signal().lower();
        debug_assert!(stopping || !self.stopping, "a stop is not taken back");
        self.stopping = stopping;
        let step = self.task.step(stopping);
        self.pausing = matches!(step, Step::Pause(_));
        self.due = match step {
            Step::Busy => Some(begin),
            Step::Rest | Step::Done => None,
            Step::RestFor(time) | Step::Pause(time) => Instant::now().checked_add(time),
            Step::RestUntilTick(tick) => Some(next_tick(begin, tick)),
        };
        step
    }
}

/// The next whole multiple of `tick` after `begin`.
fn next_tick(begin: Instant, tick: Duration) -> Instant {
    debug_assert!(!tick.is_zero());
    let ticks = begin.elapsed().as_nanos() / tick.as_nanos() + 1;
    begin + Duration::from_nanos((ticks * tick.as_nanos()) as u64)
}
