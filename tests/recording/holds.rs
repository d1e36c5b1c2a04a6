//! Holds: what retention must leave, for whom, and until when.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::crash::SEGMENT;
use common::keeping::directory;
use common::planted::Planted;
use common::{append, eventually, expect_cause, names, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::HoldRecord;
use flashstrike_wal::keep::{Hold, SnapshotWriter};
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::{Log, Manager, Writer};

fn hold(log: &Path, name: &str, event_id: u64) -> Hold {
    Hold::open(directory(log), name, event_id).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(log: &Path, name: &str, event_id: u64, cause: Cause) -> String {
    expect_cause(Hold::open(directory(log), name, event_id), cause)
}

fn holds(log: &Path) -> Vec<String> {
    names(&log.join("wal_holds")).into_iter().filter(|name| name != ".lock").collect()
}

/// Keeps as little as it can.
fn config(place: &Place) -> Config {
    Config {
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::AtMost(0),
        ..place.small()
    }
}

/// The indexes of the segments there are.
fn segments(log: &Path) -> Vec<u64> {
    let hot: Vec<_> = names(log).into_iter().filter(|name| name.ends_with(".wal")).collect();
    hot.iter().map(|name| name[3..11].parse().unwrap()).collect()
}

fn oldest_is(log: &Path, index: u64) {
    eventually(&format!("segment {index} is the oldest"), || segments(log).first() == Some(&index));
}

#[test]
fn g11_nothing_at_or_above_a_hold_is_deleted_and_all_below_is() {
    let place = Place::new();
    let log = place.log();
    let (manager, mut writer) = open(&log, config(&place));
    let lock = fs::metadata(log.join("wal_holds/.lock")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&lock.permissions()) & 0o777, 0o600);
    let mut first = hold(&log, "first", 0);
    assert_eq!(first.event_id().unwrap(), 1);
    append(&mut writer, 1..=6 * SEGMENT);
    let mut other = hold(&log, "other", 2 * SEGMENT + 9);
    append(&mut writer, 6 * SEGMENT + 1..=9 * SEGMENT + 1);
    manager.log().sync().unwrap();
    oldest_is(&log, 0);
    first.move_to(SEGMENT + 1).unwrap();
    oldest_is(&log, 1);
    first.move_to(5 * SEGMENT).unwrap();
    oldest_is(&log, 2);
    // It never goes back.
    first.move_to(7).unwrap();
    assert_eq!(first.event_id().unwrap(), 5 * SEGMENT);
    // Nobody has it open, and it holds.
    drop(other);
    other = hold(&log, "other", 7);
    assert_eq!(other.event_id().unwrap(), 2 * SEGMENT + 9);
    refused(&log, "other", 0, Cause::Locked);
    expect_cause(Hold::remove(&directory(&log), "other"), Cause::Locked);
    drop(other);
    manager.shutdown(writer).unwrap();
    let (manager, writer) = open(&log, config(&place));
    oldest_is(&log, 2);
    Hold::remove(&directory(&log), "other").unwrap();
    oldest_is(&log, 4);
    expect_cause(Hold::remove(&directory(&log), "other"), Cause::NotFound);
    // The floor of the log still counts.
    manager.log().set_retention_floor(5 * SEGMENT).unwrap();
    first.move_to(9 * SEGMENT).unwrap();
    manager.log().set_retention_floor(6 * SEGMENT).unwrap();
    oldest_is(&log, 5);
    drop(first);
    manager.shutdown(writer).unwrap();
    assert_eq!(holds(&log), ["first"]);
}

#[test]
fn a_hold_that_comes_too_late_says_what_is_left() {
    let place = Place::new();
    let log = place.log();
    let (manager, mut writer) = open(&log, config(&place));
    append(&mut writer, 1..=9 * SEGMENT + 1);
    oldest_is(&log, 8);
    let error = Hold::open(directory(&log), "late", SEGMENT).unwrap_err();
    assert_eq!(error.cause(), Some(Cause::Gap));
    let flashstrike_wal::error::Error::Failure(failure) = error else { panic!() };
    assert_eq!(failure.place.event_ids, Some((SEGMENT, 8 * SEGMENT)));
    assert_eq!(holds(&log), [""; 0]);
    let late = hold(&log, "late", 0);
    assert_eq!(late.event_id().unwrap(), 8 * SEGMENT + 1);
    manager.shutdown(writer).unwrap();
}

#[test]
fn what_cannot_be_read_holds_everything_and_is_told_once() {
    let place = Place::new();
    let log = place.log();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let told = Arc::clone(&told);
        LogSink::new(move |_, message| told.lock().unwrap().push(message.to_owned()))
    };
    let count = |what: &str| told.lock().unwrap().iter().filter(|m| m.contains(what)).count();
    let (manager, mut writer) = open(&log, Config { log: sink, ..config(&place) });
    fs::write(log.join("wal_holds/backup"), "event_id=5\n").unwrap();
    // Other names mean nothing.
    fs::write(log.join("wal_holds/notes.txt"), "").unwrap();
    append(&mut writer, 1..=9 * SEGMENT + 1);
    manager.log().sync().unwrap();
    eventually("it is told", || count("backup: is damaged, and holds everything") == 1);
    refused(&log, "backup", 0, Cause::Corrupt);
    append(&mut writer, 9 * SEGMENT + 2..=12 * SEGMENT + 1);
    manager.log().sync().unwrap();
    oldest_is(&log, 0);
    assert_eq!(count("is damaged"), 1);
    Hold::remove(&directory(&log), "backup").unwrap();
    oldest_is(&log, 11);
    assert_eq!(count("bytes are kept beyond the limits"), 1);
    eventually("nothing is held", || manager.log().metrics().held_bytes == 0);
    manager.shutdown(writer).unwrap();
}

