//! What the operating system may refuse to a process: descriptors, threads, locked memory, access.
//! The limits apply to this process only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::{append, assert_holds, contents, event, eventually, expect_cause, names, open};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::Cause;
use flashstrike_wal::log_sink::{Level, LogSink};
use flashstrike_wal::recorder::Manager;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::arguments::Arguments;

fn config(memory: &Path) -> Config {
    Config { num_blocks: 16, active_parent: memory.to_owned(), ..Config::default() }
}

/// Allows descriptors below `most`. The hard limit stays, so that this can be undone.
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

/// With every limit, from the descriptors in use to enough of them.
pub fn descriptors_at_open(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
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
                assert!(error.to_string().contains('/'), "the error must name a path: {error}");
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

/// All descriptors are used up while the log runs, and come back.
pub fn descriptors_while_running(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let sink_reported = Arc::clone(&reported);
    let sink = LogSink::new(move |level, message| {
        sink_reported.lock().unwrap().push((level, message.to_owned()));
    });
    let (manager, mut writer) = open(log, Config { log: sink, ..config(memory) });
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
    assert!(id > 4096, "the prepared segments were not used: {id}");
    allow_all_descriptors();
    eventually("the log goes on", || writer.append(&event(id)).is_ok());
    append(&mut writer, id + 1..=id + 4096);
    manager.shutdown(writer).unwrap();
    assert_holds(log, id + 4096);
    let reported = reported.lock().unwrap();
    let count = |wanted, words| {
        reported.iter().filter(|(level, text)| *level == wanted && text.contains(words)).count()
    };
    assert_eq!(count(Level::Warn, "no segment can be prepared, trying again: "), 1, "{reported:?}");
    assert_eq!(count(Level::Info, "segments can be prepared again"), 1, "{reported:?}");
}

fn set_mode(path: &Path, mode: u32) -> u32 {
    let before = fs::metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    before & 0o7777
}

/// Each file and directory in turn is inaccessible.
pub fn permission_denied(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let (before, held) = (contents(log), names(memory));
    let refusals = [
        (log.join("wal_lock"), 0),
        (log.join("wal_identity"), 0),
        (log.join("wal_meta.dat"), 0),
        (log.join("FS.00000000.wal"), 0),
        (log.join("FS.00000000.wal"), 0o400),
        (log.to_owned(), 0),
        (log.to_owned(), 0o500),
        (memory.to_owned(), 0o500),
    ];
    for (path, mode) in refusals {
        let allowed = set_mode(&path, mode);
        let message = expect_cause(Manager::open(log, config(memory)), Cause::Permission);
        set_mode(&path, allowed);
        assert!(message.contains(path.to_str().unwrap()), "{}: {message}", path.display());
        assert_eq!(contents(log), before, "{}: {message}", path.display());
        assert_eq!(names(memory), held, "{}: {message}", path.display());
    }
    let (manager, mut writer) = open(log, config(memory));
    append(&mut writer, [101]);
    manager.shutdown(writer).unwrap();
    assert_holds(log, 101);
}

/// Every number of threads, from none to enough.
pub fn threads_at_open(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let threads = || common::paths("/proc/self/task".as_ref()).len();
    let prior = Config { worker_nice: -5, ..config(memory) };
    let message = expect_cause(Manager::open(log, prior), Cause::Permission);
    assert!(message.contains("config.worker_nice is -5"), "{message}");
    let (before, mut refused, mut id) = (threads(), 0, 100);
    let maximum = getrlimit(Resource::Nproc).maximum;
    for limit in 1.. {
        setrlimit(Resource::Nproc, Rlimit { current: Some(limit), maximum }).unwrap();
        match Manager::open(log, config(memory)) {
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
    assert!(refused >= 5, "not each of the five threads was refused: {refused}");
    assert_holds(log, id);
}

/// No memory may be locked.
pub fn memory_cannot_be_locked(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let reported = Arc::new(Mutex::new(0));
    let sink_reported = Arc::clone(&reported);
    let sink = LogSink::new(move |level, message| {
        *sink_reported.lock().unwrap() +=
            u32::from(level == Level::Warn && message.contains("memory cannot be locked"));
    });
    let (manager, mut writer) = open(log, Config { log: sink, ..config(memory) });
    append(&mut writer, 1..=10_000);
    assert!(!manager.log().recovery_report().memory_locked);
    assert_eq!(manager.log().metrics().memory_locked, 0);
    manager.shutdown(writer).unwrap();
    assert_eq!(*reported.lock().unwrap(), 1, "reported once, however many segments");
    assert_holds(log, 10_000);
}

/// The log is on a filesystem mounted read-only.
pub fn read_only_mount(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let before = contents(log);
    let message = expect_cause(Manager::open(log, config(memory)), Cause::Permission);
    assert!(message.contains(log.to_str().unwrap()), "{message}");
    assert!(message.contains("Read-only file system"), "{message}");
    assert_eq!(names(memory), [""; 0]);
    assert_holds(log, 100);
    assert_eq!(contents(log), before);
    let inside = log.join("new");
    expect_cause(Manager::open(&inside, config(memory)), Cause::Permission);
}
