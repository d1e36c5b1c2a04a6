//! `recover`: saying what would be done changes nothing, and is what is done.

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::recorder::Manager;
use serde_json::json;

use crate::support::{event, fswal, state_of, text, wait_until, Place, PER_SEGMENT};

#[test]
fn a_dry_run_of_a_crash_changes_nothing_and_is_what_then_happens() {
    let place = Place::new();
    place.crash(100, PER_SEGMENT + 50);
    let (log, memory) = (place.log(), place.memory());
    let arguments = ["recover", "--json", "--active-dir", text(memory), text(&log)];
    let before = (state_of(place.base()), state_of(memory));
    let dry = [&arguments[..], &["--dry-run"]].concat();
    let foreseen = fswal(&dry).ends_with(0).json();
    assert_eq!((state_of(place.base()), state_of(memory)), before, "a dry run changes nothing");
    assert_eq!(
        (&foreseen["decision"], &foreseen["done"]),
        (&json!("process-crash"), &json!(false))
    );
    assert_eq!(foreseen["last_event_id"], PER_SEGMENT + 50);

    let done = fswal(&arguments).ends_with(0).json();
    for field in ["decision", "last_event_id", "events_carried_over", "durable_event_id"] {
        assert_eq!(done[field], foreseen[field], "{field}");
    }
    assert_eq!(place.actives(), Vec::<std::path::PathBuf>::new());
    let status = fswal(&["status", "--json", text(&log)]).ends_with(0).json();
    assert_eq!(status["state"], "shut-down");
    assert_eq!(status["last_open"]["decision"], "process-crash");
    assert_eq!(status["last_open"]["events_carried_over"], done["events_carried_over"]);
    let cat = fswal(&["cat", text(&log)]).ends_with(0);
    assert_eq!(cat.out.lines().count() as u64, 1 + PER_SEGMENT + 50);
}

#[test]
fn lost_memory_is_refused_until_loss_is_accepted() {
    let place = Place::new();
    place.crash(100, 150);
    for active in place.actives() {
        std::fs::remove_dir_all(active).unwrap();
    }
    let log = place.log();
    let arguments = ["recover", "--json", "--active-dir", text(place.memory()), text(&log)];
    let before = state_of(place.base());
    let dry = fswal(&[&arguments[..], &["--dry-run"]].concat()).ends_with(1).json();
    assert_eq!(dry["decision"], "active-directory-lost");
    assert!(dry["refused"].as_str().unwrap().contains("is gone"));
    let said = fswal(&arguments).ends_with(1);
    assert!(said.err.contains("next: save the directory first"), "{}", said.err);
    assert_eq!(state_of(place.base()), before, "a refusal changes nothing");

    let done = fswal(&[&arguments[..], &["--accept-loss"]].concat()).ends_with(0).json();
    assert_eq!(done["decision"], "active-directory-lost");
    assert!(done["last_event_id"].as_u64().unwrap() >= 100);
    fswal(&["verify", text(&log)]).ends_with(0);
}

#[test]
fn recovering_never_applies_limits_of_its_own() {
    let place = Place::new();
    // More segments than the library keeps by default, cold ones and hot ones.
    const COLD: u64 = 130;
    let config = Config { max_segments: Keep::AtMost(1), ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    (1..=(COLD + 2) * PER_SEGMENT).for_each(|id| writer.append(&event(id)).unwrap());
    wait_until("they are compressed", || manager.log().metrics().cold_segments >= COLD);
    manager.shutdown(writer).unwrap();
    let (manager, mut writer) = place.open();
    let from = (COLD + 2) * PER_SEGMENT + 1;
    (from..from + 40 * PER_SEGMENT).for_each(|id| writer.append(&event(id)).unwrap());
    manager.shutdown(writer).unwrap();

    let rows = fswal(&["ls", "--json", text(&place.log())]).lines();
    fswal(&["recover", "--active-dir", text(place.memory()), text(&place.log())]).ends_with(0);
    let after = fswal(&["ls", "--json", text(&place.log())]).lines();
    assert_eq!(after, rows, "nothing was deleted, and nothing compressed");
}

#[test]
fn a_log_that_is_open_is_left_alone() {
    let place = Place::new();
    let (manager, writer) = place.open();
    for dry in [&["recover"][..], &["recover", "--dry-run"]] {
        let said = fswal(&[dry, &[text(&place.log())]].concat()).ends_with(2);
        assert!(said.err.contains(&format!("process {}", std::process::id())), "{}", said.err);
    }
    manager.shutdown(writer).unwrap();
}

#[test]
fn a_dry_run_says_what_is_kept_aside() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    std::fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let path = place.log();
    let arguments = ["recover", "--dry-run", "--json", text(&path)];
    let dry = fswal(&arguments).ends_with(1).json();
    assert_eq!(dry["decision"], "clean/missing-segment");
    assert_eq!(dry["last_event_id"], PER_SEGMENT);
    assert_eq!(dry["events_kept_aside"], PER_SEGMENT);
}
