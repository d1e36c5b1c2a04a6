//! `verify`, and what the others say of a log that is not well.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::recorder::Manager;
use serde_json::json;

use crate::support::{event, fswal, state_of, text, wait_until, Place, PER_SEGMENT};

/// Changes a byte of a file.
pub fn flip(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

const BLOCK: u64 = 16_448;

#[test]
fn a_sound_log_is_sound_and_not_touched() {
    let place = Place::new();
    place.record(1..=PER_SEGMENT + 300);
    let before = state_of(place.base());
    let report = fswal(&["verify", "--json", text(&place.log())]).ends_with(0).json();
    assert_eq!((&report["sound"], &report["damage_count"]), (&json!(true), &json!(0)));
    assert_eq!(report["events"], PER_SEGMENT + 300);
    assert_eq!(
        (&report["cannot_promise"], &report["last_event_id"]),
        (&json!([]), &json!(PER_SEGMENT + 300))
    );
    assert_eq!(state_of(place.base()), before);
}

#[test]
fn a_flipped_byte_is_named_to_the_block() {
    let place = Place::new();
    place.record(1..=PER_SEGMENT + 300);
    let file = place.log().join("FS.00000000.wal");
    // In the third block, in the payload of its sixth event.
    flip(&file, 64 + 2 * BLOCK + 64 + 5 * 64 + 20);
    let report = fswal(&["verify", "--json", text(&place.log())]).ends_with(1).json();
    assert_eq!(report["damage_count"], 1);
    let damage = &report["damages"][0];
    assert_eq!((&damage["kind"], &damage["segment"]), (&json!("block"), &json!(0)));
    assert_eq!((&damage["offset"], &damage["path"]), (&json!(64 + 2 * BLOCK), &json!(text(&file))));
    assert_eq!((&damage["first_event_id"], &damage["last_event_id"]), (&json!(513), &json!(768)));
    let said = fswal(&["verify", text(&place.log())]).ends_with(1);
    assert!(said.out.contains("1 thing WRONG"), "{}", said.out);
    assert!(said.out.contains("next: restore"), "{}", said.out);

    // `cat` gives what is before, and says where it stopped and what to do.
    let said = fswal(&["cat", text(&place.log())]).ends_with(1);
    assert_eq!(said.out.lines().count(), 1 + 512);
    assert!(
        said.err.contains("event ids 513 to 768") && said.err.contains("next: "),
        "{}",
        said.err
    );
    let behind = fswal(&["cat", "--from-id", "769", text(&place.log())]).ends_with(0);
    assert_eq!(behind.out.lines().count() as u64, 1 + PER_SEGMENT + 300 - 768);
}

/// A block of the frame holds 15 blocks of the segment. Those behind it do not need it.
#[test]
fn cat_goes_on_behind_a_damaged_block_of_a_compressed_segment() {
    let place = Place::new();
    let config = Config { num_blocks: 64, max_segments: Keep::AtMost(1), ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    (1..=64 * 256 + 9).for_each(|id| writer.append(&event(id)).unwrap());
    let cold = place.log().join("FS.00000000.wal.lz4");
    wait_until("it is compressed", || cold.exists() && !cold.with_extension("").exists());
    manager.shutdown(writer).unwrap();
    let frame = std::fs::read(&cold).unwrap();
    let len = u32::from_le_bytes(frame[15..19].try_into().unwrap()) & 0x7FFF_FFFF;
    // In the second block of the frame, where the blocks 15 to 31 of the segment are.
    flip(&cold, 15 + 4 + u64::from(len) + 4 + 100);
    let log = place.log();
    let from = |id: u64| fswal(&["cat", "--limit", "3", "--from-id", &id.to_string(), text(&log)]);
    for whole in [1, 15 * 256 - 5, 32 * 256 + 1, 40 * 256, 64 * 256] {
        let said = from(whole).ends_with(0);
        let first = said.out.lines().nth(1).unwrap();
        assert!(first.starts_with(&format!("{whole},")), "{first}");
    }
    for damaged in [20 * 256, 25 * 256 + 7] {
        let said = from(damaged).ends_with(1);
        assert_eq!(said.out.lines().count(), 1, "{}", said.out);
        assert!(said.err.contains("next: ") && said.err.contains("fswal salvage"), "{}", said.err);
    }
}

#[test]
fn a_missing_segment_is_named_and_a_dry_run_refuses() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    std::fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let report = fswal(&["verify", "--json", text(&place.log())]).ends_with(1).json();
    assert_eq!(report["damages"][0]["kind"], "missing-segment");
    assert_eq!(report["damages"][0]["first_event_id"], PER_SEGMENT + 1);
    assert_eq!(report["damages"][0]["last_event_id"], 2 * PER_SEGMENT);
}

#[test]
fn what_cannot_be_promised_is_said() {
    let place = Place::new();
    place.crash(4, 4);
    let copy = place.base().join("copy");
    let copied =
        std::process::Command::new("cp").arg("-a").args([place.log(), copy.clone()]).status();
    assert!(copied.unwrap().success());
    let doubts = |path: &Path| {
        let report = fswal(&["verify", "--json", text(path)]).json();
        report["cannot_promise"].to_string()
    };
    assert!(doubts(&place.log()).contains("not shut down"));
    let of_copy = doubts(&copy);
    assert!(of_copy.contains("a copy: ") && of_copy.contains("events may follow"), "{of_copy}");
    assert_eq!(fswal(&["status", "--json", text(&copy)]).json()["state"], "copy");
    for active in place.actives() {
        std::fs::remove_dir_all(active).unwrap();
    }
    assert!(doubts(&place.log()).contains("is not here"));
}

#[test]
fn a_log_that_ends_before_its_durable_event_is_told() {
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT + 100);
    std::fs::remove_file(place.log().join("FS.00000002.wal")).unwrap();
    let report = fswal(&["verify", "--json", text(&place.log())]).ends_with(1).json();
    let doubts = report["cannot_promise"].to_string();
    assert!(doubts.contains("ends before event 8292, which was durable"), "{doubts}");
}

