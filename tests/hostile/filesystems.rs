//! G12 on real filesystems, mounted for one process: the log works on them and reports what they
//! are. (That btrfs is refused: `tests/python/test_errors_system.py`.)

use std::fs;
use std::process::Command;

use common::{child, Place};

/// The mount failed: this kernel does not have the filesystem.
const NO_MOUNT: i32 = 99;

/// Plays a role with a filesystem mounted: `mount` is a shell command in which `$base` is a
/// directory on disk, `$log` the WAL directory, and `$memory` the parent of the active one.
fn play_with(role: &str, program: &str, mount: &str) {
    if !common::may_mount() {
        return;
    }
    let has = format!("command -v {program} >/dev/null");
    if !Command::new("sh").args(["-c", &has]).status().unwrap().success() {
        common::skipped(format_args!("{program} is not installed"));
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
    let output = child::output_under(&wrapper, role, &[&log, &memory]);
    if output.status.code() == Some(NO_MOUNT) {
        common::skipped(format_args!("{}", String::from_utf8_lossy(&output.stderr).trim()));
    } else {
        child::assert_succeeded(role, &output);
    }
}

/// The root filesystem of a container: allowed, and noted in the report.
#[test]
fn g12_overlay_works_and_is_noted() {
    let mount = "mkdir $base/low $base/up $base/work && \
                 mount -t overlay none $log \
                 -o lowerdir=$base/low,upperdir=$base/up,workdir=$base/work";
    play_with("live-on-overlay", "unshare", mount);
}

/// An engine that has locked itself into a directory before it opens.
#[test]
fn a_chroot_without_devices_is_enough() {
    let mount = "mkdir $memory/active $memory/proc && mount -t proc none $memory/proc";
    play_with("live-in-chroot", "unshare", mount);
}

/// Memory without a size limit: free space is not checked there, and there is no fallocate.
#[test]
fn g12_ramfs_is_memory() {
    play_with("live-on-ramfs", "unshare", "mount -t ramfs none $memory");
}

/// A disk filesystem without fallocate: space is reserved by writing.
#[test]
fn g12_ext2_has_no_fallocate_and_works() {
    let mount = "truncate -s 64M $base/image && mkfs.ext2 -q $base/image && \
                 mount -o loop $base/image $log";
    play_with("live-on-ext2", "mkfs.ext2", mount);
}

/// Events are then written through the page cache and synced, and it is said once.
#[test]
fn g12_a_filesystem_without_direct_writes_works_and_it_is_said() {
    play_with("live-without-direct-writes", "unshare", "mount -t ramfs none $log");
}
