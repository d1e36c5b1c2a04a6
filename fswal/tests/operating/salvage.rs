//! `salvage`: all that can be read, and where what cannot is.

use serde_json::json;

use crate::crashed::{self, crashed, Full};
use crate::damage::flip;
use crate::support::{event, fswal, state_of, text, Place, PER_SEGMENT};

const BLOCK: u64 = 16_448;

#[test]
fn everything_but_the_damaged_block_is_there() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    flip(&place.log().join("FS.00000001.wal"), 64 + 3 * BLOCK + 64 + 100);
    let out = place.base().join("salvaged");
    let before = state_of(&place.log());
    let said = fswal(&["salvage", "--json", text(&place.log()), text(&out)]).ends_with(1).json();
    assert_eq!(state_of(&place.log()), before);
    let first = PER_SEGMENT + 3 * 256 + 1;
    assert_eq!(said["lost"].as_array().unwrap().len(), 1);
    let lost = &said["lost"][0];
    assert_eq!((&lost["segment"], &lost["block"]), (&json!(1), &json!(3)));
    let at = 64 + 3 * BLOCK;
    assert_eq!((&lost["first_byte"], &lost["last_byte"]), (&json!(at), &json!(at + BLOCK - 1)));
    let bounds = (&lost["after_event_id"], &lost["before_event_id"]);
    assert_eq!(bounds, (&json!(first - 1), &json!(first + 256)));

    assert_eq!(said["events"], 3 * PER_SEGMENT - 256);
    fswal(&["verify", text(&out)]).ends_with(0);
    let lines = fswal(&["cat", "--json", text(&out)]).ends_with(0).lines();
    let kept = (1..=3 * PER_SEGMENT).filter(|id| !(first..first + 256).contains(id));
    assert_eq!(lines.len() as u64, 3 * PER_SEGMENT - 256);
    for (line, id) in lines.iter().zip(kept) {
        assert_eq!((&line["event_id"], &line["price"]), (&json!(id), &json!(event(id).price)));
    }
    let id = |path| fswal(&["status", "--json", text(path)]).json()["log_id"].clone();
    assert_ne!(id(&out), id(&place.log()), "it has an id of its own");
}

#[test]
fn what_is_in_memory_only_is_salvaged_too() {
    let place = Place::new();
    place.crash(100, 150);
    let out = place.base().join("salvaged");
    let said = fswal(&["salvage", "--json", text(&place.log()), text(&out)]).ends_with(0).json();
    assert_eq!((&said["events"], &said["last_event_id"]), (&json!(150), &json!(150)));
    assert_eq!(said["lost"], json!([]));
}

/// After a crash the memory of a closed segment may still be as it was. What is damaged or gone on
/// disk is there.
#[test]
fn what_memory_still_has_of_a_closed_segment_is_salvaged() {
    let salvage = |place: &Place| {
        let out = place.base().join("salvaged");
        let (log, memory) = (place.log(), text(place.memory()));
        let said = fswal(&["salvage", "--json", "--active-dir", memory, text(&log), text(&out)]);
        fswal(&["verify", text(&out)]).ends_with(0);
        std::fs::remove_dir_all(&out).unwrap();
        (said.code, said.json())
    };
    let why = |said: &serde_json::Value| said["damaged"][0]["why"].as_str().unwrap().to_owned();
    for full in [Full::MemoryIsKept, Full::MemoryIsKeptOfCold] {
        let place = crashed(full);
        let name = |index: u32| match full {
            Full::MemoryIsKeptOfCold => place.log().join(format!("FS.{index:08}.wal.lz4")),
            _ => place.log().join(format!("FS.{index:08}.wal")),
        };
        assert_eq!(salvage(&place).0, 0);

        // Behind the first piece that threads would read.
        flip(&name(1), name(1).metadata().unwrap().len() / 4 * 3);
        let (code, said) = salvage(&place);
        assert_eq!((code, &said["events"]), (1, &json!(crashed::LAST)), "{said}");
        assert_eq!(said["lost"], json!([]));
        assert!(why(&said).starts_with(text(&name(1))), "{said}");

        std::fs::rename(name(1), place.base().join("aside")).unwrap();
        let (code, said) = salvage(&place);
        assert_eq!((code, &said["events"]), (1, &json!(crashed::LAST)), "{said}");
        assert_eq!(said["lost"], json!([]));
        assert!(why(&said).contains("the file is not there: the segment's events are in memory"));

        // Retention may have taken those two.
        std::fs::remove_file(name(0)).unwrap();
        let (code, said) = salvage(&place);
        assert_eq!(
            (code, &said["events"]),
            (0, &json!(crashed::LAST - crashed::PER_SEGMENT)),
            "{said}"
        );
        assert!(said["doubts"][0].as_str().unwrap().contains("are in memory"), "{said}");
    }
}

