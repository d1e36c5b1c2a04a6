//! G11: the retention floor while the log is open. Once a call that moves it has returned, nothing
//! at or above it is deleted, however fast retention and the writer are.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use common::crash::SEGMENT;
use common::keeping::{first_from, segments};
use common::ledger::{self, Row};
use common::{append, beside_writer, eventually, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Log;

fn config(place: &Place, hot: u32, cold: u32) -> Config {
    Config {
        max_segments: Keep::AtMost(hot),
        max_compressed_segments: Keep::AtMost(cold),
        ..place.small()
    }
}

fn oldest_is(place: &Place, index: u64) {
    eventually(&format!("segment {index} is the oldest"), || {
        segments(&place.log()).first() == Some(&index)
    });
    assert_eq!(first_from(&place.log(), 0).unwrap(), index * SEGMENT + 1);
}

#[test]
fn g11_a_floor_that_rises_lets_retention_go_on_at_once() {
    for (hot, cold) in [(2, 0), (1, 1)] {
        let place = Place::new();
        let config = Config { retention_floor: 1, ..config(&place, hot, cold) };
        let (manager, mut writer) = open(&place.log(), config);
        append(&mut writer, 1..=10 * SEGMENT + 1);
        oldest_is(&place, 0);
        // The log is idle, so only the call itself can wake the maintainer.
        for (floor, oldest) in [(SEGMENT, 0), (5 * SEGMENT + 1, 5), (6 * SEGMENT, 5), (0, 9)] {
            manager.log().set_retention_floor(floor).unwrap();
            oldest_is(&place, oldest);
        }
        manager.shutdown(writer).unwrap();
    }
}

#[test]
fn g11_a_floor_that_is_lowered_protects_what_is_left() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), config(&place, 2, 0));
    append(&mut writer, 1..=10 * SEGMENT + 1);
    oldest_is(&place, 9);
    // Below the oldest event and then within it: either way that segment stays from now on.
    for floor in [3, 9 * SEGMENT + 7] {
        manager.log().set_retention_floor(floor).unwrap();
        let from = manager.log().appended().last_event_id + 1;
        append(&mut writer, from..from + 10 * SEGMENT);
        manager.log().sync().unwrap();
        oldest_is(&place, 9);
    }
    manager.log().set_retention_floor(u64::MAX).unwrap();
    oldest_is(&place, 29);
    manager.shutdown(writer).unwrap();
    assert_eq!(segments(&place.log()), (29..=30).collect());
}

#[test]
fn g11_the_floor_of_the_config_is_not_remembered_and_a_closed_log_takes_none() {
    let place = Place::new();
    let with_floor = Config { retention_floor: 1, ..config(&place, 2, 0) };
    let (manager, mut writer) = open(&place.log(), with_floor);
    append(&mut writer, 1..=5 * SEGMENT + 1);
    let log = manager.log().clone();
    manager.shutdown(writer).unwrap();
    assert_eq!(segments(&place.log()).len(), 6);
    let closed = log.set_retention_floor(1);
    common::expect_cause(closed, flashstrike_wal::error::Cause::Closed);
    let (manager, writer) = open(&place.log(), config(&place, 2, 0));
    manager.shutdown(writer).unwrap();
    assert_eq!(segments(&place.log()), (4..=5).collect());
}

/// Lets retention delete everything, and a moment later lowers the floor again: the segments that
/// exist when that call returns must still exist after more appends. Returns how many of them were
/// deleted. Without `is_lowered`, the floor is not lowered, as by a recorder that ignores the call.
fn let_loose_and_hold(place: &Place, log: &Log, round: u64, is_lowered: bool) -> u64 {
    let newest = u64::from(log.appended().last_segment_index);
    log.set_retention_floor(newest * SEGMENT + 1).unwrap();
    let pause = Duration::from_micros(round * 37 % 1500);
    let begin = Instant::now();
    while begin.elapsed() < pause {
        std::hint::spin_loop();
    }
    let oldest = *segments(&place.log()).first().unwrap();
    let held = oldest + round % 3;
    if is_lowered {
        log.set_retention_floor(held * SEGMENT + 1 + round % SEGMENT).unwrap();
    }
    let there: BTreeSet<u64> = segments(&place.log()).range(held..).copied().collect();
    let at = log.appended().last_segment_index;
    eventually("the log goes on", || log.appended().last_segment_index > at + 1);
    // Twice: a listing may miss a segment that turns cold meanwhile.
    let now = &segments(&place.log()) | &segments(&place.log());
    let gone = there.difference(&now).count() as u64;
    // None of the protected segments may exist yet.
    let (0, Some(first)) = (gone, there.first()) else {
        return gone;
    };
    let first_id = first * SEGMENT + 1;
    match first_from(&place.log(), first_id) {
        Ok(found) => {
            assert_eq!(found, first_id);
            0
        }
        // It was deleted since it was listed.
        Err(error) if error.cause() == Some(Cause::Gap) => 1,
        Err(other) => panic!("{other}"),
    }
}

/// The result of moving the floor of a busy log.
#[derive(Default)]
struct Retention {
    deleted: u64,
    /// Protected segments that were deleted.
    gone: u64,
}

impl Retention {
    /// Moves the floor of a log while it records, and stops when a protected segment was deleted.
    fn move_floor(&mut self, cold: u32, rounds: Range<u64>, is_lowered: bool) {
        let place = Place::new();
        let (manager, mut writer) = open(&place.log(), config(&place, 1, cold));
        let log = manager.log().clone();
        beside_writer(&mut writer, 1, || {
            eventually("there is something to delete", || log.appended().last_segment_index > 3);
            for round in rounds {
                self.gone += let_loose_and_hold(&place, &log, round, is_lowered);
                if self.gone > 0 {
                    break;
                }
            }
        });
        self.deleted += log.metrics().segments_deleted;
        manager.shutdown(writer).unwrap();
    }
}

const ROUNDS_A_LOG: u64 = 150;

#[test]
fn g11_nothing_planned_under_an_older_floor_is_deleted_under_a_newer_one() {
    let rounds = ledger::times(2, 34) * ROUNDS_A_LOG;
    let mut retention = Retention::default();
    // One log for each run: less is deleted than written, and the disk would fill up.
    for first in (0..rounds).step_by(ROUNDS_A_LOG as usize) {
        let cold = (first / ROUNDS_A_LOG % 2) as u32;
        retention.move_floor(cold, first..first + ROUNDS_A_LOG, true);
    }
    let mut planted = Retention::default();
    planted.move_floor(0, 0..50, false);
    assert!(planted.gone > 0, "a floor that is not lowered was not caught");
    let Retention { deleted, gone } = retention;
    ledger::record(Row {
        name: "retention-floor",
        fault: "retention floor lowered while segments are being deleted",
        test: "tests/faults/retention_floor.rs",
        tried: rounds,
        lost: gone * SEGMENT,
        invented: 0,
        undetected: 0,
        planted: &["a floor that is not lowered"],
    });
    assert_eq!(gone, 0, "protected segments were deleted");
    assert!(deleted > rounds / 4, "retention deleted only {deleted} segments");
}
