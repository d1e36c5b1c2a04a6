//! The last row of the recovery table: a recovery that is itself killed, at any of the calls with
//! which it changes files, is followed by one that ends the same.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::crash::{crash, reboot};
use common::{append, assert_holds, contents, event, open, scenario, spawn_scenario_under, Place};
use flashstrike_wal::config::Config;

const THIS: &str = "row_a_recovery_killed_at_any_call_is_repeated_with_the_same_result";
/// A recovery that was not killed ends with this.
const DONE: i32 = 7;

/// Everything a crashed log consists of, to be put back into the same directories: a log in other
/// ones would be a copy.
struct Snapshot {
    wal: BTreeMap<String, Vec<u8>>,
    active: Vec<(PathBuf, BTreeMap<String, Vec<u8>>)>,
}

impl Snapshot {
    fn take(place: &Place) -> Self {
        let of_active = |path: PathBuf| (path.clone(), contents(&path));
        Snapshot {
            wal: contents(&place.log()),
            active: place.active_directories().into_iter().map(of_active).collect(),
        }
    }

    fn put_back(&self, place: &Place) {
        for directory in place.active_directories() {
            fs::remove_dir_all(directory).unwrap();
        }
        for (path, files) in &self.active {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o750)).unwrap();
            for (name, bytes) in files {
                fs::write(path.join(name), bytes).unwrap();
            }
        }
        for name in contents(&place.log()).into_keys() {
            fs::remove_file(place.log().join(name)).unwrap();
        }
        for (name, bytes) in &self.wal {
            fs::write(place.log().join(name), bytes).unwrap();
        }
    }
}

/// Recovers in a process that is killed at its `n`th call of `call`; `false` = there was none.
fn recover_killed(place: &Place, call: &str, n: u32) -> bool {
    let inject = format!("inject={call}:signal=SIGKILL:when={n}");
    let trace = format!("trace={call}");
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let scenario = format!("recover {} {}", place.log().display(), place.memory().display());
    let output = spawn_scenario_under(&wrapper, THIS, &scenario).wait_with_output().unwrap();
    let killed = output.status.signal() == Some(libc::SIGKILL);
    let ended = killed || output.status.code() == Some(DONE);
    assert!(ended, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    killed
}

/// Kills a recovery of `crashed` at every `call` there is; the next one must find `last` events.
/// Returns how many there are. Calls that come in great numbers, those that write a new file full,
/// are tried in part.
fn sweep(place: &Place, crashed: &Snapshot, call: &str, last: u64) -> u32 {
    let mut n = 1;
    let mut kills = 0;
    loop {
        crashed.put_back(place);
        if !recover_killed(place, call, n) {
            return kills;
        }
        kills += 1;
        let (manager, mut writer) = open(&place.log(), place.small());
        let found = manager.log().appended().last_event_id;
        assert_eq!(found, last, "after a recovery killed at {call} number {n}");
        append(&mut writer, last + 1..=last + 3);
        manager.shutdown(writer).unwrap();
        let left = place.active_directories();
        assert!(left.is_empty(), "after {call} number {n}: {left:?}");
        assert_holds(&place.log(), last + 3);
        n += if n < 24 { 1 } else { 17 };
    }
}

fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: strace is not installed");
    }
    found
}

#[test]
fn row_a_recovery_killed_at_any_call_is_repeated_with_the_same_result() {
    match scenario() {
        Some(scenario) if scenario.starts_with("recover ") => {
            let words: Vec<&str> = scenario.split(' ').collect();
            let config = Config {
                num_blocks: 16,
                prepared_segments: 1,
                active_parent: words[2].into(),
                ..Config::default()
            };
            drop(open(words[1].as_ref(), config));
            std::process::exit(DONE);
        }
        Some(scenario) => common::crash::play(&scenario),
        None => {}
    }
    if !has_strace() {
        return;
    }
    for restart in [false, true] {
        let place = Place::new();
        crash(THIS, &place, 50, 100);
        if restart {
            reboot(&place);
            let file = place.log().join("FS.00000000.wal");
            let file = fs::OpenOptions::new().write(true).open(file).unwrap();
            for n in 50..60 {
                let torn = flashstrike_wal::format::RequestEvent { price: 1, ..event(n + 1) };
                file.write_all_at(&torn.encode(), 64 + 64 + n * 64).unwrap();
            }
        }
        let last = if restart { 50 } else { 100 };
        let crashed = Snapshot::take(&place);
        for call in ["pwrite64", "fdatasync", "fsync", "renameat", "unlinkat", "fallocate"] {
            let kills = sweep(&place, &crashed, call, last);
            println!("restart {restart}: {call}: killed at {kills}");
            assert!(kills > 0, "{call} is what recovery changes files with");
        }
    }
}
