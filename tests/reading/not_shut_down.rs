//! Logs that were not shut down, where their memory cannot be reached: what is durable is read, and
//! verify says what it cannot know.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::segments::{read_to_end, Image, Log};
use common::{append, child, eventually, open, paths, Place};
use flashstrike_wal::config::{Config, SyncMode};
use flashstrike_wal::error::Cause;
use flashstrike_wal::replay::{verify, Newest, Reader, ReaderOptions};
use rustix::process::Uid;

fn read(log: &Path) -> Vec<u64> {
    read_to_end(&mut Reader::open(log, ReaderOptions { verify: true }).unwrap())
}

/// Nothing is made durable unless it is asked for.
fn lazy(place: &Place) -> Config {
    Config { sync_mode: SyncMode::Rotation, ..place.small() }
}

fn ids(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

/// Lets the group read the WAL directory and not the active one, as in a shared /dev/shm.
fn let_the_group_read(place: &Place) {
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(place.base(), 0o750).unwrap();
    set(&place.active_directories()[0], 0o700).unwrap();
}

/// Runs `work` as a user who owns nothing and is in the group.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Of this thread only.
            let nobody = Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn f14_another_user_reads_what_is_durable_of_a_live_log() {
    if !rustix::process::geteuid().is_root() {
        common::skipped("to be another user needs root");
        return;
    }
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), lazy(&place));
    append(&mut writer, 1..=100);
    manager.log().sync().unwrap();
    append(&mut writer, 101..=200);
    let_the_group_read(&place);
    as_nobody(|| {
        let mut reader = Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap();
        assert_eq!(read_to_end(&mut reader), ids(100));
        let report = verify(&place.log()).unwrap();
        assert_eq!((report.damage_count, report.last_event_id), (0, 100), "{report:?}");
        assert_eq!((report.newest, report.on_disk_event_id), (Newest::Denied, 100));
        assert!(report.newest.may_be_missing());
        manager.log().sync().unwrap();
        assert_eq!(read_to_end(&mut reader), (101..=200).collect::<Vec<_>>());
        reader.seek(150).unwrap();
        assert_eq!(read_to_end(&mut reader), (150..=200).collect::<Vec<_>>());
    });
    manager.shutdown(writer).unwrap();
}

#[test]
fn f14_another_user_reads_what_is_durable_of_a_killed_log() {
    if !rustix::process::geteuid().is_root() {
        common::skipped("to be another user needs root");
        return;
    }
    let place = killed(100, 5000);
    let_the_group_read(&place);
    assert_eq!(read(&place.log()), ids(5000), "with its memory");
    let seen = as_nobody(|| read(&place.log()));
    assert!(seen.len() >= 100 && seen.len() < 5000, "{}", seen.len());
    assert_eq!(seen, ids(seen.len() as u64));
    let report = as_nobody(|| verify(&place.log()).unwrap());
    assert_eq!((report.damage_count, report.events), (0, seen.len() as u64), "{report:?}");
    assert_eq!(report.newest, Newest::Denied);
}

