//! Directories under names that the library uses for files being written. They are somebody's: they
//! are kept, and the log goes on.

use std::fs;
use std::path::Path;

use common::crash::{active_directory, crash, recover, SEGMENT};
use common::keeping::are_cold;
use common::{append, assert_holds, eventually, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::file_name::{cold, hot, temporary};

fn make_directory(within: &Path, name: &str) {
    let path = within.join(name);
    eventually("there is no file of that name", || {
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).is_ok()
    });
    fs::write(path.join("notes.txt"), "mine").unwrap();
}

#[test]
fn a_directory_with_a_temporary_name_is_kept_aside_at_open() {
    let place = Place::new();
    crash(&place, 50, 100);
    let names = ["FS.reserve.tmp", "wal_meta.dat.tmp", "wal_identity.tmp", "FS.notes.tmp", "x.tmp"];
    for name in names {
        make_directory(&place.log(), name);
        make_directory(&active_directory(&place), name);
    }
    let (decision, notes) = recover(&place, 100);
    assert_eq!(decision, "process-crash");
    for name in &names[..4] {
        let note = format!("{name} is a directory: it is {name}.corrupt now");
        assert!(notes.contains(&note), "{notes}");
        let kept = place.log().join(format!("{name}.corrupt/notes.txt"));
        assert_eq!(fs::read(kept).unwrap(), b"mine");
    }
    assert!(place.log().join("x.tmp/notes.txt").exists(), "a foreign name is never touched");
    // What is in memory is removed, and somebody's directories stay.
    let left = common::names(&active_directory(&place));
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(left, expected);
}

/// The same while the log is open, where a segment is made, closed and frozen.
#[test]
fn a_directory_with_a_temporary_name_does_not_stop_an_open_log() {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(2), prepared_segments: 1, ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    let active = active_directory(&place);
    for index in 4..9 {
        make_directory(&place.log(), &temporary(&hot(index)));
        make_directory(&active, &temporary(&hot(index)));
        make_directory(&place.log(), &temporary(&cold(index)));
    }
    make_directory(&place.log(), "wal_meta.dat.tmp");
    append(&mut writer, 1..=12 * SEGMENT);
    manager.log().sync().unwrap();
    eventually("they are frozen", || are_cold(&place.log(), 0..10));
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 12 * SEGMENT);
    let names = (4..9).flat_map(|index| [temporary(&hot(index)), temporary(&cold(index))]);
    for name in names.chain(["wal_meta.dat.tmp".to_owned()]) {
        let kept = place.log().join(format!("{name}.corrupt/notes.txt"));
        assert_eq!(fs::read(&kept).unwrap(), b"mine", "{}", kept.display());
    }
}
