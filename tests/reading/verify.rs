//! `verify` reports every kind of damage, its place and the events it concerns, and changes
//! nothing.

use std::fs;
use std::os::unix::fs::{symlink, FileExt};

use common::segments::{event_at, Image, Log};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::{file_name, Layout};
use flashstrike_wal::replay::{verify, Damage, DamageKind, VerifyReport};
use DamageKind::*;

fn check(log: &Log) -> VerifyReport {
    let before = common::contents(&log.path());
    let report = verify(&log.path()).unwrap();
    assert_eq!(common::contents(&log.path()), before, "nothing is changed");
    assert_eq!(report.damage_count, report.damages.len() as u64);
    report
}

/// Kind, file, offset in the file and event ids of a damage.
type Found<'a> = (DamageKind, &'a str, u64, (u64, u64));

fn found(report: &VerifyReport) -> Vec<Found<'_>> {
    let place = |d: &Damage| (d.kind, d.file_offset, d.event_ids);
    let all = report.damages.iter().map(|d| (d.file_name(), place(d)));
    all.map(|(name, (kind, at, ids))| (kind, name, at, ids)).collect()
}

const HOT_1: &str = "FS.00000001.wal";
const COLD_1: &str = "FS.00000001.wal.lz4";

/// The log must have exactly this damage.
fn only(log: &Log, what: &str, damage: Found<'_>) {
    let report = check(log);
    assert_eq!(found(&report), [damage], "{what}");
    let error = report.result().unwrap_err();
    assert_eq!(error.cause(), Some(Cause::Corrupt), "{what}: {error}");
    assert!(error.to_string().contains(damage.1), "{what}: {error}");
}

fn block(n: u32) -> u64 {
    Layout::block_offset(n)
}

#[test]
fn a_good_log_is_counted() {
    let log = Log::of_a_thousand();
    log.freeze(0);
    log.write(&Image { blocks: 16, ..Image::open(3, 1001..=1300) });
    log.write(&Image::open(4, []));
    log.write_meta(1300);
    fs::write(log.path().join("notes.txt"), "mine").unwrap();
    fs::write(log.path().join("FS.7.wal"), "not its one spelling").unwrap();
    fs::write(log.path().join("FS.00000003.wal.corrupt"), "").unwrap();
    fs::write(log.path().join("FS.00000003.wal.corrupt.2"), "").unwrap();
    fs::write(log.path().join("FS.00000009.wal.tmp"), "being written").unwrap();
    let report = check(&log);
    assert!(report.result().is_ok(), "{:?}", report.damages);
    let segments = (report.hot_segments, report.cold_segments, report.open_segments);
    assert_eq!(segments, (2, 1, 2));
    assert_eq!((report.foreign_files, report.kept_aside_files), (2, 2));
    assert_eq!((report.blocks, report.events), (2 + 3 + 1 + 2, 1300));
    assert_eq!((report.first_event_id, report.last_event_id), (1, 1300));
    assert_eq!(report.durable_event_id, 1300);
    let cold = fs::metadata(log.cold(0)).unwrap().len();
    assert!(report.bytes > cold + block(3) + block(1) + block(2), "{}", report.bytes);
}

