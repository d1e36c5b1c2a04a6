//! What a log reports: once for every change, on the documented threads; and the recovery report.

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use common::crash::{self, SEGMENT};
use common::{append, eventually, expect_cause, names, open, text, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::log_sink::{Level, LogSink};
use flashstrike_wal::recorder::Manager;

/// The messages, and the threads that reported them.
#[derive(Debug, Clone, Default)]
struct Messages(Arc<Mutex<Vec<(Level, String, ThreadId)>>>);

impl Messages {
    fn sink(&self) -> LogSink {
        let messages = self.clone();
        LogSink::new(move |level, message| {
            let thread = std::thread::current().id();
            messages.0.lock().unwrap().push((level, message.to_owned(), thread));
        })
    }

    /// The messages of a level that contain these words.
    fn with(&self, level: Level, words: &str) -> Vec<String> {
        let messages = self.0.lock().unwrap();
        let wanted =
            messages.iter().filter(|(seen, text, _)| *seen == level && text.contains(words));
        wanted.map(|(_, text, _)| text.clone()).collect()
    }

    fn once(&self, level: Level, words: &str) -> String {
        let mut found = self.with(level, words);
        assert_eq!(found.len(), 1, "{level:?} {words:?} in {self:?}");
        found.remove(0)
    }

    fn threads(&self) -> HashSet<ThreadId> {
        self.0.lock().unwrap().iter().map(|(_, _, thread)| *thread).collect()
    }
}

fn config(place: &Place, messages: &Messages) -> Config {
    Config { log: messages.sink(), ..place.small() }
}

#[test]
fn opening_and_shutting_down_are_reported_with_the_decision() {
    let (place, messages) = (Place::new(), Messages::default());
    let directory = place.log().display().to_string();
    let (manager, mut writer) = open(&place.log(), config(&place, &messages));
    messages.once(Level::Info, &format!("{directory}: opening"));
    messages.once(Level::Info, &format!("{directory}: recovered as new-log: generation 1,"));
    assert!(messages.with(Level::Info, "").contains(&format!("{directory}: open")), "{messages:?}");
    assert_eq!(messages.with(Level::Warn, "missing"), [""; 0], "a new log reports missing files");
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    let shut_down = format!("{directory}: shut down: everything up to event 100 is durable");
    messages.once(Level::Info, &shut_down);
    assert_eq!(messages.with(Level::Error, ""), [""; 0]);
    assert_eq!(messages.threads().len(), 1, "only the opening thread reports");

    let again = Messages::default();
    let (manager, writer) = open(&place.log(), config(&place, &again));
    again.once(Level::Info, "recovered as clean: generation 2, last event 100, known durable 100;");
    let locked = Messages::default();
    expect_cause(Manager::open(&place.log(), config(&place, &locked)), Cause::Locked);
    let why = locked.once(Level::Error, "not opened");
    assert!(why.contains(&format!("open for writing in process {}", std::process::id())), "{why}");
    assert_eq!(locked.with(Level::Info, "recovered"), [""; 0]);
    manager.shutdown(writer).unwrap();
}

/// Everything that open notices is reported in full. (Text longer than a field of the C struct is
/// cut: `ffi::report`.)
#[test]
fn notes_are_whole_in_the_log_function_and_the_report() {
    let (place, messages) = (Place::new(), Messages::default());
    let deep = place.memory().join("x".repeat(200)).join("y".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let config = Config { active_parent: deep.clone(), ..config(&place, &messages) };
    let (manager, writer) = open(&deep.join("log"), config);
    let report = manager.log().recovery_report();
    let warnings = messages.with(Level::Warn, "");
    let note = messages.once(Level::Warn, "the WAL directory is in memory: it is never durable");
    assert!(note.starts_with(deep.join("log").to_str().unwrap()), "{note}");
    let all = warnings.join("; ");
    assert_eq!(report.notes, all);
    let name = names(&deep).into_iter().find(|name| name != "log").unwrap();
    let active = deep.join(name);
    assert_eq!(Some(report.active_path.as_str()), active.to_str());
    manager.shutdown(writer).unwrap();
}

#[test]
fn retention_is_reported_by_a_worker_and_never_by_the_writer() {
    let (place, messages) = (Place::new(), Messages::default());
    let config = Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(1),
        ..config(&place, &messages)
    };
    let (manager, mut writer) = open(&place.log(), config);
    let log = manager.log().clone();
    let appending = std::thread::spawn(move || {
        append(&mut writer, 1..=5 * SEGMENT + 1);
        (std::thread::current().id(), writer)
    });
    let (appending, writer) = appending.join().unwrap();
    // A segment is counted before it is told.
    let told = || messages.with(Level::Info, "retention has deleted the cold segment").len();
    eventually("four are deleted", || log.metrics().segments_deleted == 4 && told() == 4);
    for index in 0..4 {
        messages.once(Level::Info, &format!("retention has deleted the cold segment {index}"));
    }
    assert!(!messages.threads().contains(&appending), "{messages:?}");
    assert!(messages.threads().len() > 1, "no worker has reported anything");
    manager.shutdown(writer).unwrap();
}

/// A failure is reported once, with its cause, by a worker, although the writer meets it again and
/// again.
#[test]
fn a_failure_is_reported_once_with_its_cause() {
    let (place, messages) = (Place::new(), Messages::default());
    let (manager, mut writer) = open(&place.log(), config(&place, &messages));
    append(&mut writer, 1..=10);
    eventually("the ring is full", || manager.log().metrics().prepared_segments.fill == 4);
    let active = crash::active_directory(&place);
    common::remove_from_under(&active);
    eventually("it is reported", || {
        !messages.with(Level::Error, "was removed under the log").is_empty()
    });
    for id in 11..100 {
        expect_cause(writer.append(&common::event(id)), Cause::Poisoned);
    }
    expect_cause(manager.log().sync(), Cause::Poisoned);
    expect_cause(manager.log().set_retention_floor(1), Cause::Poisoned);
    let error = manager.shutdown(writer).unwrap_err();
    assert_eq!(error.cause(), Some(Cause::Poisoned));
    assert_eq!(
        messages.with(Level::Error, "was removed under the log").len(),
        2,
        "then, and at the end"
    );
    let last = messages.once(Level::Error, "shut down: ");
    assert!(last.contains(active.to_str().unwrap()), "{last}");
    assert_eq!(messages.with(Level::Info, "is durable"), [""; 0]);
}

/// Calls of one log's function never overlap, whichever threads make them.
#[test]
fn calls_are_made_one_at_a_time() {
    let place = Place::new();
    let (inside, overlapped) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(0)));
    let (also_inside, also_overlapped) = (Arc::clone(&inside), Arc::clone(&overlapped));
    let sink = LogSink::new(move |_, _| match also_inside.try_lock() {
        Ok(_alone) => std::thread::yield_now(),
        Err(_) => *also_overlapped.lock().unwrap() += 1,
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let sink = sink.clone();
            scope.spawn(move || (0..2000).for_each(|n| sink.info(&n.to_string())));
        }
    });
    assert_eq!(*overlapped.lock().unwrap(), 0);
    drop((place, inside));
}

