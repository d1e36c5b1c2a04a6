//! G9, whatever is done to the names in a log's directories: what is locked is what is written to.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use common::crash::{active_directory, crash, recover};
use common::planted::{Bug, Planted};
use common::{append, assert_holds, decision, expect_cause, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::storage::{Links, PosixStorage, Storage};
use rustix::fs::{flock, FlockOperation};

/// Locks a file or directory as a stranger does.
fn locked(path: &Path) -> File {
    let file = File::open(path).unwrap();
    flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    file
}

/// Closing it would not do: a program that another test starts has it for a moment too.
fn unlock(file: &File) {
    flock(file, FlockOperation::Unlock).unwrap();
}

fn is_refused(path: &Path, place: &Place) {
    let message = expect_cause(Manager::open(path, place.small()), Cause::Locked);
    assert!(message.ends_with(&format!("process {}", std::process::id())), "{message}");
}

#[test]
fn f1_whatever_is_done_to_the_lock_file_there_is_one_writer() {
    let ways: [fn(&Path); 6] = [
        |lock| fs::remove_file(lock).unwrap(),
        |lock| {
            fs::remove_file(lock).unwrap();
            fs::write(lock, "1         \n").unwrap();
        },
        |lock| {
            let new = lock.with_file_name(".wal_lock.x7G2");
            fs::copy(lock, &new).unwrap();
            fs::rename(new, lock).unwrap();
        },
        |lock| fs::rename(lock, lock.with_file_name("elsewhere")).unwrap(),
        |lock| fs::hard_link(lock, lock.with_file_name("linked")).unwrap(),
        |lock| fs::write(lock, "").unwrap(),
    ];
    for (number, tamper) in ways.iter().enumerate() {
        let place = Place::new();
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, 1..=1000);
        let lock = place.log().join("wal_lock");
        tamper(&lock);
        let there = lock.exists();
        match number {
            // It is ours still, and was only emptied.
            5 => drop(expect_cause(Manager::open(&place.log(), place.small()), Cause::Locked)),
            _ => is_refused(&place.log(), &place),
        }
        assert_eq!(lock.exists(), there, "{number}: who is refused makes no file");
        append(&mut writer, 1001..=2000);
        manager.shutdown(writer).unwrap();
        let (manager, writer) = open(&place.log(), place.small());
        assert_eq!(decision(&manager), "clean", "{number}");
        is_refused(&place.log(), &place);
        manager.shutdown(writer).unwrap();
        assert_holds(&place.log(), 2000);
    }
}

#[test]
fn f1_a_directory_that_was_renamed_is_the_same_log() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=1000);
    let moved = place.base().join("moved");
    fs::rename(place.log(), &moved).unwrap();
    is_refused(&moved, &place);
    fs::remove_file(moved.join("wal_lock")).unwrap();
    is_refused(&moved, &place);
    manager.shutdown(writer).unwrap();
    assert_holds(&moved, 1000);
}

/// Anybody who may read the directory can lock it. For a moment that must not hurt.
#[test]
fn f1_a_stranger_who_locks_the_directory_is_waited_for() {
    let place = Place::new();
    fs::create_dir(place.log()).unwrap();
    let stranger = Arc::new(locked(&place.log()));
    // It was met, and is gone before it is tried again.
    let met = Arc::clone(&stranger);
    let storage = Arc::new(Planted::on_locking(&place.log(), move |_| unlock(&met)));
    let (manager, writer) = Manager::open_with(storage, &place.log(), place.small()).unwrap();
    manager.shutdown(writer).unwrap();
    flock(&*stranger, FlockOperation::NonBlockingLockExclusive).unwrap();
    is_refused(&place.log(), &place);
    unlock(&stranger);
    let (manager, writer) = open(&place.log(), place.small());
    manager.shutdown(writer).unwrap();
}

