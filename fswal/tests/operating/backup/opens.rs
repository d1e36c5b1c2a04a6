//! What every backup must be.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{Reader, ReaderOptions};

use crate::support::{event, fswal, text, Place};

/// Every event of a log is the one that belongs to its id, and the ids are these.
#[track_caller]
pub fn assert_has(log: &Path, ids: RangeInclusive<u64>) {
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    for id in ids {
        assert_eq!(reader.next().unwrap(), event(id), "event {id}");
    }
    assert!(reader.next().is_err(), "nothing follows");
}

/// It verifies and holds nothing up; a copy of it opens without a decision, has these events, and
/// goes on.
#[track_caller]
pub fn assert_opens(place: &Place, out: &Path, ids: RangeInclusive<u64>) {
    fswal(&["verify", text(out)]).ends_with(0);
    assert!(!out.join("wal_holds").exists(), "the log's holds are not the backup's");
    let restored = place.base().join("restored");
    let copied = Command::new("cp").arg("-a").arg(out).arg(&restored).status();
    assert!(copied.unwrap().success());
    let (manager, mut writer) = Manager::open(&restored, place.config()).unwrap();
    let report = manager.log().recovery_report();
    assert_eq!((&*report.decision, report.last_event_id), ("copy", *ids.end()));
    assert_eq!(report.events_kept_aside, 0);
    writer.append(&event(ids.end() + 1)).unwrap();
    manager.shutdown(writer).unwrap();
    assert_has(&restored, *ids.start()..=ids.end() + 1);
    std::fs::remove_dir_all(&restored).unwrap();
}
