//! G13 between users: what another user plants at the place of a log is neither followed nor
//! trusted, and the files of a log are inaccessible to others. The other user is `nobody`;
//! switching to that user needs root.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output};

use common::crash::{active_directory, crash, identity};
use common::{append, assert_holds, child, contents, expect_cause, names, open, paths, Place};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

/// `nobody` and its group.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        common::skipped("becoming another user needs root");
    }
    root
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        paths(path).iter().for_each(|path| give(path, user));
    }
}

/// A place whose directories and files belong to another user, who can reach them.
fn place_of_nobody() -> Place {
    let place = Place::new();
    give(place.base(), NOBODY);
    give(place.memory(), NOBODY);
    place
}

/// Plays a role as this user, with this umask.
fn play_as(user: u32, umask: u32, role: &str, arguments: &[&dyn Display]) -> Output {
    // A place from which the other user can execute it.
    let bin = tempfile::tempdir().unwrap();
    set_mode(bin.path(), 0o755);
    let program = bin.path().join("child");
    child::copy_to(&program);
    set_mode(&program, 0o755);
    let shell = format!("umask {umask:04o} && exec \"$0\" \"$@\"");
    let mut command = child::command(&program, &["/bin/sh", "-c", &shell], role, arguments);
    command.current_dir("/").uid(user).gid(user).output().unwrap()
}

/// Plays a role that must succeed.
fn must_play(user: u32, umask: u32, role: &str, arguments: &[&dyn Display]) {
    child::assert_succeeded(role, &play_as(user, umask, role, arguments));
}

#[test]
fn g13_modes_are_narrowed_by_the_umask() {
    for umask in [0o000, 0o007, 0o022, 0o027, 0o077] {
        let place = Place::new();
        let log = place.log();
        let user = rustix::process::geteuid().as_raw();
        must_play(user, umask, "user-records", &[&log.display(), &place.memory().display()]);
        assert_holds(&log, 4096 * 2 + 1);
    }
}

/// A file of the log belongs to somebody else and cannot be read: the error names it, and nothing
/// is changed.
#[test]
fn g13_another_users_files_are_refused_by_name() {
    if !is_root() {
        return;
    }
    let place = place_of_nobody();
    let (log, memory) = (place.log(), place.memory().display());
    must_play(NOBODY, 0o022, "user-records", &[&log.display(), &memory]);
    for name in names(&log) {
        if name.ends_with(".lz4") && name != "FS.00000001.wal.lz4" {
            continue; // An old segment, which open does not read.
        }
        let path = log.join(&name);
        chown(&path, Some(0), Some(0)).unwrap();
        set_mode(&path, 0o000);
        let before = contents(&log);
        must_play(NOBODY, 0o022, "user-is-refused", &[&log.display(), &memory, &name]);
        assert_eq!(contents(&log), before);
        assert!(place.active_directories().is_empty());
        give(&path, NOBODY);
        set_mode(&path, 0o640);
    }
}

