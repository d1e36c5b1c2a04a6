//! Memory of a log that was not shut down, replaced by an older copy, cut or gone: what it lacks is
//! reported, and salvaged as far as it is on disk. A log that is being written never looks so.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::read_only::{Meddler, ReadOnly};
use common::segments::{failure, read_on, read_to_end, Image, Log};
use common::{append, open, Place};
use flashstrike_wal::error::{Cause, Error, Result};
use flashstrike_wal::format::Layout;
use flashstrike_wal::recorder::{Manager, Writer};
use flashstrike_wal::replay::DamageKind;
use flashstrike_wal::replay::{verify, Reader, ReaderOptions};
use flashstrike_wal::storage::File;

fn ids(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

/// Zeros for the events from this slot on.
fn clear_from(memory: &Path, slot: u32) {
    let mut bytes = fs::read(memory).unwrap();
    bytes[Layout::event_offset(slot) as usize..].fill(0);
    fs::write(memory, bytes).unwrap();
}

/// The events that a salvaging reader gives, and the ranges that it reports, in order.
fn salvage(log: &Log) -> Vec<std::result::Result<(u64, u64), (u64, u64)>> {
    let mut reader = Reader::open_salvaging(&log.path()).unwrap();
    let mut found = Vec::new();
    loop {
        let (ids, error) = read_on(&mut reader);
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gaps: {ids:?}");
        found.extend(ids.first().map(|first| Ok((*first, first + ids.len() as u64 - 1))));
        if matches!(error, Error::End) {
            break;
        }
        found.push(Err(failure(&error, Cause::Corrupt).place.event_ids.unwrap()));
        assert!(found.len() < 20, "it does not end: {found:?}");
    }
    assert!(matches!(reader.next(), Err(Error::End)), "reported once");
    found
}

/// Somebody has put an older copy of a memory file in its place, before a crash.
#[test]
fn f4_events_that_memory_lacks_and_the_disk_has_are_reported_and_salvaged() {
    let log = Log::of(&[Image::closed(0, 1..=300)]);
    let (_, active) = log.crashed();
    // Durable, though nothing says so yet but their seals.
    log.write(&Image::open(1, 301..=400));
    fs::copy(log.hot(1), active.join("FS.00000001.wal")).unwrap();
    assert_eq!(read_to_end(&mut log.reader()), ids(400), "as it was");
    clear_from(&active.join("FS.00000001.wal"), 60);

    let (found, error) = read_on(&mut log.reader());
    assert_eq!(found, ids(360));
    let place = &failure(&error, Cause::Corrupt).place;
    assert_eq!((place.segment_index, place.event_ids), (Some(1), Some((361, 400))), "{error}");
    assert!(error.to_string().contains("the active directory lacks events"), "{error}");

    assert_eq!(salvage(&log), [Ok((1, 360)), Err((361, 400)), Ok((361, 400))]);
    assert_eq!(verify(&log.path()).unwrap().damage_count, 1);
}

/// The same when the events were not on disk yet, and the log went on in the next segment.
#[test]
fn f4_events_that_memory_lacks_before_a_later_segment_are_reported() {
    let log = Log::of(&[Image::closed(0, 1..=300)]);
    let (_, active) = log.crashed();
    for (index, ids) in [(1, 301..=1324), (2, 1325..=1400)] {
        log.write(&Image::open(index, []));
        let name = format!("FS.{index:08}.wal");
        fs::write(active.join(name), Image::open(index, ids).bytes()).unwrap();
    }
    assert_eq!(read_to_end(&mut log.reader()), ids(1400), "as it was");
    clear_from(&active.join("FS.00000001.wal"), 60);

    let (found, error) = read_on(&mut log.reader());
    assert_eq!(found, ids(360));
    let place = &failure(&error, Cause::Corrupt).place;
    assert_eq!((place.segment_index, place.event_ids), (Some(1), Some((361, 1324))), "{error}");

    assert_eq!(salvage(&log), [Ok((1, 360)), Err((361, 1324)), Ok((1325, 1400))]);
    assert_ne!(verify(&log.path()).unwrap().damage_count, 0);
}

/// All that is left of a log is memory that was cut: a salvaging reader ends.
#[test]
fn f4_cut_memory_of_a_segment_whose_file_is_gone_is_read_as_nothing() {
    let log = Log::new();
    let (_, active) = log.crashed();
    log.write_meta(400);
    let bytes = Image::open(0, 1..=400).bytes();
    fs::write(active.join("FS.00000000.wal"), &bytes).unwrap();
    assert_eq!(read_to_end(&mut log.reader()), ids(400), "as it was");
    fs::write(active.join("FS.00000000.wal"), &bytes[..bytes.len() - 100]).unwrap();
    let (found, error) = read_on(&mut log.reader());
    assert_eq!((found, failure(&error, Cause::Corrupt).place.event_ids), (vec![], Some((1, 400))));
    assert_eq!(salvage(&log), [Err((1, 400))]);
}

/// The same when nothing is left of that memory, or it was cut at a block's end.
#[test]
fn f4_memory_that_is_gone_or_cut_before_a_later_segment_is_reported() {
    for is_cut in [false, true] {
        let log = Log::of(&[Image::closed(0, 1..=300)]);
        let (_, active) = log.crashed();
        log.write(&Image::open(1, 301..=400));
        log.write(&Image::open(2, []));
        fs::write(active.join("FS.00000002.wal"), Image::open(2, 1325..=1400).bytes()).unwrap();
        if is_cut {
            let cut = Image { blocks: 2, ..Image::open(1, 301..=812) };
            fs::write(active.join("FS.00000001.wal"), cut.bytes()).unwrap();
        }

        let (found, error) = read_on(&mut log.reader());
        assert_eq!(found, ids(400));
        let place = &failure(&error, Cause::Corrupt).place;
        assert_eq!((place.segment_index, place.event_ids), (Some(1), Some((401, 1324))), "{error}");

        assert_eq!(salvage(&log), [Ok((1, 400)), Err((401, 1324)), Ok((1325, 1400))]);
        assert_ne!(verify(&log.path()).unwrap().damage_count, 0);
    }
}

/// Segments 1 and 2 are in memory, that of segment 1 ends with event 360 of 1324, and segment 2
/// holds 1325 to 1400.
fn replaced_before_another(on_disk: Image) -> Log {
    let log = Log::of(&[Image::closed(0, 1..=300)]);
    let (_, active) = log.crashed();
    for (index, ids) in [(1, 301..=360), (2, 1325..=1400)] {
        log.write(&Image::open(index, []));
        let name = format!("FS.{index:08}.wal");
        fs::write(active.join(name), Image::open(index, ids).bytes()).unwrap();
    }
    log.write(&on_disk);
    log
}

fn strict(log: &Log) -> (Option<u64>, Option<(u64, u64)>) {
    let (found, error) = read_on(&mut log.reader());
    (found.last().copied(), failure(&error, Cause::Corrupt).place.event_ids)
}

#[test]
fn f4_what_is_on_disk_is_salvaged_before_the_next_segment() {
    let log = replaced_before_another(Image::open(1, 301..=380));
    assert_eq!(strict(&log), (Some(360), Some((361, 380))));
    let expected = [Ok((1, 360)), Err((361, 380)), Ok((361, 380)), Err((381, 1324))];
    assert_eq!(salvage(&log)[..4], expected);
    assert_eq!(salvage(&log)[4..], [Ok((1325, 1400))]);
    let report = verify(&log.path()).unwrap();
    let found: Vec<_> = report.damages.iter().map(|d| (d.kind, d.event_ids)).collect();
    assert_eq!(found, [(DamageKind::Active, (0, 0)), (DamageKind::Active, (381, 1324))]);
    assert_eq!(report.last_event_id, 1400);
}

/// Events on disk that no header seals prove nothing, and hide nothing.
#[test]
fn f4_what_is_not_sealed_on_disk_hides_nothing() {
    let log = replaced_before_another(Image { sealed_blocks: 0, ..Image::open(1, 301..=380) });
    assert_eq!(strict(&log), (Some(360), Some((361, 1324))));
    assert_eq!(salvage(&log), [Ok((1, 360)), Err((361, 1324)), Ok((1325, 1400))]);
}

#[test]
fn f4_verify_counts_what_is_on_disk_of_it_and_behind_it() {
    let log = replaced_before_another(Image::open(1, 301..=1324));
    log.write(&Image::open(2, 1325..=1390));
    log.write_meta(1390);
    let expected = [Ok((1, 360)), Err((361, 1324)), Ok((361, 1400))];
    assert_eq!(salvage(&log), expected);
    let report = verify(&log.path()).unwrap();
    let found: Vec<_> = report.damages.iter().map(|d| d.kind).collect();
    assert_eq!(found, [DamageKind::Active], "{report:?}");
    assert_eq!((report.last_event_id, report.on_disk_event_id), (1400, 1390));
}

/// A sector that cannot be read, where the next event would be.
#[derive(Debug)]
struct BadSector(PathBuf, u64);

impl Meddler for BadSector {
    fn is_in(&self, directory: &Path) -> bool {
        directory == self.0
    }

    fn is_about(&self, name: &str) -> bool {
        name == "FS.00000001.wal"
    }

    fn read_at(&self, file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if (offset..offset + buffer.len() as u64).contains(&self.1) {
            return Err(Error::io("bad sector", &std::io::Error::from_raw_os_error(libc::EIO)));
        }
        file.read_at(buffer, offset)
    }
}

#[test]
fn f4_a_bad_sector_behind_the_end_says_nothing() {
    let log = Log::of(&[Image::closed(0, 1..=300)]);
    let (_, active) = log.crashed();
    log.write(&Image::open(1, []));
    fs::write(active.join("FS.00000001.wal"), Image::open(1, 301..=400).bytes()).unwrap();
    let bad = Arc::new(BadSector(log.path(), Layout::event_offset(100)));
    let options = ReaderOptions { verify: true };
    let strict = Reader::open_with(ReadOnly::under(&bad), &log.path(), options).unwrap();
    let salvaging = Reader::open_salvaging_with(ReadOnly::under(&bad), &log.path()).unwrap();
    for mut reader in [strict, salvaging] {
        assert_eq!(read_to_end(&mut reader), ids(400));
        assert_eq!(read_to_end(&mut reader), [0; 0]);
    }
}

/// Appends an event and makes it durable whenever a reader at its end looks at the disk.
struct JustThen {
    wal: PathBuf,
    log: Mutex<(Manager, Writer)>,
    last: AtomicU64,
    most: u64,
}

impl std::fmt::Debug for JustThen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JustThen")
    }
}

