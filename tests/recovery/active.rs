//! Rows of the recovery table about the active directory of a log that was not shut down: lost,
//! unreadable, on a volume that was mounted again, named by a relative path.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::crash::{
    accepting_loss, active_directory, assert_refused, crash, crash_in, identity, offset, reboot,
    recover,
};
use common::{append, assert_holds, child, contents, decision, expect_cause, open, Place};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

/// Opens with accept_loss, without the active directory: the log ends at event 50, and `active` is
/// not changed, now or at later opens.
fn accept_without(place: &Place, active: &Path, label: &str) {
    let old_id = identity(&place.log()).id;
    let before = contents(active);
    let (manager, mut writer) = open(&place.log(), accepting_loss(place));
    assert_eq!(decision(&manager), label);
    assert_eq!(manager.log().appended().last_event_id, 50, "the last provable event");
    append(&mut writer, 51..=60);
    manager.shutdown(writer).unwrap();
    assert_ne!(identity(&place.log()).id, old_id, "the old active directory is not its own");
    assert_eq!(recover(place, 60).0, "clean");
    assert_eq!(contents(active), before, "its events are kept");
    assert_holds(&place.log(), 60);
}

#[test]
fn row_active_directory_unreadable_is_refused() {
    type Damage = fn(&Path);
    let changed: Damage = |path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace("generation=1", "generation=2")).unwrap();
    };
    let empty: Damage = |path| fs::write(path, b"").unwrap();
    let missing: Damage = |path| fs::remove_file(path).unwrap();
    for damage in [changed, empty, missing] {
        let place = Place::new();
        crash(&place, 50, 100);
        let active = active_directory(&place);
        damage(&active.join("wal_identity"));
        assert_refused(&place, &["active-directory-unreadable", active.to_str().unwrap()]);
        accept_without(&place, &active, "active-directory-unreadable");
    }
}

/// Somebody else could have written its content.
#[test]
fn row_active_directory_unreadable_by_its_mode_or_owner_is_a_matter_of_permission() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    fs::set_permissions(&active, fs::Permissions::from_mode(0o777)).unwrap();
    let before = contents(&place.log());
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Permission);
    assert!(message.contains(active.to_str().unwrap()), "{message}");
    assert_eq!(contents(&place.log()), before, "refusing changes nothing");
    accept_without(&place, &active, "active-directory-unreadable");
    if !rustix::process::geteuid().is_root() {
        common::skipped("giving a directory away needs root");
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    std::os::unix::fs::chown(&active, Some(12_345), None).unwrap();
    let message = expect_cause(Manager::open(&place.log(), place.small()), Cause::Permission);
    assert!(message.contains("owner 12345"), "{message}");
    accept_without(&place, &active, "active-directory-unreadable");
}

/// An error when reading memory is the system's error, not damage. When it is gone, nothing is
/// lost.
#[test]
fn row_active_directory_unreadable_by_the_system_is_an_io_error() {
    if !common::has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    for name in ["wal_identity", "FS.00000000.wal"] {
        let before = contents(&place.log());
        let file = active.join(name).display().to_string();
        let inject = ["-P", &file, "-e", "trace=pread64", "-e", "inject=pread64:error=EIO"];
        let wrapper = [&["strace", "-f", "-qq", "-o", "/dev/null"], &inject[..]].concat();
        let (log, memory) = (place.log(), place.memory().display());
        let arguments: [&dyn Display; 3] = [&log.display(), &memory, &file];
        child::play_under(&wrapper, "refused-as-unreadable", &arguments);
        assert_eq!(contents(&place.log()), before, "refusing changes nothing");
    }
    assert_eq!(recover(&place, 100).0, "process-crash");
}

/// Makes the identity say that the WAL directory was on another device.
fn move_to_other_device(place: &Place) {
    let mut moved = identity(&place.log());
    moved.wal_dev += 1;
    fs::write(place.log().join("wal_identity"), moved.encode()).unwrap();
}

/// The same inode on another device, with its newest events still in memory: not a copy.
#[test]
fn row_moved_is_refused_and_names_both() {
    let place = Place::new();
    crash(&place, 50, 100);
    let active = active_directory(&place);
    let here = identity(&place.log()).wal_dev;
    move_to_other_device(&place);
    let (was, is) = (format!("was on device {}", here + 1), format!("is on device {here} now"));
    assert_refused(&place, &["moved", &was, &is, active.to_str().unwrap()]);
    accept_without(&place, &active, "moved");
}

/// No event is in memory only: shut down, after a restart, or with no active directory left.
#[test]
fn row_copy_by_device_when_no_event_can_be_waiting() {
    type Before = fn(&Place);
    let clean: Before = |place| assert_eq!(recover(place, 100).0, "process-crash");
    let restart: Before = |place| reboot(place);
    let gone: Before = |place| fs::remove_dir_all(active_directory(place)).unwrap();
    for (before, last) in [(clean, 100), (restart, 50), (gone, 50)] {
        let place = Place::new();
        crash(&place, 50, 100);
        before(&place);
        move_to_other_device(&place);
        assert_eq!(recover(&place, last).0, "copy");
    }
}

