//! A log that makes its events durable batch by batch, to be traced.

use common::{append, open};
use flashstrike_wal::config::{Config, SyncMode};

use crate::arguments::Arguments;

/// Appends up to each of the ids in turn, and syncs. It is not shut down.
pub fn sync_batches(arguments: &Arguments) {
    let active_parent = arguments.path("MEMORY").to_owned();
    let sync_mode = SyncMode::Rotation;
    let batches = arguments.numbers("BATCHES");
    // The last batch fills the segment.
    let num_blocks = (batches[batches.len() - 1] / 256) as u32;
    let config = Config { num_blocks, sync_mode, active_parent, ..Config::default() };
    let (manager, mut writer) = open(arguments.path("LOG"), config);
    let mut next = 1;
    for last in batches {
        append(&mut writer, next..=last);
        manager.log().sync().unwrap();
        next = last + 1;
    }
    std::process::exit(0);
}
