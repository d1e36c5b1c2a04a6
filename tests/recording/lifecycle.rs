//! A log that is made, shut down, opened again, killed: which files it makes, with which modes, and
//! what it leaves alone.

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::{Path, PathBuf};

use common::crash::{active_directory, crash, identity, reboot, SEGMENT};
use common::{append, assert_holds, contents, decision, names, open, text, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every test of this binary runs under this umask, because a process has only one.
fn usual_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

/// The active directory named by the recovery report.
fn active_path(manager: &Manager) -> PathBuf {
    PathBuf::from(text(&manager.log().recovery_report().active_path))
}

#[test]
fn g13_new_files_are_private() {
    usual_umask();
    let place = Place::new();
    let log = place.log();
    let config = Config { max_segments: Keep::AtMost(2), ..place.small() };
    let (manager, mut writer) = open(&log, config);
    append(&mut writer, 1..=4 * SEGMENT + 1);
    manager.log().sync().unwrap();
    common::eventually("a cold segment", || manager.log().metrics().cold_segments == 3);
    common::eventually("meta", || log.join("wal_meta.dat").exists());
    common::eventually("the next ones are prepared", || {
        let prepared = manager.log().metrics().prepared_segments;
        prepared.fill == prepared.capacity
    });
    assert_eq!(mode(&log), 0o750);
    let found = names(&log);
    for name in found.iter().filter(|name| !name.ends_with(".tmp")) {
        let expected = if name == "wal_lock" { 0o600 } else { 0o640 };
        assert_eq!(mode(&log.join(name)), expected, "{name}");
    }
    for kind in
        ["FS.00000004.wal", "FS.00000000.wal.lz4", "wal_identity", "wal_lock", "wal_meta.dat"]
    {
        assert!(found.iter().any(|name| name == kind), "{kind} was looked at: {found:?}");
    }
    let active = active_path(&manager);
    for name in names(&active) {
        assert_eq!(mode(&active.join(&name)), 0o640, "{name}");
    }
    manager.shutdown(writer).unwrap();
}

#[test]
fn g13_the_active_directory_keeps_others_out() {
    usual_umask();
    let mut seen = Vec::new();
    for (parent_mode, expected) in [(0o700, 0o750), (0o755, 0o750), (0o1777, 0o700), (0o775, 0o700)]
    {
        let place = Place::new();
        set_mode(place.memory(), parent_mode);
        let (manager, writer) = open(&place.log(), place.small());
        let active = active_path(&manager);
        assert_eq!(active.parent(), Some(place.memory()));
        assert_eq!(mode(&active), expected, "under a parent of mode {parent_mode:o}");
        let name = active.file_name().unwrap().to_str().unwrap().to_owned();
        let rest = name.strip_prefix("flashstrike-wal-").expect("a name that says what it is");
        let (id, random) = rest.split_once('-').expect("a name that says whose it is");
        let identity = fs::read_to_string(place.log().join("wal_identity")).unwrap();
        assert!(identity.starts_with(&format!("id={id}\n")), "{identity}");
        assert_eq!(random.len(), 32, "128 random bits");
        assert!(!seen.contains(&name), "twice the same name: {name}");
        seen.push(name);
        manager.shutdown(writer).unwrap();
        assert!(!active.exists());
    }
}

/// Somebody who may write to the directory plants a link at a name that the library will create:
/// its target is never written to, and never created.
#[test]
fn g13_a_planted_link_is_not_followed() {
    for name in [
        "wal_lock",
        "wal_identity",
        "wal_identity.tmp",
        "wal_meta.dat",
        "wal_meta.dat.tmp",
        "FS.00000000.wal",
        "FS.00000000.wal.tmp",
        "FS.00000001.wal",
        "FS.00000001.wal.tmp",
        "FS.00000000.wal.lz4.tmp",
    ] {
        let place = Place::new();
        let log = place.log();
        fs::create_dir(&log).unwrap();
        let victim = place.base().join("victim");
        fs::write(&victim, b"another user's").unwrap();
        let target = place.base().join("target");
        for points_at in [&victim, &target] {
            let _ = fs::remove_file(log.join(name));
            symlink(points_at, log.join(name)).unwrap();
            let config = Config { max_segments: Keep::AtMost(1), ..place.small() };
            match Manager::open(&log, config) {
                Ok((manager, mut writer)) => {
                    let first = manager.log().appended().last_event_id + 1;
                    append(&mut writer, first..=first + SEGMENT);
                    manager.shutdown(writer).unwrap();
                }
                Err(error) => assert!(error.to_string().contains(name), "{name}: {error}"),
            }
            assert_eq!(fs::read(&victim).unwrap(), b"another user's", "through {name}");
            assert!(!target.exists(), "through {name}");
        }
    }
}

/// Another user replaces the active directory of a killed log by a link to a directory of their
/// own.
#[test]
fn g13_a_link_in_place_of_the_active_directory_is_not_followed() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    let elsewhere = place.base().join("elsewhere");
    let status = std::process::Command::new("mv").args([&active, &elsewhere]).status().unwrap();
    assert!(status.success());
    symlink(&elsewhere, &active).unwrap();
    let before = contents(&place.log());
    let error = Manager::open(&place.log(), place.small()).unwrap_err();
    assert!(error.to_string().contains(active.to_str().unwrap()), "{error}");
    assert_eq!(contents(&place.log()), before);
    // The directory itself, put back, is accepted.
    fs::remove_file(&active).unwrap();
    let status = std::process::Command::new("mv").args([&elsewhere, &active]).status().unwrap();
    assert!(status.success());
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_event_id, 100);
    manager.shutdown(writer).unwrap();
}