#[test]
fn f1_where_a_directory_cannot_be_locked_the_lock_file_counts() {
    let place = Place::new();
    let open_there = || {
        let storage = Planted::posix(Some(Bug::LockOnNameOnly), &place.log());
        Manager::open_with(storage, &place.log(), place.small())
    };
    let (manager, writer) = open_there().unwrap();
    let notes = manager.log().recovery_report().notes;
    assert!(notes.contains("cannot lock a directory: wal_lock alone is locked"), "{notes}");
    let message = expect_cause(open_there(), Cause::Locked);
    assert!(message.ends_with(&format!("process {}", std::process::id())), "{message}");
    manager.shutdown(writer).unwrap();
    let (manager, writer) = open(&place.log(), place.small());
    let notes = manager.log().recovery_report().notes;
    assert!(!notes.contains("wal_lock"), "{notes}");
    manager.shutdown(writer).unwrap();
}

/// A failed open and a shutdown give all locks back, although the handles are still there.
#[test]
fn f1_locks_are_given_back_before_the_files_are_closed() {
    let place = Place::new();
    let gone = Config { active_parent: place.base().join("gone"), ..place.small() };
    expect_cause(Manager::open(&place.log(), gone), Cause::InvalidArgument);
    unlock(&locked(&place.log()));
    let (manager, writer) = open(&place.log(), place.small());
    let log = std::sync::Arc::clone(manager.log());
    let active = File::open(active_directory(&place)).unwrap();
    flock(&active, FlockOperation::NonBlockingLockExclusive).unwrap_err();
    manager.shutdown(writer).unwrap();
    flock(&active, FlockOperation::NonBlockingLockExclusive).unwrap();
    for path in [place.log(), place.log().join("wal_lock")] {
        unlock(&locked(&path));
    }
    drop(log);
}

#[test]
fn f3_an_active_directory_whose_writer_lives_is_neither_taken_over_nor_removed() {
    let place = Place::new();
    crash(&place, 500, 1000);
    let active = active_directory(&place);
    let writer = locked(&active);
    let files = common::contents(&active);
    is_refused(&place.log(), &place);
    assert_eq!(common::contents(&active), files);
    unlock(&writer);
    assert_eq!(recover(&place, 1000).0, "process-crash");
}

/// The left-over of an open that died is removed by the next one, that of a living one is not.
#[test]
fn f3_a_generation_whose_writer_lives_is_not_cleaned_up() {
    let place = Place::new();
    crash(&place, 500, 1000);
    let active = active_directory(&place);
    let name = active.file_name().unwrap().to_str().unwrap().to_owned();
    let (stem, _random) = name.rsplit_once('-').unwrap();
    let [dead, living] = ["0", "1"].map(|random| place.memory().join(format!("{stem}-{random}")));
    for path in [&dead, &living] {
        fs::create_dir(path).unwrap();
    }
    let writer = locked(&living);
    assert_eq!(recover(&place, 1000).0, "process-crash");
    assert!(!dead.exists() && living.exists());
    unlock(&writer);
}

/// The kernel may skip a lock in its list while others are taken and given back.
#[test]
fn f1_the_owner_is_named_while_others_lock_and_unlock() {
    const FILES: usize = 300;
    let place = Place::new();
    let (manager, writer) = open(&place.log(), place.small());
    let storage = PosixStorage::for_reading();
    let directory = storage.open_directory(&place.log(), Links::Follow).unwrap().unwrap();
    let files: Vec<File> =
        (0..FILES).map(|n| File::create(place.base().join(format!("other{n}"))).unwrap()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for files in files.chunks(FILES / 2) {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    files.iter().for_each(|file| file.lock().unwrap());
                    files.iter().for_each(|file| file.unlock().unwrap());
                }
            });
        }
        let unnamed = (0..1_000).filter(|_| directory.lock_owner().is_none()).count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(unnamed, 0);
    });
    manager.shutdown(writer).unwrap();
}
