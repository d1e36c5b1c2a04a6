//! Readers in processes of their own.

use std::fs;

use common::tampered::{config, read};
use common::{append, assert_follows, event};
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
