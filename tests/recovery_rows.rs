//! Rows of the recovery table that ask for an accident: restarts, lost and damaged files, copies.
//! The real files are edited, the real directory is opened.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use common::crash::{active_directory, crash, identity, reboot, SEGMENT};
use common::{append, assert_holds, contents, decision, event, expect_cause, names, open};
use common::{scenario, spawn_scenario_under, text, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::Manager;

/// The test whose head plays the scenario of a log that is killed.
const CRASHING: &str = "row_reboot_the_wal_directory_alone_is_the_log";

/// Offset of an event in its segment, counted from 0.
fn offset(n: u64) -> u64 {
    64 + n / 256 * 16_448 + 64 + n % 256 * 64
}

fn first_segment(place: &Place) -> fs::File {
    let path = place.log().join("FS.00000000.wal");
    fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

fn accepting_loss(place: &Place) -> Config {
    Config { accept_loss: true, ..place.small() }
}

/// Opens a log, which must hold `last` events then; says how it was decided and what was noticed.
fn recover(place: &Place, last: u64) -> (String, String) {
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_event_id, last);
    assert_eq!(manager.log().durable().last_event_id, last);
    let notes = text(&manager.log().recovery_report().notes);
    let decision = decision(&manager);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), last);
    (decision, notes)
}

/// A true other boot id, under a recovering process in a mount namespace of its own.
#[test]
fn row_reboot_the_wal_directory_alone_is_the_log() {
    match scenario() {
        Some(scenario) if scenario.starts_with("recover ") => {
            let words: Vec<&str> = scenario.split(' ').collect();
            let config = Config { active_parent: words[2].into(), ..Config::default() };
            let (manager, writer) = open(words[1].as_ref(), config);
            assert_eq!(decision(&manager), "reboot");
            assert_eq!(manager.log().appended().last_event_id, SEGMENT + 50);
            manager.shutdown(writer).unwrap();
            std::process::exit(7);
        }
        Some(scenario) => common::crash::play(&scenario),
        None => {}
    }
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    crash(CRASHING, &place, SEGMENT + 50, SEGMENT + 100);
    let old_id = identity(&place.log()).id;
    fs::remove_dir_all(active_directory(&place)).unwrap();
    let boot_id = place.base().join("boot_id");
    fs::write(&boot_id, "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
    let mount = format!(
        "mount --bind {} /proc/sys/kernel/random/boot_id && exec \"$@\"",
        boot_id.display()
    );
    let scenario = format!("recover {} {}", place.log().display(), place.memory().display());
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let output = spawn_scenario_under(&wrapper, CRASHING, &scenario).wait_with_output().unwrap();
    let played = output.status.code() == Some(7);
    assert!(played, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(identity(&place.log()).id, old_id, "the log is the same one");
    assert_holds(&place.log(), SEGMENT + 50);
}

#[test]
fn row_active_directory_lost_is_refused() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 100);
    let active = active_directory(&place);
    fs::remove_dir_all(&active).unwrap();
    let before = contents(&place.log());
    for _ in 0..2 {
        let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
        assert!(message.contains("active-directory-lost"), "{message}");
        assert!(message.contains(active.to_str().unwrap()), "{message}");
        assert_eq!(contents(&place.log()), before, "refusing changes nothing");
        assert!(place.active_directories().is_empty());
    }
    let (manager, mut writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(decision(&manager), "active-directory-lost");
    assert_eq!(manager.log().appended().last_event_id, 50, "the last provable event");
    append(&mut writer, 51..=60);
    manager.shutdown(writer).unwrap();
    assert_eq!(recover(&place, 60).0, "clean");
}

/// The active directory at the path is another log's or another generation's: not ours.
#[test]
fn row_active_directory_of_another_generation_is_not_ours() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 100);
    let active = active_directory(&place);
    let mut other = identity(&active);
    other.generation += 1;
    fs::write(active.join("wal_identity"), other.encode()).unwrap();
    let before = (contents(&place.log()), contents(&active));
    expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    assert_eq!((contents(&place.log()), contents(&active)), before);
}

#[test]
fn row_active_events_contradict_persisted_ones() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 100);
    let active = active_directory(&place);
    let file = fs::OpenOptions::new().write(true).open(active.join("FS.00000000.wal")).unwrap();
    file.write_all_at(&[0x5A], offset(30) + 17).unwrap();
    let before = (contents(&place.log()), contents(&active));
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    assert!(message.contains("active-contradicts"), "{message}");
    assert_eq!((contents(&place.log()), contents(&active)), before);
}

