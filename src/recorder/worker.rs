//! Workers: each does its work in steps that never wait, so that whoever runs them decides when
//! and where. In a real log that is a thread for each; in a simulation, the test.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Cause, Error, Result};

use super::log::{Log, Signals};
use super::wake::Signal;

/// How often a worker that is to stop looks whether the one it waits for has gone on.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was done, and there may be more.
    Busy,
    /// There is nothing to do until the signal is raised, or for this long.
    Rest(Duration),
    /// Nothing should be done for this long, raised or not.
    Pause(Duration),
    /// Told to stop, and all is done.
    Done,
}

/// A worker of one log.
pub trait Worker: Send + 'static {
    /// Its thread's name.
    const NAME: &'static str;

    /// What wakes it.
    fn signal(signals: &Signals) -> &Signal;

    /// Does some of what there is to do, without waiting for anybody. `stopping`: no more will
    /// come, so that it can be [`Step::Done`]. An error poisons the log.
    fn step(&mut self, stopping: bool) -> Result<Step>;

    /// On the worker's own thread, before the first step.
    fn begin(&mut self) {}
}

/// Runs a worker on a thread of its own until it is done or the log has failed. A panic in it
/// poisons the log.
pub fn spawn<W: Worker>(log: &Arc<Log>, mut worker: W) -> Result<JoinHandle<()>> {
    let log = Arc::clone(log);
    let body = move || {
        let run = || -> Result<()> {
            worker.begin();
            run_steps(&log, &mut worker)
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log.fail(&error),
            Err(panic) => {
                let text = panic_text(&*panic);
                let message = format!("defect: worker {} panicked: {text}", W::NAME);
                log.fail(&Error::new(Cause::Internal, message));
            }
        };
        // A failure ends the workers, whoever met it: the first to end says why.
        log.tell_failure();
    };
    std::thread::Builder::new()
        .name(W::NAME.to_owned())
        .spawn(body)
        .map_err(|error| Error::io(format_args!("start worker {}", W::NAME), &error))
}

fn run_steps<W: Worker>(log: &Log, worker: &mut W) -> Result<()> {
    let signal = W::signal(&log.signals);
    loop {
        log.poison().check_failed()?;
        // Asked before looking for work: what was handed over before the stop is then seen.
        let stopping = signal.is_stopping();
        match worker.step(stopping)? {
            Step::Busy => {}
            Step::Rest(time) if stopping => std::thread::sleep(time.min(DRAIN_INTERVAL)),
            Step::Rest(time) => signal.wait(time),
            Step::Pause(time) => signal.pause(time),
            Step::Done => return Ok(()),
        }
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
