//! What an operating system may refuse: descriptors, locked memory, access. Each call then works,
//! or says clearly why not, changes nothing and leaves nothing behind.

mod common;

use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::{append, assert_holds, contents, event, eventually, expect_cause, names, open};
use common::{scenario, spawn_scenario, spawn_scenario_under, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::Cause;
use flashstrike_wal::log_sink::{Level, LogSink};
use flashstrike_wal::recorder::Manager;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

const NOBODY: u32 = 65534;
const DONE: i32 = 7;

fn config(memory: &Path) -> Config {
    Config { num_blocks: 16, active_parent: memory.to_owned(), ..Config::default() }
}

/// The directories of the scenario, in the child.
fn directories() -> Option<(PathBuf, PathBuf)> {
    let scenario = scenario()?;
    let (log, memory) = scenario.split_once(' ').unwrap();
    Some((log.into(), memory.into()))
}

fn assert_played(child: std::process::Child) {
    let output = child.wait_with_output().unwrap();
    let played = output.status.code() == Some(DONE);
    assert!(played, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

fn played_by(test: &str, place: &Place) {
    let scenario = format!("{} {}", place.log().display(), place.memory().display());
    assert_played(spawn_scenario(test, &scenario));
}

/// Allows descriptors below `most`; the hard limit stays, so that it can be taken back.
fn allow_descriptors(most: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }).unwrap();
}

fn allow_all_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum.or(Some(1 << 20)), maximum }).unwrap();
}

fn descriptors() -> Vec<String> {
    let own = |path: PathBuf| fs::read_link(path).ok();
    let open = common::paths("/proc/self/fd".as_ref()).into_iter().filter_map(own);
    open.map(|path| path.display().to_string()).filter(|path| !path.ends_with("/fd")).collect()
}

/// Every limit, from what is in use to what is enough: open works or says why not.
#[test]
fn limits_descriptors_at_open() {
    if let Some((log, memory)) = directories() {
        open_with_ever_more_descriptors(&log, &memory);
        std::process::exit(DONE);
    }
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), config(place.memory()));
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    played_by("limits_descriptors_at_open", &place);
}

fn open_with_ever_more_descriptors(log: &Path, memory: &Path) {
    let (before, files) = (descriptors(), names(log));
    let (mut refused, mut opened, mut last) = (0, 0, 100);
    for limit in 3..60 {
        allow_descriptors(limit);
        let result = Manager::open(log, config(memory));
        match result {
            Ok((manager, mut writer)) => {
                opened += 1;
                last += 1;
                append(&mut writer, [last]);
                let ended = manager.shutdown(writer);
                allow_all_descriptors();
                if let Err(error) = ended {
                    assert_eq!(error.cause(), Some(Cause::NoSpace), "limit {limit}: {error}");
                }
            }
            Err(error) => {
                allow_all_descriptors();
                refused += 1;
                assert_eq!(error.cause(), Some(Cause::NoSpace), "limit {limit}: {error}");
                assert_eq!(error.errno(), libc::EMFILE);
                assert!(error.to_string().contains('/'), "names a path: {error}");
                if opened == 0 {
                    assert_eq!(names(memory), [""; 0], "limit {limit}: {error}");
                    assert_eq!(names(log), files, "limit {limit}: {error}");
                }
            }
        }
        assert_eq!(descriptors(), before, "limit {limit}");
        assert_holds(log, last);
    }
    assert!(refused > 5 && opened > 5, "{refused} refused, {opened} opened");
}

/// Used up while the log runs: what is prepared is used, then there is no space; with descriptors
/// back the log goes on by itself. Both are told once.
#[test]
fn limits_descriptors_while_running() {
    if let Some((log, memory)) = directories() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let also_told = Arc::clone(&told);
        let sink = LogSink::new(move |level, message| {
            also_told.lock().unwrap().push((level, message.to_owned()));
        });
        let (manager, mut writer) = open(&log, Config { log: sink, ..config(&memory) });
        let mut id = 1;
        allow_descriptors(3);
        let error = loop {
            match writer.append(&event(id)) {
                Ok(()) => id += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.cause(), error.errno()), (Some(Cause::NoSpace), libc::EMFILE), "{error}");
        manager.log().sync().expect("what was appended can be made durable");
        assert!(id > 4096, "what was prepared was used: {id}");
        allow_all_descriptors();
        eventually("it goes on", || writer.append(&event(id)).is_ok());
        append(&mut writer, id + 1..=id + 4096);
        manager.shutdown(writer).unwrap();
        assert_holds(&log, id + 4096);
        let told = told.lock().unwrap();
        let count = |wanted, words| {
            told.iter().filter(|(level, text)| *level == wanted && text.contains(words)).count()
        };
        assert_eq!(count(Level::Warn, "no segment can be prepared, trying again: "), 1, "{told:?}");
        assert_eq!(count(Level::Info, "segments can be prepared again"), 1, "{told:?}");
        std::process::exit(DONE);
    }
    played_by("limits_descriptors_while_running", &Place::new());
}

