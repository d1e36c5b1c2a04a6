//! What workers have in common: each works in steps that never wait, so that whoever steps them
//! decides when and where. That is a [`Lane`](crate::recorder::threads::Lane), or a simulation.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{Cause, Error, Result};

use crate::recorder::log::{Log, Signals};
use crate::recorder::threads::{Signal, Step, Task};

pub trait Worker: Send + 'static {
    /// Its name in messages.
    const NAME: &'static str;

    fn signal(signals: &Signals) -> &Arc<Signal>;

    /// Does some of what there is to do, without waiting for anybody. Only when `stopping`, after
    /// the last of it, the step is [`Step::Done`]. An error poisons the log.
    fn step(&mut self, stopping: bool) -> Result<Step>;
}

/// A worker as a task: an error or a panic in it poisons its log and ends the task, nothing else.
#[derive(Debug)]
pub struct LogTask<W> {
    log: Arc<Log>,
    signal: Arc<Signal>,
    worker: W,
}

impl<W: Worker> LogTask<W> {
    pub fn new(log: &Arc<Log>, worker: W) -> Self {
        let signal = Arc::clone(W::signal(&log.signals));
        LogTask { log: Arc::clone(log), signal, worker }
    }

    fn try_step(&mut self, stopping: bool) -> Result<Step> {
        self.log.poison().check_failed()?;
        let step = self.worker.step(stopping)?;
        debug_assert!(stopping || step != Step::Done, "nobody asked {} to end", W::NAME);
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
                let text = panic_text(&*panic);
                let message = format!("defect: worker {} panicked: {text}", W::NAME);
                Error::new(Cause::Internal, message)
            }
        };
        self.log.fail(&error);
        // Wakes the others, which may be waiting for this one, so that they end too.
        self.log.signals.raise_all();
        // The first worker to end reports why, wherever the log failed. A panic in the function
        // that receives the report must not reach the thread: other logs' tasks run on it.
        let _ = catch_unwind(AssertUnwindSafe(|| self.log.report_failure()));
        Step::Done
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
