//! What logs meet in the field when they are opened, each by its number.

use std::fs;
use std::os::unix::fs::{symlink, FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

use common::crash::{
    accepting_loss, active_directory, assert_refused, change_boot_id, crash, crash_in,
    first_segment, identity, offset, recover, SEGMENT,
};
use common::{append, assert_holds, contents, decision, expect_cause, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::verify;
use flashstrike_wal::storage::{DirectoryLock, Links, PosixStorage, Storage};

#[test]
fn f3_memory_that_is_there_proves_that_there_was_no_reboot() {
    let place = Place::new();
    crash(&place, 50, 100);
    change_boot_id(&place);
    assert_holds(&place.log(), 100);
    let (decision, notes) = recover(&place, 100);
    assert_eq!(decision, "other-boot-id");
    assert!(notes.contains("there was no reboot"), "{notes}");
    assert!(place.active_directories().is_empty());
}

#[test]
fn f3_memory_whose_writer_lives_locks_the_log() {
    let place = Place::new();
    crash(&place, 50, 100);
    change_boot_id(&place);
    let active = active_directory(&place);
    let writer = PosixStorage::for_reading().open_directory(&active, Links::Refuse);
    let writer = writer.unwrap().unwrap();
    assert_eq!(writer.try_lock().unwrap(), DirectoryLock::Taken);
    let before = (contents(&place.log()), contents(&active));
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Locked);
    assert!(message.contains(active.to_str().unwrap()), "{message}");
    assert_eq!((contents(&place.log()), contents(&active)), before);
    writer.unlock();
    assert_eq!(recover(&place, 100).0, "other-boot-id");
}

/// Nor is memory gone because it may not be used, whatever the boot id says.
#[test]
fn f3_memory_that_others_may_write_to_is_refused_and_not_dropped() {
    let place = Place::new();
    crash(&place, 50, 100);
    change_boot_id(&place);
    let active = active_directory(&place);
    let mode = |mode| fs::set_permissions(&active, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Permission);
    assert!(message.contains("active-directory-unreadable"), "{message}");
    assert!(message.contains(active.to_str().unwrap()), "{message}");
    mode(0o700);
    assert_eq!(recover(&place, 100).0, "other-boot-id");
}

/// After a reboot anybody may take the name: what is another user's is not the log's.
#[test]
fn f3_what_another_user_made_under_the_name_after_a_reboot_is_not_ours() {
    if !rustix::process::geteuid().is_root() {
        common::skipped("to give a directory away needs root");
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    change_boot_id(&place);
    let active = active_directory(&place);
    std::os::unix::fs::chown(&active, Some(65_534), None).unwrap();
    assert_holds(&place.log(), 50);
    assert_eq!(recover(&place, 50).0, "reboot");
    fs::remove_dir_all(&active).unwrap();
}

/// Nor because the identity in it is gone too.
#[test]
fn f3_memory_that_says_no_more_whose_it_is_is_refused_and_not_dropped() {
    let place = Place::new();
    crash(&place, 50, 100);
    change_boot_id(&place);
    let copy = active_directory(&place).join("wal_identity");
    let identity = fs::read(&copy).unwrap();
    fs::remove_file(&copy).unwrap();
    assert_refused(&place, &["active-directory-unreadable", "missing or damaged"]);
    fs::write(&copy, identity).unwrap();
    assert_eq!(recover(&place, 100).0, "other-boot-id");
}

/// On a disk the directory outlives a reboot, and proves nothing.
#[test]
fn f3_an_active_directory_on_a_disk_proves_nothing() {
    let place = Place::new();
    let parent = place.base().join("active");
    fs::create_dir(&parent).unwrap();
    let kind = PosixStorage::for_reading().open_directory(&parent, Links::Refuse).unwrap();
    if kind.unwrap().status().unwrap().filesystem == 0x0102_1994 {
        return common::skipped("the temporary directory is in memory");
    }
    crash_in(&[], &place.log(), &parent.display(), 50, 100);
    change_boot_id(&place);
    assert_eq!(recover(&place, 50).0, "reboot");
}

/// A log restored with holes has all of its space when it is open.
#[test]
fn f8_the_holes_of_a_restored_segment_are_filled_before_it_is_written() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=10);
    manager.shutdown(writer).unwrap();
    let file = first_segment(&place);
    let size = file.metadata().unwrap().len();
    let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, punch, 16_384, size - 16_384).unwrap();
    file.sync_all().unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 < size, "it has a hole");
    let (manager, mut writer) = open(&place.log(), place.small());
    assert!(first_segment(&place).metadata().unwrap().blocks() * 512 >= size);
    append(&mut writer, 11..=SEGMENT);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), SEGMENT);
}