/// A full segment that nobody has closed yet is nothing that is wrong.
#[test]
fn a_crash_before_a_segment_is_closed_is_no_damage() {
    let place = crashed(Full::NotClosed);
    let out = place.base().join("salvaged");
    let said = fswal(&["salvage", "--json", text(&place.log()), text(&out)]).ends_with(0).json();
    assert_eq!((&said["events"], &said["damaged"]), (&json!(crashed::LAST), &json!([])));
}

/// Nothing counts the events of a segment that is open. That its file is shorter than the next one
/// says that it was cut, also where a block ends.
#[test]
fn an_open_segment_that_was_cut_has_lost_its_end() {
    let place = crashed(Full::NotClosed);
    std::fs::remove_dir_all(place.actives().remove(0)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(place.log().join("FS.00000001.wal"));
    file.unwrap().set_len(64 + 10 * BLOCK).unwrap();
    let out = place.base().join("salvaged");
    let memory = text(place.memory());
    let (log, out) = (place.log(), text(&out));
    let said = fswal(&["salvage", "--json", "--active-dir", memory, text(&log), out]).ends_with(1);
    let lost = &said.json()["lost"][0];
    assert_eq!((&lost["segment"], &lost["block"]), (&json!(1), &json!(10)), "{lost}");
    let last = crashed::PER_SEGMENT + 10 * 256;
    assert_eq!(lost["after_event_id"], last);
    assert_eq!(lost["before_event_id"], 2 * crashed::PER_SEGMENT + 1);
}

#[test]
fn a_missing_segment_lies_between_two_ids() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    std::fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let out = place.base().join("salvaged");
    let said = fswal(&["salvage", "--json", text(&place.log()), text(&out)]).ends_with(1).json();
    assert_eq!(said["events"], 2 * PER_SEGMENT);
    let lost = &said["lost"][0];
    assert_eq!(lost["segment"], 1);
    assert_eq!(lost["after_event_id"], PER_SEGMENT);
    assert_eq!(lost["before_event_id"], 2 * PER_SEGMENT + 1);
}

/// The identity that says where its memory is is damaged; or the memory has been moved.
#[test]
fn memory_is_found_where_it_is_said_to_be() {
    let place = Place::new();
    place.crash(100, 150);
    let identity = place.log().join("wal_identity");
    let whole = std::fs::read(&identity).unwrap();
    flip(&identity, 40);
    let (log, elsewhere) = (place.log(), place.base().join("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    let salvage = |active_dir: &std::path::Path| {
        let out = place.base().join("salvaged");
        let arguments = ["salvage", "--json", "--active-dir", text(active_dir)];
        let said = fswal(&[&arguments[..], &[text(&log), text(&out)]].concat());
        fswal(&["verify", text(&out)]).ends_with(0);
        std::fs::remove_dir_all(&out).unwrap();
        (said.code, said.json())
    };
    let (code, found) = salvage(place.memory());
    assert_eq!((code, &found["last_event_id"]), (1, &json!(150)), "{found}");
    assert_eq!(found["lost"], json!([]));
    assert!(found["damaged"][0]["why"].as_str().unwrap().contains("wal_identity"), "{found}");
    let (code, lost) = salvage(&elsewhere);
    assert_eq!((code, lost["last_event_id"].as_u64() < Some(150)), (1, true), "{lost}");
    let lost = &lost["lost"][0];
    assert!(lost["why"].as_str().unwrap().contains("--active-dir"), "{lost}");
    assert_eq!((&lost["before_event_id"], &lost["segment"]), (&json!(null), &json!(null)));

    std::fs::write(&identity, whole).unwrap();
    let active = place.actives().remove(0);
    let moved = place.base().join("moved");
    std::fs::create_dir(&moved).unwrap();
    let moving = std::process::Command::new("mv").args([&active, &moved]).status();
    assert!(moving.unwrap().success());
    assert_eq!(salvage(&moved).1["last_event_id"], 150);
    assert_eq!(salvage(place.memory()).0, 1);
}

#[test]
fn nothing_is_written_over() {
    let place = Place::new();
    place.record(1..=10);
    let out = place.base().join("out");
    std::fs::create_dir(&out).unwrap();
    fswal(&["salvage", text(&place.log()), text(&out)]).ends_with(2);
    std::fs::remove_dir(&out).unwrap();
    let partial = place.base().join("out.partial");
    std::fs::create_dir(&partial).unwrap();
    let said = fswal(&["salvage", text(&place.log()), text(&out)]).ends_with(2);
    assert!(said.err.contains("a run that was killed has left it"), "{}", said.err);
    std::fs::remove_dir(&partial).unwrap();
    fswal(&["salvage", text(&place.log()), text(&out)]).ends_with(0);
    assert!(out.join("FS.00000000.wal").exists() && !partial.exists());
}
