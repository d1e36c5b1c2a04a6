//! `verify` with read access only, and beside a writer.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::segments::{event_at, failure, read_on, Log};
use common::Place;
use flashstrike_wal::error::Cause;
use flashstrike_wal::replay::{verify, DamageKind};

/// Another user's log: readable but not writable, and neither is its directory.
#[test]
fn read_permission_is_enough() {
    if !rustix::process::geteuid().is_root() {
        common::skipped("to be another user needs root");
        return;
    }
    let log = Log::of_a_thousand();
    log.freeze(0);
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for path in common::paths(&log.path()) {
        set(&path, 0o444).unwrap();
    }
    set(&log.path(), 0o555).unwrap();
    let path = log.path();
    let check = move || {
        // Of this thread only.
        let nobody = rustix::process::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        assert!(fs::write(path.join("x"), "").is_err(), "nobody may not write here");
        verify(&path).unwrap()
    };
    let report = std::thread::spawn(check).join().unwrap();
    assert_eq!((report.damage_count, report.events), (0, 1000), "{report:?}");

    set(&log.hot(1), 0o400).unwrap();
    let path = log.path();
    let check = move || {
        let nobody = rustix::process::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        verify(&path).unwrap()
    };
    let report = std::thread::spawn(check).join().unwrap();
    let [damage] = &report.damages[..] else { panic!("{report:?}") };
    let found = (damage.kind, damage.file_name(), damage.file_offset, damage.event_ids);
    assert_eq!(found, (DamageKind::Unreadable, "FS.00000001.wal", 0, (0, 0)));
    assert_eq!(report.result().unwrap_err().cause(), Some(Cause::Permission));
}

#[test]
fn a_read_only_mount() {
    if !common::may_mount() {
        return;
    }
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }
    let log = Log::of_a_thousand();
    log.freeze(0);
    let mount = |arguments: &[&str]| {
        let status = Command::new("mount").args(arguments).status().unwrap();
        assert!(status.success(), "mount {arguments:?}: {status}");
    };
    let path = log.path();
    let text = path.to_str().unwrap();
    mount(&["--bind", text, text]);
    let _mounted = Mounted(path.clone());
    mount(&["-o", "remount,ro,bind", text]);
    assert!(fs::write(path.join("x"), "").is_err(), "it is read-only");
    let report = verify(&log.path()).unwrap();
    assert_eq!((report.damage_count, report.events), (0, 1000));
}

/// Beside a writer that rotates, compresses, recycles, is shut down and opened again: verify never
/// reports damage, and finds everything that was durable before.
#[test]
fn a_live_log() {
    const EVENTS: u64 = 120_000;
    const ROUNDS: u64 = 5;
    let place = Place::new();
    let config = place.small();
    let (done, checked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let (manager, mut writer) = common::open(&place.log(), config.clone());
                let first = round * EVENTS / ROUNDS + 1;
                common::append(&mut writer, first..first + EVENTS / ROUNDS);
                common::eventually("another check", || checked.load(Ordering::Acquire) > round);
                manager.shutdown(writer).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        common::eventually("there is a log", || place.log().join("wal_identity").exists());
        let mut last = 0;
        while !done.load(Ordering::Acquire) {
            let report = verify(&place.log()).unwrap();
            assert!(report.result().is_ok(), "{:?}", report.damages);
            assert!(report.last_event_id >= last.max(report.durable_event_id), "{report:?}");
            last = report.last_event_id;
            checked.fetch_add(1, Ordering::Release);
        }
    });
    let report = verify(&place.log()).unwrap();
    assert_eq!((report.damage_count, report.events), (0, EVENTS));
    assert!(report.cold_segments > 0, "{report:?}");
}

/// Nothing can be read: that is no damage, not even to the events that meta knows durable.
#[test]
fn f22_what_cannot_be_read_is_not_damaged() {
    if !rustix::process::geteuid().is_root() {
        common::skipped("to be another user needs root");
        return;
    }
    for readable_meta in [false, true] {
        let log = Log::of_a_thousand();
        log.freeze(0);
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        set(&log.path(), 0o755).unwrap();
        for path in common::paths(&log.path()) {
            let is_meta = path.ends_with("wal_meta.dat");
            set(&path, if readable_meta && is_meta { 0o644 } else { 0 }).unwrap();
        }
        let path = log.path();
        let check = move || {
            let nobody = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            verify(&path).unwrap()
        };
        let report = std::thread::spawn(check).join().unwrap();
        assert_eq!(report.result().unwrap_err().cause(), Some(Cause::Permission), "{report:?}");
        assert_eq!(report.damage_count, if readable_meta { 3 } else { 4 });
        assert!(report.damages.iter().all(|damage| damage.kind == DamageKind::Unreadable));
    }
}

/// A part that can be read and is damaged is damage, whatever else cannot be read.
#[test]
fn f22_damage_beside_what_cannot_be_read_is_damage() {
    let log = Log::of_a_thousand();
    log.flip(0, event_at(0, 7));
    fs::remove_file(log.hot(1)).unwrap();
    fs::create_dir(log.hot(1)).unwrap();
    assert_eq!(verify(&log.path()).unwrap().result().unwrap_err().cause(), Some(Cause::Corrupt));
    // The newest events are not in what cannot be read.
    log.flip(0, event_at(0, 7));
    log.write_meta(1100);
    let report = verify(&log.path()).unwrap();
    assert!(report.damages.iter().any(|d| d.kind == DamageKind::DurableLost), "{report:?}");
}

#[test]
fn f28_links_are_named_and_not_followed() {
    let log = Log::of_a_thousand();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(log.hot(1), elsewhere.path().join("1")).unwrap();
    symlink(elsewhere.path().join("1"), log.hot(1)).unwrap();
    let told = format!("{}: is a symbolic link; links are not followed", log.hot(1).display());
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(ids, (1..=300).collect::<Vec<_>>());
    assert!(failure(&error, Cause::Io).message.contains(&told), "{error}");
    let report = verify(&log.path()).unwrap();
    let [damage] = &report.damages[..] else { panic!("{report:?}") };
    assert_eq!((damage.kind, damage.segment_index), (DamageKind::Unreadable, Some(1)));
    assert!(damage.to_error().to_string().contains(&told), "{}", damage.to_error());

    let dangling = elsewhere.path().join("log");
    symlink(elsewhere.path().join("nowhere"), &dangling).unwrap();
    let error = verify(&dangling).unwrap_err();
    let told = "log: a symbolic link to a directory that is not there";
    assert!(failure(&error, Cause::NotFound).message.ends_with(told), "{error}");
    // A link to a log is followed.
    let link = elsewhere.path().join("link");
    fs::rename(elsewhere.path().join("1"), log.path().join("moved")).unwrap();
    fs::rename(log.path().join("moved"), log.hot(1)).unwrap();
    symlink(log.path(), &link).unwrap();
    assert_eq!(verify(&link).unwrap().events, 1000);
}
