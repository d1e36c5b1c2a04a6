//! G12 on real filesystems, mounted for a process of its own: that the log lives on them, and what it
//! says of them. (That btrfs is refused: `tests/python/test_errors_system.py`.)

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{append, assert_holds, open, scenario, spawn_scenario_under, text, Place};
use flashstrike_wal::config::Config;

const DONE: i32 = 7;
/// The mount did not work: this kernel does not have the filesystem.
const NO_MOUNT: i32 = 99;

/// The WAL directory and where the active one is made, in the child.
fn directories() -> Option<(PathBuf, PathBuf)> {
    let scenario = scenario()?;
    let (log, memory) = scenario.split_once(' ').unwrap();
    Some((log.into(), memory.into()))
}

/// Runs `test` again with something mounted: `mount` is a shell command in which `$base` is a
/// directory on disk, `$log` the WAL directory, and `$memory` the parent of the active one.
fn run_with(test: &str, program: &str, mount: &str) {
    if !common::may_mount() {
        return;
    }
    let has = format!("command -v {program} >/dev/null");
    if !Command::new("sh").args(["-c", &has]).status().unwrap().success() {
        println!("skipped: {program} is not installed");
        return;
    }
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    let (base, log) = (place.base().display(), place.log().display().to_string());
    let memory = place.memory().display();
    let script = format!(
        "base={base}; log={log}; memory={memory}; ( {mount} ) >&2 || exit {NO_MOUNT}; exec \"$@\""
    );
    let wrapper = ["unshare", "-m", "sh", "-c", &script, "sh"];
    let child = spawn_scenario_under(&wrapper, test, &format!("{log} {memory}"));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(DONE) => {}
        Some(NO_MOUNT) => println!("skipped: {}", said.trim()),
        _ => panic!("{}: {said}", output.status),
    }
}

fn config(memory: PathBuf) -> Config {
    Config { num_blocks: 16, active_parent: memory, ..Config::default() }
}

/// Records, rotates, reopens and reads; gives the names of both filesystems and the notes.
fn live(log: PathBuf, config: Config) -> (String, String, String) {
    let (manager, mut writer) = open(&log, config.clone());
    append(&mut writer, 1..=10_000);
    let report = manager.log().recovery_report();
    manager.shutdown(writer).unwrap();
    let (manager, mut writer) = open(&log, config);
    append(&mut writer, 10_001..=10_010);
    manager.shutdown(writer).unwrap();
    assert_holds(&log, 10_010);
    (text(report.wal_filesystem_name), text(report.active_filesystem_name), text(&report.notes))
}

/// What a container has under its root: allowed, and said to be what it is.
#[test]
fn g12_overlay_works_and_is_noted() {
    if let Some((log, memory)) = directories() {
        let (wal, active, notes) = live(log, config(memory));
        assert_eq!((wal.as_str(), active.as_str()), ("overlay", "tmpfs"));
        assert!(notes.contains("the filesystem is overlay: what lies beneath"), "{notes}");
        std::process::exit(DONE);
    }
    let mount = "mkdir $base/low $base/up $base/work && \
                 mount -t overlay none $log \
                 -o lowerdir=$base/low,upperdir=$base/up,workdir=$base/work";
    run_with("g12_overlay_works_and_is_noted", "unshare", mount);
}

/// Memory without a size: no room is counted there, and there is no fallocate.
#[test]
fn g12_ramfs_is_memory() {
    if let Some((log, memory)) = directories() {
        let (_, active, notes) = live(log, config(memory));
        assert_eq!(active, "ramfs");
        assert!(!notes.contains("not in memory"), "{notes}");
        std::process::exit(DONE);
    }
    run_with("g12_ramfs_is_memory", "unshare", "mount -t ramfs none $memory");
}

/// A disk's filesystem without fallocate: what is to be reserved is written.
#[test]
fn g12_ext2_has_no_fallocate_and_works() {
    if let Some((log, memory)) = directories() {
        let (wal, ..) = live(log, config(memory));
        assert_eq!(wal, "ext4", "the three share a number");
        std::process::exit(DONE);
    }
    let mount = "truncate -s 64M $base/image && mkfs.ext2 -q $base/image && \
                 mount -o loop $base/image $log";
    run_with("g12_ext2_has_no_fallocate_and_works", "mkfs.ext2", mount);
}