fn run(command: &str, args: &[&Path]) -> bool {
    Command::new(command).args(args).status().is_ok_and(|status| status.success())
}

/// A filesystem in a file, mounted until it is dropped.
struct Volume {
    image: PathBuf,
    at: PathBuf,
}

impl Volume {
    /// Makes a new one; `None` = this machine cannot.
    fn new(base: &Path, name: &str) -> Option<Self> {
        let (image, at) = (base.join(format!("{name}.image")), base.join(name));
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let volume = Volume { image, at };
        let made = run("mkfs.ext4", &["-q".as_ref(), &volume.image]) && volume.mount();
        made.then_some(volume)
    }

    fn mount(&self) -> bool {
        run("mount", &["-o".as_ref(), "loop".as_ref(), &self.image, &self.at])
    }

    fn unmount(&self) -> bool {
        run("umount", &[&self.at])
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// A volume that is really mounted twice, one mount after the other.
#[test]
fn row_moved_on_a_volume_that_was_mounted_again() {
    if !common::may_mount() {
        return;
    }
    let place = Place::new();
    let Some(volume) = Volume::new(place.base(), "volume") else {
        common::skipped("no ext4 in a loop device here");
        return;
    };
    let log = volume.at.join("log");
    crash_in(&[], &log, &place.memory().display(), 50, 100);
    let was = identity(&log).wal_dev;
    // Mounts other volumes until one has the first one's device number, unless another process took
    // it.
    let mut others = Vec::new();
    while fs::metadata(&log).unwrap().dev() == was {
        assert!(volume.unmount());
        others.extend(Volume::new(place.base(), &format!("other{}", others.len())));
        assert!(others.len() < 8 && volume.mount(), "{} others", others.len());
    }
    let message = expect_cause(Manager::open(&log, place.small()), Cause::Corrupt);
    assert!(message.contains("moved"), "{message}");
    let (manager, writer) = open(&log, accepting_loss(&place));
    assert_eq!(decision(&manager), "moved");
    manager.shutdown(writer).unwrap();
    assert_ne!(identity(&log).wal_dev, was);
    assert_eq!(place.active_directories().len(), 1, "the newest events are still there");
}

/// A relative `active_dir` means the same directory to an open in another working directory.
#[test]
fn row_process_crash_with_a_relative_active_dir() {
    let place = Place::new();
    fs::create_dir(place.memory().join("memory")).unwrap();
    let inside = format!("cd {} && exec \"$@\"", place.memory().display());
    let wrapper = ["sh", "-c", &inside, "sh"];
    crash_in(&wrapper, &place.log(), &"memory", 50, 100);
    let named = identity(&place.log()).active_path;
    let inside = place.memory().join("memory");
    assert!(Path::new(&named).starts_with(&inside), "{named}");
    assert_eq!(recover(&place, 100).0, "process-crash");
    assert!(common::names(&inside).is_empty());
}

/// An identity that names the WAL directory as the active one is wrong: cleaning up would remove
/// the log.
#[test]
fn row_active_directory_lost_when_it_is_the_wal_directory() {
    let place = Place::new();
    crash(&place, 50, 100);
    fs::remove_dir_all(active_directory(&place)).unwrap();
    let mut itself = identity(&place.log());
    itself.active_path = place.log().to_str().unwrap().to_owned();
    fs::write(place.log().join("wal_identity"), itself.encode()).unwrap();
    assert_refused(&place, &["active-directory-lost", place.log().to_str().unwrap()]);
    let (manager, writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(manager.log().appended().last_event_id, 50);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 50);
}

/// An event that memory still has is damaged on disk: it is written again, and the damaged bytes
/// are kept aside.
#[test]
fn a_damaged_disk_file_is_repaired_from_memory() {
    let place = Place::new();
    // The first block is known to be durable.
    crash(&place, 300, 300);
    recover(&place, 300);
    crash(&place, 400, 400);
    let path = place.log().join("FS.00000000.wal");
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(&[0xFF], offset(10) + 16)
        .unwrap();
    let damaged = fs::read(&path).unwrap();
    let (decision, notes) = recover(&place, 400);
    assert_eq!(decision, "process-crash", "{notes}");
    assert!(notes.contains("1 events kept aside in FS.00000000.wal.corrupt"), "{notes}");
    assert_eq!(contents(&place.log())["FS.00000000.wal.corrupt"], damaged);
    reboot(&place);
    assert_holds(&place.log(), 400);
    assert_eq!(recover(&place, 400).0, "clean");
}