#[test]
fn row_meta_missing_corrupt_or_stale() {
    type Damage = fn(&Path, &[u8]);
    let missing: Damage = |meta, _| fs::remove_file(meta).unwrap();
    let corrupt: Damage = |meta, now| {
        let mut bytes = now.to_vec();
        bytes[9] ^= 4;
        fs::write(meta, bytes).unwrap();
    };
    let foreign: Damage = |meta, now| fs::write(meta, &now[..16]).unwrap();
    let stale: Damage = |_, _| {};
    let rows = [
        (missing, "wal_meta.dat is missing"),
        (corrupt, "wal_meta.dat is not readable"),
        (foreign, "wal_meta.dat is not readable"),
        (stale, ""),
    ];
    for (damage, note) in rows {
        for restart in [false, true] {
            let place = Place::new();
            let meta = place.log().join("wal_meta.dat");
            crash(CRASHING, &place, 20, 20);
            recover(&place, 20);
            let older = fs::read(&meta).unwrap();
            crash(CRASHING, &place, SEGMENT + 70, SEGMENT + 70);
            fs::write(&meta, &older).unwrap();
            damage(&meta, &older);
            if restart {
                reboot(&place);
            }
            let (_, notes) = recover(&place, SEGMENT + 70);
            assert!(notes.contains(note), "{note}: {notes}");
            assert_eq!(fs::read(&meta).unwrap()[8..16], (SEGMENT + 70).to_le_bytes());
        }
    }
}

#[test]
fn row_identity_missing_or_unreadable() {
    for (damage, note) in
        [(false, "wal_identity is missing"), (true, "wal_identity is not readable")]
    {
        let place = Place::new();
        crash(CRASHING, &place, 50, 100);
        let old_active = active_directory(&place);
        let before = contents(&old_active);
        let path = place.log().join("wal_identity");
        if damage {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("generation=1", "generation=2")).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let (decision, notes) = recover(&place, 50);
        assert_eq!(decision, "unknown-identity");
        assert!(notes.contains(note), "{notes}");
        assert_eq!(contents(&old_active), before, "nobody knows whose it is: left alone");
    }
}

#[test]
fn row_copy_takes_a_new_id_and_leaves_the_original_alone() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 100);
    let active = active_directory(&place);
    let before = contents(&active);
    let copy = place.base().join("copy");
    let status = Command::new("cp").arg("-a").args([&place.log(), &copy]).status().unwrap();
    assert!(status.success());

    let (manager, mut writer) = open(&copy, place.small());
    assert_eq!(decision(&manager), "copy");
    append(&mut writer, 51..=SEGMENT * 3);
    manager.shutdown(writer).unwrap();
    let (ours, theirs) = (identity(&place.log()), identity(&copy));
    assert_ne!(ours.id, theirs.id);
    assert_ne!(ours.active_path, theirs.active_path);
    assert_eq!(contents(&active), before, "the original's newest events are there only");
    assert_holds(&copy, SEGMENT * 3);

    assert_eq!(recover(&place, 100).0, "process-crash");
    let (manager, writer) = open(&copy, place.small());
    assert_eq!(decision(&manager), "clean", "the copy is a log of its own now");
    manager.shutdown(writer).unwrap();
}

/// A log with a cold segment whose hot file is still there: killed between freezing and unlinking.
fn log_with_both() -> Place {
    let place = Place::new();
    let log = place.log();
    let keep_all = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&log, keep_all.clone());
    append(&mut writer, 1..=SEGMENT + 10);
    manager.shutdown(writer).unwrap();
    let hot = fs::read(log.join("FS.00000000.wal")).unwrap();
    let (manager, writer) = open(&log, Config { max_segments: Keep::AtMost(1), ..keep_all });
    manager.shutdown(writer).unwrap();
    assert!(!log.join("FS.00000000.wal").exists() && log.join("FS.00000000.wal.lz4").exists());
    fs::write(log.join("FS.00000000.wal"), hot).unwrap();
    place
}

#[test]
fn row_both_hot_and_cold_a_good_cold_one_stays() {
    let place = log_with_both();
    let cold = contents(&place.log())["FS.00000000.wal.lz4"].clone();
    recover(&place, SEGMENT + 10);
    assert!(!place.log().join("FS.00000000.wal").exists());
    assert_eq!(contents(&place.log())["FS.00000000.wal.lz4"], cold);
}

