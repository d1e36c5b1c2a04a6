//! The next segment for the writer, who waits for it if he may, as long as the log is open.

use rustix::thread::{nanosleep, Timespec};

use crate::config::Backpressure;
use crate::error::{Cause, Error, Result};
use crate::format::file_name;

use super::clock::ticks;
use super::log::Log;
use super::segment::Segment;

const SPINS_BEFORE_SLEEP: u32 = 2_000;
const BLOCKED_SLEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000 };

/// The next prepared segment. Waits for it if the configuration says so.
pub(super) fn take_prepared(log: &Log) -> Result<Segment> {
    if let Some(segment) = log.queues.prepared.pop_wanted() {
        return Ok(segment);
    }
    let begin = ticks();
    let mut attempt = 0_u32;
    loop {
        check_open(log)?;
        if attempt > 0 {
            if let Some(segment) = log.queues.prepared.pop() {
                log.counts.append_wait(ticks().saturating_sub(begin));
                return Ok(segment);
            }
        }
        if let Some(error) = log.notices.preparation_blocked() {
            log.counters().writer.no_space.add(1);
            return Err(error);
        }
        if log.config.backpressure == Backpressure::FailFast {
            log.counters().writer.would_block.add(1);
            return Err(Error::WouldBlock);
        }
        if attempt < SPINS_BEFORE_SLEEP {
            std::hint::spin_loop();
        } else {
            // Not the C library's, which is a cancellation point: the writer's thread may be
            // one that the program cancels. Interrupted or not, the next look is due.
            let _ = nanosleep(&BLOCKED_SLEEP);
        }
        attempt = attempt.saturating_add(1);
    }
}

/// Fails if the log takes no events, as the hot path sees it.
#[cold]
pub(super) fn check_open(log: &Log) -> Result<()> {
    log.poison().check()?;
    if !log.control.is_open() {
        // A failure is in `poison` before it is in the control file.
        let path = log.active.path_of(file_name::CONTROL);
        let what = "says that the log takes no events: another program has written to it";
        log.fail(&Error::new(Cause::Io, format!("{} {what}", path.display())));
    }
    log.poison().check()
}
