//! A log that is never shut down.

use common::crash::config;
use common::{append, open};
use rustix::process::{getpid, kill_process, Signal};

use crate::arguments::Arguments;

/// Appends up to the event `SYNCED`, syncs, appends up to `LAST`, and kills itself.
pub fn crash(arguments: &Arguments) {
    let (synced, last): (u64, u64) = (arguments.number("SYNCED"), arguments.number("LAST"));
    let (manager, mut writer) = open(arguments.path("LOG"), config(arguments.path("MEMORY")));
    let first = manager.log().appended().last_event_id + 1;
    append(&mut writer, first..=synced);
    manager.log().sync().unwrap();
    append(&mut writer, first.max(synced + 1)..=last);
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("killed")
}
