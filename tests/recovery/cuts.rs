//! Which opens note in `wal_identity` that events may have been taken back.

use std::fs;

use common::crash::{accepting_loss, active_directory, crash, identity, reboot, SEGMENT};
use common::{append, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::format::Ancestor;

/// The cuts that the identity names.
fn cuts(place: &Place) -> Vec<(u64, u64)> {
    let cuts = identity(&place.log()).cuts;
    cuts.iter().map(|cut| (cut.generation, cut.last_event_id)).collect()
}

fn open_and_shut(place: &Place, config: Config) {
    let (manager, writer) = open(&place.log(), config);
    manager.shutdown(writer).unwrap();
}

#[test]
fn what_takes_nothing_back_is_no_cut() {
    let place = Place::new();
    crash(&place, 100, 1000);
    open_and_shut(&place, place.small());
    open_and_shut(&place, accepting_loss(&place));
    assert_eq!(identity(&place.log()).generation, 3);
    assert_eq!(cuts(&place), []);
}

#[test]
fn each_log_taken_from_disk_alone_is_a_cut() {
    let place = Place::new();
    crash(&place, SEGMENT, SEGMENT + 700);
    reboot(&place);
    open_and_shut(&place, place.small());
    assert_eq!(cuts(&place), [(2, SEGMENT)]);
    crash(&place, SEGMENT + 10, SEGMENT + 90);
    fs::remove_dir_all(active_directory(&place)).unwrap();
    open_and_shut(&place, accepting_loss(&place));
    assert_eq!(cuts(&place), [(2, SEGMENT), (4, SEGMENT + 10)]);
}

/// A copy has an id of its own; generations count on, so that both lines can be told apart.
#[test]
fn a_copy_is_a_cut_and_names_its_ancestor() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=500);
    manager.shutdown(writer).unwrap();
    let original = identity(&place.log());
    let kept = place.base().join("kept");
    fs::rename(place.log(), &kept).unwrap();
    fs::create_dir(place.log()).unwrap();
    for path in common::paths(&kept) {
        fs::copy(&path, place.log().join(path.file_name().unwrap())).unwrap();
    }
    open_and_shut(&place, place.small());
    let copy = identity(&place.log());
    assert_ne!(copy.id, original.id);
    let ancestor = Ancestor { id: original.id, generation: 1 };
    assert_eq!((copy.ancestors, copy.generation), (vec![ancestor], 2));
    assert_eq!(cuts(&place), [(2, 500)]);
}
