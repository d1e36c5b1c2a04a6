//! Rows of the recovery table for pairs: the content of the two files decides which one stays,
//! whatever their headers say, both at the end of the log and in the middle.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use common::crash::{offset, recover, SEGMENT};
use common::segments::read_on;
use common::{append, assert_holds, contents, event, eventually, open, text, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::SegmentHeader;
use flashstrike_wal::replay::{verify, DamageKind, Reader, ReaderOptions};

const LAST: u64 = SEGMENT * 3 + 10;

/// A log whose segments 0 to 2 are cold, with one of their hot files restored.
struct Both {
    place: Place,
    hot: PathBuf,
    cold: PathBuf,
}

impl Both {
    fn of(index: u32) -> Self {
        let place = Place::new();
        let log = place.log();
        let keep_all = Config { max_segments: Keep::All, ..place.small() };
        let (manager, mut writer) = open(&log, keep_all.clone());
        append(&mut writer, 1..=LAST);
        manager.shutdown(writer).unwrap();
        let hot = log.join(format!("FS.{index:08}.wal"));
        let bytes = fs::read(&hot).unwrap();
        let cold = log.join(format!("FS.{index:08}.wal.lz4"));
        let (manager, writer) = open(&log, Config { max_segments: Keep::AtMost(1), ..keep_all });
        eventually("it is cold", || cold.exists() && !hot.exists());
        manager.shutdown(writer).unwrap();
        fs::write(&hot, bytes).unwrap();
        Both { place, hot, cold }
    }

    fn write_hot(&self, bytes: &[u8], at: u64) {
        let file = fs::OpenOptions::new().write(true).open(&self.hot).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn aside(&self) -> Vec<u8> {
        fs::read(self.cold.with_extension("lz4.corrupt")).unwrap()
    }
}

#[test]
fn row_cold_good_finishes_the_unlink_whatever_the_hot_header_says() {
    type Damage = fn(&Both);
    let none: Damage = |_| {};
    let zeroed: Damage = |both| both.write_hot(&[0; 64], 0);
    let torn: Damage = |both| both.write_hot(&[0xA5; 30], 20);
    let open_again: Damage = |both| both.write_hot(&SegmentHeader::open(1, 5).encode(), 0);
    let other: Damage = |both| both.write_hot(&SegmentHeader::open(77, 5).encode(), 0);
    let block: Damage = |both| both.write_hot(&[0; 64], 64);
    let event: Damage = |both| both.write_hot(&[0x77; 5], offset(300) + 9);
    let short: Damage = |both| {
        fs::OpenOptions::new().write(true).open(&both.hot).unwrap().set_len(90_000).unwrap();
    };
    let empty: Damage = |both| fs::write(&both.hot, b"").unwrap();
    for index in [1, 2] {
        for damage in [none, zeroed, torn, open_again, other, block, event, short, empty] {
            let both = Both::of(index);
            let cold = fs::read(&both.cold).unwrap();
            damage(&both);
            let (_, notes) = recover(&both.place, LAST);
            assert!(notes.contains("cold-good: FS.0000000"), "{notes}");
            assert!(!both.hot.exists());
            assert!(fs::read(&both.cold).unwrap() == cold);
        }
    }
}

#[test]
fn row_cold_dropped_when_the_hot_file_holds_an_event_it_lacks() {
    for index in [1, 2] {
        let both = Both::of(index);
        // A valid frame of a segment that was closed one block earlier.
        let hot = fs::read(&both.hot).unwrap();
        let header: [u8; 64] = hot[..64].try_into().unwrap();
        let header = SegmentHeader::decode(&header).unwrap();
        let block = 64 + 14 * 16_448;
        let chained = u64::from_le_bytes(hot[block + 24..block + 32].try_into().unwrap());
        let header = SegmentHeader {
            block_count: 15,
            event_count: 15 * 256,
            last_event_id: header.last_event_id - 256,
            last_chained_checksum: chained,
            ..header
        };
        let mut content = header.encode().to_vec();
        content.extend(&hot[64..block + 16_448]);
        let mut frame = Vec::new();
        let size = content.len() as u64;
        flashstrike_wal::format::cold_frame::compress(&mut &content[..], size, &mut frame).unwrap();
        fs::write(&both.cold, &frame).unwrap();
        let (_, notes) = recover(&both.place, LAST);
        assert!(notes.contains("cold-dropped: FS.0000000"), "{notes}");
        assert!(fs::read(&both.hot).unwrap() == hot);
        assert!(both.aside() == frame, "the valid frame is not kept aside");
    }
}

/// Both are sealed, over different bytes: the hot file counts, because it was written first.
#[test]
fn row_cold_dropped_when_the_hot_file_is_sealed_over_other_events() {
    let both = Both::of(1);
    let other = Place::new();
    let keep_all = Config { max_segments: Keep::All, ..other.small() };
    let (manager, mut writer) = open(&other.log(), keep_all);
    for id in 1..=SEGMENT * 2 {
        let mut changed = event(id);
        changed.price ^= i64::from(id == SEGMENT + 9);
        writer.append(&changed).unwrap();
    }
    manager.shutdown(writer).unwrap();
    let hot = contents(&other.log())["FS.00000001.wal"].clone();
    fs::write(&both.hot, &hot).unwrap();
    let cold = fs::read(&both.cold).unwrap();
    let (manager, writer) = open(&both.place.log(), both.place.small());
    let notes = text(&manager.log().recovery_report().notes);
    assert!(notes.contains("cold-dropped: FS.00000001.wal.lz4"), "{notes}");
    manager.shutdown(writer).unwrap();
    assert!((fs::read(&both.hot).unwrap(), both.aside()) == (hot, cold), "neither is lost");
}

/// The cold file is damaged and the hot one has lost its header: in the middle of the log, too, the
/// events decide.
#[test]
fn row_cold_dropped_and_header_rebuilt_in_the_middle() {
    let both = Both::of(1);
    let whole = fs::read(&both.hot).unwrap();
    let mut frame = fs::read(&both.cold).unwrap();
    frame[100_000] ^= 1;
    fs::write(&both.cold, &frame).unwrap();
    both.write_hot(&[0; 64], 0);
    let (_, notes) = recover(&both.place, LAST);
    assert!(notes.contains("cold-dropped: FS.00000001.wal.lz4"), "{notes}");
    assert!(notes.contains("header-rebuilt: FS.00000001.wal"), "{notes}");
    assert!(fs::read(&both.hot).unwrap()[64..] == whole[64..]);
    assert!(both.aside() == frame);
    assert_holds(&both.place.log(), LAST);
}

/// The damaged cold file is the only data of the segment.
#[test]
fn row_cold_unreadable_stays_beside_a_hot_file_without_events() {
    let both = Both::of(1);
    let mut frame = fs::read(&both.cold).unwrap();
    frame[100_000] ^= 1;
    fs::write(&both.cold, &frame).unwrap();
    fs::write(&both.hot, [0; 16_448 * 16]).unwrap();
    let (manager, writer) = open(&both.place.log(), both.place.small());
    let notes = text(&manager.log().recovery_report().notes);
    assert!(notes.contains("cold-unreadable: FS.00000001.wal.lz4"), "{notes}");
    assert_eq!(manager.log().appended().last_event_id, LAST);
    manager.shutdown(writer).unwrap();
    assert!(!both.hot.exists());
    assert!(fs::read(&both.cold).unwrap() == frame);
}

/// A hot file was put back that is older than the cold one. Whoever reads the log reads what an
/// open keeps, which is the file that goes on, and verify tells which one is old.
#[test]
fn row_cold_good_is_what_readers_go_by_too() {
    type Age = fn(&Both);
    let half_written: Age = |both| {
        both.write_hot(&SegmentHeader::open(1, 5).encode(), 0);
        both.write_hot(&vec![0; 11 * 16_448], 64 + 5 * 16_448);
    };
    let shut_down_earlier: Age = |both| {
        let hot = fs::read(&both.hot).unwrap();
        let header = SegmentHeader::decode(hot.first_chunk().unwrap()).unwrap();
        let chained = 64 + 4 * 16_448 + 24;
        let header = SegmentHeader {
            block_count: 5,
            event_count: 5 * 256,
            last_event_id: SEGMENT + 5 * 256,
            last_chained_checksum: u64::from_le_bytes(*hot[chained..].first_chunk().unwrap()),
            ..header
        };
        both.write_hot(&header.encode(), 0);
        both.write_hot(&vec![0; 11 * 16_448], 64 + 5 * 16_448);
    };
    let prepared: Age = |both| fs::write(&both.hot, vec![0; 64 + 16 * 16_448]).unwrap();
    let cut: Age = |both| {
        fs::OpenOptions::new().write(true).open(&both.hot).unwrap().set_len(50_000).unwrap();
    };
    let empty: Age = |both| fs::write(&both.hot, b"").unwrap();
    for (n, age) in [half_written, shut_down_earlier, prepared, cut, empty].iter().enumerate() {
        let both = Both::of(1);
        age(&both);
        let log = both.place.log();
        assert_holds(&log, LAST);
        let mut reader = Reader::open(&log, ReaderOptions { verify: true }).unwrap();
        reader.seek(2 * SEGMENT - 7).unwrap();
        assert_eq!(read_on(&mut reader).0, (2 * SEGMENT - 7..=LAST).collect::<Vec<_>>());
        let mut reader = Reader::open_salvaging(&log).unwrap();
        assert_eq!(read_on(&mut reader).0.len() as u64, LAST, "{n}");
        let report = verify(&log).unwrap();
        let found: Vec<_> = report.damages.iter().map(|d| (d.kind, d.file_name())).collect();
        assert_eq!(found, [(DamageKind::Twins, "FS.00000001.wal")], "{n}");
        assert_eq!((report.events, report.last_event_id), (LAST, LAST), "{n}");
        let (_, notes) = recover(&both.place, LAST);
        assert!(notes.contains("cold-good: FS.00000001.wal.lz4"), "{n}: {notes}");
        assert_eq!(verify(&log).unwrap().damage_count, 0);
    }
}