#[test]
fn row_both_hot_and_cold_a_bad_cold_one_goes() {
    type Damage = fn(&mut Vec<u8>);
    let flipped: Damage = |bytes| bytes[100_000] ^= 1;
    let cut: Damage = |bytes| bytes.truncate(100_000);
    let empty: Damage = |bytes| bytes.clear();
    let other: Damage = |bytes| *bytes = b"no frame at all".to_vec();
    for damage in [flipped, cut, empty, other] {
        let place = log_with_both();
        let hot = contents(&place.log())["FS.00000000.wal"].clone();
        let path = place.log().join("FS.00000000.wal.lz4");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let (_, notes) = recover(&place, SEGMENT + 10);
        assert!(notes.contains("FS.00000000.wal.lz4 was not whole"), "{notes}");
        assert!(!path.exists());
        assert_eq!(contents(&place.log())["FS.00000000.wal"], hot);
    }
}

/// Events above D that reached the disk in part: an id that the log gives out again, with other
/// bytes, so that it would be seen if it came back.
fn tear(place: &Place, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        let mut torn = event(id);
        torn.price = 0x7EA4;
        first_segment(place).write_all_at(&torn.encode(), offset(id - 1)).unwrap();
    }
}

#[test]
fn row_break_above_d_ends_the_log_and_what_was_cut_never_comes_back() {
    let place = Place::new();
    let log = place.log();
    crash(CRASHING, &place, 50, 50);
    reboot(&place);
    tear(&place, 51..=60);
    tear(&place, 300..=301);
    let torn = contents(&log)["FS.00000000.wal"].clone();
    let (manager, writer) = open(&log, place.small());
    assert_eq!(decision(&manager), "reboot/tail-cut");
    let report = manager.log().recovery_report();
    assert_eq!((report.last_event_id, report.events_kept_aside), (50, 12));
    assert!(text(&report.notes).contains("12 events kept aside in FS.00000000.wal.corrupt"));
    manager.shutdown(writer).unwrap();
    assert_eq!(contents(&log)["FS.00000000.wal.corrupt"], torn, "every byte of it");
    let zeros = vec![0; 250 * 64];
    let mut behind = vec![1; 250 * 64];
    first_segment(&place).read_exact_at(&mut behind[..206 * 64], offset(50)).unwrap();
    behind[206 * 64..].fill(0);
    assert_eq!(behind, zeros, "nothing is left behind the end");

    // The log goes on over the place of what was cut, and dies again and again.
    crash(CRASHING, &place, 52, 54);
    reboot(&place);
    assert_eq!(recover(&place, 52), ("reboot".into(), String::new()));
    crash(CRASHING, &place, 55, 299);
    assert_eq!(recover(&place, 299).0, "process-crash");
    crash(CRASHING, &place, 299, 299);
    reboot(&place);
    assert_eq!(recover(&place, 299), ("reboot".into(), String::new()));
    let kept = names(&log).into_iter().filter(|name| name.contains("corrupt")).count();
    assert_eq!(kept, 1, "and nothing more was found to keep aside");
}

/// The same with the cut reaching over later segments.
#[test]
fn row_break_above_d_cuts_later_segments_too() {
    let place = Place::new();
    let log = place.log();
    crash(CRASHING, &place, 50, 50);
    reboot(&place);
    let path = log.join("FS.00000001.wal");
    let later = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for id in SEGMENT + 1..=SEGMENT + 9 {
        later.write_all_at(&event(id).encode(), offset(id - SEGMENT - 1)).unwrap();
    }
    let (manager, mut writer) = open(&log, place.small());
    assert_eq!(decision(&manager), "reboot/tail-cut");
    assert_eq!(manager.log().recovery_report().events_kept_aside, 9);
    append(&mut writer, 51..=SEGMENT);
    manager.shutdown(writer).unwrap();
    assert!(log.join("FS.00000001.wal.corrupt").exists() && !path.exists());
    assert_holds(&log, SEGMENT);
}

/// The second file kept aside for a segment does not take the place of the first.
#[test]
fn row_what_is_kept_aside_is_never_overwritten() {
    let place = Place::new();
    for round in 1..=3 {
        crash(CRASHING, &place, round, round);
        reboot(&place);
        tear(&place, round + 1..=round + 1);
        assert_eq!(recover(&place, round).0, "reboot/tail-cut");
    }
    let kept: Vec<_> = names(&place.log()).into_iter().filter(|n| n.contains("corrupt")).collect();
    let base = "FS.00000000.wal.corrupt";
    assert_eq!(kept, [base.to_owned(), format!("{base}.1"), format!("{base}.2")]);
}