#[test]
fn g12_the_report_names_the_filesystems() {
    let (place, messages) = (Place::new(), Messages::default());
    // The wrong way round: the log in memory, the active segments on disk.
    let log = place.memory().join("log");
    let config = Config { active_parent: place.base().to_owned(), ..config(&place, &messages) };
    let (manager, mut writer) = open(&log, config);
    append(&mut writer, 1..=10);
    let report = manager.log().recovery_report();
    assert_eq!(text(report.wal_filesystem_name), "tmpfs");
    assert_eq!(report.wal_filesystem, 0x0102_1994);
    let on_disk = text(report.active_filesystem_name);
    messages.once(Level::Warn, "the WAL directory is in memory: it is never durable");
    let notes = text(&report.notes);
    assert!(notes.contains("it is never durable"), "{notes}");
    if on_disk != "tmpfs" {
        messages.once(Level::Warn, &format!("the active directory is on {on_disk}, not in memory"));
    }
    assert!(text(&report.active_path).starts_with(place.base().to_str().unwrap()));
    manager.shutdown(writer).unwrap();
}

#[test]
fn an_open_that_fails_says_why() {
    let (place, messages) = (Place::new(), Messages::default());
    let opened = Manager::open(&place.log(), Config { num_blocks: 3, ..config(&place, &messages) });
    assert!(matches!(opened, Err(Error::Failure(_))));
    let why = messages.once(Level::Error, "not opened: config.num_blocks is 3");
    assert!(why.starts_with(place.log().to_str().unwrap()), "{why}");
}
