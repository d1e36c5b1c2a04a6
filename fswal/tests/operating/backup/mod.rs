//! `backup`: the copy opens, and has just the events that it says.

mod opens;
mod spoil;
mod storm;
mod storm_writer;
mod stream;
mod synced;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::recorder::Manager;
use serde_json::{json, Value};

use crate::damage::flip;
use crate::support::PER_SEGMENT;
use crate::support::{command, event, fswal, fswal_with, state_of, text, wait_until, Place};

use opens::{assert_has, assert_opens};

fn backup(place: &Place, out: &Path) -> Value {
    fswal(&["backup", "--json", text(&place.log()), text(out)]).ends_with(0).json()
}

fn holds(place: &Place) -> Vec<Value> {
    fswal(&["holds", "--json", text(&place.log())]).ends_with(0).lines()
}

#[test]
fn of_a_log_that_was_shut_down() {
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT + 700);
    let out = place.base().join("backup");
    let before = state_of(&place.log());
    let said = backup(&place, &out);
    assert_eq!(said["up_to_event_id"], 2 * PER_SEGMENT + 700);
    assert_eq!((&said["segments_copied"], &said["segments_written"]), (&json!(3), &json!(0)));
    assert_has(&out, 1..=2 * PER_SEGMENT + 700);
    assert_opens(&place, &out, 1..=2 * PER_SEGMENT + 700);
    assert_eq!(holds(&place), Vec::<Value>::new(), "its hold is gone");
    let segments = |state: Vec<(std::path::PathBuf, u64, Vec<u8>)>| {
        let all = state.into_iter().map(|(path, _, content)| (path, content));
        all.filter(|(path, _)| path.extension().is_some_and(|e| e == "wal")).collect::<Vec<_>>()
    };
    assert_eq!(segments(state_of(&place.log())), segments(before));
}

#[test]
fn of_a_crashed_log_it_has_what_an_open_would_recover() {
    let place = Place::new();
    place.crash(100, PER_SEGMENT + 50);
    let out = place.base().join("backup");
    let said = backup(&place, &out);
    assert_eq!(said["up_to_event_id"], PER_SEGMENT + 50, "memory is in it");
    assert_opens(&place, &out, 1..=PER_SEGMENT + 50);
    assert_eq!(place.actives().len(), 1, "and the log's memory is still there");
    for active in place.actives() {
        std::fs::remove_dir_all(active).unwrap();
    }
    let other = place.base().join("other");
    let said = fswal(&["backup", text(&place.log()), text(&other)]).ends_with(1);
    assert!(said.err.contains("a backup always opens"), "{}", said.err);
    assert!(!other.exists() && !place.base().join("other.partial").exists());
}

