//! G14: files of a live log that a clean-up job removes, replaces, cuts short or links.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::crash::{self, SEGMENT};
use common::{append, eventually, expect_cause, names, open, read_ids, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::Layout;
use flashstrike_wal::log_sink::{Level, LogSink};

/// What a clean-up job does to a file of a live log.
type Job = fn(&Path);

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
    let jobs: [(Job, bool, &str); 5] = [
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
    for job in [remove as Job, replace, cut] {
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

/// Errors that a log has reported.
#[derive(Debug, Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Errors {
    fn config(&self, place: &Place, hot: u32, cold: u32) -> Config {
        let errors = Arc::clone(&self.0);
        let log = LogSink::new(move |level, message| {
            if level == Level::Error {
                errors.lock().unwrap().push(message.to_owned());
            }
        });
        Config {
            max_segments: Keep::AtMost(hot),
            max_compressed_segments: Keep::AtMost(cold),
            log,
            ..place.small()
        }
    }

    fn with(&self, words: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|message| message.contains(words)).count()
    }
}

/// Older segments: the engine goes on, and the loss is told and counted once.
#[test]
fn f4_older_segments_that_are_removed_are_told_and_counted() {
    let (place, errors) = (Place::new(), Errors::default());
    let (manager, mut writer) = open(&place.log(), errors.config(&place, 3, 9));
    let log = Arc::clone(manager.log());
    append(&mut writer, 1..=6 * SEGMENT + 1);
    eventually("four are cold", || log.metrics().cold_segments == 4);
    remove(&hot(&place.log(), 5));
    remove(&place.log().join("FS.00000002.wal.lz4"));
    eventually("both are missed", || log.metrics().missing_segments == 2);
    append(&mut writer, 6 * SEGMENT + 2..=9 * SEGMENT);
    log.sync().unwrap();
    assert_eq!(log.metrics().missing_segments, 2);
    for name in ["FS.00000005.wal", "FS.00000002.wal"] {
        // It is counted before it is told.
        eventually("it is told", || errors.with(name) > 0);
        assert_eq!(errors.with(name), 1, "{errors:?}");
    }
    manager.shutdown(writer).unwrap();
}

/// Damage in a closed hot segment, in an event or in the header: it is not compressed, told once,
/// and set aside when it would have been deleted. Retention goes on behind it.
#[test]
fn f5_f44_a_damaged_segment_is_kept_and_told_and_expiry_goes_on() {
    for offset in [Layout::event_offset(300) + 20, 8] {
        let (place, errors) = (Place::new(), Errors::default());
        let (manager, mut writer) = open(&place.log(), errors.config(&place, 3, 2));
        let log = Arc::clone(manager.log());
        append(&mut writer, 1..=2 * SEGMENT + 1);
        eventually("two are closed", || log.metrics().close.count == 2);
        let (damaged, mut byte) = (hot(&place.log(), 1), [0]);
        let file = fs::OpenOptions::new().read(true).write(true).open(&damaged).unwrap();
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        let content = fs::read(&damaged).unwrap();

        append(&mut writer, 2 * SEGMENT + 2..=4 * SEGMENT + 1);
        eventually("the damage is found", || log.metrics().damaged_segments == 1);
        eventually("the one before is cold", || log.metrics().cold_segments == 1);
        assert_eq!(fs::read(&damaged).unwrap(), content, "it stays as it is");
        assert!(!place.log().join("FS.00000001.wal.lz4").exists());
        assert_eq!(errors.with("FS.00000001.wal"), 1, "{errors:?}");

        append(&mut writer, 4 * SEGMENT + 2..=8 * SEGMENT + 1);
        let counts = || (log.metrics().hot_segments, log.metrics().cold_segments);
        eventually("expiry goes round it", || counts() == (3, 2));
        let aside = place.log().join("FS.00000001.wal.corrupt");
        assert_eq!(fs::read(aside).unwrap(), content, "it is not deleted");
        assert_eq!(errors.with("FS.00000001.wal"), 2, "{errors:?}");
        assert_eq!((log.metrics().damaged_segments, log.metrics().compression_failures), (1, 0));
        manager.shutdown(writer).unwrap();
        assert!(read_ids(&place.log()).into_iter().eq(4 * SEGMENT + 1..=8 * SEGMENT + 1));
    }
}

/// A snapshot by hard links stays what it was: a file with a second name is not recycled.
#[test]
fn f6_a_hard_linked_segment_is_not_recycled() {
    let (place, errors) = (Place::new(), Errors::default());
    let (manager, mut writer) = open(&place.log(), errors.config(&place, 4, 2));
    let log = Arc::clone(manager.log());
    append(&mut writer, 1..=3 * SEGMENT + 1);
    eventually("three are closed", || log.metrics().close.count == 3);
    let snapshot = place.base().join("snapshot");
    fs::create_dir(&snapshot).unwrap();
    for index in 0..3 {
        fs::hard_link(hot(&place.log(), index), hot(&snapshot, index)).unwrap();
    }
    let before = common::contents(&snapshot);
    let mut last = 3 * SEGMENT + 1;
    eventually("all others are recycled", || {
        append(&mut writer, last + 1..=last + SEGMENT);
        last += SEGMENT;
        last > 20 * SEGMENT && log.metrics().segments_recycled > 3
    });
    manager.shutdown(writer).unwrap();
    assert!(common::contents(&snapshot) == before, "written through the links");
}

/// `lz4 -d` beside a cold segment, and a cold one put beside a hot one: retention deletes its own
/// file, and keeps the other one aside. No hole is left.
#[test]
fn f7_a_stray_twin_does_not_outlive_its_segment() {
    let (place, errors) = (Place::new(), Errors::default());
    let (manager, mut writer) = open(&place.log(), errors.config(&place, 3, 3));
    let log = Arc::clone(manager.log());
    append(&mut writer, 1..=2 * SEGMENT + 1);
    eventually("two are closed", || log.metrics().close.count == 2);
    let copy = fs::read(hot(&place.log(), 0)).unwrap();
    append(&mut writer, 2 * SEGMENT + 2..=3 * SEGMENT + 1);
    eventually("the first is cold", || log.metrics().cold_segments == 1);
    eventually("its hot file is gone", || !hot(&place.log(), 0).exists());
    fs::write(hot(&place.log(), 0), &copy).unwrap();
    let stray = place.log().join("FS.00000002.wal.lz4");
    fs::copy(place.log().join("FS.00000000.wal.lz4"), stray).unwrap();
    append(&mut writer, 3 * SEGMENT + 2..=9 * SEGMENT + 1);
    let counts = || (log.metrics().hot_segments, log.metrics().cold_segments);
    eventually("it expires", || counts() == (3, 3) && log.metrics().segments_deleted == 4);
    manager.shutdown(writer).unwrap();
    let aside: Vec<_> =
        names(&place.log()).into_iter().filter(|name| name.contains(".corrupt")).collect();
    assert_eq!(aside, ["FS.00000000.wal.corrupt", "FS.00000002.wal.lz4.corrupt"]);
    assert!(read_ids(&place.log()).into_iter().eq(4 * SEGMENT + 1..=9 * SEGMENT + 1));
    let (manager, writer) = open(&place.log(), errors.config(&place, 3, 3));
    manager.shutdown(writer).unwrap();
}
