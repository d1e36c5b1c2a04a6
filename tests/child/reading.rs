//! Readers in processes of their own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;

use common::crash::{crash_in, SEGMENT};
use common::tampered::{config, read};
use common::{append, assert_follows, child, event, eventually, open};
use flashstrike_wal::format::file_name;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{verify, Newest, Reader, ReaderOptions};

use crate::arguments::Arguments;

/// The most memory that opening and reading a directory may take, in kB.
const MOST_MEMORY: u64 = 64 * 1024;

/// Reads a log while it is written.
pub fn follow(arguments: &Arguments) {
    assert_follows(arguments.path("LOG"), arguments.number("EVENTS"));
}

/// Reads up to the event `AT`, stops as a process, and, continued, reads on to the last.
pub fn stand(arguments: &Arguments) {
    common::end_with_parent();
    let log = arguments.path("LOG");
    let (at, last): (u64, u64) = (arguments.number("AT"), arguments.number("LAST"));
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    for id in 1..=last {
        assert_eq!(reader.next().unwrap_or_else(|error| panic!("at {id}: {error}")), event(id));
        if id == at {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::STOP).unwrap();
        }
    }
}

/// A log is killed and opened, several times, and readers stand in its active files each time: in
/// the segment that was being written, and in the one before. Only the live log's files take
/// memory, of which there is enough for one log. In the end every reader goes on, and finds every
/// event.
pub fn stand_through_kills(arguments: &Arguments) {
    const LIVES: u64 = 5;
    const PER_LIFE: u64 = 3 * SEGMENT + 1000;
    const LAST: u64 = (LIVES + 4) * PER_LIFE;
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let mut stopped = Vec::new();
    for life in 1..=LIVES {
        let last = life * PER_LIFE;
        // Nothing of the last segment is on disk.
        crash_in(&[], log, &memory.display(), last - 2 * SEGMENT, last);
        let active = common::paths(memory).remove(0);
        for at in [last, last - 10, last - SEGMENT] {
            let segment = file_name::hot(((at - 1) / SEGMENT) as u32);
            let is_active = active.join(segment).exists();
            assert!(is_active || at < last - 10, "event {at} is in memory");
            stopped.push(stopped_at(log, at, LAST));
        }
    }
    let (manager, mut writer) = open(log, config(memory));
    let is_only_the_logs = || {
        let active = common::paths(memory).remove(0);
        let sizes = common::paths(&active).into_iter().filter_map(|path| fs::metadata(path).ok());
        let files: u64 = sizes.map(|status| status.blocks() * 512).sum();
        files == common::memory_in_use(memory)
    };
    eventually("only the live log's files are in memory", is_only_the_logs);
    let report = manager.log().recovery_report();
    assert!(!report.notes.contains("goes on with less"), "{}", report.notes);
    append(&mut writer, LIVES * PER_LIFE + 1..=LAST);
    assert_eq!(manager.log().metrics().no_space, 0);
    eventually("nor are others in the end", is_only_the_logs);
    stopped.push(stopped_at(log, LAST - 10, LAST));
    manager.shutdown(writer).unwrap();
    assert_eq!(common::memory_in_use(memory), 0, "nor after a shutdown");
    child::go_on("stand", stopped);
}

fn stopped_at(log: &Path, at: u64, last: u64) -> Child {
    let reader = child::spawn("stand", &[&log.display(), &at, &last]);
    eventually("a reader has stopped", || child::is_stopped(&reader));
    reader
}

/// Reads the events 1 to the last of a killed log, and verifies it.
pub fn read_and_verify(arguments: &Arguments) {
    let (log, last): (_, u64) = (arguments.path("LOG"), arguments.number("LAST"));
    common::assert_holds(log, last);
    let report = verify(log).unwrap();
    assert_eq!((report.damage_count, report.last_event_id), (0, last), "{report:?}");
    assert_eq!(report.newest, Newest::InMemory);
}

/// A killed log is not opened where no boot id can be read, and says why.
pub fn refused_without_boot_id(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let before = common::contents(log);
    let error = Manager::open(log, config(memory)).map(drop).unwrap_err().to_string();
    assert!(error.contains("boot id") && error.contains("ProcSubset=all"), "{error}");
    assert_eq!(common::contents(log), before);
}

/// Opens and reads a log, and checks this process's peak memory.
pub fn stay_small(arguments: &Arguments) {
    let (path, last): (_, u64) = (arguments.path("LOG"), arguments.number("LAST"));
    let (ids, end) = read(path);
    println!("read {ids:?}: {end}");
    match Manager::open(path, config(arguments.path("MEMORY"))) {
        Ok((manager, mut writer)) => {
            append(&mut writer, [last + 1]);
            manager.shutdown(writer).unwrap();
            assert_eq!(read(path).0 .1, last + 1);
        }
        Err(error) => println!("{error}"),
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let used: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(used < MOST_MEMORY, "{used} kB for {}", path.display());
}
