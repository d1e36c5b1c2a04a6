//! The names of what is compared in several tables, and the baselines that each of them has.

use std::path::Path;

use super::block_buffer::BlockBuffer;
use super::contestant::{Entrant, Entry};
use super::mapped_file::MappedFile;
use super::okaywal::OkayWal;
use super::raft_engine::RaftEngine;
use super::write_each::WriteEach;
use crate::processors::Processors;

pub const LIBRARY: &str = "flashstrike-wal";
pub const MEMORY: &str = "memory floor";
pub const BESIDE_DISK: &str = "floor beside a busy disk";
pub const TIMER: &str = "timer floor";

/// The baselines of every table.
pub fn baselines(directory: &Path, processors: &Processors) -> Vec<Box<dyn Entrant>> {
    vec![
        Entry::boxed("block buffer", BlockBuffer::new()),
        Entry::boxed("mapped file + fdatasync", MappedFile::new(directory, processors)),
        Entry::boxed("write per event", WriteEach::new(directory)),
        Entry::boxed("raft-engine", processors.on_workers(|| RaftEngine::new(directory))),
        Entry::boxed("okaywal", processors.on_workers(|| OkayWal::new(directory))),
    ]
}
