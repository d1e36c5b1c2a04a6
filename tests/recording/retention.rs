//! G11: exactly the right segments are kept, and nothing at or above the floor is deleted.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use common::crash::SEGMENT;
use common::keeping::{self, are_cold, hot_and_cold};
use common::planted::Planted;
use common::{append, assert_holds, event, eventually, names, open, Place};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::Error;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::{PosixStorage, Storage};

/// Full segments of each log; one more event is in a last segment.
const FULL: u64 = 20;

/// The indexes of the hot and of the cold segments.
fn segments(place: &Place) -> (Vec<u64>, Vec<u64>) {
    hot_and_cold(&place.log())
}

/// Fills a log, waits until its segments are right, which the workers must achieve while it is
/// open, and shuts it down: exactly these must remain, with every event in them. Those from the end
/// of `cold` on are hot.
fn assert_keeps(config: Config, place: &Place, cold: Range<u64>) {
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=FULL * SEGMENT + 1);
    let log = manager.log();
    log.sync().unwrap();
    eventually("all are closed", || log.metrics().close.count == FULL);
    eventually("what retention asks for", || are_cold(&place.log(), cold.clone()));
    manager.shutdown(writer).unwrap();
    let hot = (cold.end..=FULL).collect();
    assert_eq!(segments(place), (hot, cold.clone().collect()));
    assert_holds_from(place, cold.start);
}

