//! What recovery tests share with the child that recovers.

use std::path::Path;

use flashstrike_wal::config::Config;

/// Exit code of a child that opened the log although one of its reads failed.
pub const OPENED: i32 = 7;
/// Exit code of a child whose open was refused.
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
