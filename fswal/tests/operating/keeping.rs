//! `holds` and `snapshots`.

use serde_json::json;

use crate::damage::flip;
use crate::support::{fswal, fswal_with, text, Place};

#[test]
fn a_hold_is_set_moved_listed_and_removed() {
    let place = Place::new();
    place.record(1..=500);
    let path = place.log();
    let log = text(&path);
    assert_eq!(fswal(&["holds", log]).ends_with(0).out, "no holds\n");
    let set = fswal(&["holds", "set", log, "standby", "--json"]).ends_with(0).json();
    assert_eq!(set["event_id"], 1, "a new one stands at the oldest event");
    fswal(&["holds", "set", log, "standby", "--event", "200"]).ends_with(0);
    let back = fswal(&["holds", "set", log, "standby", "--event", "100"]).ends_with(2);
    assert!(back.err.contains("never goes back"), "{}", back.err);
    let rows = fswal(&["holds", "list", log, "--json"]).ends_with(0).lines();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["name"], &rows[0]["event_id"]), (&json!("standby"), &json!(200)));
    assert_eq!((&rows[0]["state"], &rows[0]["behind"]), (&json!("held"), &json!(301)));
    let status = fswal(&["status", "--json", log]).ends_with(0).json();
    assert_eq!((&status["holds"], &status["held_from_event_id"]), (&json!(1), &json!(200)));
    fswal(&["holds", "remove", log, "standby"]).ends_with(0);
    let none = fswal(&["holds", "remove", log, "standby"]).ends_with(2);
    assert!(none.err.contains("`fswal holds DIR` lists them"), "{}", none.err);
    fswal(&["holds", "set", log, "no/name"]).ends_with(2);
    assert_eq!(fswal(&["holds", log]).ends_with(0).out, "no holds\n");
}

#[test]
fn a_hold_that_cannot_be_read_holds_everything_and_is_told() {
    let place = Place::new();
    place.record(1..=500);
    let path = place.log();
    let log = text(&path);
    fswal(&["holds", "set", log, "archive", "--event", "7"]).ends_with(0);
    flip(&place.log().join("wal_holds/archive"), 12);
    let said = fswal(&["holds", log]).ends_with(1);
    assert!(said.out.contains("damaged") && said.out.contains("everything"), "{}", said.out);
    let status = fswal(&["status", "--json", log]).ends_with(1).json();
    assert!(status["problems"][0].as_str().unwrap().contains("holds everything"));
    assert_eq!((&status["holds"], &status["held_from_event_id"]), (&json!(1), &json!(null)));
    fswal(&["holds", "remove", log, "archive"]).ends_with(0);
    fswal(&["status", log]).ends_with(0);
}

#[test]
fn what_is_held_is_by_holds_and_not_by_snapshots() {
    let place = Place::new();
    place.record(1..=500);
    let path = place.log();
    let log = text(&path);
    fswal_with(&["snapshots", "set", log, "--event", "300"], "state").ends_with(0);
    let status = fswal(&["status", "--json", log]).ends_with(0).json();
    assert_eq!((&status["holds"], &status["held_from_event_id"]), (&json!(0), &json!(null)));
    assert_eq!(status["newest_snapshot_event_id"], 300);
}

#[test]
fn a_snapshot_is_stored_checked_and_removed() {
    let place = Place::new();
    place.record(1..=500);
    let path = place.log();
    let log = text(&path);
    let state = "the state of the book ".repeat(1000);
    fswal_with(&["snapshots", "set", log, "--event", "300"], &state).ends_with(0);
    let early = fswal_with(&["snapshots", "set", log, "--event", "501", "--wait", "0"], &state);
    assert!(early.ends_with(1).err.contains("not durable"));
    let list = ["snapshots", "list", log, "--check", "--json"];
    let rows = fswal(&list).ends_with(0).lines();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["event_id"], &rows[0]["state"]), (&json!(300), &json!("good")));
    assert_eq!(rows[0]["size"], state.len());
    let file = place.log().join(format!("SNAP.{:020}.fss", 300));
    flip(&file, file.metadata().unwrap().len() / 2);
    assert_eq!(fswal(&list).ends_with(1).lines()[0]["state"], "not good");
    assert_eq!(fswal(&["snapshots", log]).ends_with(0).out.lines().count(), 2);
    fswal(&["snapshots", "remove", log, "300"]).ends_with(0);
    assert!(!file.exists());
    fswal(&["snapshots", "remove", log, "300"]).ends_with(2);
}
