//! Verify beside an engine whose retention deletes fast: what is expired, compressed and used again
//! meanwhile is no damage, and damage is.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{append, beside_writer, eventually, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::replay::{verify, DamageKind, VerifyReport};

/// Verifies a log so often while it is written as fast as it goes: all reports.
fn verify_beside_writer(config: &Config, place: &Place, times: u64) -> Vec<VerifyReport> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 1;
            while !done.load(Ordering::Relaxed) {
                let (manager, mut writer) = open(&place.log(), config.clone());
                for _ in 0..40 {
                    append(&mut writer, next..next + 2000);
                    next += 2000;
                }
                manager.shutdown(writer).unwrap();
            }
        });
        eventually("there is a log", || place.log().join("wal_identity").exists());
        let reports = (0..times).map(|_| verify(&place.log()).unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        reports
    })
}

#[test]
fn f39_what_retention_takes_beside_verify_is_no_damage() {
    let limits = [(1, Keep::AtMost(0)), (1, Keep::AtMost(1)), (2, Keep::AtMost(3))];
    let times = common::ledger::times(120, 4200);
    for (hot, max_compressed_segments) in limits {
        let place = Place::new();
        let max_segments = Keep::AtMost(hot);
        let config = Config { max_segments, max_compressed_segments, ..place.small() };
        let reports = verify_beside_writer(&config, &place, times);
        let damaged: Vec<_> = reports.iter().filter(|report| report.damage_count > 0).collect();
        assert!(damaged.is_empty(), "{} of {times}: {:?}", damaged.len(), damaged[0]);
    }
}

/// A compressed segment in the middle is removed by hand, and a byte of another one is changed.
#[test]
fn f39_damage_beside_a_writer_is_found_every_time() {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(1), ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=10 * 4096);
    // Several freezers work at once: a later segment may be cold before an earlier one.
    let hot = |index| place.log().join(format!("FS.{index:08}.wal"));
    let cold = |index| place.log().join(format!("FS.{index:08}.wal.lz4"));
    let is_cold = |index| cold(index).exists() && !hot(index).exists();
    eventually("the two are cold", || is_cold(2) && is_cold(4));
    fs::remove_file(cold(2)).unwrap();
    let path = cold(4);
    let mut frame = fs::read(&path).unwrap();
    let middle = frame.len() / 2;
    frame[middle] ^= 1;
    fs::write(&path, frame).unwrap();
    beside_writer(&mut writer, 10 * 4096 + 1, || {
        for _ in 0..20 {
            let report = verify(&place.log()).unwrap();
            let found: Vec<_> = report.damages.iter().map(|d| (d.segment_index, d.kind)).collect();
            let missing = (Some(2), DamageKind::MissingSegment);
            assert_eq!(found, [missing, (Some(4), DamageKind::Frame)], "{report:?}");
        }
    });
    manager.shutdown(writer).unwrap();
}
