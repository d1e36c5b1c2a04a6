//! Random histories of a log on a simulated machine, compared with a model of what may and what
//! must be in the log. A history is data: it can be run again, and shortened while it still fails.
//!
//! The workers' tasks are the same ones that threads run; here the history steps them. `tasks`
//! proves it.

pub mod history;
pub mod model;
mod tasks;
pub mod world;

use std::panic::{catch_unwind, AssertUnwindSafe};

use history::History;
use world::World;

use common::planted::Bug;

/// The result of a history: what was seen, or what went wrong.
pub type Outcome = Result<world::Seen, String>;

/// Runs a history, with or without a planted bug.
pub fn run(history: &History, bug: Option<Bug>) -> Outcome {
    let run = || World::new(history, bug).run(&history.ops);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            Err(format!("panicked: {text}"))
        }
    }
}

/// Removes operations from a failing history as long as it still fails.
pub fn shrink(failing: &History, bug: Option<Bug>) -> History {
    let mut smallest = failing.clone();
    let mut size = smallest.ops.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let before = smallest.ops.len();
        while at < smallest.ops.len() {
            let mut shorter = smallest.clone();
            shorter.ops.drain(at..(at + size).min(smallest.ops.len()));
            if run(&shorter, bug).is_err() {
                smallest = shorter;
            } else {
                at += size;
            }
        }
        if size == 1 && smallest.ops.len() == before {
            break;
        }
        size = (size / 2).max(1);
    }
    smallest
}
