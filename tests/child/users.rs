//! What another user does with a log: records it, crashes, is refused, recovers it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::{append, event, expect_cause, open, paths, text};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{Reader, ReaderOptions};

use crate::arguments::Arguments;

fn config(memory: &Path) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1,
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::All,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// Records until there is a cold segment, and checks the modes of all files.
pub fn record(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let (manager, mut writer) = open(log, config(memory));
    append(&mut writer, 1..=4096 * 2 + 1);
    manager.log().sync().unwrap();
    common::eventually("a cold segment", || manager.log().metrics().cold_segments > 0);
    check_modes(log, &manager);
    manager.shutdown(writer).unwrap();
}

/// Half of the events are synced; then the process aborts.
pub fn crash(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let (manager, mut writer) = open(log, config(memory));
    append(&mut writer, 1..=100);
    manager.log().sync().unwrap();
    append(&mut writer, 101..=200);
    std::process::abort();
}

/// The open must be refused with a permission error, with `WORD` in the message.
pub fn is_refused(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let message = expect_cause(Manager::open(log, config(memory)), Cause::Permission);
    assert!(message.contains(arguments.word("WORD")), "{message}");
}

/// Gets the events 1 to `LAST`, though the active directory may not be read, then the end of the
/// log or (`CAUSE`) an error, and is told why there may be more.
pub fn read_durable(arguments: &Arguments) {
    let last: u64 = arguments.number("LAST");
    let mut reader = Reader::open(arguments.path("LOG"), ReaderOptions { verify: true }).unwrap();
    for id in 1..=last {
        assert_eq!(reader.next().unwrap(), event(id));
    }
    let end = reader.next().unwrap_err();
    match arguments.word("CAUSE") {
        "end" => assert!(matches!(end, Error::End), "{end}"),
        _ => assert_eq!(end.cause(), Some(Cause::Permission), "{end}"),
    }
    assert!(reader.metrics().active_denied);
}

/// Recovers every event of the crashed log.
pub fn recover(arguments: &Arguments) {
    let (log, memory) = (arguments.path("LOG"), arguments.path("MEMORY"));
    let (manager, writer) = open(log, config(memory));
    assert_eq!(manager.log().appended().last_event_id, 200);
    manager.shutdown(writer).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Every file and directory has the mode of its kind, narrowed by the umask.
fn check_modes(log: &Path, manager: &Manager) {
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let narrowed = |mode: u32| mode & !umask.bits();
    assert_eq!(mode(log), narrowed(0o750));
    let active = PathBuf::from(text(&manager.log().recovery_report().active_path));
    assert!([0o700, 0o750].map(narrowed).contains(&mode(&active)), "{:o}", mode(&active));
    for path in paths(log).into_iter().chain(paths(&active)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        // A file that is being made may be renamed meanwhile.
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        let expected = if name == "wal_lock" { 0o600 } else { 0o640 };
        assert_eq!(status.mode() & 0o7777, narrowed(expected), "{name}");
    }
}