#[test]
fn the_lowest_is_broken_when_too_much_is_held_and_its_owner_gets_a_gap() {
    let place = Place::new();
    let log = place.log();
    let segment = 64 + 16 * 16_448;
    let config = Config { max_held_bytes: 3 * segment, ..config(&place) };
    let (manager, mut writer) = open(&log, config.clone());
    let mut low = hold(&log, "low", 0);
    append(&mut writer, 1..=4 * SEGMENT);
    manager.log().sync().unwrap();
    let mut snapshot = SnapshotWriter::create(directory(&log), SEGMENT + 5).unwrap();
    eventually("a snapshot", || snapshot.commit().is_ok());
    let high = hold(&log, "high", 4 * SEGMENT);
    let metrics = || manager.log().metrics();
    assert_eq!((low.event_id().unwrap(), metrics().broken_holds), (1, 0));
    // Segments 0 to 3 are one too many; then 1 to 3 are just right for the snapshot.
    append(&mut writer, 4 * SEGMENT + 1..=5 * SEGMENT + 1);
    oldest_is(&log, 1);
    eventually("it is counted", || metrics().broken_holds == 1);
    assert_eq!(holds(&log), ["high", "low.broken"]);
    let said = expect_cause(low.event_id(), Cause::Gap);
    assert!(said.contains(&format!("events 1 to {SEGMENT} are gone")), "{said}");
    expect_cause(low.move_to(9 * SEGMENT), Cause::Gap);
    drop(low);
    refused(&log, "low", 0, Cause::Gap);
    append(&mut writer, 5 * SEGMENT + 2..=6 * SEGMENT + 1);
    oldest_is(&log, 3);
    let broken = format!("SNAP.{:020}.fss.broken", SEGMENT + 5);
    assert!(log.join(broken).exists() && metrics().broken_holds == 2);
    assert_eq!(high.event_id().unwrap(), 4 * SEGMENT);
    Hold::remove(&directory(&log), "low").unwrap();
    low = hold(&log, "low", 0);
    assert_eq!(low.event_id().unwrap(), 3 * SEGMENT + 1);
    manager.shutdown(writer).unwrap();
}

