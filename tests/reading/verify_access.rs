//! `verify` with read access only, and beside a writer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use common::segments::Log;
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
    let place = Place::new();
    let config = place.small();
    let done = AtomicBool::new(false);
    let checked = std::thread::scope(|scope| {
        scope.spawn(|| {
            for first in (1..=EVENTS).step_by(EVENTS as usize / 4) {
                let (manager, mut writer) = common::open(&place.log(), config.clone());
                common::append(&mut writer, first..first + EVENTS / 4);
                manager.shutdown(writer).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        common::eventually("there is a log", || place.log().join("wal_identity").exists());
        let (mut checked, mut last) = (0, 0);
        while !done.load(Ordering::Acquire) {
            let report = verify(&place.log()).unwrap();
            assert!(report.result().is_ok(), "{:?}", report.damages);
            assert!(report.last_event_id >= last.max(report.durable_event_id), "{report:?}");
            last = report.last_event_id;
            checked += 1;
        }
        checked
    });
    let report = verify(&place.log()).unwrap();
    assert_eq!((report.damage_count, report.events), (0, EVENTS));
    assert!(report.cold_segments > 0 && checked > 3, "{checked} checks, {report:?}");
}