/// What is done to the active directory, or with two paths.
type Plant = (&'static str, fn(&Path));
type PlantWith = (&'static str, fn(&Path, &Path));

/// What another user may do with write access: replace the active directory of a killed log.
#[test]
fn g13_another_users_active_directory_is_not_trusted() {
    if !is_root() {
        return;
    }
    let plants: &[Plant] = &[
        // The same files, but owned by another user.
        ("another user's", |active| give(active, NOBODY)),
        ("another user's, with the files still ours", |active| {
            chown(active, Some(NOBODY), None).unwrap();
        }),
        ("another user's, empty", |active| {
            fs::remove_dir_all(active).unwrap();
            fs::create_dir(active).unwrap();
            give(active, NOBODY);
        }),
        ("writable by all", |active| set_mode(active, 0o707)),
        ("writable by a group", |active| set_mode(active, 0o720)),
        ("sticky and writable by all", |active| set_mode(active, 0o1777)),
    ];
    for (what, plant) in plants {
        let place = Place::new();
        set_mode(place.memory(), 0o1777);
        crash(&place, 50, 100);
        let active = active_directory(&place);
        plant(&active);
        let (before, inside) = (contents(&place.log()), contents(&active));
        let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Permission);
        assert!(message.contains(active.to_str().unwrap()), "{what}: {message}");
        assert_eq!(contents(&place.log()), before, "{what}");
        assert_eq!(contents(&active), inside, "{what}");
    }
}

/// Between the crash and recovery a file in the active directory is replaced by something else.
#[test]
fn g13_names_in_the_active_directory_are_not_followed() {
    let plants: &[PlantWith] = &[
        ("link to the same file elsewhere", |path, victim| symlink(victim, path).unwrap()),
        ("dangling link", |path, _| symlink("nowhere", path).unwrap()),
        ("link to a device", |path, _| symlink("/dev/zero", path).unwrap()),
        ("directory", |path, _| fs::create_dir(path).unwrap()),
        ("pipe", |path, _| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ];
    for name in ["FS.00000000.wal", "FS.00000001.wal", "wal_identity"] {
        for (what, plant) in plants {
            let place = Place::new();
            crash(&place, 50, 100);
            let path = active_directory(&place).join(name);
            let victim = place.base().join("victim");
            fs::copy(&path, &victim).unwrap();
            fs::remove_file(&path).unwrap();
            plant(&path, &victim);
            let (before, bytes) = (contents(&place.log()), fs::read(&victim).unwrap());
            let error = Manager::open(&place.log(), place.small()).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{what}: {error}");
            assert_eq!(contents(&place.log()), before, "{what} as {name}");
            assert_eq!(fs::read(&victim).unwrap(), bytes, "{what} as {name}");
            assert!(path.symlink_metadata().is_ok(), "{what} as {name}");
        }
    }
}

/// A hard link to a file of the active directory: later writes to the log never change what the
/// link shows.
#[test]
fn g13_a_hard_link_into_the_active_directory_is_not_written_through() {
    let place = Place::new();
    crash(&place, 50, 100);
    let path = active_directory(&place).join("FS.00000000.wal");
    let second = place.memory().join("second name");
    fs::hard_link(&path, &second).unwrap();
    let bytes = fs::read(&second).unwrap();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 101..=5000);
    manager.shutdown(writer).unwrap();
    assert_eq!(fs::read(&second).unwrap(), bytes);
    assert_holds(&place.log(), 5000);
}

/// The names are random; but suppose that one is guessed, or that everything in the shared
/// directory that looks like ours belongs to others.
#[test]
fn g13_what_looks_like_ours_in_a_shared_directory_is_left_alone() {
    let place = Place::new();
    set_mode(place.memory(), 0o1777);
    crash(&place, 50, 100);
    let prefix = format!("flashstrike-wal-{:032x}-", identity(&place.log()).id);
    let victim = place.base().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("FS.00000000.wal"), b"not of this log").unwrap();
    let link = place.memory().join(format!("{prefix}0"));
    symlink(&victim, &link).unwrap();
    let file = place.memory().join(format!("{prefix}1"));
    fs::write(&file, b"a file").unwrap();
    let others = place.memory().join(format!("{prefix}2"));
    fs::create_dir(&others).unwrap();
    fs::write(others.join("FS.00000000.wal"), b"another user's").unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        give(&others, NOBODY);
    } else {
        set_mode(&others, 0o777);
    }
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_event_id, 100);
    manager.shutdown(writer).unwrap();
    assert_eq!(fs::read(victim.join("FS.00000000.wal")).unwrap(), b"not of this log");
    assert_eq!(fs::read_link(&link).unwrap(), victim);
    assert_eq!(fs::read(&file).unwrap(), b"a file");
    assert_eq!(fs::read(others.join("FS.00000000.wal")).unwrap(), b"another user's");
}

/// Another user can access nothing: not the log, not its memory, not the lock.
#[test]
fn g13_another_user_cannot_open_the_log() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    set_mode(place.base(), 0o755);
    set_mode(place.memory(), 0o1777);
    let (manager, writer) = open(&place.log(), place.small());
    let (log, memory) = (place.log(), place.memory().display());
    let refused = |word: &dyn Display| {
        must_play(NOBODY, 0o022, "user-is-refused", &[&log.display(), &memory, word]);
    };
    refused(&log.display());
    // Even if the directory itself is open to that user.
    set_mode(&log, 0o777);
    refused(&"wal_lock");
    let active = active_directory(&place);
    let listed = Command::new("ls").arg(&active).uid(NOBODY).gid(NOBODY).output().unwrap();
    assert!(!listed.status.success(), "{listed:?}");
    manager.shutdown(writer).unwrap();
}

/// An administrator opens the log of a service that was killed: the files in memory and the
/// directory of the log belong to the service.
#[test]
fn g13_root_recovers_another_users_log() {
    if !is_root() {
        return;
    }
    let place = place_of_nobody();
    let (log, memory) = (place.log(), place.memory().display());
    let arguments: [&dyn Display; 2] = [&log.display(), &memory];
    let crashed = play_as(NOBODY, 0o022, "user-crashes", &arguments);
    assert_eq!(crashed.status.signal(), Some(libc::SIGABRT), "{:?}", crashed.status);
    must_play(0, 0o022, "user-recovers", &arguments);
    assert_holds(&log, 200);
}

/// Another user may read the files of a log, and not its active directory: every durable event is
/// given. Only when one is neither on disk nor reachable is that an error, and says so.
#[test]
fn g13_another_user_reads_what_is_durable() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    set_mode(place.base(), 0o755);
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=5000);
    manager.log().sync().unwrap();
    let log = place.log();
    common::eventually("meta is written", || {
        let meta = std::fs::read(log.join("wal_meta.dat"));
        let meta = meta.ok().and_then(|bytes| flashstrike_wal::format::MetaState::decode(&bytes));
        meta.is_some_and(|meta| meta.last_event_id == 5000)
    });
    // No file is made after the modes are set.
    let newest = 1 + place.small().prepared_segments;
    common::eventually("all segments are prepared", || {
        log.join(format!("FS.{newest:08}.wal")).exists()
    });
    set_mode(&log, 0o755);
    names(&log).iter().for_each(|name| set_mode(&log.join(name), 0o644));
    must_play(NOBODY, 0o022, "user-reads-durable", &[&log.display(), &5000, &"end"]);
    // Somebody removes the file of the segment that is being written: memory still has it.
    fs::remove_file(log.join("FS.00000001.wal")).unwrap();
    must_play(NOBODY, 0o022, "user-reads-durable", &[&log.display(), &4096, &"permission"]);
    drop(manager.shutdown(writer));
}