#[test]
fn g13_an_active_directory_others_may_write_to_is_refused() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    set_mode(&active, 0o770);
    let before = contents(&place.log());
    let message =
        common::expect_cause(Manager::open(&place.log(), place.small()), Cause::Permission);
    assert!(message.contains(active.to_str().unwrap()), "{message}");
    assert_eq!(contents(&place.log()), before);
}

#[test]
fn row_new_log() {
    let place = Place::new();
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(decision(&manager), "new-log");
    let report = manager.log().recovery_report();
    assert_eq!((report.clean, report.generation, report.last_event_id), (true, 1, 0));
    assert_eq!(manager.log().appended(), Default::default());
    manager.shutdown(writer).unwrap();
    assert_eq!(names(&place.log()), ["wal_identity", "wal_lock", "wal_meta.dat"]);
    assert_eq!(contents(&place.log())["wal_meta.dat"][..16], [0; 16]);
    assert_holds(&place.log(), 0);
}

#[test]
fn row_clean_goes_on_in_the_last_segment() {
    let place = Place::new();
    let log = place.log();
    for round in 1..=5 {
        let (manager, mut writer) = open(&log, place.small());
        assert_eq!(decision(&manager), if round == 1 { "new-log" } else { "clean" });
        let report = manager.log().recovery_report();
        assert_eq!((report.clean, report.generation), (true, round));
        assert_eq!(report.last_event_id, (round - 1) * 100);
        append(&mut writer, (round - 1) * 100 + 1..=round * 100);
        assert_eq!(manager.log().appended().last_segment_index, 0);
        manager.shutdown(writer).unwrap();
        let left = ["FS.00000000.wal", "wal_identity", "wal_lock", "wal_meta.dat"];
        assert_eq!(names(&log), left);
        assert!(place.active_directories().is_empty());
        assert!(identity(&log).clean);
        assert_holds(&log, round * 100);
    }
}

#[test]
fn row_clean_a_full_last_segment_is_left_as_it_is() {
    let place = Place::new();
    let log = place.log();
    let (manager, mut writer) = open(&log, place.small());
    append(&mut writer, 1..=SEGMENT);
    manager.shutdown(writer).unwrap();
    let full = contents(&log)["FS.00000000.wal"].clone();
    let (manager, mut writer) = open(&log, place.small());
    assert_eq!(manager.log().appended().last_offset as u64, 64 + 16 * 16_448);
    append(&mut writer, [SEGMENT + 1]);
    assert_eq!(manager.log().appended().last_segment_index, 1);
    manager.shutdown(writer).unwrap();
    assert_eq!(contents(&log)["FS.00000000.wal"], full);
    assert_holds(&log, SEGMENT + 1);
}

#[test]
fn row_clean_a_changed_num_blocks_holds_for_new_segments() {
    let place = Place::new();
    let log = place.log();
    let size = |index: u32| fs::metadata(log.join(format!("FS.{index:08}.wal"))).unwrap().len();
    let (manager, mut writer) = open(&log, place.small());
    append(&mut writer, 1..=10);
    manager.shutdown(writer).unwrap();
    let (manager, mut writer) = open(&log, Config { num_blocks: 32, ..place.small() });
    append(&mut writer, 11..=SEGMENT);
    assert_eq!(manager.log().appended().last_segment_index, 0, "it still has its old size");
    append(&mut writer, SEGMENT + 1..=SEGMENT * 2 + 1);
    assert_eq!(
        manager.log().appended().last_segment_index,
        1,
        "the new segment has twice the size"
    );
    manager.shutdown(writer).unwrap();
    assert_eq!((size(0), size(1)), (64 + 16 * 16_448, 64 + 32 * 16_448));
    // And back: the larger one is continued too.
    let (manager, mut writer) = open(&log, place.small());
    append(&mut writer, SEGMENT * 2 + 2..=SEGMENT * 3 + 1);
    assert_eq!(manager.log().appended().last_segment_index, 2);
    manager.shutdown(writer).unwrap();
    assert_eq!((size(1), size(2)), (64 + 32 * 16_448, 64 + 16 * 16_448));
    assert_holds(&log, SEGMENT * 3 + 1);
}

