//! Segments that have both files: what is read is what an open keeps.

use std::fs;

use common::crash::config;
use common::segments::{read_to_end, Image, Log};
use common::{append, assert_holds, open, Place};
use flashstrike_wal::format::cold_frame;
use flashstrike_wal::replay::{verify, DamageKind};

/// Nothing else says that the log goes on: without the cold file it would end in the hot one.
#[test]
fn an_old_hot_file_does_not_hide_what_the_cold_one_has() {
    let log = Log::of(&[Image::closed(0, 1..=300), Image::closed(1, 301..=1000)]);
    log.freeze(1);
    log.write(&Image::open(1, 301..=400));
    assert_eq!(read_to_end(&mut log.reader()), (1..=1000).collect::<Vec<_>>());
    let mut reader = log.reader();
    reader.seek(990).unwrap();
    assert_eq!(read_to_end(&mut reader), (990..=1000).collect::<Vec<_>>());
    let report = verify(&log.path()).unwrap();
    assert_eq!((report.damage_count, report.damages[0].kind), (1, DamageKind::Twins));
    assert_eq!(report.damages[0].file_name(), "FS.00000001.wal");
    assert_eq!((report.events, report.last_event_id), (1000, 1000));
}

/// The cold file is the old one: its segment is being written, and its newest events are in memory.
#[test]
fn an_old_cold_file_does_not_hide_what_is_in_memory() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), config(place.memory()));
    append(&mut writer, 1..=50);
    manager.shutdown(writer).unwrap();
    let content = fs::read(place.log().join("FS.00000000.wal")).unwrap();
    // As freezing does it: as far as its blocks go.
    let content = &content[..64 + 16_448];
    let mut frame = Vec::new();
    cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
    let (manager, mut writer) = open(&place.log(), config(place.memory()));
    append(&mut writer, 51..=100);
    fs::write(place.log().join("FS.00000000.wal.lz4"), frame).unwrap();
    assert_holds(&place.log(), 100);
    assert_eq!(verify(&place.log()).unwrap().events, 100);
    fs::remove_file(place.log().join("FS.00000000.wal.lz4")).unwrap();
    manager.shutdown(writer).unwrap();
}
