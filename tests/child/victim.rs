//! The process into which faults are injected: it opens a log, appends through several rotations,
//! lets the workers compress and delete segments, and shuts down. Whatever fails, it checks that
//! the log keeps its contract, and its exit code says how it ended.

use std::path::Path;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use common::flow::{event_of, successor, Shared};
use common::inject::Meeting;
use common::planted::{Bug, Planted};
use common::victim::{config, settle, CLEAN, OPEN_FAILED, POISONED, SHUTDOWN_FAILED};
use common::{end_with_parent, DEADLINE};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::{Manager, Writer};

use crate::arguments::Arguments;

/// The orders of a victim.
struct Orders<'a> {
    log: &'a Path,
    active: &'a Path,
    shared: &'a Path,
    /// Events to append.
    events: u64,
    /// The life of the log that the events belong to.
    life: u32,
    /// The expected error number, 0 = none, and the word that must be in its message.
    errno: i32,
    word: &'a str,
    /// The bug planted under it.
    bug: Option<Bug>,
}

impl Orders<'_> {
    /// The error must be the injected one. Some files are opened on the way to something else.
    fn expect(&self, error: &Error) {
        let said = error.to_string();
        let names_it =
            [self.word, "list /", "/proc/", "random bits"].iter().any(|word| said.contains(word));
        let (met, number) = (self.word, self.errno);
        // If there is no memory for a thread's stack, the error number is another one.
        let is_it = error.errno() == number || said.contains("start worker");
        assert!(is_it && names_it, "{met}, {number}, is met as: {said}");
    }
}

/// Records as ordered; the exit code says how that ended.
pub fn play(arguments: &Arguments) {
    let orders = Orders {
        log: arguments.path("LOG"),
        active: arguments.path("ACTIVE"),
        shared: arguments.path("SHARED"),
        events: arguments.number("EVENTS"),
        life: arguments.number("LIFE"),
        errno: arguments.number("ERRNO"),
        word: arguments.word("WORD"),
        bug: arguments.bug("BUG"),
    };
    end_with_parent();
    let shared = Shared::open(orders.shared);
    let meeting = Meeting(&shared);
    meeting.opening();
    let storage = Planted::posix(orders.bug, orders.log);
    let opened = Manager::open_with(storage, orders.log, config(orders.active));
    let (manager, mut writer) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            orders.expect(&error);
            std::process::exit(OPEN_FAILED);
        }
    };
    let mut last = manager.log().appended().last_event_id;
    shared.recovered().store(last, Release);
    shared.opened().store(1, Release);
    meeting.opened();
    for n in 0..orders.events {
        let next = successor(last);
        shared.attempted().store(next, Release);
        if let Err(error) = append(&mut writer, orders.life, next) {
            end_poisoned(&orders, manager, writer, &error);
        }
        last = next;
        shared.acknowledged().store(last, Release);
        // Batches small enough to sync at once, and one so large that writeback starts before all
        // of it is sealed.
        if [499, 2999].contains(&(n % 3000)) || n + 1 == orders.events {
            if let Err(error) = manager.log().sync() {
                end_poisoned(&orders, manager, writer, &error);
            }
        }
    }
    if orders.errno == 0 {
        // Killed at some call: each worker comes to its calls, however late it gets the processor.
        settle(&manager);
    }
    match manager.shutdown(writer) {
        Ok(()) => std::process::exit(CLEAN),
        Err(error) => {
            orders.expect(&error);
            std::process::exit(SHUTDOWN_FAILED);
        }
    }
}

/// Appends one event, waiting while the log is out of space.
fn append(writer: &mut Writer, life: u32, id: u64) -> Result<(), Error> {
    let begin = Instant::now();
    loop {
        match writer.append(&event_of(life, id)) {
            Err(error) if error.cause() == Some(Cause::NoSpace) => {
                // One call fails, the next works.
                let waited = begin.elapsed();
                assert!(waited < DEADLINE, "the log does not go on by itself: {error}");
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// The log has failed: it must stay failed, with the watermark unchanged and the cause in every
/// error.
fn end_poisoned(orders: &Orders<'_>, manager: Manager, mut writer: Writer, error: &Error) -> ! {
    let log = manager.log();
    let poisoned = |error: &Error| {
        assert_eq!(error.cause(), Some(Cause::Poisoned), "{error}");
        orders.expect(error);
    };
    poisoned(error);
    let (durable, appended) = (log.durable(), log.appended());
    for _ in 0..3 {
        poisoned(&log.sync().expect_err("a sync after the failure"));
        let event = event_of(orders.life, u64::MAX - 1);
        poisoned(&writer.append(&event).expect_err("an append after the failure"));
        poisoned(&writer.append_batch(&[event], &mut 0).expect_err("a batch after the failure"));
        poisoned(&writer.claim().expect_err("a claim after the failure"));
        if durable != appended {
            let waited = log.wait_durable(appended.last_event_id, Duration::from_secs(5));
            poisoned(&waited.expect_err("waiting after the failure"));
        }
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(log.durable(), durable, "the watermark moved");
    }
    poisoned(&manager.shutdown(writer).expect_err("a shutdown after the failure"));
    std::process::exit(POISONED);
}
