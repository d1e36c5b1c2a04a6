//! A log on a filesystem that was mounted for it.

use std::sync::{Arc, Mutex};

use common::{append, assert_holds, open, text};
use flashstrike_wal::config::Config;
use flashstrike_wal::log_sink::{Level, LogSink};

use crate::arguments::Arguments;

/// Records, rotates, reopens and reads; returns the names of both filesystems and the notes.
fn live(arguments: &Arguments) -> (String, String, String) {
    let (log, active_parent) = (arguments.path("LOG"), arguments.path("MEMORY").to_owned());
    let config = Config { num_blocks: 16, active_parent, ..Config::default() };
    let (manager, mut writer) = open(log, config.clone());
    append(&mut writer, 1..=10_000);
    let report = manager.log().recovery_report();
    manager.shutdown(writer).unwrap();
    let (manager, mut writer) = open(log, config);
    append(&mut writer, 10_001..=10_010);
    manager.shutdown(writer).unwrap();
    assert_holds(log, 10_010);
    (text(report.wal_filesystem_name), text(report.active_filesystem_name), text(&report.notes))
}

/// In a root directory that has a `/proc` and nothing else.
pub fn chroot(arguments: &Arguments) {
    std::os::unix::fs::chroot(arguments.path("MEMORY")).unwrap();
    std::env::set_current_dir("/").unwrap();
    assert!(!std::path::Path::new("/dev/urandom").exists());
    let (log, active_parent) = ("/log".as_ref(), "/active".into());
    let config = Config { num_blocks: 16, active_parent, ..Config::default() };
    let (manager, mut writer) = open(log, config);
    append(&mut writer, 1..=10_000);
    manager.shutdown(writer).unwrap();
    assert_holds(log, 10_000);
}

pub fn overlay(arguments: &Arguments) {
    let (wal, active, notes) = live(arguments);
    assert_eq!((wal.as_str(), active.as_str()), ("overlay", "tmpfs"));
    assert!(notes.contains("the filesystem is overlay: what lies beneath"), "{notes}");
}

pub fn ramfs(arguments: &Arguments) {
    let (_, active, notes) = live(arguments);
    assert_eq!(active, "ramfs");
    assert!(!notes.contains("not in memory"), "{notes}");
}

pub fn ext2(arguments: &Arguments) {
    let (wal, ..) = live(arguments);
    assert_eq!(wal, "ext2/ext3/ext4", "the three share a number");
}

/// The WAL directory is on a filesystem that takes no direct writes.
pub fn no_direct_writes(arguments: &Arguments) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let config = Config {
        num_blocks: 16,
        active_parent: arguments.path("MEMORY").to_owned(),
        allow_any_filesystem: true,
        log: LogSink::new(move |level, message| {
            heard.lock().unwrap().push((level, message.to_owned()));
        }),
        ..Config::default()
    };
    let (manager, mut writer) = open(arguments.path("LOG"), config);
    for last in 1..=100 {
        append(&mut writer, (last - 1) * 100 + 1..=last * 100);
        manager.log().sync().unwrap();
    }
    assert_eq!(manager.log().durable().last_event_id, 10_000);
    manager.shutdown(writer).unwrap();
    assert_holds(arguments.path("LOG"), 10_000);
    let said = said.lock().unwrap();
    let about = said.iter().filter(|(_, message)| message.contains("direct writes"));
    let levels: Vec<Level> = about.map(|(level, _)| *level).collect();
    assert!(matches!(levels[..], [Level::Warn]), "said once: {said:?}");
}