#[test]
fn the_holds_of_a_copy_are_broken_and_those_of_a_log_are_not() {
    let (place, copy) = (Place::new(), Place::new());
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=10);
    drop(hold(&place.log(), "backup", 3));
    manager.shutdown(writer).unwrap();
    let mut cp = std::process::Command::new("cp");
    assert!(cp.arg("-r").args([place.log(), copy.log()]).status().unwrap().success());
    let (manager, writer) = open(&copy.log(), copy.small());
    assert_eq!(holds(&copy.log()), ["backup.broken"]);
    let notes = manager.log().recovery_report().notes;
    assert!(notes.contains("hold-of-copy: wal_holds/backup"), "{notes}");
    refused(&copy.log(), "backup", 0, Cause::Gap);
    manager.shutdown(writer).unwrap();
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(hold(&place.log(), "backup", 0).event_id().unwrap(), 3);
    manager.shutdown(writer).unwrap();
}

/// A log that may delete what it wants, with this happening whenever its holds are listed.
fn open_beside(
    place: &Place,
    config: Config,
    call: impl Fn() + Send + Sync + 'static,
) -> (Manager, Writer) {
    let holds = place.log().join("wal_holds");
    let storage = Planted::on_listing(&place.log(), move |path| {
        if path == holds {
            call();
        }
    });
    Manager::open_with(Arc::new(storage), &place.log(), config).unwrap()
}

/// Somebody removes the lock file while retention has it locked, between its look at the holds and
/// its deletion. So somebody else can publish meanwhile: what that one holds stays.
#[test]
fn what_is_held_under_another_lock_file_is_not_deleted() {
    const TIMES: usize = 10;
    let place = Place::new();
    let log = place.log();
    let published: Arc<Mutex<Vec<Hold>>> = Arc::default();
    let lost = Arc::new(Mutex::new(Vec::new()));
    let (all, missed, path) = (Arc::clone(&published), Arc::clone(&lost), log.clone());
    let oldest_from = |hold: &Hold| (hold.event_id().unwrap() - 1) / SEGMENT;
    let (manager, mut writer) = open_beside(&place, config(&place), move || {
        let mut all = all.lock().unwrap();
        let oldest = segments(&path)[..].first().copied().unwrap_or(0);
        if all.len() == TIMES || segments(&path).len() < 4 {
            return;
        }
        // The one before was listed, and goes.
        if let Some(before) = all.last() {
            if oldest_from(before) != oldest {
                missed.lock().unwrap().push((oldest_from(before), oldest));
            }
            fs::remove_file(path.join(format!("wal_holds/{}", all.len()))).unwrap();
        }
        fs::remove_file(path.join("wal_holds/.lock")).unwrap();
        let next = hold(&path, &(all.len() + 1).to_string(), 0);
        all.push(next);
    });
    append(&mut writer, 1..=30 * SEGMENT);
    manager.log().sync().unwrap();
    eventually("many have published", || published.lock().unwrap().len() == TIMES);
    let steps = || manager.log().metrics().maintainer.steps;
    let before = steps();
    eventually("retention has looked again", || steps() > before + 3);
    assert_eq!(*lost.lock().unwrap(), []);
    assert_eq!(segments(&log)[0], oldest_from(published.lock().unwrap().last().unwrap()));
    manager.shutdown(writer).unwrap();
}

/// The directory of the holds is exchanged: what others publish by its name is not in the one that
/// the log has open.
#[test]
fn nothing_is_deleted_when_the_directory_of_the_holds_is_another_one() {
    let place = Place::new();
    let log = place.log();
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    let config = Config {
        log: LogSink::new(move |_, message| sink.lock().unwrap().push(message.to_owned())),
        ..config(&place)
    };
    let (manager, mut writer) = open(&log, config);
    append(&mut writer, 1..=100);
    let holds = log.join("wal_holds");
    let taken = log.join("wal_holds.taken");
    fs::rename(&holds, &taken).unwrap();
    fs::create_dir(&holds).unwrap();
    let held = hold(&log, "new", 0);
    append(&mut writer, 101..=9 * SEGMENT);
    manager.log().sync().unwrap();
    let is_told = || said.lock().unwrap().iter().any(|line| line.contains("or replaced under"));
    eventually("that is told", is_told);
    assert_eq!(segments(&log)[0], 0);
    drop(held);
    fs::rename(&holds, log.join("wal_holds.other")).unwrap();
    fs::rename(&taken, &holds).unwrap();
    eventually("the right one is there again", || segments(&log)[0] > 0);
    manager.shutdown(writer).unwrap();
}