impl Meddler for JustThen {
    fn is_in(&self, directory: &Path) -> bool {
        directory == self.wal
    }

    fn is_about(&self, name: &str) -> bool {
        name.starts_with("FS.")
    }

    fn read_at(&self, file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let is_at_the_end = buffer.len() == 8 && offset > Layout::event_offset(0);
        if is_at_the_end && self.last.load(Ordering::Relaxed) < self.most {
            let (manager, writer) = &mut *self.log.lock().unwrap();
            let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            append(writer, id..=id);
            manager.log().sync().unwrap();
        }
        file.read_at(buffer, offset)
    }
}

/// A reader at the end of its copy of memory finds the next event on disk, each time: no damage.
#[test]
fn f4_a_log_that_is_written_between_two_looks_lacks_nothing() {
    const MOST: u64 = 300;
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=100);
    manager.log().sync().unwrap();
    let (log, last) = (Mutex::new((manager, writer)), AtomicU64::new(100));
    let meddler = Arc::new(JustThen { wal: place.log(), log, last, most: MOST });
    let options = ReaderOptions { verify: true };
    let mut reader = Reader::open_with(ReadOnly::under(&meddler), &place.log(), options).unwrap();
    reader.seek(1_000).unwrap();
    let error = reader.next().unwrap_err();
    assert!(matches!(error, Error::End), "{error}");
    assert_eq!(meddler.last.load(Ordering::Relaxed), MOST, "it looked that often");
    drop(reader);
    let Ok(meddler) = Arc::try_unwrap(meddler) else { panic!("the reader is gone") };
    let (manager, writer) = meddler.log.into_inner().unwrap();
    manager.shutdown(writer).unwrap();
}