#[test]
fn row_break_below_d_is_refused_with_its_range() {
    let place = Place::new();
    crash(CRASHING, &place, 300, 300);
    recover(&place, 300);
    crash(CRASHING, &place, 300, 300);
    reboot(&place);
    // In the second block: what a block's checksum does not prove is not proved in part.
    first_segment(&place).write_all_at(&[0; 64], offset(270)).unwrap();
    let before = contents(&place.log());
    let error = Manager::open(&place.log(), place.small()).unwrap_err();
    let Error::Failure(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.cause, Cause::Corrupt);
    assert!(error.to_string().contains("events 257 to 300 were durable and are gone"), "{error}");
    assert_eq!(failure.place.event_ids, Some((257, 300)));
    assert_eq!((failure.place.segment_index, failure.place.offset), (Some(0), Some(offset(256))));
    assert_eq!(contents(&place.log()), before);

    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(decision(&manager), "reboot/break-below-durable");
    let report = manager.log().recovery_report();
    assert_eq!((report.last_event_id, report.events_kept_aside), (256, 43));
    manager.shutdown(writer).unwrap();
    assert_eq!(contents(&place.log())["FS.00000000.wal.corrupt"], before["FS.00000000.wal"]);
    assert_eq!(recover(&place, 256).0, "clean");
}

/// A changed byte of a durable event: the ids alone would not tell.
#[test]
fn row_break_below_d_by_a_changed_byte_is_refused_and_not_sealed_over() {
    let place = Place::new();
    crash(CRASHING, &place, 300, 300);
    recover(&place, 300);
    crash(CRASHING, &place, 300, 300);
    reboot(&place);
    first_segment(&place).write_all_at(&[0xFF; 8], offset(100) + 16).unwrap();
    let before = contents(&place.log());
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    assert!(message.contains("events 1 to 300 were durable and are gone"), "{message}");
    assert_eq!(contents(&place.log()), before);
}

/// The directory is there, the file with the newest events is not.
#[test]
fn row_active_segment_lost_is_refused() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 50);
    let active = place.active_directories().remove(0);
    fs::remove_file(active.join("FS.00000000.wal")).unwrap();
    let before = contents(&place.log());
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    assert!(message.contains("active-segment-lost: segment 0"), "{message}");
    assert!(message.contains(active.to_str().unwrap()), "{message}");
    assert_eq!(contents(&place.log()), before);
}

/// A cold file beside the newest hot one, and not whole: the log still ends where it ended.
#[test]
fn row_both_files_of_the_newest_segment_the_log_ends_where_it_did() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    let cold = place.log().join("FS.00000000.wal.lz4");
    fs::write(&cold, b"not a frame").unwrap();
    let (manager, mut writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_event_id, 100);
    append(&mut writer, 101..=200);
    manager.shutdown(writer).unwrap();
    assert!(!cold.exists());
    assert_holds(&place.log(), 200);
}

#[test]
fn row_missing_segment_below_d_is_refused() {
    let place = Place::new();
    crash(CRASHING, &place, SEGMENT * 3 + 5, SEGMENT * 3 + 5);
    reboot(&place);
    fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let before = contents(&place.log());
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    assert!(message.contains("missing-segment: segment 1"), "{message}");
    assert_eq!(contents(&place.log()), before);
}

#[test]
fn row_misnamed_segment_is_refused() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 50);
    reboot(&place);
    for name in names(&place.log()).into_iter().filter(|name| name > &"FS.00000001".to_owned()) {
        if name.starts_with("FS.") {
            fs::remove_file(place.log().join(name)).unwrap();
        }
    }
    fs::rename(place.log().join("FS.00000000.wal"), place.log().join("FS.00000001.wal")).unwrap();
    let before = contents(&place.log());
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    assert!(message.contains("misnamed"), "{message}");
    assert_eq!(contents(&place.log()), before);
}

/// Headers that say nothing: the events decide.
#[test]
fn row_headers_torn_the_events_decide() {
    for at in [0, 64] {
        let place = Place::new();
        crash(CRASHING, &place, 50, 50);
        recover(&place, 50);
        crash(CRASHING, &place, 50, 50);
        reboot(&place);
        first_segment(&place).write_all_at(&[0; 40], at).unwrap();
        assert_eq!(recover(&place, 50).0, "reboot", "bytes {at} to {}", at + 40);
    }
}
