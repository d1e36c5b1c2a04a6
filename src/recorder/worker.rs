//! Worker threads: a name, and what happens when one panics.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::error::{Cause, Error, Result};

use super::log::Log;

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
