//! What workers have in common: each works in steps that never wait, so that whoever steps them
//! decides when and where. That is a [`Lane`](crate::recorder::threads::Lane), or a simulation.

use std::fmt::Debug;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{Cause, Error, Result};

use crate::recorder::log::Log;
use crate::recorder::threads::{Running, Signal, Step, Task};

pub trait Worker: Debug + Send + 'static {
    /// Does some of what there is to do, without waiting for anybody. Only when `stopping`, after
    /// the last of it, the step is [`Step::Done`]. An error poisons the log.
    fn step(&mut self, stopping: bool) -> Result<Step>;
}

/// A worker as a task: an error or a panic in it poisons its log and ends the task, nothing else.
#[derive(Debug)]
struct LogTask<W> {
    /// Of the worker, in messages.
    name: &'static str,
    /// Of the worker, in `Role::ALL`: where its work is counted.
    place: usize,
    log: Arc<Log>,
    signal: Arc<Signal>,
    worker: W,
}

/// Makes a task of a worker of a log, which `signal` wakes. `place` is its place in `Role::ALL`.
pub fn task(
    name: &'static str,
    place: usize,
    log: &Arc<Log>,
    signal: &Arc<Signal>,
    worker: impl Worker,
) -> Running {
    let (log, signal) = (Arc::clone(log), Arc::clone(signal));
    Running::new(Box::new(LogTask { name, place, log, signal, worker }))
}

impl<W: Worker> LogTask<W> {
    fn try_step(&mut self, stopping: bool) -> Result<Step> {
        self.log.poison().check_failed()?;
        let worker = &mut self.worker;
        let step = self.log.counts.at_work(self.place, || worker.step(stopping))?;
        debug_assert!(stopping || step != Step::Done, "nobody asked {} to end", self.name);
        // The log may have failed in a step that went on, or in another thread.
        self.log.poison().check_failed()?;
        Ok(step)
    }
}

impl<W: Worker> Task for LogTask<W> {
    fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    fn step(&mut self, stopping: bool) -> Step {
        let error = match catch_unwind(AssertUnwindSafe(|| self.try_step(stopping))) {
            Ok(Ok(step)) => return step,
            Ok(Err(error)) => error,
            Err(panic) => {
                let (name, text) = (self.name, panic_text(&*panic));
                let message = format!("defect: worker {name} panicked: {text}");
                Error::new(Cause::Internal, message)
            }
        };
        // What made the step panic may do it again here.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| self.log.fail(&error))) {
            std::mem::forget(again);
        }
        // Wakes the others, which may be waiting for this one, so that they end too.
        self.log.signals.raise_all();
        // The first worker to end reports why, wherever the log failed. A panic in the function
        // that receives the report must not reach the thread: other logs' tasks run on it.
        let _ = catch_unwind(AssertUnwindSafe(|| self.log.notices.failure(self.log.poison())));
        Step::Done
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
