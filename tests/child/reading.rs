//! Readers in processes of their own.

use std::fs;

use common::tampered::{config, read};
use common::{append, assert_follows};
use flashstrike_wal::recorder::Manager;

use crate::arguments::Arguments;

/// The most memory that opening and reading a directory may take, in kB.
const MOST_MEMORY: u64 = 64 * 1024;

/// Reads a log while it is written.
pub fn follow(arguments: &Arguments) {
    assert_follows(arguments.path("LOG"), arguments.number("EVENTS"));
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
