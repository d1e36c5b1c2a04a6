//! Crashed logs that are the same every time: their workers are stepped by hand before the kill.

use std::sync::Arc;

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::recorder::{Manager, Role, Step};
use flashstrike_wal::storage::PosixStorage;

use crate::support::{await_the_kill, config, event, Place, Told};

/// So many that threads would read a segment in several pieces.
const NUM_BLOCKS: u32 = 40;
pub const PER_SEGMENT: u64 = NUM_BLOCKS as u64 * 256;
/// The last event, and the last that is durable.
pub const LAST: u64 = 2 * PER_SEGMENT + 1500;
const DURABLE: u64 = LAST - 600;

/// What became of the last full segment, and its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Closed; its memory is another segment's.
    MemoryIsReused,
    /// Closed; its memory is as it was.
    MemoryIsKept,
    /// The same, and it is cold.
    MemoryIsKeptOfCold,
    /// Not closed yet.
    NotClosed,
}

/// Two full segments and an open one. The events of that behind the durable ones are in memory
/// only.
pub fn crashed(full: Full) -> Place {
    let process = match full {
        Full::MemoryIsReused => "crashed::memory_is_reused",
        Full::MemoryIsKept => "crashed::memory_is_kept",
        Full::MemoryIsKeptOfCold => "crashed::memory_is_kept_of_a_cold_segment",
        Full::NotClosed => "crashed::full_segment_is_not_closed",
    };
    let place = Place::new();
    place.crash_by(process, DURABLE, LAST);
    let in_memory = place.actives().pop().unwrap().join("FS.00000001.wal");
    assert_eq!(in_memory.exists(), full != Full::MemoryIsReused);
    let cold = place.log().join("FS.00000001.wal.lz4");
    assert_eq!(cold.exists(), full == Full::MemoryIsKeptOfCold);
    place
}

/// The processes that are killed: not tests.
#[test]
#[ignore = "it is a process that is killed"]
fn memory_is_reused() {
    record_by_hand(64, [Role::Persister, Role::Preparer], true);
}

#[test]
#[ignore = "it is a process that is killed"]
fn memory_is_kept() {
    record_by_hand(64, [Role::Preparer, Role::Persister], true);
}

#[test]
#[ignore = "it is a process that is killed"]
fn memory_is_kept_of_a_cold_segment() {
    record_by_hand(1, [Role::Preparer, Role::Persister], true);
}

#[test]
#[ignore = "it is a process that is killed"]
fn full_segment_is_not_closed() {
    record_by_hand(64, [Role::Preparer, Role::Persister], false);
}

/// Keeps so many hot segments. The workers do a step where they have to, these two in this order:
/// the preparer finds the memory of the segment that was left in use, or free.
fn record_by_hand(hot: u32, order: [Role; 2], closes: bool) {
    let Told { log, memory, durable, last } = Told::here();
    let max_segments = Keep::AtMost(hot);
    let config = Config { num_blocks: NUM_BLOCKS, max_segments, ..config(&memory) };
    let storage = Arc::new(PosixStorage::for_writing());
    let (_manager, mut writer, mut crew) = Manager::open_by_hand(storage, &log, config).unwrap();
    for id in 1..=last {
        writer.append(&event(id)).unwrap();
        if id % PER_SEGMENT != 1 && id != durable {
            continue;
        }
        let mut roles = order.to_vec();
        if closes || id <= PER_SEGMENT + 1 {
            roles.extend([Role::Maintainer, Role::Freezer(0), Role::Maintainer]);
        }
        roles.push(Role::Coordinator);
        for role in roles {
            while crew.step(role).unwrap() == Step::Busy {}
        }
    }
    await_the_kill();
}
