//! What tests of a recovery share with the child that recovers.

use std::path::Path;

use flashstrike_wal::config::Config;

/// How a child ends that opened a log, of whose reads one failed.
pub const OPENED: i32 = 7;
/// How it ends when the open was refused.
pub const REFUSED: i32 = 8;

/// A small log, so that few calls are made. (`accept_loss` is off by default.)
pub fn small(memory: &Path, accept_loss: bool) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1,
        active_parent: memory.to_owned(),
        accept_loss,
        ..Config::default()
    }
}
