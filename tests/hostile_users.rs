//! G13 between users: what another user plants where a log is, or was, is neither followed nor
//! trusted, and what a log makes is for nobody else. The other user is `nobody`; changing to him takes
//! root.

mod common;

use std::fs;
use std::os::unix::fs::{chown, symlink, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::crash::{active_directory, crash, identity};
use common::{append, assert_holds, contents, expect_cause, names, open, paths, scenario, text};
use common::{Place, SCENARIO};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

/// `nobody` and his group.
const NOBODY: u32 = 65_534;
/// The test whose head plays every scenario.
const PLAYING: &str = "g13_another_users_files_are_refused_by_name";

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: becoming another user needs root");
    }
    root
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        paths(path).iter().for_each(|path| give(path, user));
    }
}

/// A place whose directories and files are another user's, and which he can reach.
fn place_of_nobody() -> Place {
    let place = Place::new();
    give(place.base(), NOBODY);
    give(place.memory(), NOBODY);
    place
}

/// Plays a scenario in a process of its own, as this user and under this umask.
fn play_as(user: u32, umask: u32, words: &[&str]) -> Output {
    // Where the other user can execute it.
    let bin = tempfile::tempdir().unwrap();
    set_mode(bin.path(), 0o755);
    let binary = bin.path().join("test");
    common::copy_test_binary(&binary);
    set_mode(&binary, 0o755);
    let shell = format!("umask {umask:04o} && exec \"$0\" \"$@\"");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &shell]).arg(&binary);
    command.args(["--exact", PLAYING, "--nocapture", "--test-threads=1"]);
    command.env(SCENARIO, words.join(" ")).current_dir("/").uid(user).gid(user);
    command.output().unwrap()
}

