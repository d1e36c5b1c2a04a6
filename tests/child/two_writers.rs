//! The writer of a log whose directory is tampered with.

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::flow::Shared;
use common::planted::Planted;
use common::{append, small};
use flashstrike_wal::recorder::Manager;

use crate::arguments::Arguments;

/// Appends until killed, and says in `SHARED` up to which event the log is durable.
pub fn sync_until_killed(arguments: &Arguments) {
    common::end_with_parent();
    let shared = Shared::open(arguments.path("SHARED"));
    let (log, config) = (arguments.path("LOG"), small(arguments.path("ACTIVE")));
    let storage = Planted::posix(arguments.bug("BUG"), log);
    let opened = Manager::open_with(storage, log, config);
    let (manager, mut writer) = opened.unwrap_or_else(|error| panic!("open: {error}"));
    loop {
        let last = manager.log().appended().last_event_id;
        append(&mut writer, last + 1..=last + 300);
        manager.log().sync().unwrap();
        let durable = manager.log().durable().last_event_id;
        shared.acknowledged().store(durable, Ordering::Release);
        // Leaves the processors to those who try to get in.
        std::thread::sleep(Duration::from_millis(1));
    }
}