/// What held too much lets go just before it would be broken: then it is not another's turn.
#[test]
fn a_hold_that_holds_little_is_not_broken_for_one_that_has_moved_on() {
    let place = Place::new();
    let log = place.log();
    let limit = 2 * 1024 * 1024;
    let config = Config { max_held_bytes: limit, ..config(&place) };
    let counts: Arc<Mutex<Option<Arc<Log>>>> = Arc::default();
    let (seen, path) = (Arc::clone(&counts), log.clone());
    let (manager, mut writer) = open_beside(&place, config, move || {
        let log = seen.lock().unwrap().clone();
        if log.is_some_and(|log| log.metrics().held_bytes > limit) {
            // As its owner would, who has the lock just before.
            let record = HoldRecord { event_id: 12 * SEGMENT, generation: 1, updated_ns: 1 };
            fs::write(path.join("wal_holds/slow"), record.encode().as_bytes()).unwrap();
        }
    });
    *counts.lock().unwrap() = Some(Arc::clone(manager.log()));
    let slow = hold(&log, "slow", 0);
    append(&mut writer, 1..=SEGMENT);
    let good = hold(&log, "good", 9 * SEGMENT);
    append(&mut writer, SEGMENT + 1..=12 * SEGMENT);
    manager.log().sync().unwrap();
    oldest_is(&log, 8);
    assert_eq!(holds(&log), ["good", "slow"]);
    assert_eq!(good.event_id().unwrap(), 9 * SEGMENT);
    assert_eq!(manager.log().metrics().broken_holds, 0);
    drop(slow);
    manager.shutdown(writer).unwrap();
}

/// While somebody publishes, nothing is deleted. What had to wait is deleted then, even if the log
/// is shut down at once; and who cannot publish, because retention is at work, waits.
#[test]
fn retention_and_those_who_publish_exclude_each_other() {
    for is_shut_down_at_once in [false, true] {
        let place = Place::new();
        let log = place.log();
        let (manager, mut writer) = open(&log, config(&place));
        let lock = fs::OpenOptions::new().write(true).open(log.join("wal_holds/.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        append(&mut writer, 1..=9 * SEGMENT + 1);
        manager.log().sync().unwrap();
        eventually("all is closed", || manager.log().metrics().hot_segments == 10);
        oldest_is(&log, 0);
        // To close it would not do: a program that another test starts has it for a moment too.
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).unwrap();
        if !is_shut_down_at_once {
            oldest_is(&log, 8);
        }
        manager.shutdown(writer).unwrap();
        assert_eq!(segments(&log)[0], 8);
    }
}

#[test]
fn names_and_ids_that_mean_nothing_are_refused() {
    let place = Place::new();
    let log = place.log();
    let (manager, writer) = open(&log, place.small());
    for name in ["", ".lock", "a.broken", "../a", "a b", &"x".repeat(65)] {
        refused(&log, name, 0, Cause::InvalidArgument);
        expect_cause(Hold::remove(&directory(&log), name), Cause::InvalidArgument);
    }
    refused(&log, "a", u64::MAX, Cause::InvalidArgument);
    let mut hold = hold(&log, &"x".repeat(64), 5);
    for id in [0, u64::MAX] {
        expect_cause(hold.move_to(id), Cause::InvalidArgument);
    }
    fs::remove_file(log.join("wal_holds").join("x".repeat(64))).unwrap();
    expect_cause(hold.event_id(), Cause::NotFound);
    manager.shutdown(writer).unwrap();
}
