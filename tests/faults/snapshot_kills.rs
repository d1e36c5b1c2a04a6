//! A process that takes snapshots is killed at every call with which it changes files. The newest
//! snapshot that has a name is good; what it was told is committed is there; and the next one is
//! taken as if nothing had happened.

use std::fmt::Display;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::Ordering::Acquire;
use std::sync::Arc;

use common::flow::Shared;
use common::inject::{can_inject, play_role, Fault, Whose};
use common::keeping::{state, STATE_SIZE};
use common::ledger::{record, Row};
use common::planted::Bug;
use common::victim::CLEAN;
use common::{append, must_fail, names, open, Place};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::keep::{SnapshotReader, WalDirectory};
use flashstrike_wal::storage::PosixStorage;

const CALLS: [&str; 7] =
    ["openat", "pwrite64", "pwritev2", "fdatasync", "fsync", "renameat", "unlinkat"];
const EVENTS: [u64; 3] = [100, 200, 300];
const PLANTED: Bug = Bug::SnapshotNamedEarly;

/// The event of the newest snapshot, whose state must be right; 0 = there is none.
fn newest(log: &Path) -> u64 {
    let directory = WalDirectory::open(Arc::new(PosixStorage::for_reading()), log).unwrap();
    let (mut reader, passed_over) = match SnapshotReader::open(&directory, 0) {
        Err(error) if error.cause() == Some(Cause::NotFound) => return 0,
        opened => opened.unwrap_or_else(|error| panic!("{error}")),
    };
    assert!(passed_over.is_none(), "{passed_over:?}");
    let (event_id, mut bytes) = (reader.info().event_id, vec![0; STATE_SIZE + 1]);
    assert_eq!(reader.read(&mut bytes).unwrap(), STATE_SIZE);
    assert!(matches!(reader.read(&mut bytes), Err(Error::End)));
    assert!(bytes[..STATE_SIZE] == state(event_id, STATE_SIZE), "the state of {event_id}");
    event_id
}

/// Kills at every such call in turn. Returns how many kills there were.
fn kill_everywhere(place: &Place, bug: Option<Bug>) -> u64 {
    let shared_path = place.base().join("shared");
    let shared = Shared::open(&shared_path);
    let mut kills = 0;
    for call in CALLS {
        for n in 1.. {
            for name in names(&place.log()).iter().filter(|name| name.starts_with("SNAP.")) {
                // What a killed one has left is in nobody's way.
                if !name.ends_with(".tmp") {
                    fs::remove_file(place.log().join(name)).unwrap();
                }
            }
            shared.reset();
            let fault = Fault { whose: Whose::Opening, call, what: "signal=SIGKILL", n };
            let events = EVENTS.map(|id| id.to_string()).join(",");
            let (log, bug) = (place.log(), Bug::argument(bug));
            let arguments: [&dyn Display; 4] =
                [&log.display(), &shared_path.display(), &events, &bug];
            let output =
                play_role("take-snapshots", &arguments, fault, &shared, place.base()).output;
            let killed = output.status.signal() == Some(libc::SIGKILL);
            let said = String::from_utf8_lossy(&output.stderr);
            let clean = output.status.code() == Some(CLEAN);
            assert!(killed || clean, "{fault:?}: {}: {said}", output.status);
            let [committed, begun] =
                [shared.acknowledged(), shared.attempted()].map(|id| id.load(Acquire));
            let found = newest(&place.log());
            assert!((committed..=begun).contains(&found), "{fault:?}: {found} of {committed}");
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    kills
}

/// A place with the log that the snapshots are of.
fn recorded() -> Place {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=300);
    manager.shutdown(writer).unwrap();
    place
}

#[test]
fn a_snapshot_is_whole_or_not_there_wherever_its_writer_is_killed() {
    if !can_inject() {
        return;
    }
    let planted = must_fail(PLANTED, || {
        kill_everywhere(&recorded(), Some(PLANTED));
    });
    let place = recorded();
    let kills = kill_everywhere(&place, None);
    let (manager, writer) = open(&place.log(), place.small());
    let left: Vec<_> = names(&place.log()).into_iter().filter(|n| n.ends_with(".tmp")).collect();
    assert!(left.iter().all(|name| !name.starts_with("SNAP.")), "{left:?}");
    manager.shutdown(writer).unwrap();
    assert!(kills > 60, "{kills}");
    record(Row {
        name: "snapshot-kills",
        fault: "SIGKILL at a system call that changes files, while snapshots are taken",
        test: "tests/faults/snapshot_kills.rs",
        tried: kills,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &[planted],
    });
}
