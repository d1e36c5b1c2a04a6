//! Workers: each does its work in steps that never wait, so that whoever runs them decides when
//! and where. In a real log that is a [`Lane`](crate::recorder::threads::Lane); in a simulation, the test.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{Cause, Error, Result};

use crate::recorder::log::{Log, Signals};
use crate::recorder::threads::{Signal, Step, Task};

/// A worker of one log.
pub trait Worker: Send + 'static {
    /// What it is called.
    const NAME: &'static str;

    /// What wakes it.
    fn signal(signals: &Signals) -> &Arc<Signal>;

    /// Does some of what there is to do, without waiting for anybody. `stopping`: no more will
    /// come, so that it can be [`Step::Done`]. An error poisons the log.
    fn step(&mut self, stopping: bool) -> Result<Step>;
}

/// A worker as a thread runs it: a failure or a panic in it poisons its log, and ends it alone.
#[derive(Debug)]
pub struct LogTask<W> {
    log: Arc<Log>,
    signal: Arc<Signal>,
    worker: W,
}

impl<W: Worker> LogTask<W> {
    /// A worker of this log.
    pub fn new(log: &Arc<Log>, worker: W) -> Self {
        let signal = Arc::clone(W::signal(&log.signals));
        LogTask { log: Arc::clone(log), signal, worker }
    }

    fn try_step(&mut self, stopping: bool) -> Result<Step> {
        self.log.poison().check_failed()?;
        let step = self.worker.step(stopping)?;
        // Also what failed without being an error of the step: it is told at once.
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
                let text = panic_text(&*panic);
                let message = format!("defect: worker {} panicked: {text}", W::NAME);
                Error::new(Cause::Internal, message)
            }
        };
        self.log.fail(&error);
        // Those that rest, maybe for something that this one was to do, find out and end too.
        self.log.signals.raise_all();
        // A failure ends the workers, whoever met it: the first to end says why. A panic in who is
        // told would end the other logs' tasks with the thread.
        let _ = catch_unwind(AssertUnwindSafe(|| self.log.tell_failure()));
        Step::Done
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
