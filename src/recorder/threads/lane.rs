//! A lane: one thread that runs the steps of any number of tasks, in turn.
//!
//! The thread alone owns the tasks. Others reach it by two notes, each left before the bell is
//! rung: a raised signal, and a new task (or the end) in the inbox. So nobody ever waits for a step
//! that is under way, and while nothing is to be done the thread sleeps.

#[cfg(all(test, loom))]
use loom::sync::{Mutex, MutexGuard};
use std::sync::{Arc, PoisonError};
#[cfg(not(all(test, loom)))]
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Result;

use super::placement::Placement;
use super::wake::{Bell, Signal};

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done, and there may be more.
    Busy,
    /// There is nothing to do until the signal is raised.
    Rest,
    /// There is nothing to do until the signal is raised, or for this long.
    RestFor(Duration),
    /// There is nothing to do until the signal is raised, or until the next whole multiple of this
    /// time on the clock of the thread: one wake-up then serves the workers of all logs.
    RestUntilTick(Duration),
    /// Nothing should be done for this long, raised or not.
    Pause(Duration),
    /// Told to stop, and all is done.
    Done,
}

/// What a lane runs.
pub trait Task: Send + 'static {
    /// What wakes it. It outlives the task, and says when that has ended.
    fn signal(&self) -> &Arc<Signal>;

    /// Does some of its work, without waiting for anybody. Whatever fails in it is its own affair:
    /// after [`Step::Done`] it is dropped.
    fn step(&mut self, stopping: bool) -> Step;
}

/// A thread and how it is reached.
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

    /// Gives the lane another task. Its first step comes by itself.
    pub fn add(&self, task: Box<dyn Task>) {
        self.inbox.add(task);
    }

    /// Ends the thread, once every task it was given has ended.
    pub fn end(self) {
        self.inbox.end();
        let _ = self.thread.join();
    }
}

/// Where notes for a lane are left.
#[derive(Default)]
pub struct Inbox {
    bell: Arc<Bell>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    arrived: Vec<Box<dyn Task>>,
    ending: bool,
}

impl Inbox {
    pub fn add(&self, task: Box<dyn Task>) {
        task.signal().ring_at(&self.bell);
        self.lock().arrived.push(task);
        self.bell.ring();
    }

    pub fn end(&self) {
        self.lock().ending = true;
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// The lane's thread. Each round lets every task that is due do one step, so that none waits for
/// more than one step of each other one.
pub fn run(inbox: &Inbox) {
    let begin = Instant::now();
    let mut tasks: Vec<Running> = Vec::new();
    loop {
        let ending = {
            let mut notes = inbox.lock();
            tasks.extend(notes.arrived.drain(..).map(Running::new));
            notes.ending
        };
        if ending && tasks.is_empty() {
            return;
        }
        let mut stepped = false;
        let now = Instant::now();
        for at in (0..tasks.len()).rev() {
            if tasks[at].is_due(now) {
                stepped = true;
                if !tasks[at].step(begin) {
                    tasks.swap_remove(at).end();
                }
            }
        }
        if !stepped {
            inbox.bell.wait(tasks.iter().filter_map(Running::wakes_at).min());
        }
    }
}

/// A task in its lane.
struct Running {
    task: Box<dyn Task>,
    due: Due,
    /// What it was told at its last step.
    stopping: bool,
}

/// When the next step of a task comes.
enum Due {
    Now,
    /// When its signal is raised, or then.
    Raised(Option<Instant>),
    /// Then, raised or not; or when it is told to stop.
    At(Instant),
}

impl Running {
    fn new(task: Box<dyn Task>) -> Self {
        Running { task, due: Due::Now, stopping: false }
    }

    fn is_due(&self, now: Instant) -> bool {
        let signal = self.task.signal();
        match self.due {
            Due::Now => true,
            Due::Raised(at) => at.is_some_and(|at| at <= now) || signal.is_raised(),
            Due::At(at) => at <= now || (!self.stopping && signal.is_stopping()),
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        match self.due {
            Due::Now => None,
            Due::Raised(at) => at,
            Due::At(at) => Some(at),
        }
    }

    /// Returns whether there will be another one.
    fn step(&mut self, begin: Instant) -> bool {
        self.stopping = self.task.signal().lower();
        // What was handed over before the stop is seen, because that was asked before.
        let step = self.task.step(self.stopping);
        self.due = match step {
            Step::Busy => Due::Now,
            Step::Rest => Due::Raised(None),
            Step::RestFor(time) => Due::Raised(Instant::now().checked_add(time)),
            Step::RestUntilTick(tick) => Due::Raised(Some(next_tick(begin, tick))),
            Step::Pause(time) => Due::At(Instant::now() + time),
            Step::Done => return false,
        };
        true
    }

    /// Says that the task has ended when nothing of it is left.
    fn end(self) {
        let signal = Arc::clone(self.task.signal());
        drop(self.task);
        signal.end();
    }
}

/// The next whole multiple of `tick` after `begin`.
fn next_tick(begin: Instant, tick: Duration) -> Instant {
    let ticks = begin.elapsed().as_nanos() / tick.as_nanos() + 1;
    begin + Duration::from_nanos((ticks * tick.as_nanos()) as u64)
}
