//! G14: files of a live log that a clean-up job removes, replaces, cuts short or links.

use std::fs;
use std::path::{Path, PathBuf};

use common::crash::{self, SEGMENT};
use common::{append, eventually, expect_cause, open, Place};
use flashstrike_wal::error::Cause;

/// What a job does to a file of a live log.
fn remove(file: &Path) {
    fs::remove_file(file).unwrap();
}

fn replace(file: &Path) {
    let copy = file.with_extension("copy");
    fs::copy(file, &copy).unwrap();
    fs::rename(copy, file).unwrap();
}

fn cut(file: &Path) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(4096).unwrap();
}

fn hot(directory: &Path, index: u32) -> PathBuf {
    directory.join(format!("FS.{index:08}.wal"))
}

/// The file that is being written: nothing after the damage is called durable, and the log says
/// which file it was. (A mapped file that is cut short ends the process: not here.)
#[test]
fn f4_nothing_is_durable_in_a_file_that_its_name_does_not_lead_to() {
    let jobs: [(fn(&Path), bool, &str); 5] = [
        (remove, true, "was removed under the log"),
        (replace, true, "was replaced by another file under the log"),
        (cut, true, "was cut to 4096 of"),
        (remove, false, "was removed under the log"),
        (replace, false, "was replaced by another file under the log"),
    ];
    for (job, on_disk, words) in jobs {
        let place = Place::new();
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, 1..=10);
        manager.log().sync().unwrap();
        let active = crash::active_directory(&place);
        let file = hot(if on_disk { place.log() } else { active }.as_path(), 0);
        job(&file);
        append(&mut writer, [11]);
        let said = expect_cause(manager.log().sync(), Cause::Poisoned);
        assert!(said.contains(words) && said.contains(file.to_str().unwrap()), "{said}");
        assert_eq!(manager.log().durable().last_event_id, 10, "{words}");
        manager.shutdown(writer).unwrap_err();
    }
}

/// A prepared file is missed before the writer comes to it; and if it is not, when it does.
#[test]
fn f4_a_prepared_file_is_watched_too() {
    for job in [remove as fn(&Path), replace, cut] {
        let place = Place::new();
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, [1]);
        eventually("the ring is full", || manager.log().metrics().prepared_segments.fill == 4);
        job(&hot(&place.log(), 2));
        eventually("it is missed", || manager.log().poison().check().is_err());
        let said = expect_cause(manager.log().sync(), Cause::Poisoned);
        assert!(said.contains("FS.00000002.wal"), "{said}");
        manager.shutdown(writer).unwrap_err();

        let place = Place::new();
        let (manager, mut writer) = open(&place.log(), place.small());
        append(&mut writer, [1]);
        eventually("the ring is full", || manager.log().metrics().prepared_segments.fill == 4);
        job(&hot(&place.log(), 1));
        let _ = (2..=2 * SEGMENT).try_for_each(|id| writer.append(&common::event(id)));
        let said = expect_cause(manager.log().sync(), Cause::Poisoned);
        assert!(said.contains("FS.00000001.wal"), "{said}");
        assert!(manager.log().durable().last_event_id <= SEGMENT);
        manager.shutdown(writer).unwrap_err();
    }
}
