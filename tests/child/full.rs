//! G7 and G8: a log whose disk or memory is full for a while. The test that starts this has mounted
//! a small tmpfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::DEADLINE;
use common::{append, assert_holds, contents, event, eventually, expect_cause, names, open};
use flashstrike_wal::config::{Backpressure, Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::{Manager, Writer};
use rustix::fs::{fallocate, FallocateFlags};

use crate::arguments::Arguments;

fn config(memory: &Path, backpressure: Backpressure) -> Config {
    Config {
        num_blocks: 16,
        backpressure,
        max_segments: Keep::All,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// A foreign file that fills the rest of the disk.
fn fill_disk(log: &Path) -> PathBuf {
    use std::io::Write;
    let path = log.join("filler");
    let mut file = fs::File::create(&path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    path
}

/// Appends from `id` on until there is no space. Returns the refused id.
fn append_until_full(writer: &mut Writer, mut id: u64) -> u64 {
    loop {
        match writer.append(&event(id)) {
            Ok(()) => id += 1,
            Err(Error::WouldBlock) => std::thread::yield_now(),
            Err(error) => {
                assert_eq!(error.cause(), Some(Cause::NoSpace), "{error}");
                return id;
            }
        }
    }
}

/// The disk fills up and has room again, three times, with either kind of backpressure.
pub fn disk(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let kinds = [("block", Backpressure::Block), ("fail-fast", Backpressure::FailFast)];
    let backpressure = arguments.one_of("BACKPRESSURE", &kinds);
    let (manager, mut writer) = open(log, config(memory, backpressure));
    let mut id = 1;
    for round in 1..=3 {
        eventually("the ring is full", || manager.log().metrics().prepared_segments.fill == 4);
        let filler = fill_disk(log);
        let full_at = append_until_full(&mut writer, id);
        assert!(
            full_at > id + 4096,
            "round {round}: what was prepared was used: {id} to {full_at}"
        );
        id = full_at;
        let mut fastest = Duration::MAX;
        for _ in 0..100 {
            let begin = Instant::now();
            let message = expect_cause(writer.append(&event(id)), Cause::NoSpace);
            fastest = fastest.min(begin.elapsed());
            assert!(
                message.contains(log.to_str().unwrap()),
                "the message must name the directory: {message}"
            );
            assert_eq!(manager.log().appended().last_event_id, id - 1);
        }
        assert!(fastest < Duration::from_millis(10), "not at once: {fastest:?}");
        assert!(manager.log().metrics().no_space >= 100);
        manager.log().sync().expect("what was appended can be made durable on a full disk");
        fs::remove_file(filler).unwrap();
        eventually("the log goes on by itself", || writer.append(&event(id)).is_ok());
        id += 1;
    }
    manager.shutdown(writer).unwrap();
    assert_holds(log, id - 1);
    assert!(id > 3 * 4096);
}

/// An open on a full disk reports it, and loses nothing.
pub fn disk_at_open(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let (manager, mut writer) = open(log, config(memory, Backpressure::Block));
    append(&mut writer, 1..=100);
    manager.shutdown(writer).unwrap();
    let before = names(log);
    let filler = fill_disk(log);
    for _ in 0..3 {
        let opened = Manager::open(log, config(memory, Backpressure::Block));
        let message = expect_cause(opened, Cause::NoSpace);
        assert!(message.contains(log.to_str().unwrap()), "{message}");
        let now: Vec<_> = names(log).into_iter().filter(|name| name != "filler").collect();
        assert_eq!(now, before, "something half made is left");
        assert!(names(memory).is_empty(), "something is left in memory");
        assert_holds(log, 100);
    }
    fs::remove_file(filler).unwrap();
    let (manager, mut writer) = open(log, config(memory, Backpressure::Block));
    append(&mut writer, [101]);
    manager.shutdown(writer).unwrap();
    assert_holds(log, 101);
}

/// Somebody makes holes in the files that are prepared, and the disk fills: the log cannot write
/// into them. It fails and says why, nothing that it called durable is lost, and with room again it
/// opens with every event that it took.
pub fn disk_with_holes(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let config = || config(memory, Backpressure::FailFast);
    let (manager, mut writer) = open(log, config());
    append(&mut writer, 1..=100);
    manager.log().sync().unwrap();
    eventually("the ring is full", || manager.log().metrics().prepared_segments.fill == 4);
    for name in names(log).into_iter().filter(|name| name.ends_with(".wal")).skip(1) {
        let file = fs::OpenOptions::new().write(true).open(log.join(&name)).unwrap();
        let size = file.metadata().unwrap().len();
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, how, 4096, size - 4096).unwrap();
    }
    let filler = fill_disk(log);
    let (mut last, begin) = (100, Instant::now());
    let error = loop {
        assert!(begin.elapsed() < DEADLINE, "it meets no hole: {last}");
        match writer.append(&event(last + 1)) {
            Ok(()) => last += 1,
            Err(Error::WouldBlock) => std::thread::yield_now(),
            // The ring is used up. A moment later the log has met the hole.
            Err(error) if error.cause() == Some(Cause::NoSpace) => std::thread::yield_now(),
            Err(error) => break error,
        }
    };
    assert!(last >= 4096, "the first segment has no hole");
    let message = expect_cause(Err::<(), _>(error), Cause::Poisoned);
    assert!(message.contains("No space left"), "{message}");
    assert_eq!(manager.log().durable().last_event_id, 4096, "all of what is on disk");
    expect_cause(manager.log().sync(), Cause::Poisoned);
    expect_cause(manager.shutdown(writer), Cause::Poisoned);
    let before = contents(log);
    expect_cause(Manager::open(log, config()), Cause::NoSpace);
    assert!(contents(log) == before, "a refused open has changed the log");
    fs::remove_file(filler).unwrap();
    let (manager, mut writer) = open(log, config());
    assert_eq!(manager.log().durable().last_event_id, last, "every event that was taken");
    append(&mut writer, [last + 1]);
    manager.shutdown(writer).unwrap();
    assert_holds(log, last + 1);
}

/// Memory is full before all mapped segments exist.
pub fn memory(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let mut id = 1;
    for backpressure in [Backpressure::Block, Backpressure::FailFast] {
        let (manager, mut writer) = open(log, config(memory, backpressure));
        let filler = fill_disk(memory);
        for _ in 0..20 * 4096 {
            eventually("the log goes on", || match writer.append(&event(id)) {
                Ok(()) => true,
                Err(Error::WouldBlock) => false,
                Err(error) => panic!("append {id}: {error}"),
            });
            id += 1;
        }
        manager.shutdown(writer).unwrap();
        // It has run with less, and opens with less.
        let (manager, writer) = open(log, config(memory, backpressure));
        let notes = manager.log().recovery_report().notes.clone();
        assert!(notes.contains("the log goes on with less"), "{notes}");
        manager.shutdown(writer).unwrap();
        let more = memory.join("more");
        fs::rename(&filler, &more).unwrap();
        let filler = fill_disk(memory);
        let opened = Manager::open(log, config(memory, backpressure));
        let message = expect_cause(opened, Cause::NoSpace);
        assert!(message.contains("active_dir"), "the message must name the option: {message}");
        assert_holds(log, id - 1);
        fs::remove_file(filler).unwrap();
        fs::remove_file(more).unwrap();
    }
    let (manager, writer) = open(log, config(memory, Backpressure::Block));
    manager.shutdown(writer).unwrap();
    assert_holds(log, id - 1);
}
