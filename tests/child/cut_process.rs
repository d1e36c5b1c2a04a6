//! The processes under which the power is cut: one that records, and one that follows it.

use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::Arc;
use std::time::Duration;

use common::decision;
use common::flow::{call, Random, Shared};
use common::following::{Blind, Blindfold, Progress};
use common::planted::Planted;
use common::read_only::ReadOnly;
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{FollowOptions, Follower, ReaderOptions};
use flashstrike_wal::storage::{PosixStorage, Storage};

use crate::arguments::Arguments;

/// For at most this many ids the process appends without pause, then slowly: the disk is small, and
/// a writer that waits for the disk has no unsynced events.
const FAST_IDS: u64 = 20_000;

pub(crate) fn config(seed: u64, active_parent: &Path) -> Config {
    let mut random = Random(seed * 977 + 13);
    Config {
        num_blocks: 16,
        prepared_segments: 1 + random.below(3) as u32,
        max_segments: Keep::AtMost(1 + random.below(4) as u32),
        max_compressed_segments: match random.below(4) {
            0 => Keep::AtMost(2),
            _ => Keep::All,
        },
        no_compression: random.one_in(8),
        sync_mode: match random.below(4) {
            0 => SyncMode::Rotation,
            1 => SyncMode::Interval(Duration::from_millis(2)),
            _ => SyncMode::Continuous,
        },
        active_parent: active_parent.to_owned(),
        ..Config::default()
    }
}

/// Whether nothing is written past the page cache: then the kernel, too, can lose what was written.
pub(crate) fn is_cached(seed: u64) -> bool {
    seed % 4 == 0
}

/// Appends until killed.
pub fn append_until_cut(arguments: &Arguments) {
    common::end_with_parent();
    let (seed, life): (u64, u32) = (arguments.number("SEED"), arguments.number("LIFE"));
    let (log, active) = (arguments.path("LOG"), arguments.path("ACTIVE"));
    let (bug, shared) = (arguments.bug("BUG"), Shared::open(arguments.path("SHARED")));
    let mut random = Random(seed * 31 + 7);
    let sync_time = Duration::from_micros(random.below(4).min(1) * random.below(6_000));
    let storage = if is_cached(seed) {
        let posix = Arc::new(PosixStorage::for_writing());
        Arc::new(Planted::slow(posix, bug, sync_time, log).through_the_cache())
    } else {
        Planted::posix(bug, log)
    };
    let opened = Manager::open_with(storage, log, config(seed, active));
    let (manager, mut writer) = opened.unwrap_or_else(|error| park_if_failing(&shared, &error));
    let label = decision(&manager);
    // Clean: the power was cut in an open, between closing the log and opening it again.
    let expected = ["new-log", "clean", "reboot", "reboot/tail-cut"].contains(&label.as_str());
    assert!(expected, "recovered as {label}");
    let mut last = manager.log().appended().last_event_id;
    shared.recovered().store(last, Release);
    shared.kept_aside().store(manager.log().recovery_report().events_kept_aside, Release);
    shared.opened().store(1, Release);
    let fast_until = last + random.below(FAST_IDS);
    loop {
        let called = call(&mut writer, &mut random, &shared, life, last);
        last = called.unwrap_or_else(|error| park_if_failing(&shared, &error));
        shared.acknowledged().store(last, Release);
        let durable = manager.log().durable();
        let segment = u64::from(durable.last_segment_index);
        shared.durable_position().store(segment << 32 | u64::from(durable.last_offset), Release);
        shared.durable().store(durable.last_event_id, Release);
        if last > fast_until || random.one_in(60) {
            std::thread::sleep(Duration::from_micros(random.below(600)));
        }
    }
}

/// Follows what is durable, until killed, and tells the last event that it was shown.
pub fn follow_until_cut(arguments: &Arguments) {
    common::end_with_parent();
    let shared = Shared::open(arguments.path("SHARED"));
    let progress = Progress::open(arguments.path("PROGRESS"));
    let options = FollowOptions {
        read: ReaderOptions { verify: true },
        follow: true,
        durable_only: true,
        spin: Duration::ZERO,
        end_event_id: 0,
    };
    let storage: Arc<dyn Storage> = match Blind::named(arguments.word("BUG")) {
        Some(bug) => ReadOnly::under(&Arc::new(Blindfold::new(bug))),
        None => Arc::new(PosixStorage::for_reading()),
    };
    let opened = Follower::open_with(storage, arguments.path("LOG"), options);
    let begin = |mut follower: Follower| {
        follower.seek(arguments.number("FROM"))?;
        Ok(follower)
    };
    let mut follower = opened.and_then(begin).unwrap_or_else(|e| park_if_failing(&shared, &e));
    loop {
        let read = follower.wait(Some(Duration::from_millis(20)));
        match read.and_then(|()| Ok(follower.next_batch()?.last().map_or(0, |last| last.event_id)))
        {
            Ok(last) => progress.shown().store(last, Release),
            Err(Error::Timeout) => {}
            Err(error) if error.cause() == Some(Cause::Gap) => {}
            Err(error) => park_if_failing(&shared, &error),
        }
    }
}

/// When the power is being cut, errors are expected: waits to be killed.
fn park_if_failing<T>(shared: &Shared, error: &Error) -> T {
    assert_eq!(shared.failing().load(Acquire), 1, "before the cut: {error}");
    loop {
        std::thread::park();
    }
}
