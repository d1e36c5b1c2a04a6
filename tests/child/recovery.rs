//! Recoveries of a log that was not shut down.

use std::path::Path;

use common::planted::Planted;
use common::recovery::{small, OPENED, REFUSED};
use common::{decision, expect_cause, open};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

use crate::arguments::Arguments;

fn config(arguments: &Arguments) -> Config {
    Config { active_parent: arguments.path("MEMORY").to_owned(), ..Config::default() }
}

/// Recovers, and ends without shutting down.
pub fn recover(arguments: &Arguments) {
    drop(open(arguments.path("LOG"), config(arguments)));
    std::process::exit(0);
}

/// The same with a small configuration, so that few calls are made.
pub fn recover_small(arguments: &Arguments) {
    let config = small(arguments.path("MEMORY"), arguments.yes_or_no("ACCEPT_LOSS"));
    drop(open(arguments.path("LOG"), config));
    std::process::exit(0);
}

/// Under another boot id: recovers, up to the event `LAST`, and shuts down.
pub fn recover_after_reboot(arguments: &Arguments) {
    let (manager, writer) = open(arguments.path("LOG"), config(arguments));
    assert_eq!(decision(&manager), "reboot");
    assert_eq!(manager.log().appended().last_event_id, arguments.number::<u64>("LAST"));
    manager.shutdown(writer).unwrap();
}

/// Reads of `FILE`, in the active directory, fail: the open must report it.
pub fn refused_as_unreadable(arguments: &Arguments) {
    let refused = Manager::open(arguments.path("LOG"), config(arguments));
    let message = expect_cause(refused, Cause::Io);
    assert!(message.contains("active-directory-unreadable"), "{message}");
    assert!(message.contains(arguments.word("FILE")), "{message}");
}

/// Some read may fail: an open that fails must report exactly that. The exit code says whether the
/// log was opened.
pub fn open_with_read_errors(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    match Manager::open_with(Planted::posix(arguments.bug("BUG"), log), log, small(memory, false)) {
        Ok(opened) => {
            drop(opened);
            std::process::exit(OPENED);
        }
        Err(error) => {
            let is_passed_on = match error.errno() {
                libc::EIO => error.cause() == Some(Cause::Io),
                libc::EMFILE => error.cause() == Some(Cause::NoSpace),
                _ => false,
            };
            assert!(is_passed_on, "{error}");
            let said = error.to_string();
            let paths = [log, memory, Path::new("/proc/sys/kernel/random/boot_id")];
            let path = paths.iter().any(|path| said.contains(path.to_str().unwrap()));
            assert!(path, "no path: {error}");
            std::process::exit(REFUSED);
        }
    }
}
