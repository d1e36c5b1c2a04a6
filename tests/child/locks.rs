//! Who has the lock of a log, as seen from another process.

use std::path::Path;
use std::process::Command;

use common::{append, expect_cause, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

use crate::arguments::Arguments;

/// Holds the log until killed; creates the file `HELD` when it has it.
pub fn hold(arguments: &Arguments) {
    // Memory that belongs to the test: this process is killed and cleans nothing up.
    let active_parent = arguments.path("MEMORY").to_owned();
    let config = Config { active_parent, ..Config::default() };
    let (_manager, mut writer) = open(arguments.path("LOG"), config);
    append(&mut writer, 1..=arguments.number("EVENTS"));
    std::fs::write(arguments.path("HELD"), b"").unwrap();
    loop {
        std::thread::park();
    }
}

fn assert_locked(path: &Path, place: &Place, owner: &str) {
    let message = expect_cause(Manager::open(path, place.small()), Cause::Locked);
    assert!(message.ends_with(&format!("process {owner}")), "{message}");
}

/// Relative paths lead to the same lock.
pub fn locked_by_any_path(arguments: &Arguments) {
    let place = Place::new();
    std::env::set_current_dir(arguments.path("LOG").parent().unwrap()).unwrap();
    for path in ["log", "./log/", "log/../log", "../../../../../../../proc/self/cwd/log"] {
        assert_locked(path.as_ref(), &place, arguments.word("OWNER"));
    }
}

/// In a separate mount namespace: the log under another name leads to the same lock.
pub fn locked_by_bind_mount(arguments: &Arguments) {
    let place = Place::new();
    let (log, bound) = (arguments.word("LOG"), arguments.path("BOUND"));
    let mounted = Command::new("mount").args(["--bind", log]).arg(bound).status();
    assert!(mounted.unwrap().success());
    assert_locked(bound, &place, arguments.word("OWNER"));
}