/// What a scenario does that must succeed.
fn must_play(user: u32, umask: u32, words: &[&str]) {
    let output = play_as(user, umask, words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {}: {said}", output.status);
}

fn config(memory: &Path) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1,
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::All,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// In the child.
fn play(scenario: &str) {
    let words: Vec<&str> = scenario.split(' ').collect();
    let (log, memory) = (Path::new(words[1]), Path::new(words[2]));
    match words[0] {
        "record" => {
            let (manager, mut writer) = open(log, config(memory));
            append(&mut writer, 1..=4096 * 2 + 1);
            manager.log().sync().unwrap();
            common::eventually("a cold segment", || manager.log().metrics().cold_segments > 0);
            check_modes(log, &manager);
            manager.shutdown(writer).unwrap();
        }
        "crash" => {
            let (manager, mut writer) = open(log, config(memory));
            append(&mut writer, 1..=100);
            manager.log().sync().unwrap();
            append(&mut writer, 101..=200);
            std::process::abort();
        }
        "refused" => {
            let message = expect_cause(Manager::open(log, config(memory)), Cause::Permission);
            assert!(message.contains(words[3]), "{message}");
        }
        "recover" => {
            let (manager, writer) = open(log, config(memory));
            assert_eq!(manager.log().appended().last_event_id, 200);
            manager.shutdown(writer).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Everything there is has the mode of its kind, narrowed by the umask.
fn check_modes(log: &Path, manager: &Manager) {
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let narrowed = |mode: u32| mode & !umask.bits();
    assert_eq!(mode(log), narrowed(0o750));
    let active = PathBuf::from(text(&manager.log().recovery_report().active_path));
    assert!([0o700, 0o750].map(narrowed).contains(&mode(&active)), "{:o}", mode(&active));
    for path in paths(log).into_iter().chain(paths(&active)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        // What is being made may be renamed while it is looked at.
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        let expected = if name == "wal_lock" { 0o600 } else { 0o640 };
        assert_eq!(status.mode() & 0o7777, narrowed(expected), "{name}");
    }
}

#[test]
fn g13_modes_are_narrowed_by_the_umask() {
    for umask in [0o000, 0o007, 0o022, 0o027, 0o077] {
        let place = Place::new();
        let log = place.log();
        let words = ["record", log.to_str().unwrap(), place.memory().to_str().unwrap()];
        must_play(rustix::process::geteuid().as_raw(), umask, &words);
        assert_holds(&log, 4096 * 2 + 1);
    }
}

/// A file of the log that belongs to somebody else and is not to be read: the error names it, and
/// nothing is changed.
#[test]
fn g13_another_users_files_are_refused_by_name() {
    if let Some(scenario) = scenario() {
        return play(&scenario);
    }
    if !is_root() {
        return;
    }
    let place = place_of_nobody();
    let (log, memory) = (place.log(), place.memory().to_str().unwrap().to_owned());
    let words = |what: &'static str| [what, log.to_str().unwrap(), &memory].map(String::from);
    let play_words = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        must_play(NOBODY, 0o022, &words);
    };
    play_words(&words("record"));
    for name in names(&log) {
        if name.ends_with(".lz4") && name != "FS.00000001.wal.lz4" {
            continue; // An old one: not looked at when the log is opened.
        }
        let path = log.join(&name);
        chown(&path, Some(0), Some(0)).unwrap();
        set_mode(&path, 0o000);
        let before = contents(&log);
        let mut refused = words("refused").to_vec();
        refused.push(name);
        play_words(&refused);
        assert_eq!(contents(&log), before);
        assert!(place.active_directories().is_empty());
        give(&path, NOBODY);
        set_mode(&path, 0o640);
    }
}

/// What is done to the active directory, or with two paths.
type Plant = (&'static str, fn(&Path));
type PlantWith = (&'static str, fn(&Path, &Path));

/// What another user may do where he can write: put something of his in the place of the active
/// directory of a log that was killed.
#[test]
fn g13_another_users_active_directory_is_not_trusted() {
    if !is_root() {
        return;
    }
    let plants: &[Plant] = &[
        // The very files, but in another user's hands.
        ("his own", |active| give(active, NOBODY)),
        ("his own, with the files still ours", |active| {
            chown(active, Some(NOBODY), None).unwrap();
        }),
        ("his own, empty", |active| {
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
        crash(CRASHING, &place, 50, 100);
        let active = active_directory(&place);
        plant(&active);
        let (before, inside) = (contents(&place.log()), contents(&active));
        let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Permission);
        assert!(message.contains(active.to_str().unwrap()), "{what}: {message}");
        assert_eq!(contents(&place.log()), before, "{what}");
        assert_eq!(contents(&active), inside, "{what}");
    }
}

const CRASHING: &str = "g13_names_in_the_active_directory_are_not_followed";

/// Between the crash and recovery a name in the active directory becomes something else.
#[test]
fn g13_names_in_the_active_directory_are_not_followed() {
    if let Some(scenario) = scenario() {
        common::crash::play(&scenario);
    }
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
            crash(CRASHING, &place, 50, 100);
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

/// A second name for a file of the active directory: what goes on under the first one never shows
/// through the other.
#[test]
fn g13_a_hard_link_into_the_active_directory_is_not_written_through() {
    let place = Place::new();
    crash(CRASHING, &place, 50, 100);
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

/// The names are random, but suppose that one is guessed, or that everything in the shared directory
/// that looks like ours is not.
#[test]
fn g13_what_looks_like_ours_in_a_shared_directory_is_left_alone() {
    let place = Place::new();
    set_mode(place.memory(), 0o1777);
    crash(CRASHING, &place, 50, 100);
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

/// Another user gets at nothing: not at the log, not at its memory, not at the lock.
#[test]
fn g13_another_user_cannot_open_the_log() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    set_mode(place.base(), 0o755);
    set_mode(place.memory(), 0o1777);
    let (manager, writer) = open(&place.log(), place.small());
    let (log, memory) = (place.log(), place.memory().to_str().unwrap());
    must_play(NOBODY, 0o022, &["refused", log.to_str().unwrap(), memory, log.to_str().unwrap()]);
    // Even where the directory itself is open to him.
    set_mode(&log, 0o777);
    must_play(NOBODY, 0o022, &["refused", log.to_str().unwrap(), memory, "wal_lock"]);
    let active = active_directory(&place);
    let listed = Command::new("ls").arg(&active).uid(NOBODY).gid(NOBODY).output().unwrap();
    assert!(!listed.status.success(), "{listed:?}");
    manager.shutdown(writer).unwrap();
}

/// An administrator opens the log of a service that was killed: the files in memory are the
/// service's, and so is the directory of the log.
#[test]
fn g13_root_recovers_another_users_log() {
    if !is_root() {
        return;
    }
    let place = place_of_nobody();
    let (log, memory) = (place.log(), place.memory().to_str().unwrap().to_owned());
    let words = ["crash", log.to_str().unwrap(), &memory];
    assert!(!play_as(NOBODY, 0o022, &words).status.success(), "killed");
    must_play(0, 0o022, &["recover", log.to_str().unwrap(), &memory]);
    assert_holds(&log, 200);
}
