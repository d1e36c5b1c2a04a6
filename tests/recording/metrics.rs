//! What the metrics say of the state of a log: where it begins, what it takes on the disk, how far
//! its disk is behind, whether it has failed.

use std::fs;

use common::{append, eventually, names, open, read_ids, Place};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::format::Layout;

const PER_SEGMENT: u64 = 16 * 256;

#[test]
fn f25_where_the_log_begins_and_what_it_takes_on_the_disk() {
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::AtMost(3),
        ..place.small()
    };
    let (manager, mut writer) = open(&place.log(), config.clone());
    assert_eq!(manager.log().metrics().oldest_event_id, 0, "it is empty");
    append(&mut writer, [1]);
    manager.log().sync().unwrap();
    eventually("it begins", || manager.log().metrics().oldest_event_id == 1);
    append(&mut writer, 2..=10 * PER_SEGMENT + 1);
    manager.log().sync().unwrap();
    let cold_bytes = || {
        let cold = names(&place.log()).into_iter().filter(|name| name.ends_with(".lz4"));
        cold.map(|name| fs::metadata(place.log().join(name)).map_or(0, |file| file.len())).sum()
    };
    eventually("retention is done", || {
        let now = manager.log().metrics();
        (now.hot_segments, now.cold_segments) == (2, 3) && now.cold_bytes == cold_bytes()
    });
    let now = manager.log().metrics();
    assert_eq!(now.oldest_event_id, read_ids(&place.log())[0]);
    assert_eq!(now.hot_bytes, 2 * Layout { blocks: 16 }.file_size());
    manager.shutdown(writer).unwrap();

    let (manager, writer) = open(&place.log(), config);
    eventually("the same after a restart", || {
        let again = manager.log().metrics();
        (again.oldest_event_id, again.cold_bytes) == (now.oldest_event_id, now.cold_bytes)
    });
    manager.shutdown(writer).unwrap();
}

#[test]
fn f25_how_long_events_wait_to_be_durable() {
    let place = Place::new();
    let config = Config { sync_mode: SyncMode::Rotation, ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    let lag = || manager.log().metrics().durable_lag_ns;
    assert_eq!(lag(), 0);
    append(&mut writer, [1]);
    eventually("the event is seen to wait", || lag() > 0);
    let before = lag();
    append(&mut writer, [2]);
    eventually("the first one waits on", || lag() > before);
    manager.log().sync().unwrap();
    assert_eq!(lag(), 0);
    manager.shutdown(writer).unwrap();
}

#[test]
fn f25_whether_the_log_has_failed() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, [1]);
    assert_eq!(manager.log().metrics().poisoned, 0);
    common::remove_from_under(&place.active_directories()[0]);
    eventually("its memory is missed", || manager.log().metrics().poisoned == 1);
    assert!(manager.shutdown(writer).is_err());
}