/// The log's own user may read its memory. That it cannot is an error to the reader, to verify
/// too, and no damage; whether it is the directory or the file that it cannot read.
#[test]
fn f14_memory_that_its_own_user_cannot_read_is_an_error() {
    if !rustix::process::geteuid().is_root() {
        common::skipped("to be another user needs root");
        return;
    }
    for is_file in [true, false] {
        let place = killed(100, 3000);
        let active = place.active_directories().remove(0);
        let segment = active.join("FS.00000000.wal");
        let nobody = |path: &Path| std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
        for directory in [&place.log(), &active] {
            nobody(directory);
            common::paths(directory).iter().for_each(|path| nobody(path));
        }
        for above in [place.base(), place.memory()] {
            fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(as_nobody(|| read(&place.log())), ids(3000));
        let unreadable = if is_file { &segment } else { &active };
        fs::set_permissions(unreadable, fs::Permissions::from_mode(0o000)).unwrap();
        as_nobody(|| {
            let mut reader = Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap();
            let error = loop {
                match reader.next() {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.cause(), Some(Cause::Permission), "{error}");
            let report = verify(&place.log()).unwrap();
            let error = report.result().unwrap_err();
            assert_eq!(error.cause(), Some(Cause::Permission), "{report:?}");
            assert!(error.to_string().contains(unreadable.to_str().unwrap()), "{error}");
        });
    }
}

/// A log whose process was killed after `last` events, of which the first ones were synced and the
/// last few are in memory only.
fn killed(synced: u64, last: u64) -> Place {
    let place = Place::new();
    let arguments = [place.log().display().to_string(), place.memory().display().to_string()];
    let role = child::spawn("crash", &[&arguments[0], &arguments[1], &synced, &last]);
    let output = role.wait_with_output().unwrap();
    assert!(!output.status.success(), "it aborts");
    place
}

/// Neither a boot id that cannot be read nor another one hides a memory that is there: in a sandbox
/// without /proc/sys, or with a boot id of its own.
#[test]
fn f18_without_the_boot_id_the_active_directory_decides() {
    if !common::may_mount() {
        return;
    }
    let place = killed(100, 5000);
    let without = "mount -t tmpfs none /proc/sys";
    let another = "f=$(mktemp) && echo 7 > $f && mount --bind $f /proc/sys/kernel/random/boot_id";
    for boot_id in [without, another] {
        let shell = format!("{boot_id} && exec \"$0\" \"$@\"");
        let wrapper = ["unshare", "-m", "sh", "-c", &shell];
        child::play_under(&wrapper, "read-and-verify", &[&place.log().display(), &5000_u64]);
    }
    let shell = format!("{without} && exec \"$0\" \"$@\"");
    let wrapper = ["unshare", "-m", "sh", "-c", &shell];
    let (log, memory) = (place.log(), place.memory().display());
    child::play_under(&wrapper, "refused-without-boot-id", &[&log.display(), &memory]);
}

/// What is in a directory on a disk may be an earlier boot's.
#[test]
fn f18_another_boots_active_directory_counts_in_memory_only() {
    let log = Log::of(&[Image::closed(0, 1..=300), Image::open(1, 301..=556)]);
    let (mut identity, active) = log.crashed();
    let bytes = Image::open(1, 301..=750).bytes();
    fs::write(active.join("FS.00000001.wal"), &bytes).unwrap();
    identity.boot_id = "another".into();
    log.write_identity(&identity);
    assert_eq!(read(&log.path()), ids(750), "in memory");
    assert_eq!(verify(&log.path()).unwrap().newest, Newest::InMemory);

    let on_disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let moved = on_disk.path().join("active");
    fs::create_dir(&moved).unwrap();
    fs::set_permissions(&moved, fs::Permissions::from_mode(0o700)).unwrap();
    identity.active_path = moved.to_str().unwrap().to_owned();
    fs::write(moved.join("FS.00000001.wal"), &bytes).unwrap();
    fs::write(moved.join("wal_identity"), identity.encode()).unwrap();
    log.write_identity(&identity);
    assert_eq!(read(&log.path()), ids(556), "on a disk");
    let report = verify(&log.path()).unwrap();
    assert_eq!((report.newest, report.damage_count), (Newest::NotHere, 0), "{report:?}");
}

#[test]
fn f20_verify_says_where_the_newest_events_are() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), lazy(&place));
    append(&mut writer, 1..=100);
    manager.log().sync().unwrap();
    append(&mut writer, 101..=200);
    let active = place.active_directories().remove(0).display().to_string();
    let report = verify(&place.log()).unwrap();
    assert_eq!((report.newest, report.is_copy), (Newest::InMemory, false));
    assert_eq!((report.last_event_id, report.on_disk_event_id), (200, 100));
    assert_eq!(report.active_path, active);

    // No file is being made then.
    common::eventually("segments are prepared", || {
        let prepared = manager.log().metrics().prepared_segments;
        prepared.fill == prepared.capacity
    });
    let copy = place.base().join("copy");
    fs::create_dir(&copy).unwrap();
    for path in
        paths(&place.log()).into_iter().filter(|path| path.extension() != Some("tmp".as_ref()))
    {
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let report = verify(&copy).unwrap();
    assert_eq!((report.newest, report.is_copy), (Newest::Elsewhere, true));
    assert!(report.newest.may_be_missing() && report.damage_count == 0, "{report:?}");
    assert_eq!((report.last_event_id, report.active_path), (100, active));

    manager.shutdown(writer).unwrap();
    let report = verify(&place.log()).unwrap();
    assert_eq!((report.newest, report.active_path), (Newest::OnDisk, String::new()));
    assert_eq!((report.last_event_id, report.on_disk_event_id), (200, 200));
}

#[test]
fn f21_what_is_durable_is_reckoned_by_meta_and_stamps() {
    let log =
        Log::of(&[Image::closed(0, 1..=300), Image { stamp: 620, ..Image::open(1, 301..=700) }]);
    assert_eq!(verify(&log.path()).unwrap().durable_event_id, 620, "without meta");
    log.write_meta(310);
    assert_eq!(verify(&log.path()).unwrap().durable_event_id, 620, "meta is older");
    log.write_meta(630);
    assert_eq!(verify(&log.path()).unwrap().durable_event_id, 630, "meta is newer");

    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), lazy(&place));
    append(&mut writer, 1..=100);
    manager.log().sync().unwrap();
    let report = verify(&place.log()).unwrap();
    assert_eq!(report.on_disk_event_id, 100, "right after a sync: {report:?}");
    eventually("meta says it too", || verify(&place.log()).unwrap().durable_event_id == 100);
    manager.shutdown(writer).unwrap();
}