#[test]
fn of_a_live_log_while_segments_rotate_and_freeze() {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(2), ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    let log = manager.log().clone();
    let ended = AtomicBool::new(false);
    let out = place.base().join("backup");
    std::thread::scope(|scope| {
        let ended = &ended;
        let writer = scope.spawn(move || {
            let mut id = 0;
            while !ended.load(Ordering::Relaxed) && id < 40_000_000 {
                for _ in 0..100 {
                    id += 1;
                    writer.append(&event(id)).unwrap();
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            writer
        });
        wait_until("there are cold segments", || {
            log.metrics().cold_segments > 2 && log.metrics().durable_event_id > 8 * PER_SEGMENT
        });
        for _ in 0..3 {
            let before = log.metrics().durable_event_id;
            let said = backup(&place, &out);
            let last = said["up_to_event_id"].as_u64().unwrap();
            assert!(last >= before, "{last} was durable before {before}");
            assert!(last <= log.metrics().durable_event_id);
            assert_has(&out, 1..=last);
            assert_opens(&place, &out, 1..=last);
        }
        ended.store(true, Ordering::Relaxed);
        manager.shutdown(writer.join().unwrap()).unwrap();
    });
    assert_eq!(holds(&place), Vec::<Value>::new());
}

#[test]
fn of_a_live_log_it_has_what_is_durable_and_no_more() {
    let place = Place::new();
    let config = Config { sync_mode: SyncMode::Rotation, ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    (1..=100).for_each(|id| writer.append(&event(id)).unwrap());
    manager.log().sync().unwrap();
    (101..=200).for_each(|id| writer.append(&event(id)).unwrap());
    let out = place.base().join("backup");
    assert_eq!(backup(&place, &out)["up_to_event_id"], 100);
    assert_opens(&place, &out, 1..=100);
    manager.shutdown(writer).unwrap();
}

#[test]
fn an_earlier_backup_is_gone_on_from() {
    let place = Place::new();
    let out = place.base().join("backup");
    place.record(1..=2 * PER_SEGMENT + 700);
    backup(&place, &out);
    let (manager, mut writer) = place.open();
    let last = 4 * PER_SEGMENT + 10;
    (2 * PER_SEGMENT + 701..=last).for_each(|id| writer.append(&event(id)).unwrap());
    manager.shutdown(writer).unwrap();
    let said = backup(&place, &out);
    assert_eq!((&said["segments_kept"], &said["segments_copied"]), (&json!(2), &json!(3)));
    assert_opens(&place, &out, 1..=last);

    // By its header and its chain, never by its name: another segment of that name is copied anew.
    let other = Place::new();
    other.record(5000..=5000 + 3 * PER_SEGMENT);
    std::fs::copy(other.log().join("FS.00000001.wal"), out.join("FS.00000001.wal")).unwrap();
    let said = backup(&place, &out);
    assert_eq!((&said["segments_kept"], &said["segments_copied"]), (&json!(4), &json!(1)));
    assert_opens(&place, &out, 1..=last);

    // What was kept is checked too.
    flip(&out.join("FS.00000002.wal"), 64 + 16_448 + 100);
    let contents = || state_of(&out).into_iter().map(|(path, _, bytes)| (path, bytes));
    let before: Vec<_> = contents().collect();
    let said = fswal(&["backup", text(&place.log()), text(&out)]).ends_with(1);
    assert!(said.err.contains("FS.00000002.wal") && said.err.contains("make a new one"));
    assert!(contents().eq(before), "what is not right is not named");
}

#[test]
fn only_a_backup_of_this_log_is_gone_on_from() {
    let place = Place::new();
    place.record(1..=500);
    let out = place.base().join("backup");
    let refused = |why: &str| {
        let said = fswal(&["backup", text(&place.log()), text(&out)]).ends_with(2);
        assert!(said.err.contains(why), "{}", said.err);
    };
    std::fs::create_dir(&out).unwrap();
    refused("is no backup");
    std::fs::remove_dir(&out).unwrap();
    let other = Place::new();
    other.record(1..=500);
    fswal(&["backup", text(&other.log()), text(&out)]).ends_with(0);
    refused("is a backup of another log");
    assert_has(&out, 1..=500);
    std::fs::remove_dir_all(&out).unwrap();
    backup(&place, &out);
    let (manager, writer) = Manager::open(&out, place.config()).unwrap();
    manager.shutdown(writer).unwrap();
    refused("is a log that was opened");
    assert_eq!(holds(&place), Vec::<Value>::new());
}

#[test]
fn segments_that_retention_took_from_the_log_stay_in_the_backup() {
    let place = Place::new();
    let out = place.base().join("backup");
    place.record(1..=4 * PER_SEGMENT);
    backup(&place, &out);
    remove_oldest(&place, 2);
    let said = backup(&place, &out);
    assert_eq!((&said["segments_kept"], &said["first_event_id"]), (&json!(4), &json!(1)));
    assert_opens(&place, &out, 1..=4 * PER_SEGMENT);
}

/// Removes the oldest segments of a log, as retention does.
fn remove_oldest(place: &Place, count: u32) {
    for index in 0..count {
        std::fs::remove_file(place.log().join(format!("FS.{index:08}.wal"))).unwrap();
    }
}

#[test]
fn a_backup_is_not_gone_on_from_where_events_are_in_neither() {
    let place = Place::new();
    let out = place.base().join("backup");
    // It ends within segment 1.
    place.record(1..=PER_SEGMENT + 700);
    backup(&place, &out);
    let (manager, mut writer) = place.open();
    let last = 4 * PER_SEGMENT;
    (PER_SEGMENT + 701..=last).for_each(|id| writer.append(&event(id)).unwrap());
    manager.shutdown(writer).unwrap();
    remove_oldest(&place, 2);
    let said = fswal(&["backup", text(&place.log()), text(&out)]).ends_with(2);
    let (end, first) = (PER_SEGMENT + 700, 2 * PER_SEGMENT + 1);
    let why = [format!("event {end} as the last"), format!("at event {first}: what was between")];
    assert!(why.iter().all(|why| said.err.contains(why)), "{}", said.err);
    assert_eq!(holds(&place), Vec::<Value>::new());
    assert!(!place.base().join("backup.partial").exists());
    assert_opens(&place, &out, 1..=end);
    let other = place.base().join("other");
    backup(&place, &other);
    assert_opens(&place, &other, first..=last);
}

/// That nothing was between shows by the segment, which is full: ids may have gaps.
#[test]
fn a_backup_is_gone_on_from_where_ids_have_a_gap() {
    let place = Place::new();
    let out = place.base().join("backup");
    place.record(1..=2 * PER_SEGMENT);
    backup(&place, &out);
    let (manager, mut writer) = place.open();
    let (first, last) = (3 * PER_SEGMENT, 5 * PER_SEGMENT);
    (first..=last).for_each(|id| writer.append(&event(id)).unwrap());
    manager.shutdown(writer).unwrap();
    remove_oldest(&place, 2);
    let said = backup(&place, &out);
    assert_eq!((&said["first_event_id"], &said["up_to_event_id"]), (&json!(1), &json!(last)));
    fswal(&["verify", text(&out)]).ends_with(0);
}

/// What is damaged is the earlier backup's, of which the log has nothing any more.
#[test]
fn damage_in_an_older_segment_is_said_of_the_backup() {
    let place = Place::new();
    let out = place.base().join("backup");
    place.record(1..=4 * PER_SEGMENT);
    backup(&place, &out);
    remove_oldest(&place, 2);
    flip(&out.join("FS.00000000.wal"), 64 + 16_448 + 100);
    let said = fswal(&["backup", text(&place.log()), text(&out)]).ends_with(1);
    assert!(said.err.contains("FS.00000000.wal"), "{}", said.err);
}

#[test]
fn a_backup_is_not_gone_on_from_with_events_that_the_log_has_lost() {
    let place = Place::new();
    let out = place.base().join("backup");
    place.record(1..=PER_SEGMENT + 700);
    backup(&place, &out);
    // What is behind the first segment is lost, and that is accepted.
    std::fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let config = Config { accept_loss: true, ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    assert_eq!(manager.log().recovery_report().last_event_id, PER_SEGMENT);
    (PER_SEGMENT + 1..=2 * PER_SEGMENT).for_each(|id| writer.append(&event(id)).unwrap());
    manager.shutdown(writer).unwrap();
    let said = fswal(&["backup", text(&place.log()), text(&out)]).ends_with(2);
    let ids = format!("has events {} to {}", PER_SEGMENT + 1, PER_SEGMENT + 700);
    assert!(said.err.contains(&ids), "{}", said.err);
    assert_opens(&place, &out, 1..=PER_SEGMENT + 700);
}

#[test]
fn snapshots_are_in_it_and_holds_are_not() {
    let place = Place::new();
    place.record(1..=500);
    let path = place.log();
    let log = text(&path);
    fswal(&["holds", "set", log, "standby", "--event", "7"]).ends_with(0);
    fswal_with(&["snapshots", "set", log, "--event", "300"], "a state").ends_with(0);
    let out = place.base().join("backup");
    assert_eq!(backup(&place, &out)["snapshots"], 1);
    let rows = fswal(&["snapshots", "list", "--check", "--json", text(&out)]).ends_with(0).lines();
    assert_eq!((&rows[0]["event_id"], &rows[0]["state"]), (&json!(300), &json!("good")));
    assert!(!out.join("wal_holds").exists());
    assert_eq!(holds(&place).len(), 1);
}

/// A log, and where its backup was to be, which was killed before it had a name.
fn killed_backup() -> (Place, PathBuf) {
    loop {
        let place = Place::new();
        place.record(1..=60 * PER_SEGMENT);
        let out = place.base().join("backup");
        let begun = place.base().join("backup.partial/FS.00000001.wal");
        let mut child = command(&["backup"]).arg(place.log()).arg(&out).spawn().unwrap();
        wait_until("it has begun", || begun.exists() || out.exists());
        child.kill().unwrap();
        child.wait().unwrap();
        if !out.exists() {
            return (place, out);
        }
        // It was faster than the kill: nothing is named before it is whole.
        assert_has(&out, 1..=60 * PER_SEGMENT);
    }
}

#[test]
fn a_run_that_was_killed_is_taken_over() {
    let (place, out) = killed_backup();
    let partial = place.base().join("backup.partial");
    assert_eq!(holds(&place).len(), 1, "its hold keeps what it needs");
    backup(&place, &out);
    assert!(!partial.exists());
    assert_eq!(holds(&place), Vec::<Value>::new(), "the next run has taken it over");
    assert_has(&out, 1..=60 * PER_SEGMENT);

    // What is somebody else's is in the way, and stays.
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join("letter"), "").unwrap();
    fswal(&["backup", text(&place.log()), text(&out)]).ends_with(2);
    assert!(partial.join("letter").exists());
}
