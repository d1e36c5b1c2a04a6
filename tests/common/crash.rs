//! Logs that were never shut down: another process writes one and kills itself. What a restart of
//! the machine would change is then changed by hand.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use flashstrike_wal::config::{Config, SyncMode};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::file_name::hot;
use flashstrike_wal::format::{IdentityRecord, SegmentHeader};
use flashstrike_wal::recorder::Manager;

use super::{assert_holds, child, contents, decision, expect_cause, names, open, text, Place};

/// Events in a segment of the smallest size.
pub const SEGMENT: u64 = 16 * 256;

/// The log that crashes: nothing of a partial segment is synced unless requested.
pub fn config(memory: &Path) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 2,
        sync_mode: SyncMode::Rotation,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// Leaves a log that was killed: `synced` events on disk, `last` appended.
pub fn crash(place: &Place, synced: u64, last: u64) {
    crash_in(&[], &place.log(), &place.memory().display(), synced, last);
}

/// The same for a log anywhere, with the command `wrapper` in front of the child.
pub fn crash_in(wrapper: &[&str], log: &Path, memory: &dyn Display, synced: u64, last: u64) {
    let output = child::output_under(wrapper, "crash", &[&log.display(), memory, &synced, &last]);
    let killed = output.status.signal() == Some(libc::SIGKILL);
    assert!(killed, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// The `wal_identity` of a log.
pub fn identity(log: &Path) -> IdentityRecord {
    let bytes = fs::read(log.join("wal_identity")).unwrap();
    IdentityRecord::decode(&bytes).expect("a whole identity")
}

/// The active directory, of which there must be exactly one.
pub fn active_directory(place: &Place) -> PathBuf {
    let mut all = place.active_directories();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// What a restart of the machine does: the memory is lost, and the log's boot id is an older one.
pub fn reboot(place: &Place) {
    for directory in place.active_directories() {
        fs::remove_dir_all(directory).unwrap();
    }
    change_boot_id(place);
}

/// The log's boot id becomes another one, and its active directory stays.
pub fn change_boot_id(place: &Place) {
    let mut identity = identity(&place.log());
    identity.boot_id = "11111111-2222-3333-4444-555555555555".to_owned();
    fs::write(place.log().join("wal_identity"), identity.encode()).unwrap();
}

/// Makes `indexes` the prepared segments, and removes all other segments after `after`.
pub fn prepare(place: &Place, indexes: &[u32], after: u32) {
    for name in names(&place.log()) {
        if name.ends_with(".wal") && name > hot(after) {
            fs::remove_file(place.log().join(name)).unwrap();
        }
    }
    for &index in indexes {
        let mut bytes = vec![0; 64 + 16 * 16_448];
        bytes[..64].copy_from_slice(&SegmentHeader::open(index, 1).encode());
        fs::write(place.log().join(hot(index)), bytes).unwrap();
    }
}

/// Offset of an event in its segment, counted from 0.
pub fn offset(n: u64) -> u64 {
    64 + n / 256 * 16_448 + 64 + n % 256 * 64
}

/// The log's first segment, to be damaged.
pub fn first_segment(place: &Place) -> fs::File {
    let path = place.log().join("FS.00000000.wal");
    fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// The configuration that opens a log which recovery refuses without `accept_loss`.
pub fn accepting_loss(place: &Place) -> Config {
    Config { accept_loss: true, ..place.small() }
}

/// Opening is refused as corrupt, with `words` in the message, and changes nothing.
pub fn assert_refused(place: &Place, words: &[&str]) {
    let before = contents(&place.log());
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Corrupt);
    for word in words {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(contents(&place.log()), before, "refusing changes nothing");
}

/// Opens a log, which must then end at `last`. Returns the recovery decision and the notes.
pub fn recover(place: &Place, last: u64) -> (String, String) {
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(manager.log().appended().last_event_id, last);
    assert_eq!(manager.log().durable().last_event_id, last);
    let notes = text(&manager.log().recovery_report().notes);
    let decision = decision(&manager);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), last);
    (decision, notes)
}

/// All files of a crashed log, to be restored into the same directories: in other directories the
/// log would count as a copy.
pub struct Snapshot {
    wal: BTreeMap<String, Vec<u8>>,
    active: Vec<(PathBuf, BTreeMap<String, Vec<u8>>)>,
}

impl Snapshot {
    pub fn take(place: &Place) -> Self {
        let of_active = |path: PathBuf| (path.clone(), contents(&path));
        Snapshot {
            wal: contents(&place.log()),
            active: place.active_directories().into_iter().map(of_active).collect(),
        }
    }

    pub fn put_back(&self, place: &Place) {
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