/// A snapshot made of hard links does not change when the log is opened again and goes on.
#[test]
fn f6_a_segment_with_another_name_is_copied_before_it_is_written() {
    for crashed in [false, true] {
        let place = Place::new();
        crash(&place, 50, 100);
        if !crashed {
            recover(&place, 100);
        }
        let snapshot = place.base().join("snapshot.wal");
        fs::hard_link(place.log().join("FS.00000000.wal"), &snapshot).unwrap();
        let before = fs::read(&snapshot).unwrap();
        let (manager, mut writer) = open(&place.log(), place.small());
        let notes = manager.log().recovery_report().notes.clone();
        assert!(notes.contains("copied: FS.00000000.wal"), "{notes}");
        append(&mut writer, 101..=200);
        manager.shutdown(writer).unwrap();
        assert!(fs::read(&snapshot).unwrap() == before, "crashed: {crashed}");
        assert_holds(&place.log(), 200);
    }
}

/// Nor does one of the memory, whose files are cut when they are removed.
#[test]
fn f6_a_segment_in_memory_with_another_name_stays_as_it_is() {
    let place = Place::new();
    crash(&place, 50, 100);
    let snapshot = place.memory().join("snapshot.wal");
    fs::hard_link(active_directory(&place).join("FS.00000000.wal"), &snapshot).unwrap();
    let before = fs::read(&snapshot).unwrap();
    recover(&place, 100);
    assert!(fs::read(&snapshot).unwrap() == before);
}

#[test]
fn f17_the_refusal_says_what_to_do_and_what_it_costs() {
    let place = Place::new();
    crash(&place, 50, 100);
    fs::remove_dir_all(active_directory(&place)).unwrap();
    let words = ["container's /dev/shm", "FS_WAL_FLAG_ACCEPT_LOSS", "ends at event 50"];
    assert_refused(&place, &words);
}

#[test]
fn f23_a_missing_parent_is_not_made() {
    let place = Place::new();
    let (missing, log) = (place.base().join("mistyped"), place.base().join("mistyped/log"));
    let message = expect_cause(Manager::open(&log, place.small()), Cause::NotFound);
    assert!(message.contains(&format!("its parent {} does not exist", missing.display())));
    assert!(!missing.exists());
    let config = Config { active_parent: place.base().join("shm"), ..place.small() };
    let message = expect_cause(Manager::open(&place.log(), config), Cause::InvalidArgument);
    assert!(message.contains("shm: there is no such directory"), "{message}");
    assert!(!place.base().join("shm").exists());
}

#[test]
fn f24_an_active_directory_says_whose_it_is() {
    let place = Place::new();
    crash(&place, 50, 100);
    let copy = identity(&active_directory(&place));
    assert_eq!(copy.wal_path.as_deref(), place.log().to_str());
    assert_eq!(identity(&place.log()).wal_path, None, "only there");
}

#[test]
fn f28_what_is_no_directory_is_said_in_words() {
    let place = Place::new();
    symlink("nowhere", place.log()).unwrap();
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::NotFound);
    assert!(message.contains("is a symbolic link that leads nowhere"), "{message}");
    fs::remove_file(place.log()).unwrap();
    fs::write(place.log(), "a file").unwrap();
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Io);
    assert!(message.ends_with("log: not a directory"), "{message}");
}

/// What the C++ recorder leaves: no identity, and 16 bytes of meta: offset, index, event id.
fn leave_as_cpp(log: &Path, last_event_id: u64) {
    fs::remove_file(log.join("wal_identity")).unwrap();
    let mut meta = (offset(last_event_id) as u32).to_le_bytes().to_vec();
    meta.extend(0_u32.to_le_bytes());
    meta.extend(last_event_id.to_le_bytes());
    fs::write(log.join("wal_meta.dat"), meta).unwrap();
}

#[test]
fn f32_what_the_cpp_recorder_calls_durable_is_missed() {
    let place = Place::new();
    crash(&place, 100, 100);
    recover(&place, 100);
    leave_as_cpp(&place.log(), 100);
    // Its blocks have no stamps.
    first_segment(&place).write_all_at(&[0; 64], 64).unwrap();
    first_segment(&place).write_all_at(&[0; 64], 0).unwrap();
    first_segment(&place).write_all_at(&[0; 64], offset(60)).unwrap();
    assert_refused(&place, &["break-below-durable", "events 61 to 100", "ACCEPT_LOSS"]);
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(decision(&manager), "unknown-identity/break-below-durable");
    assert_eq!(manager.log().appended().last_event_id, 60);
    manager.shutdown(writer).unwrap();
}

/// Copies the files of `from` whose names `is_copied` accepts over those of `to`.
fn copy_over(from: &Path, to: &Path, is_copied: impl Fn(&str) -> bool) {
    for name in common::names(from).into_iter().filter(|name| is_copied(name)) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// A log that was shut down in its third segment, a backup of it, and what became of it: it was
/// opened again and appended to up to `last`.
fn log_and_backup(place: &Place, last: u64, ends: impl FnOnce(&Place)) -> std::path::PathBuf {
    let keep = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&place.log(), keep.clone());
    append(&mut writer, 1..=2 * SEGMENT + 100);
    manager.shutdown(writer).unwrap();
    let backup = place.base().join("backup");
    fs::create_dir(&backup).unwrap();
    copy_over(&place.log(), &backup, |name| name != "wal_lock");
    let (manager, mut writer) = open(&place.log(), keep);
    append(&mut writer, 2 * SEGMENT + 101..=last);
    manager.shutdown(writer).unwrap();
    ends(place);
    backup
}