/// The log starts with the segment `oldest` and has no gap.
fn assert_holds_from(place: &Place, oldest: u64) {
    let mut expected = oldest * SEGMENT + 1..=FULL * SEGMENT + 1;
    let mut reader = Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap();
    loop {
        match reader.next() {
            Ok(found) => assert_eq!(found, event(expected.next().expect("an event too many"))),
            Err(Error::End) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(expected.next(), None, "an event is missing");
}

#[test]
fn g11_hot_and_cold_limits_are_kept_exactly() {
    for (hot, cold) in [(1, 1), (3, 5), (5, 3), (21, 4), (20, 4), (2, 40)] {
        let place = Place::new();
        let config = Config {
            max_segments: Keep::AtMost(hot),
            max_compressed_segments: Keep::AtMost(cold),
            ..place.small()
        };
        let first_hot = (FULL + 1).saturating_sub(u64::from(hot));
        let first_cold = first_hot.saturating_sub(u64::from(cold));
        assert_keeps(config, &place, first_cold..first_hot);
    }
}

#[test]
fn g11_keep_all() {
    let place = Place::new();
    let config = Config {
        max_segments: Keep::All,
        max_compressed_segments: Keep::AtMost(1),
        ..place.small()
    };
    assert_keeps(config, &place, 0..0);
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::All,
        ..place.small()
    };
    assert_keeps(config, &place, 0..FULL - 1);
}

#[test]
fn g11_keep_none_makes_no_cold_segment() {
    for no_compression in [false, true] {
        let place = Place::new();
        let config = Config {
            max_segments: Keep::AtMost(3),
            max_compressed_segments: Keep::AtMost(0),
            no_compression,
            ..place.small()
        };
        assert_keeps(config, &place, FULL - 2..FULL - 2);
    }
}

/// A log with cold segments is opened once with compression off, and goes on to rotate.
#[test]
fn f35_no_compression_deletes_nothing_that_its_limit_keeps() {
    for max_compressed_segments in [Keep::All, Keep::AtMost(100)] {
        let place = Place::new();
        let with =
            Config { max_segments: Keep::AtMost(2), max_compressed_segments, ..place.small() };
        assert_keeps(with.clone(), &place, 0..FULL - 1);
        let without = Config { no_compression: true, ..with };
        let (manager, mut writer) = open(&place.log(), without);
        let last = manager.log().appended().last_event_id;
        append(&mut writer, last + 1..=last + 5 * SEGMENT);
        manager.shutdown(writer).unwrap();
        let (hot, cold) = segments(&place);
        assert_eq!(cold, (0..FULL - 1).collect::<Vec<_>>(), "cold ones obey their own limit");
        assert_eq!(hot, (FULL - 1..=FULL + 5).collect::<Vec<_>>(), "hot ones stay");
        assert_holds(&place.log(), last + 5 * SEGMENT);
    }
}

/// A log with cold segments is opened once with another limit for them, or none wanted, and then as
/// before. That open deletes what it is told to and nothing behind it: what is left has no hole,
/// and is compressed again.
#[test]
fn f35_another_limit_for_one_open_deletes_what_it_says_and_leaves_no_hole() {
    // The limit and the floor of that open, and the oldest segment that they leave.
    let cases = [
        (Keep::AtMost(0), 0, FULL + 4),
        (Keep::AtMost(0), 7 * SEGMENT + 1, 7),
        (Keep::AtMost(0), (FULL + 1) * SEGMENT + 9, FULL + 1),
        (Keep::AtMost(3), 0, FULL + 1),
        (Keep::AtMost(100), 0, 0),
    ];
    for (max_compressed_segments, retention_floor, oldest) in cases {
        let place = Place::new();
        let keep = Config { max_segments: Keep::AtMost(2), ..place.small() };
        assert_keeps(keep.clone(), &place, 0..FULL - 1);
        let (mut last, mut newest) = (FULL * SEGMENT + 1, FULL);
        let other = Config { max_compressed_segments, retention_floor, ..keep.clone() };
        for (config, open_again) in [(other, false), (keep, true)] {
            let (manager, mut writer) = open(&place.log(), config);
            assert_eq!(manager.log().appended().last_event_id, last);
            append(&mut writer, last + 1..=last + 5 * SEGMENT);
            (last, newest) = (last + 5 * SEGMENT, newest + 5);
            let log = manager.log();
            log.sync().unwrap();
            eventually("all are closed", || log.metrics().close.count == 5);
            // With a floor under KEEP_NONE, hot segments wait behind the cold ones that it holds.
            let waits = !open_again && max_compressed_segments == Keep::AtMost(0);
            eventually("what retention asks for", || match waits {
                true => keeping::segments(&place.log()).first() == Some(&oldest),
                false => are_cold(&place.log(), oldest..newest - 1),
            });
            manager.shutdown(writer).unwrap();
            let (hot, cold) = segments(&place);
            assert_eq!([cold.as_slice(), &hot].concat(), (oldest..=newest).collect::<Vec<_>>());
            assert!(!open_again || hot.len() == 2, "{hot:?}");
            let ids = common::read_ids(&place.log());
            assert!(ids.iter().copied().eq(oldest * SEGMENT + 1..=last), "from {:?}", ids.first());
        }
    }
}

/// The segment that contains the floor stays, and all after it.
#[test]
fn g11_nothing_at_or_above_the_floor_is_deleted() {
    for (floor, oldest) in [
        (5 * SEGMENT + 100, 5),
        (5 * SEGMENT + 1, 5),
        (5 * SEGMENT, 4),
        (1, 0),
        (u64::MAX - 1, FULL - 4),
    ] {
        let place = Place::new();
        let config = Config {
            max_segments: Keep::AtMost(2),
            max_compressed_segments: Keep::AtMost(3),
            retention_floor: floor,
            ..place.small()
        };
        assert_keeps(config, &place, oldest..FULL - 1);
        let place = Place::new();
        let config = Config {
            max_segments: Keep::AtMost(5),
            max_compressed_segments: Keep::AtMost(0),
            retention_floor: floor,
            ..place.small()
        };
        assert_keeps(config, &place, oldest..oldest);
    }
}

/// Limits lowered between two opens apply from the next open on.
#[test]
fn g11_lowered_limits_hold_from_the_next_open() {
    let place = Place::new();
    let keep_all = Config { max_segments: Keep::All, ..place.small() };
    assert_keeps(keep_all.clone(), &place, 0..0);
    let config = Config {
        max_segments: Keep::AtMost(4),
        max_compressed_segments: Keep::AtMost(2),
        ..keep_all
    };
    let (manager, writer) = open(&place.log(), config);
    eventually("what retention asks for", || are_cold(&place.log(), FULL - 5..FULL - 3));
    manager.shutdown(writer).unwrap();
    assert_eq!(segments(&place), ((FULL - 3..=FULL).collect(), vec![FULL - 5, FULL - 4]));
}

/// A reader that is overtaken reports which events it lost.
#[test]
fn g11_a_reader_that_loses_events_reports_the_range() {
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(1),
        ..place.small()
    };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=10);
    let mut reader = Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap();
    assert_eq!(reader.next().unwrap(), event(1));
    append(&mut writer, 11..=FULL * SEGMENT + 1);
    manager.log().sync().unwrap();
    eventually("the others are deleted", || are_cold(&place.log(), FULL - 1..FULL));
    manager.shutdown(writer).unwrap();
    let mut last = 1;
    let error = loop {
        match reader.next() {
            Ok(found) => {
                assert_eq!(found.event_id, last + 1);
                last = found.event_id;
            }
            Err(error) => break error,
        }
    };
    let Error::Failure(failure) = &error else { panic!("after {last}: {error}") };
    assert_eq!(failure.cause, flashstrike_wal::error::Cause::Gap);
    assert_eq!(failure.place.event_ids, Some((last + 1, (FULL - 1) * SEGMENT)));
}