#[test]
fn row_process_crash_carries_the_events_over() {
    for (synced, last) in [(50, 100), (0, 1), (SEGMENT, SEGMENT + 7), (10, SEGMENT * 2 + 300)] {
        let place = Place::new();
        crash(&place, synced, last);
        let old = active_directory(&place);
        let (manager, mut writer) = open(&place.log(), place.small());
        assert_eq!(decision(&manager), "process-crash", "{synced} of {last}");
        let report = manager.log().recovery_report();
        assert_eq!((report.clean, report.generation, report.last_event_id), (false, 2, last));
        assert!(report.durable_event_id <= last && report.events_kept_aside == 0);
        if last < SEGMENT {
            assert_eq!(report.events_carried_over, last - synced);
        }
        assert_eq!(manager.log().appended().last_event_id, last);
        assert_eq!(
            manager.log().durable(),
            manager.log().appended(),
            "recovered events must be durable"
        );
        assert_ne!(active_directory(&place), old, "the old active directory is still used");
        append(&mut writer, [last + 1]);
        manager.shutdown(writer).unwrap();
        assert!(place.active_directories().is_empty());
        assert_holds(&place.log(), last + 1);
    }
}

/// Carried-over events are on disk: the machine may crash right after recovery.
#[test]
fn row_process_crash_then_reboot() {
    let place = Place::new();
    crash(&place, 50, 100);
    crash(&place, 100, 100);
    reboot(&place);
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(decision(&manager), "reboot");
    assert_eq!(manager.log().appended().last_event_id, 100);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 100);
}

#[test]
fn row_crashes_upon_crashes_do_not_use_up_segments() {
    let place = Place::new();
    for round in 1..=8 {
        crash(&place, (round - 1) * 10, round * 10);
    }
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_segment_index, 0);
    assert_eq!(manager.log().recovery_report().generation, 9);
    manager.shutdown(writer).unwrap();
    let left = ["FS.00000000.wal", "wal_identity", "wal_lock", "wal_meta.dat"];
    assert_eq!(names(&place.log()), left);
    assert_holds(&place.log(), 80);
}

/// Prepared segments that never held an event.
#[test]
fn row_prepared_segments_never_used() {
    for restart in [false, true] {
        let place = Place::new();
        let log = place.log();
        // The second time, two segments are prepared before the first event.
        crash(&place, 100, 100);
        crash(&place, 100, 100);
        let last_prepared = log.join("FS.00000002.wal");
        assert!(log.join("FS.00000001.wal").exists() && last_prepared.exists());
        if restart {
            reboot(&place);
        }
        let config = Config { prepared_segments: 1, ..place.small() };
        let (manager, mut writer) = open(&log, config);
        assert!(!last_prepared.exists(), "the unused segment is still there");
        assert_eq!(manager.log().recovery_report().hot_segments, 1);
        append(&mut writer, 101..=SEGMENT + 1);
        assert_eq!(manager.log().appended().last_segment_index, 1, "its index is used again");
        manager.shutdown(writer).unwrap();
        let left =
            ["FS.00000000.wal", "FS.00000001.wal", "wal_identity", "wal_lock", "wal_meta.dat"];
        assert_eq!(names(&log), left);
        assert_holds(&log, SEGMENT + 1);
    }
}

#[test]
fn row_temporary_files_are_removed_and_foreign_ones_are_not() {
    let place = Place::new();
    let log = place.log();
    crash(&place, 50, 100);
    let ours =
        ["FS.00000009.wal.tmp", "FS.00000007.wal.lz4.tmp", "wal_meta.dat.tmp", "wal_identity.tmp"];
    for name in ours {
        fs::write(log.join(name), b"half of something").unwrap();
    }
    let foreign =
        ["FS.7.wal", "FS.00000003.wal.corrupt", "FS.00000003.WAL", "notes.tmp", "wal", "é"];
    for name in foreign {
        fs::write(log.join(name), name).unwrap();
    }
    fs::create_dir(log.join("archive")).unwrap();
    fs::write(log.join("archive").join("FS.00000000.wal"), b"a copy").unwrap();
    use std::os::unix::ffi::OsStrExt;
    let not_utf8 = log.join(std::ffi::OsStr::from_bytes(b"FS.\xff.wal"));
    fs::write(&not_utf8, b"x").unwrap();

    let config = Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(1),
        ..place.small()
    };
    let (manager, mut writer) = open(&log, config);
    for name in ours {
        assert_ne!(fs::read(log.join(name)).unwrap_or_default(), b"half of something", "{name}");
    }
    append(&mut writer, 101..=SEGMENT * 10);
    manager.shutdown(writer).unwrap();
    for name in ours {
        assert!(!log.join(name).exists(), "{name}");
    }
    for name in foreign {
        assert_eq!(fs::read(log.join(name)).unwrap(), name.as_bytes(), "{name}");
    }
    assert_eq!(fs::read(log.join("archive").join("FS.00000000.wal")).unwrap(), b"a copy");
    assert_eq!(fs::read(not_utf8).unwrap(), b"x");
}
