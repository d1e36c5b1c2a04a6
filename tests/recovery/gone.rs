//! Segments that are gone, or of a wrong size, and what an open says of them.

use std::fs;

use common::crash::{assert_refused, SEGMENT};
use common::keeping::are_cold;
use common::{append, eventually, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::file_name::{cold, hot};
use flashstrike_wal::replay::verify;

/// A log of 6 segments, the last of them not full, that was shut down; the first `frozen` are cold.
fn six(frozen: u32) -> Place {
    let place = Place::new();
    let keep_all = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&place.log(), keep_all.clone());
    append(&mut writer, 1..=5 * SEGMENT + 10);
    manager.shutdown(writer).unwrap();
    if frozen > 0 {
        let max_segments = Keep::AtMost(6 - frozen);
        let (manager, writer) = open(&place.log(), Config { max_segments, ..keep_all });
        eventually("they are frozen", || are_cold(&place.log(), 0..u64::from(frozen)));
        manager.shutdown(writer).unwrap();
    }
    place
}

/// The first of those that are missing, wherever they were.
#[test]
fn row_missing_segments_are_named_by_the_first_one() {
    const CASES: [(u32, &[u32], &str); 9] = [
        (0, &[2, 4], "missing-segment: segment 2: it is missing"),
        (0, &[2, 3, 4], "missing-segment: segment 2: it is missing"),
        (0, &[3, 4, 5], "break-below-durable: segment 3: it is missing; events 12289 to"),
        (0, &[5], "break-below-durable: segment 5: it is missing; events 20481 to"),
        (0, &[1, 4, 5], "missing-segment: segment 1: it is missing"),
        (3, &[1, 4], "missing-segment: segment 1: it is missing"),
        (3, &[3, 4, 5], "break-below-durable: segment 3: it is missing; events 12289 to"),
        (3, &[2, 3, 4, 5], "break-below-durable: segment 2: it is missing; events 8193 to"),
        (0, &[0, 1, 2, 3, 4, 5], "break-below-durable: no segment is there: events 1 to"),
    ];
    for (frozen, gone, words) in CASES {
        let place = six(frozen);
        for index in gone {
            let is_cold = *index < frozen;
            let name = if is_cold { cold(*index) } else { hot(*index) };
            fs::remove_file(place.log().join(name)).unwrap();
        }
        assert_refused(&place, &[words]);
    }
}

/// Older segments are not read at open. That one is empty or was cut shows all the same.
#[test]
fn a_segment_before_the_tail_that_was_cut_is_told_at_open() {
    let sizes = [(0, 0), (0, 30), (0, 64), (0, 64 + 16_448), (0, 100_000), (3, 0), (3, 9)];
    for (frozen, size) in sizes {
        let place = six(frozen);
        for index in [0, 2] {
            let name = if frozen > index { cold(index) } else { hot(index) };
            let path = place.log().join(&name);
            let whole = fs::read(&path).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
            let config = Config { max_segments: Keep::All, ..place.small() };
            let (manager, writer) = open(&place.log(), config.clone());
            let notes = manager.log().recovery_report().notes.clone();
            let note = format!("cut-short: {name}: {size} bytes");
            assert_eq!(notes.matches("cut-short").count(), 1, "{notes}");
            assert!(notes.contains(&note), "{note}: {notes}");
            manager.shutdown(writer).unwrap();
            assert!(verify(&place.log()).unwrap().damage_count > 0);
            fs::write(&path, whole).unwrap();
            let (manager, writer) = open(&place.log(), config);
            let notes = manager.log().recovery_report().notes.clone();
            assert!(!notes.contains("cut-short"), "{notes}");
            manager.shutdown(writer).unwrap();
        }
    }
}