/// A shutdown makes durable and leaves what can be done later: here 100 segments to be compressed,
/// on a disk on which each takes a twentieth of a second and more. Stepped by hand, one after the
/// other, no more than 20 of them fit into the second that a shutdown goes on with it, however slow
/// the machine; with threads nobody knows how many were compressed before it began.
#[test]
fn f41_a_shutdown_leaves_a_backlog_of_compression_to_the_next_open() {
    const SEGMENTS: u64 = 100;
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::All,
        ..place.small()
    };
    let without = Config { no_compression: true, ..config.clone() };
    let (manager, mut writer) = open(&place.log(), without);
    append(&mut writer, 1..=SEGMENTS * SEGMENT + 1);
    manager.shutdown(writer).unwrap();

    let storage = Arc::new(PosixStorage::for_writing());
    let slow = Planted::slow(storage, None, Duration::from_millis(50), &place.log());
    let slow: Arc<dyn Storage> = Arc::new(slow);
    let opened = Manager::open_by_hand(Arc::clone(&slow), &place.log(), config.clone());
    let (manager, mut writer, crew) = opened.unwrap();
    append(&mut writer, [SEGMENTS * SEGMENT + 2]);
    manager.shutdown_by_hand(writer, crew).unwrap();
    let (hot, cold) = segments(&place);
    assert!(hot.len() > 50, "{} are hot: it has compressed {} more", hot.len(), cold.len());

    let (manager, writer) = Manager::open_with(slow, &place.log(), config.clone()).unwrap();
    manager.shutdown(writer).unwrap();
    assert!(names(&place.log()).iter().all(|name| !name.ends_with(".tmp")));

    let (manager, writer) = open(&place.log(), config);
    eventually("the rest is compressed", || manager.log().metrics().hot_segments == 1);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), SEGMENTS * SEGMENT + 2);
}

/// While the newest segment has nothing durable, the log on disk ends in the segment before:
/// without it, a power cut would leave nothing.
#[test]
fn g11_the_last_durable_segment_stays_whatever_the_limit() {
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(0),
        sync_mode: SyncMode::Rotation,
        ..place.small()
    };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=SEGMENT + 1);
    eventually("the full segment is closed", || manager.log().metrics().close.count == 1);
    for _ in 0..50 {
        assert_eq!(manager.log().durable().last_event_id, SEGMENT);
        assert!(
            segments(&place).0.contains(&0),
            "the only segment with durable events was deleted"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    manager.log().sync().unwrap();
    eventually("it is let go of", || !segments(&place).0.contains(&0));
    manager.shutdown(writer).unwrap();
}