#[test]
fn segments_of_another_recorder_have_no_identity() {
    let place = Place::new();
    place.record(1..=300);
    for name in ["wal_identity", "wal_lock"] {
        std::fs::remove_file(place.log().join(name)).unwrap();
    }
    let status = fswal(&["status", "--json", text(&place.log())]).ends_with(1).json();
    assert_eq!(status["state"], "unidentified");
    assert_eq!(fswal(&["cat", text(&place.log())]).ends_with(0).out.lines().count(), 301);
}

#[test]
fn what_recovery_has_kept_aside_is_listed_and_takes_room() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    std::fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let (path, memory) = (place.log(), place.memory().to_owned());
    fswal(&["recover", "--accept-loss", "--active-dir", text(&memory), text(&path)]).ends_with(0);
    let aside: Vec<_> = std::fs::read_dir(&path).unwrap().map(Result::unwrap).collect();
    let aside = aside.iter().filter(|file| text(&file.path()).contains(".corrupt"));
    let bytes: u64 = aside.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes > 0);
    let rows = fswal(&["ls", "--json", text(&path)]).ends_with(0).lines();
    let of = |aside: bool| {
        let rows = rows.iter().filter(|row| row["kept_aside"].is_string() == aside);
        rows.map(|row| row["bytes"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(of(true), bytes);
    let status = fswal(&["status", "--json", text(&path)]).ends_with(0).json();
    assert_eq!(status["disk_bytes"], of(true) + of(false));
}

#[test]
fn ls_names_a_header_that_is_damaged() {
    let place = Place::new();
    place.record(1..=PER_SEGMENT + 1);
    let cold = place.log().join("FS.00000000.wal.lz4");
    std::fs::rename(place.log().join("FS.00000000.wal"), &cold).unwrap();
    let rows = fswal(&["ls", "--json", text(&place.log())]).ends_with(1).lines();
    assert_eq!((&rows[0]["state"], &rows[1]["state"]), (&json!("damaged"), &json!("hot")));
}

#[test]
fn of_many_damages_it_is_said_how_many_are_not_named() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    let log = place.log();
    for index in 0..2 {
        let segment = log.join(format!("FS.{index:08}.wal"));
        (0..16).for_each(|block| flip(&segment, 64 + block * BLOCK + 1000));
    }
    let found = fswal(&["verify", "--json", text(&log)]).ends_with(1).json();
    let named = found["damages"].as_array().unwrap().len() as u64;
    let all = found["damage_count"].as_u64().unwrap();
    assert!(all >= 32 && named < all, "{named} of {all}");
    let said = fswal(&["verify", text(&log)]).ends_with(1).out;
    assert_eq!(said.lines().filter(|line| line.starts_with("  block: ")).count() as u64, named);
    assert!(said.contains(&format!("\n  and {} more\n", all - named)), "{said}");
}
