//! Logs in a container: little memory, mounted by the test that starts this, and kills.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use common::{append, assert_holds, child, expect_cause, memory_in_use, memory_of_one, open, text};
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::directory::filesystem_name;
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;
use rustix::process::{getpid, kill_process, Signal};

use crate::arguments::Arguments;

/// Events of a life in which all of the active set comes into use: more than two segments.
const LONG_LIFE: u64 = 2 * 65_536 + 10_000;
const SHORT_LIFE: u64 = 1000;

/// The log of an engine that changed nothing but the number of prepared segments. Nothing is synced
/// before its segment is full, so a kill leaves most of it in memory; and all of it is kept.
fn config(arguments: &Arguments) -> Config {
    Config {
        prepared_segments: arguments.number("PREPARED"),
        sync_mode: SyncMode::Rotation,
        max_segments: Keep::All,
        active_parent: arguments.path("MEMORY").to_owned(),
        ..Config::default()
    }
}

fn logs(arguments: &Arguments) -> Vec<PathBuf> {
    let base = arguments.path("BASE");
    (0..arguments.number("LOGS")).map(|n| base.join(format!("log-{n}"))).collect()
}

/// Opens the logs, which hold the events up to `BEFORE`, appends up to `LAST`, and kills itself.
pub fn crash_together(arguments: &Arguments) {
    let (before, last): (u64, u64) = (arguments.number("BEFORE"), arguments.number("LAST"));
    let mut live = Vec::new();
    for path in logs(arguments) {
        let (manager, writer) = open(&path, config(arguments));
        assert_eq!(manager.log().appended().last_event_id, before, "{}", path.display());
        live.push((manager, writer));
    }
    for (_, writer) in &mut live {
        append(writer, before + 1..=last);
    }
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("killed")
}

/// The logs are killed `KILLS` times, and open each time. Never is more in memory than the sets of
/// the live logs, and after a shutdown nothing is.
pub fn kill_and_open(arguments: &Arguments) {
    let (base, memory) = (arguments.path("BASE"), arguments.path("MEMORY"));
    let (paths, kills) = (logs(arguments), arguments.number::<u64>("KILLS"));
    let stat = rustix::fs::statfs(memory).unwrap();
    assert_eq!(filesystem_name(stat.f_type as u64), "tmpfs");
    let sets = paths.len() as u64 * memory_of_one(&config(arguments));
    let mut last = 0;
    for life in 1..=kills {
        // In every second life the log goes through more segments than one, and all of the set is
        // in use; in the others it dies young.
        let before = last;
        last += if life % 2 == 0 { SHORT_LIFE } else { LONG_LIFE };
        let (count, prepared) = (paths.len(), arguments.word("PREPARED"));
        let output = child::output_under(
            &[],
            "crash-together",
            &[&base.display(), &memory.display(), &count, &prepared, &before, &last],
        );
        let killed = output.status.signal() == Some(Signal::KILL.as_raw());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(killed, "life {life}: {}: {said}", output.status);
        assert!(
            memory_in_use(memory) <= sets,
            "life {life}: {} of {sets} bytes",
            memory_in_use(memory)
        );
    }
    let live: Vec<_> = paths.iter().map(|path| open(path, config(arguments))).collect();
    let directories = std::fs::read_dir(memory).unwrap().count();
    assert_eq!(directories, paths.len(), "one active directory for each log");
    assert!(memory_in_use(memory) <= sets, "{} of {sets} bytes", memory_in_use(memory));
    let notes = |manager: &Manager| text(&manager.log().recovery_report().notes);
    let has_less = live.iter().any(|(manager, _)| notes(manager).contains("goes on with less"));
    assert_eq!(
        has_less,
        sets > memory_in_use(memory) + free(memory),
        "one is told, if not all can have all"
    );
    for (manager, writer) in live {
        assert_eq!(manager.log().appended().last_event_id, last);
        manager.shutdown(writer).unwrap();
    }
    assert_eq!((std::fs::read_dir(memory).unwrap().count(), memory_in_use(memory)), (0, 0));
    paths.iter().for_each(|path| assert_holds(path, last));
}

/// No log runs here with segments of this size, and the one that would be too many is told how much
/// memory it needs. It loses nothing, and
/// opens when the others are shut down.
pub fn one_too_many(arguments: &Arguments) {
    let (mut paths, memory) = (logs(arguments), arguments.path("MEMORY"));
    let last_one = paths.pop().unwrap();
    let (manager, mut writer) = open(&last_one, config(arguments));
    append(&mut writer, 1..=1000);
    manager.shutdown(writer).unwrap();
    let live: Vec<_> = paths.iter().map(|path| open(path, config(arguments))).collect();
    // How much of their sets is in use at once depends on the disk. Here it is all.
    let sets = live.len() as u64 * memory_of_one(&config(arguments));
    let rest = vec![0; (sets - memory_in_use(memory)) as usize];
    std::fs::write(memory.join("rest"), rest).unwrap();
    let free = free(memory);
    let needed = config(arguments).memory_size();
    assert!(free < needed, "{free} bytes are free, the log needs {needed}");
    for _ in 0..3 {
        let message = expect_cause(Manager::open(&last_one, config(arguments)), Cause::NoSpace);
        let said = format!("the active set needs {needed} bytes, {free} are free");
        assert!(message.contains(&said), "{message}");
    }
    for (manager, writer) in live {
        manager.shutdown(writer).unwrap();
    }
    std::fs::remove_file(memory.join("rest")).unwrap();
    let (manager, writer) = open(&last_one, config(arguments));
    manager.shutdown(writer).unwrap();
    assert_holds(&last_one, 1000);
}

/// Bytes that a tmpfs has free.
fn free(memory: &Path) -> u64 {
    let stat = rustix::fs::statvfs(memory).unwrap();
    stat.f_bavail * stat.f_frsize
}