/// Plays a test again as the user nobody, to whom the directories are given. The test's binary is
/// copied to where that user may run it.
fn played_by_nobody(test: &str, place: &Place, wrapper: &[&str]) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: changing the user needs root");
        return;
    }
    for directory in [place.base(), place.memory()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        give_to_nobody(directory);
    }
    let binary = place.base().join("test-binary");
    common::copy_test_binary(&binary);
    let scenario = format!("{} {}", place.log().display(), place.memory().display());
    let user = format!("--reuid={NOBODY}");
    let output = Command::new(wrapper.first().unwrap_or(&"setpriv"))
        .args(wrapper.iter().skip(1))
        .args((!wrapper.is_empty()).then_some("setpriv"))
        .args([&user, "--regid=65534", "--clear-groups"])
        .arg(binary)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(common::SCENARIO, scenario)
        .current_dir("/")
        .output()
        .unwrap();
    let played = output.status.code() == Some(DONE);
    assert!(played, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

fn give_to_nobody(directory: &Path) {
    chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    for path in common::paths(directory) {
        if path.is_dir() {
            give_to_nobody(&path);
        } else {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> u32 {
    let before = fs::metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    before & 0o7777
}

/// Every file and directory in turn is out of bounds: open names it, and changes nothing.
#[test]
fn limits_permission_denied_is_named_and_changes_nothing() {
    if let Some((log, memory)) = directories() {
        let (before, held) = (contents(&log), names(&memory));
        let refusals = [
            (log.join("wal_lock"), 0),
            (log.join("wal_identity"), 0),
            (log.join("wal_meta.dat"), 0),
            (log.join("FS.00000000.wal"), 0),
            (log.join("FS.00000000.wal"), 0o400),
            (log.clone(), 0),
            (log.clone(), 0o500),
            (memory.clone(), 0o500),
        ];
        for (path, mode) in refusals {
            let allowed = set_mode(&path, mode);
            let message = expect_cause(Manager::open(&log, config(&memory)), Cause::Permission);
            set_mode(&path, allowed);
            assert!(message.contains(path.to_str().unwrap()), "{}: {message}", path.display());
            assert_eq!(contents(&log), before, "{}: {message}", path.display());
            assert_eq!(names(&memory), held, "{}: {message}", path.display());
        }
        let (manager, mut writer) = open(&log, config(&memory));
        append(&mut writer, [101]);
        manager.shutdown(writer).unwrap();
        assert_holds(&log, 101);
        std::process::exit(DONE);
    }
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), config(place.memory()));
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    played_by_nobody("limits_permission_denied_is_named_and_changes_nothing", &place, &[]);
}

/// Whichever of its threads cannot be started: open says so, and those that run end.
#[test]
fn limits_threads_at_open() {
    if let Some((log, memory)) = directories() {
        let threads = || common::paths("/proc/self/task".as_ref()).len();
        let prior = Config { worker_nice: -5, ..config(&memory) };
        let message = expect_cause(Manager::open(&log, prior), Cause::Permission);
        assert!(message.contains("config.worker_nice is -5"), "{message}");
        let (before, mut refused, mut id) = (threads(), 0, 100);
        let maximum = getrlimit(Resource::Nproc).maximum;
        for limit in 1.. {
            setrlimit(Resource::Nproc, Rlimit { current: Some(limit), maximum }).unwrap();
            match Manager::open(&log, config(&memory)) {
                Ok((manager, mut writer)) => {
                    id += 1;
                    append(&mut writer, [id]);
                    manager.shutdown(writer).unwrap();
                    break;
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("start worker wal-"), "{error}");
                    assert_eq!(error.errno(), libc::EAGAIN, "{error}");
                }
            }
            eventually("no thread is left", || threads() == before);
        }
        assert!(refused >= 5, "each of the five was refused: {refused}");
        assert_holds(&log, id);
        std::process::exit(DONE);
    }
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), config(place.memory()));
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    played_by_nobody("limits_threads_at_open", &place, &[]);
}

#[test]
fn limits_memory_that_cannot_be_locked_is_told() {
    if let Some((log, memory)) = directories() {
        let told = Arc::new(Mutex::new(0));
        let also_told = Arc::clone(&told);
        let sink = LogSink::new(move |level, message| {
            *also_told.lock().unwrap() +=
                u32::from(level == Level::Warn && message.contains("memory cannot be locked"));
        });
        let (manager, mut writer) = open(&log, Config { log: sink, ..config(&memory) });
        append(&mut writer, 1..=10_000);
        assert!(!manager.log().recovery_report().memory_locked);
        assert_eq!(manager.log().metrics().memory_locked, 0);
        manager.shutdown(writer).unwrap();
        assert_eq!(*told.lock().unwrap(), 1, "once, however many segments");
        assert_holds(&log, 10_000);
        std::process::exit(DONE);
    }
    let test = "limits_memory_that_cannot_be_locked_is_told";
    played_by_nobody(test, &Place::new(), &["prlimit", "--memlock=0:0"]);
}

#[test]
fn limits_a_read_only_mount_can_be_read_and_not_opened() {
    if let Some((log, memory)) = directories() {
        let before = contents(&log);
        let message = expect_cause(Manager::open(&log, config(&memory)), Cause::Permission);
        assert!(message.contains(log.to_str().unwrap()), "{message}");
        assert!(message.contains("Read-only file system"), "{message}");
        assert_eq!(names(&memory), [""; 0]);
        assert_holds(&log, 100);
        assert_eq!(contents(&log), before);
        let inside = log.join("new");
        expect_cause(Manager::open(&inside, config(&memory)), Cause::Permission);
        std::process::exit(DONE);
    }
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), config(place.memory()));
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    let log = place.log().display().to_string();
    let mount =
        format!("mount --bind {log} {log} && mount -o remount,bind,ro {log} && exec \"$@\"");
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let scenario = format!("{log} {}", place.memory().display());
    let test = "limits_a_read_only_mount_can_be_read_and_not_opened";
    assert_played(spawn_scenario_under(&wrapper, test, &scenario));
}