/// An old backup over a newer log: what it did not replace contradicts it.
#[test]
fn f9_an_older_state_copied_over_a_newer_one_is_refused() {
    let place = Place::new();
    let backup = log_and_backup(&place, 5 * SEGMENT + 50, |_| {});
    copy_over(&backup, &place.log(), |_| true);
    assert_refused(&place, &["beyond-shutdown", "segment 3", "wal_meta.dat"]);
    let (manager, mut writer) = open(&place.log(), accepting_loss(&place));
    let last = 2 * SEGMENT + 100;
    assert_eq!(manager.log().appended().last_event_id, last, "the backup's state");
    let kept = manager.log().recovery_report().events_kept_aside;
    assert_eq!(kept, 2 * SEGMENT + 50, "what the backup does not have");
    append(&mut writer, last + 1..=last + 10);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), last + 10);
}

/// Only the small files are old: nothing is missing, but they say otherwise.
#[test]
fn f9_old_small_files_over_newer_segments_are_refused() {
    let place = Place::new();
    let backup = log_and_backup(&place, 2 * SEGMENT + 200, |_| {});
    copy_over(&backup, &place.log(), |name| name.starts_with("wal_"));
    assert_refused(&place, &["beyond-shutdown", "segment 2"]);
    let message = verify(&place.log()).unwrap().result().unwrap_err().to_string();
    assert!(message.contains("events follow those that it says"), "{message}");
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(manager.log().appended().last_event_id, 2 * SEGMENT + 200);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 2 * SEGMENT + 200);
}

/// The newer log had crashed: its newest events are in an active directory that the old identity
/// does not name.
#[test]
fn f9_an_older_state_over_a_crashed_log_does_not_hide_its_memory() {
    let place = Place::new();
    let backup = log_and_backup(&place, 2 * SEGMENT + 200, |place| {
        crash(place, 2 * SEGMENT + 300, 2 * SEGMENT + 400);
    });
    copy_over(&backup, &place.log(), |_| true);
    let active = active_directory(&place);
    assert_refused(&place, &["beyond-shutdown", "(300 events) is kept aside"]);
    assert!(active.exists(), "it was not taken for something left over");
    // An open that accepts the loss keeps its events aside before it removes it, and may fail
    // before that.
    let too_large = Config { num_blocks: 65_536, prepared_segments: 64, ..accepting_loss(&place) };
    expect_cause(Manager::open(&place.log(), too_large), Cause::NoSpace);
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(decision(&manager), "clean/beyond-shutdown");
    assert_eq!(manager.log().recovery_report().events_kept_aside, 300);
    manager.shutdown(writer).unwrap();
    assert!(place.active_directories().is_empty());
    recover(&place, 2 * SEGMENT + 100);
}

/// Somebody removed or damaged `wal_identity` of a running log, which then crashed.
#[test]
fn f3_without_an_identity_the_memory_says_whose_it_is() {
    let damages: [fn(&Path); 2] =
        [|path| fs::remove_file(path).unwrap(), |path| fs::write(path, "id=1\n").unwrap()];
    for damage in damages {
        let place = Place::new();
        crash(&place, 50, 100);
        damage(&place.log().join("wal_identity"));
        let (decision, notes) = recover(&place, 100);
        assert_eq!(decision, "process-crash");
        assert!(notes.contains("wal_identity is taken from"), "{notes}");
        assert!(place.active_directories().is_empty());
    }
}

/// However the path is spelled by which the log was opened then, and is now.
#[test]
fn f3_the_memory_is_found_by_another_path_of_the_log_too() {
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    let link = place.base().join("link");
    symlink(place.log(), &link).unwrap();
    crash_in(&[], &link, &place.memory().display(), 50, 100);
    fs::remove_file(place.log().join("wal_identity")).unwrap();
    assert_eq!(recover(&place, 100).0, "process-crash");
}

/// The inode may have been another log's before: what was that log's is told, and left alone.
#[test]
fn f3_memory_of_a_log_that_was_elsewhere_is_told_and_left() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    let mut other = identity(&active);
    other.wal_path = Some("/usr".to_owned());
    fs::write(active.join("wal_identity"), other.encode()).unwrap();
    fs::remove_file(place.log().join("wal_identity")).unwrap();
    let (decision, notes) = recover(&place, 50);
    assert_eq!(decision, "unknown-identity");
    assert!(notes.contains("then at /usr: not taken"), "{notes}");
    assert!(notes.contains(active.to_str().unwrap()), "{notes}");
    assert!(active.exists());
}
