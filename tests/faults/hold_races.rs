//! G11: processes open, move and remove a hold of a log that deletes as fast as it can, and are
//! killed at any moment; in some rounds the log breaks what holds too much. What was held when its
//! owner died is there as long as the hold is, and everything else goes.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Release;
use std::sync::Arc;
use std::time::Duration;

use common::crash::SEGMENT;
use common::flow::{Random, Shared};
use common::keeping::{directory, first_from, segments, Claim, HOLD};
use common::ledger::{record, times, Row};
use common::planted::{Bug, Planted};
use common::{beside_writer, child, eventually, must_fail, seed, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::HoldRecord;
use flashstrike_wal::keep::Hold;
use flashstrike_wal::recorder::{Log, Manager};

const PLANTED: Bug = Bug::DeletedWithoutLock;
/// Rounds within which the planted bug must be found.
const ROUNDS_TO_CATCH: u64 = 1_000;
/// Rounds with one log: less is deleted than written while something is held.
const ROUNDS_A_LOG: u64 = 10;

fn goes_on(log: &Log) {
    let at = log.appended().last_segment_index;
    eventually("the log goes on", || log.appended().last_segment_index > at + 3);
}

/// A holder is killed, and what it held must be there.
fn round(place: &Place, log: &Log, shared: &Shared, number: u64, may_break: bool) {
    let _named = seed::Named(number);
    let path = place.log();
    shared.reset();
    shared.durable().store(log.durable().last_event_id, Release);
    let shared_path = place.base().join("shared");
    let arguments: [&dyn Display; 4] =
        [&path.display(), &shared_path.display(), &number, &may_break];
    let mut holder = child::spawn("hold-until-killed", &arguments);
    let mut random = Random(number * 31 + 7);
    let claim = Claim(shared);
    if random.below(8) != 0 {
        eventually("it holds", || claim.range().is_some() || holder.try_wait().unwrap().is_some());
    }
    for _ in 0..random.below(30) {
        shared.durable().store(log.durable().last_event_id, Release);
        std::thread::sleep(Duration::from_micros(random.below(700)));
    }
    if holder.try_wait().unwrap().is_some() {
        let output = holder.wait_with_output().unwrap();
        panic!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    check(log, &path, claim.range(), may_break);
    // Nothing else is kept: once the hold is removed, all but the newest goes.
    let _ = Hold::remove(&directory(&path), HOLD);
    let newest = u64::from(log.appended().last_segment_index);
    eventually("everything goes", || {
        segments(&path).first().is_some_and(|oldest| *oldest >= newest)
    });
}

fn check(log: &Log, path: &Path, claimed: Option<(u64, u64)>, may_break: bool) {
    let Some((lowest, highest)) = claimed else { return };
    let file = path.join("wal_holds").join(HOLD);
    let read = || fs::read(&file).ok().and_then(|bytes| HoldRecord::decode(&bytes));
    let Some(HoldRecord { event_id, .. }) = read() else {
        let is_broken = path.join("wal_holds").join(format!("{HOLD}.broken")).exists();
        assert!(may_break && is_broken, "the hold of {lowest} to {highest} is gone");
        return;
    };
    assert!((lowest..=highest).contains(&event_id), "{event_id}, not {lowest} to {highest}");
    goes_on(log);
    if !may_break {
        assert_eq!(read().map(|now| now.event_id), Some(event_id));
        assert_eq!(first_from(path, event_id).unwrap(), event_id, "held by {HOLD}");
        // The segments before it go.
        let held = (event_id - 1) / SEGMENT;
        eventually("only what is held stays", || segments(path).first() == Some(&held));
    }
}

/// Rounds with logs that delete all they can.
fn rounds(numbers: std::ops::Range<u64>, bug: Option<Bug>) {
    for first in numbers.clone().step_by(ROUNDS_A_LOG as usize) {
        let place = Place::new();
        let may_break = first / ROUNDS_A_LOG % 2 == 1 && bug.is_none();
        let config = Config {
            max_segments: Keep::AtMost(1),
            max_compressed_segments: Keep::AtMost(0),
            max_held_bytes: if may_break { 8 * 1024 * 1024 } else { 0 },
            ..place.small()
        };
        let storage = Planted::posix(bug, &place.log());
        let opened = Manager::open_with(storage, &place.log(), config);
        let (manager, mut writer) = opened.unwrap_or_else(|error| panic!("open: {error}"));
        let log = Arc::clone(manager.log());
        let shared = Shared::open(&place.base().join("shared"));
        beside_writer(&mut writer, 1, || {
            goes_on(&log);
            for number in first..(first + ROUNDS_A_LOG).min(numbers.end) {
                round(&place, &log, &shared, number, may_break);
            }
        });
        manager.shutdown(writer).unwrap();
    }
}

#[test]
fn g11_what_a_killed_process_held_is_there_and_nothing_else_is_kept() {
    if let Some(seed) = seed::chosen() {
        rounds(seed..seed + 1, None);
        return;
    }
    let planted = must_fail(PLANTED, || rounds(0..ROUNDS_TO_CATCH, Some(PLANTED)));
    let tried = times(60, 1_000);
    rounds(0..tried, None);
    record(Row {
        name: "hold-races",
        fault: "holds opened, moved, broken and removed by processes that are killed, while \
                retention deletes",
        test: "tests/faults/hold_races.rs",
        tried,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[planted],
    });
}
