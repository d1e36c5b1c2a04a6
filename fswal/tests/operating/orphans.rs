//! `orphans`: nothing that holds events is removed unasked.

use std::path::PathBuf;

use serde_json::{json, Value};

use crate::support::{event, fswal, text, Place};

fn orphans(place: &Place, more: &[&str]) -> Vec<Value> {
    let arguments = [&["orphans", "--json", "--in", text(place.memory())], more].concat();
    fswal(&arguments).ends_with(0).lines()
}

#[test]
fn a_crashed_log_needs_its_memory_and_a_live_one_has_it_open() {
    let place = Place::new();
    let mut child = place.spawn_writer(10, 20);
    assert_eq!(orphans(&place, &[]), Vec::<Value>::new());
    assert_eq!(orphans(&place, &["--all"])[0]["kind"], "open");
    let name = orphans(&place, &["--all"])[0]["id"].as_str().unwrap().to_owned();
    let discard = ["orphans", "--in", text(place.memory()), "--discard-events", &name];
    fswal(&discard).ends_with(2);
    // Also when its log is not where it was: the lock counts.
    let away = place.base().join("away");
    std::fs::rename(place.log(), &away).unwrap();
    let said = fswal(&discard).ends_with(2);
    assert!(said.err.contains("a process has it open"), "{}", said.err);
    std::fs::rename(&away, place.log()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(orphans(&place, &["--all", "--remove"])[0]["kind"], "needed");
    fswal(&discard).ends_with(2);
    assert_eq!(place.actives().len(), 1);
}

#[test]
fn an_orphan_with_events_stays_until_it_is_named() {
    let place = Place::new();
    place.crash(10, 20);
    // An unmounted volume: nothing is at the path, or an empty mount point.
    let away = place.base().join("away");
    std::fs::rename(place.log(), &away).unwrap();
    let found = orphans(&place, &["--remove"]);
    assert_eq!(found.len(), 1);
    std::fs::create_dir(place.log()).unwrap();
    assert_eq!(orphans(&place, &["--remove"]), found);
    let one = &found[0];
    assert_eq!(
        (&one["kind"], &one["clean"], &one["removed"]),
        (&json!("orphan"), &json!(false), &json!(false))
    );
    assert_eq!((&one["events"], &one["log_path"]), (&json!(20), &json!(text(&place.log()))));
    assert_eq!(one["only_here"], 10, "10 were synced");
    assert_eq!(place.actives().len(), 1);
    let said = fswal(&["orphans", "--in", text(place.memory())]).ends_with(0);
    assert!(
        said.out.contains("is the volume mounted?") && !said.out.contains("gone"),
        "{}",
        said.out
    );

    let name = one["id"].as_str().unwrap();
    // A part of the name, or another's, is not the one.
    for wrong in [&name[..40], "flashstrike-wal-", ""] {
        let discard = ["orphans", "--in", text(place.memory()), "--discard-events", wrong];
        fswal(&discard).ends_with(2);
    }
    assert_eq!(place.actives().len(), 1);
    let gone = orphans(&place, &["--discard-events", name]);
    assert_eq!(gone[0]["removed"], true);
    assert_eq!(place.actives().len(), 0);
}

#[test]
fn events_are_saved_as_a_log_before_their_orphan_goes() {
    let place = Place::new();
    place.crash(10, 5000);
    std::fs::rename(place.log(), place.base().join("away")).unwrap();
    let one = orphans(&place, &[]).remove(0);
    let name = one["id"].as_str().unwrap();
    let out = place.base().join("saved");
    std::fs::create_dir(&out).unwrap();
    let save = ["--save", text(&out), "--id", name, "--remove"];
    let arguments = [&["orphans", "--in", text(place.memory())], &save[..]].concat();
    fswal(&arguments).ends_with(2);
    assert_eq!(place.actives().len(), 1, "nothing is written over, and nothing removed");
    std::fs::remove_dir(&out).unwrap();
    assert_eq!(orphans(&place, &save)[0]["removed"], true);
    assert_eq!(place.actives().len(), 0);
    let saved = fswal(&["verify", "--json", text(&out)]).ends_with(0).json();
    assert_eq!((&saved["events"], &saved["last_event_id"]), (&one["events"], &json!(5000)));
}

/// Records events and shuts the log down, and leaves its memory as a shutdown does that is killed
/// before it has removed that: the control file says that the log is closed.
pub fn leave_behind(place: &Place, events: u64) -> PathBuf {
    let (manager, mut writer) = place.open();
    (1..=events).for_each(|id| writer.append(&event(id)).unwrap());
    let active = place.actives().remove(0);
    let left = place.memory().join("left");
    std::fs::create_dir(&left).unwrap();
    for entry in std::fs::read_dir(&active).unwrap() {
        let name = entry.unwrap().file_name();
        std::fs::hard_link(active.join(&name), left.join(&name)).unwrap();
    }
    manager.shutdown(writer).unwrap();
    assert!(!active.exists());
    std::fs::rename(&left, &active).unwrap();
    active
}

#[test]
fn only_a_clean_one_goes_by_itself() {
    let place = Place::new();
    let active = leave_behind(&place, 20);
    assert_eq!(orphans(&place, &["--all", "--remove"])[0]["kind"], "leftover");
    assert!(active.exists(), "its log removes it");

    std::fs::rename(place.log(), place.base().join("away")).unwrap();
    let one = orphans(&place, &[]).remove(0);
    assert_eq!((&one["kind"], &one["clean"]), (&json!("orphan"), &json!(true)));
    let one = orphans(&place, &["--remove"]).remove(0);
    assert_eq!(one["removed"], true);
    assert!(!active.exists());
}

#[test]
fn what_says_nothing_of_itself_is_shown_and_stays() {
    let place = Place::new();
    let odd = place.memory().join("flashstrike-wal-odd");
    std::fs::create_dir(&odd).unwrap();
    let link = place.memory().join("flashstrike-wal-link");
    std::os::unix::fs::symlink(place.base(), &link).unwrap();
    let found = orphans(&place, &["--remove"]);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|one| one["kind"] == "unknown" && one["removed"] == false));
    for one in ["flashstrike-wal-odd", "flashstrike-wal-link"] {
        let discard = ["orphans", "--in", text(place.memory()), "--discard-events", one];
        fswal(&discard).ends_with(2);
    }
    assert!(odd.exists() && link.is_symlink());
}
