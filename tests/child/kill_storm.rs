//! A process that is killed at a random moment.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use common::flow::{call, storm_config, Random, Shared};
use common::planted::Planted;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::storage::{PosixStorage, Storage};

use crate::arguments::Arguments;

/// Appends until killed.
pub fn append_until_killed(arguments: &Arguments) {
    common::end_with_parent();
    let (seed, base): (u32, _) = (arguments.number("SEED"), arguments.path("BASE"));
    let shared = Shared::open(&base.join("shared"));
    let log = base.join("log");
    let mut storage: Arc<dyn Storage> = Arc::new(PosixStorage::for_writing());
    if let Some(bug) = arguments.bug("BUG") {
        storage = Arc::new(Planted::new(storage, bug, &log));
    }
    let config = storm_config(seed.into(), arguments.path("ACTIVE"));
    let opened = Manager::open_with(storage, &log, config);
    let (manager, mut writer) = opened.unwrap_or_else(|error| panic!("open: {error}"));
    let mut random = Random(u64::from(seed) * 31 + 7);
    let mut last = manager.log().appended().last_event_id;
    loop {
        last = call(&mut writer, &mut random, &shared, seed, last).unwrap();
        shared.acknowledged().store(last, Ordering::Release);
        if random.below(5000) == 0 {
            manager.log().sync().unwrap();
        }
    }
}