#[test]
fn headers_and_blocks() {
    type Change = fn(&Log);
    let none = (0, 0);
    type Case = (&'static str, Change, DamageKind, u64, (u64, u64));
    let cases: [Case; 9] = [
        ("segment header", |l| l.flip(1, 9), SegmentHeader, 0, none),
        ("counts", |l| l.change_header(1, |h| h.event_count -= 1), SegmentHeader, 0, none),
        (
            "chain's end",
            |l| l.change_header(1, |h| h.last_chained_checksum ^= 1),
            SegmentHeader,
            0,
            none,
        ),
        ("another's", |l| l.change_header(1, |h| h.segment_index = 7), Misnamed, 0, (301, 900)),
        ("block header", |l| l.flip(1, block(1) + 50), BlockHeader, block(1), (557, 812)),
        (
            "block index",
            |l| l.change_block(1, 1, |b| b.block_index = 2),
            BlockHeader,
            block(1),
            (557, 812),
        ),
        ("events", |l| l.flip(1, event_at(1, 200) + 63), Block, block(1), (557, 812)),
        (
            "chain",
            |l| l.change_block(1, 1, |b| b.chained_checksum ^= 1),
            Chain,
            block(1),
            (557, 812),
        ),
        ("last block", |l| l.flip(1, block(2)), BlockHeader, block(2), (813, 900)),
    ];
    for (what, change, kind, offset, ids) in cases {
        let log = Log::of_a_thousand();
        change(&log);
        let report = check(&log);
        let first = found(&report).first().copied();
        assert_eq!(first, Some((kind, HOT_1, offset, ids)), "{what}: {report:?}");
        assert!(report.damages.iter().all(|d| d.segment_index == Some(1)), "{what}: {report:?}");
        // The same content in a cold segment: the frame is valid, its content is not.
        log.freeze(1);
        let report = check(&log);
        let first = report.damages.first().expect(what);
        assert_eq!(
            (first.kind, first.offset, first.event_ids),
            (kind, offset, ids),
            "{what}, cold"
        );
        assert_eq!(first.file_name(), COLD_1);
    }
}

/// A valid header that counts no events, before events: it is not believed, and they are read.
#[test]
fn a_header_that_denies_its_events() {
    let log = Log::of_a_thousand();
    log.change_header(1, |header| {
        (header.block_count, header.event_count) = (0, 0);
        (header.first_event_id, header.last_event_id) = (0, 0);
        header.last_chained_checksum = 0;
    });
    let report = check(&log);
    assert_eq!(found(&report), [(SegmentHeader, HOT_1, 0, (0, 0))], "{report:?}");
    assert_eq!(report.events, 1000);
}

#[test]
fn ids_that_do_not_rise() {
    let log = Log::of_a_thousand();
    log.write(&Image::closed(1, (301..=556).chain(500..=843)));
    let report = check(&log);
    assert_eq!(found(&report)[0], (Order, HOT_1, block(1), (500, 755)));
    let log = self::Log::of_a_thousand();
    log.write(&Image::closed(2, 850..=949));
    let order = (Order, "FS.00000002.wal", 64, (850, 949));
    assert_eq!(found(&check(&log))[0], order, "from segment to segment");
}

/// A misplaced file does not make the others wrong.
#[test]
fn swapped_files() {
    let log = Log::of_a_thousand();
    fs::rename(log.hot(2), log.path().join("two")).unwrap();
    fs::rename(log.hot(0), log.hot(2)).unwrap();
    fs::rename(log.path().join("two"), log.hot(0)).unwrap();
    let expected = [
        (Misnamed, "FS.00000000.wal", 0, (901, 1000)),
        (Misnamed, "FS.00000002.wal", 0, (1, 300)),
        (DurableLost, "wal_meta.dat", 0, (901, 1000)),
    ];
    let report = check(&log);
    assert_eq!((found(&report), report.events), (expected.to_vec(), 600));
}

#[test]
fn files_that_are_cut_short_or_gone() {
    let log = Log::of_a_thousand();
    let file = fs::OpenOptions::new().write(true).open(log.hot(1)).unwrap();
    file.set_len(event_at(2, 50)).unwrap();
    only(&log, "in a block", (Truncated, HOT_1, block(2), (813, 900)));
    file.set_len(block(1)).unwrap();
    only(&log, "between blocks", (Truncated, HOT_1, block(1), (557, 900)));
    fs::remove_file(log.hot(1)).unwrap();
    only(&log, "gone", (MissingSegment, HOT_1, 0, (301, 900)));

    let log = self::Log::of_a_thousand();
    fs::remove_file(log.hot(0)).unwrap();
    assert_eq!(check(&log).damage_count, 0, "the oldest goes by retention");
    fs::remove_file(log.hot(2)).unwrap();
    only(&log, "the newest", (DurableLost, "wal_meta.dat", 0, (901, 1000)));
}

#[test]
fn cold_segments() {
    let frozen = || {
        let log = Log::of_a_thousand();
        log.freeze(1);
        log
    };
    let append = |log: &Log, bytes: &[u8]| {
        let mut frame = fs::read(log.cold(1)).unwrap();
        let end = frame.len() as u64;
        frame.extend_from_slice(bytes);
        fs::write(log.cold(1), frame).unwrap();
        end
    };
    let log = frozen();
    let end = append(&log, b"x");
    only(&log, "a byte after the frame", (Trailing, COLD_1, end, (0, 0)));
    let log = frozen();
    let again = fs::read(log.cold(1)).unwrap();
    let end = append(&log, &again);
    only(&log, "the frame twice", (Trailing, COLD_1, end, (0, 0)));
    let log = frozen();
    let end = fs::metadata(log.cold(1)).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(log.cold(1)).unwrap();
    file.set_len(end - 3).unwrap();
    only(&log, "cut in its checksum", (Frame, COLD_1, end - 8, (0, 0)));
    file.set_len(end - 6).unwrap();
    only(&log, "cut in its end mark", (Frame, COLD_1, end - 8, (0, 0)));
    file.set_len(9).unwrap();
    let report = check(&log);
    assert!(found(&report).contains(&(Frame, COLD_1, 0, (301, 0))), "{report:?}");
    assert!(report.result().is_err());

    // Frames of other compressors are accepted.
    let log = self::Log::of_a_thousand();
    log.freeze_bare(1);
    let report = check(&log);
    assert_eq!(report.damage_count, 0, "{report:?}");
}

#[test]
fn pairs() {
    let log = Log::of_a_thousand();
    log.write_frame(1);
    let report = check(&log);
    assert_eq!((report.damage_count, report.events), (0, 1000), "both are good: counted once");
    log.write(&Image { stamp: 300, ..Image::closed(1, (301..=899).chain([950])) });
    log.write(&Image::closed(2, 951..=1000));
    only(&log, "they differ", (Twins, COLD_1, 0, (0, 0)));
}

#[test]
fn records() {
    let log = Log::of_a_thousand();
    let meta = log.path().join(file_name::META);
    let good = fs::read(&meta).unwrap();
    let mut bad = good.clone();
    bad[3] ^= 4;
    fs::write(&meta, bad).unwrap();
    only(&log, "meta", (Meta, "wal_meta.dat", 0, (0, 0)));
    fs::write(&meta, &good[..16]).unwrap();
    assert_eq!(check(&log).damage_count, 0, "the C++ recorder's");
    log.write_meta(1001);
    only(&log, "meta runs ahead", (DurableLost, "wal_meta.dat", 0, (1001, 1001)));
    log.write_meta(1000);
    fs::write(log.path().join(file_name::IDENTITY), "id=7\n").unwrap();
    only(&log, "identity", (Identity, "wal_identity", 0, (0, 0)));
}

#[test]
fn open_segments_by_what_is_durable() {
    let open = || {
        let log = Log::of_a_thousand();
        log.write(&Image { sealed_blocks: 2, ..Image::open(3, 1001..=1700) });
        log.write_meta(1512);
        log
    };
    assert_eq!(check(&open()).result().map_err(|e| e.to_string()), Ok(()));
    assert_eq!(check(&open()).last_event_id, 1512, "what is not sealed does not count");
    const HOT_3: &str = "FS.00000003.wal";
    let log = open();
    log.flip(3, event_at(0, 7) + 30);
    only(&log, "an event", (Block, HOT_3, block(0), (1001, 1256)));
    let log = open();
    log.flip(3, block(1) + 20);
    only(&log, "a header", (BlockHeader, HOT_3, block(1), (0, 0)));
    let log = open();
    let file = fs::OpenOptions::new().write(true).open(log.hot(3)).unwrap();
    file.write_all_at(&[0; 64], block(0)).unwrap();
    file.write_all_at(&[0; 64], event_at(0, 10)).unwrap();
    let report = check(&log);
    assert_eq!(found(&report)[1], (DurableLost, HOT_3, event_at(0, 10), (1011, 1256)));
    let log = open();
    log.write_meta(1600);
    let lost = (DurableLost, HOT_3, event_at(2, 88), (1601, 1700));
    log.write_meta(1700);
    assert_eq!(check(&log).damage_count, 1, "not sealed, and durable all the same: {lost:?}");
}

#[test]
fn several_at_once() {
    let log = Log::of_a_thousand();
    log.flip(0, 5);
    log.flip(0, event_at(0, 3));
    log.flip(1, block(0));
    log.flip(1, event_at(2, 1) + 8);
    log.flip(2, event_at(0, 0) + 9);
    let report = check(&log);
    let expected = [
        (SegmentHeader, "FS.00000000.wal", 0, (0, 0)),
        (Block, "FS.00000000.wal", block(0), (1, 256)),
        (BlockHeader, HOT_1, block(0), (301, 556)),
        (Block, HOT_1, block(2), (813, 900)),
        (Block, "FS.00000002.wal", block(0), (901, 1000)),
    ];
    assert_eq!(found(&report), expected);
    assert_eq!(report.events, 1000 - 256 - 256 - 88 - 100);
    let message = report.result().unwrap_err().to_string();
    assert!(message.ends_with("; 5 things are wrong in all"), "{message}");
}

#[test]
fn more_damages_than_a_report_lists_are_counted() {
    let images: Vec<_> = (0..20).map(|n| Image::closed(n, [u64::from(n) + 1])).collect();
    let log = Log::of(&images);
    (0..20).for_each(|n| log.flip(n, event_at(0, 0) + 9));
    let report = verify(&log.path()).unwrap();
    assert_eq!((report.damage_count, report.damages.len()), (20, 16));
    assert_eq!(report.damages[15].segment_index, Some(15));
}

#[test]
fn unreadable_files_do_not_stop_the_rest() {
    let log = Log::of_a_thousand();
    fs::remove_file(log.hot(0)).unwrap();
    fs::create_dir(log.hot(0)).unwrap();
    let report = check(&log);
    assert_eq!(found(&report), [(Unreadable, "FS.00000000.wal", 0, (0, 0))]);
    assert_eq!(report.events, 700);
    let error = report.result().unwrap_err();
    assert_eq!((error.cause(), error.errno()), (Some(Cause::Io), libc::EISDIR), "{error}");
    // Damage comes first.
    log.flip(2, event_at(0, 0) + 9);
    assert_eq!(check(&log).result().unwrap_err().cause(), Some(Cause::Corrupt));
    fs::remove_dir(log.hot(0)).unwrap();
    symlink(log.hot(1), log.hot(0)).unwrap();
    assert_eq!(found(&check(&log))[0].0, Unreadable, "links are not followed");
}

#[test]
fn a_crashed_log_and_its_active_directory() {
    let crashed = || {
        let log = Log::of_a_thousand();
        log.write(&Image { sealed_blocks: 1, ..Image::open(3, 1001..=1256) });
        log.write_meta(1256);
        let (_, active) = log.crashed();
        fs::write(active.join("FS.00000003.wal"), Image::open(3, 1001..=1400).bytes()).unwrap();
        (log, active)
    };
    let (log, active) = crashed();
    let report = check(&log);
    assert!(report.result().is_ok(), "{report:?}");
    assert_eq!((report.last_event_id, report.events), (1400, 1400), "memory counts");
    let file = fs::OpenOptions::new().write(true).open(active.join("FS.00000003.wal")).unwrap();
    file.write_all_at(&[9], event_at(0, 7) + 20).unwrap();
    only(&log, "other bytes", (Active, "FS.00000003.wal", 0, (0, 0)));
    fs::remove_file(active.join("FS.00000003.wal")).unwrap();
    only(&log, "its file is gone", (Active, "FS.00000003.wal", 0, (0, 0)));
    fs::remove_dir_all(&active).unwrap();
    only(&log, "it is gone", (Active, "active", 0, (0, 0)));
}

/// What stops a reader in segments that were never closed.
#[test]
fn open_segments_that_do_not_fit_together() {
    let two_open = || {
        let log = Log::of_a_thousand();
        log.write(&Image { blocks: 2, ..Image::open(3, 1001..=1512) });
        log.write(&Image { stamp: 1512, ..Image::open(4, 1513..=1600) });
        log.write_meta(1560);
        log
    };
    assert!(check(&two_open()).result().is_ok());
    const HOT_3: &str = "FS.00000003.wal";

    let log = two_open();
    log.change_block(3, 1, |header| header.chained_checksum ^= 1);
    only(&log, "chain", (Chain, HOT_3, block(1), (1257, 1512)));

    let log = two_open();
    fs::File::options().write(true).open(log.hot(3)).unwrap().set_len(20_000).unwrap();
    only(&log, "cut", (Truncated, HOT_3, block(1), (1257, 1512)));

    let log = Log::of_a_thousand();
    log.write(&Image::open(3, 1001..=1512));
    log.write(&Image { stamp: 1512, ..Image::open(4, 1513..=1600) });
    log.write_meta(1560);
    only(&log, "not full, and the log goes on", (SegmentHeader, HOT_3, 0, (0, 0)));

    let log = Log::of_a_thousand();
    log.change_header(1, |header| header.closed_ts_ns = 0);
    only(&log, "closed later, so closed", (SegmentHeader, HOT_1, 0, (0, 0)));
}
