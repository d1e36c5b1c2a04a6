//! Rows of the recovery table that need an accident: restarts, lost and damaged files, copies. The
//! tests edit the real files and open the real directory.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use common::crash::{
    accepting_loss, active_directory, assert_refused, crash, identity, offset, reboot, recover,
    SEGMENT,
};
use common::{
    append, assert_holds, child, contents, decision, eventually, expect_cause, open, Place,
};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

/// A genuinely different boot id, seen by a recovering process in a mount namespace.
#[test]
fn row_reboot_the_wal_directory_alone_is_the_log() {
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    crash(&place, SEGMENT + 50, SEGMENT + 100);
    let old_id = identity(&place.log()).id;
    fs::remove_dir_all(active_directory(&place)).unwrap();
    let boot_id = place.base().join("boot_id");
    fs::write(&boot_id, "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
    let mount = format!(
        "mount --bind {} /proc/sys/kernel/random/boot_id && exec \"$@\"",
        boot_id.display()
    );
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let (log, memory, last) = (place.log(), place.memory().display(), SEGMENT + 50);
    child::play_under(&wrapper, "recover-after-reboot", &[&log.display(), &memory, &last]);
    assert_eq!(identity(&place.log()).id, old_id, "the log is the same one");
    assert_holds(&place.log(), SEGMENT + 50);
}

#[test]
fn row_active_directory_lost_is_refused() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    fs::remove_dir_all(&active).unwrap();
    for _ in 0..2 {
        assert_refused(&place, &["active-directory-lost", active.to_str().unwrap()]);
        assert!(place.active_directories().is_empty());
    }
    let (manager, mut writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(decision(&manager), "active-directory-lost");
    assert_eq!(manager.log().appended().last_event_id, 50, "the last provable event");
    append(&mut writer, 51..=60);
    manager.shutdown(writer).unwrap();
    assert_eq!(recover(&place, 60).0, "clean");
}

/// The active directory at the path belongs to another log or another generation.
#[test]
fn row_active_directory_of_another_generation_is_not_ours() {
    let place = Place::new();
    crash(&place, 50, 100);
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
    crash(&place, 50, 100);
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
        (corrupt, "wal_meta.dat is damaged"),
        (foreign, "wal_meta.dat is damaged"),
        (stale, ""),
    ];
    for (damage, note) in rows {
        for restart in [false, true] {
            let place = Place::new();
            let meta = place.log().join("wal_meta.dat");
            crash(&place, 20, 20);
            recover(&place, 20);
            let older = fs::read(&meta).unwrap();
            crash(&place, SEGMENT + 70, SEGMENT + 70);
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
    for (damage, note) in [(false, "wal_identity is missing"), (true, "wal_identity is damaged")] {
        let place = Place::new();
        crash(&place, 50, 100);
        let old_active = active_directory(&place);
        // Otherwise it says whose it is.
        fs::remove_file(old_active.join("wal_identity")).unwrap();
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
        assert_eq!(contents(&old_active), before, "a directory of unknown owner was changed");
    }
}

#[test]
fn row_copy_takes_a_new_id_and_leaves_the_original_alone() {
    let place = Place::new();
    crash(&place, 50, 100);
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
    assert_eq!(contents(&active), before, "the original's active directory was changed");
    assert_holds(&copy, SEGMENT * 3);

    assert_eq!(recover(&place, 100).0, "process-crash");
    let (manager, writer) = open(&copy, place.small());
    assert_eq!(decision(&manager), "clean", "the copy is a log of its own now");
    manager.shutdown(writer).unwrap();
}

/// A log with a pair: killed after compressing a segment and before deleting its hot file.
fn log_with_both() -> Place {
    let place = Place::new();
    let log = place.log();
    let keep_all = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&log, keep_all.clone());
    append(&mut writer, 1..=SEGMENT + 10);
    manager.shutdown(writer).unwrap();
    let hot = fs::read(log.join("FS.00000000.wal")).unwrap();
    let (manager, writer) = open(&log, Config { max_segments: Keep::AtMost(1), ..keep_all });
    eventually("it is cold", || !log.join("FS.00000000.wal").exists());
    manager.shutdown(writer).unwrap();
    assert!(log.join("FS.00000000.wal.lz4").exists());
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
        fs::write(&path, &bytes).unwrap();
        let (_, notes) = recover(&place, SEGMENT + 10);
        assert!(notes.contains("cold-dropped: FS.00000000.wal.lz4"), "{notes}");
        assert!(!path.exists());
        assert_eq!(contents(&place.log())["FS.00000000.wal.lz4.corrupt"], bytes);
        assert_eq!(contents(&place.log())["FS.00000000.wal"], hot);
    }
}

/// The active directory exists, but its file with the newest events is missing.
#[test]
fn row_active_segment_lost_is_refused() {
    let place = Place::new();
    crash(&place, 50, 50);
    let active = place.active_directories().remove(0);
    fs::remove_file(active.join("FS.00000000.wal")).unwrap();
    assert_refused(&place, &["active-segment-lost: segment 0", active.to_str().unwrap()]);
}

/// A damaged cold file beside the newest hot one: the log still ends at the same event.
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
