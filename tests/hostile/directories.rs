//! Directories that no recorder leaves behind: foreign files in them are not touched. A tampered
//! log is either whole, or refused with a message that names the place, and then unchanged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{symlink, FileExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use common::segments::Log;
use common::tampered::{config, log, read, within_time, LAST};
use common::{append, contents, names};
use flashstrike_wal::error::Error;
use flashstrike_wal::format::{file_name, Layout, BLOCK_SIZE};
use flashstrike_wal::recorder::Manager;

/// The required outcome for a tampered log.
#[derive(Clone, Copy)]
enum Then {
    /// Every event is there.
    Whole,
    /// Every event from this one on: the missing ones look like those that retention deletes.
    From(u64),
    /// An error that contains this word.
    Refused(&'static str),
}
use Then::{From, Refused, Whole};

/// Opens and reads a tampered log. Neither reading nor refusing may change anything.
fn check(what: &str, log: &Log, open: Then, reading: Then) {
    let before = contents(&log.path());
    let path = log.path();
    let (ids, end) = within_time(what, move || read(&path));
    let whole = |first| matches!(end, Error::End) && ids == (first, LAST);
    match reading {
        Whole => assert!(whole(1), "{what}: {ids:?}, {end}"),
        From(first) => assert!(whole(first), "{what}: {ids:?}, {end}"),
        Refused(word) => assert!(end.to_string().contains(word), "{what}: {ids:?}, {end}"),
    }
    assert_eq!(contents(&log.path()), before, "{what}: reading changed it");

    let (path, config) = (log.path(), config(log.memory()));
    let opened = within_time(what, move || Manager::open(&path, config));
    match (opened, open) {
        (Ok((manager, mut writer)), Whole | From(_)) => {
            assert_eq!(manager.log().appended().last_event_id, LAST, "{what}");
            append(&mut writer, [LAST + 1]);
            manager.shutdown(writer).unwrap();
            if matches!(reading, Whole) {
                let (ids, end) = read(&log.path());
                assert!(
                    matches!(end, Error::End) && ids == (1, LAST + 1),
                    "{what}: {ids:?}, {end}"
                );
            }
        }
        (Ok(_), Refused(_)) => panic!("{what}: opened"),
        (Err(error), Whole | From(_)) => panic!("{what}: {error}"),
        (Err(error), Refused(word)) => {
            assert!(error.to_string().contains(word), "{what}: {error}");
            assert_eq!(contents(&log.path()), before, "{what}: refusing changed it");
            assert!(names(log.memory()).is_empty(), "{what}: left in memory");
        }
    }
}

fn swap(a: &Path, b: &Path) {
    let between = a.with_extension("between");
    fs::rename(a, &between).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(between, b).unwrap();
}

fn swap_blocks(a: &Path, block_a: u32, b: &Path, block_b: u32) {
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (file_a, file_b) = (open(a), open(b));
    let (at_a, at_b) = (Layout::block_offset(block_a), Layout::block_offset(block_b));
    let (mut in_a, mut in_b) = (vec![0; BLOCK_SIZE], vec![0; BLOCK_SIZE]);
    file_a.read_exact_at(&mut in_a, at_a).unwrap();
    file_b.read_exact_at(&mut in_b, at_b).unwrap();
    file_a.write_all_at(&in_b, at_a).unwrap();
    file_b.write_all_at(&in_a, at_b).unwrap();
}

fn resize(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// A way to tamper with the log, and the outcomes of opening and of reading it.
type Row = (&'static str, fn(&Log), Then, Then);

/// Opening does not read segments before the newest closed one: there it gives `Whole`, and only
/// reading reports the place.
const ROWS: &[Row] = &[
    ("untouched", |_| {}, Whole, Whole),
    ("0 empty", |l| resize(&l.hot(0), 0), Whole, Refused("FS.00000000.wal")),
    ("1 empty", |l| resize(&l.hot(1), 0), Refused("601 to 1400"), Refused("601 to 1400")),
    ("2 empty", |l| resize(&l.hot(2), 0), Refused("1001 to 1400"), Refused("1001 to 1400")),
    ("0 cut", |l| resize(&l.hot(0), 20_000), Whole, Refused("FS.00000000.wal")),
    ("1 cut", |l| resize(&l.hot(1), 20_000), Refused("857 to 1400"), Refused("FS.00000001")),
    (
        "1 cut at a block",
        |l| resize(&l.hot(1), Layout { blocks: 1 }.file_size()),
        Refused("segment 1"),
        Refused("FS.00000001.wal"),
    ),
    ("2 cut", |l| resize(&l.hot(2), 20_000), Refused("1257 to 1400"), Refused("1257 to 1400")),
    ("2 longer", |l| resize(&l.hot(2), 100_000), Whole, Whole),
    ("1 longer", |l| resize(&l.hot(1), 100_000), Whole, Whole),
    (
        "1 also as 3",
        |l| drop(fs::copy(l.hot(1), l.hot(3))),
        Refused("segment 3"),
        Refused("FS.00000002.wal"),
    ),
    ("1 also as 9", |l| drop(fs::copy(l.hot(1), l.hot(9))), Refused("segment 9"), Whole),
    ("0 as 9", |l| fs::rename(l.hot(0), l.hot(9)).unwrap(), Refused("segment 9"), From(601)),
    (
        "1 as 3",
        |l| fs::rename(l.hot(1), l.hot(3)).unwrap(),
        Refused("601 to 1400"),
        Refused("FS.00000002.wal"),
    ),
    (
        "2 as 3",
        |l| fs::rename(l.hot(2), l.hot(3)).unwrap(),
        Refused("1001 to 1400"),
        Refused("FS.00000003.wal"),
    ),
    ("2 also as 3", |l| drop(fs::copy(l.hot(2), l.hot(3))), Whole, Whole),
    (
        "0 and 1 exchanged",
        |l| swap(&l.hot(0), &l.hot(1)),
        Refused("segment 0"),
        Refused("FS.00000000.wal"),
    ),
    (
        "1 and 2 exchanged",
        |l| swap(&l.hot(1), &l.hot(2)),
        Refused("segment 1"),
        Refused("FS.00000001.wal"),
    ),
    (
        "blocks of 0 exchanged",
        |l| swap_blocks(&l.hot(0), 0, &l.hot(0), 1),
        Whole,
        Refused("FS.00000000.wal"),
    ),
    (
        "blocks of 1 exchanged",
        |l| swap_blocks(&l.hot(1), 0, &l.hot(1), 1),
        Refused("601 to 1400"),
        Refused("FS.00000001.wal"),
    ),
    (
        "blocks of 2 exchanged",
        |l| swap_blocks(&l.hot(2), 0, &l.hot(2), 1),
        Refused("1001 to 1400"),
        Refused("FS.00000002.wal"),
    ),
    (
        "blocks of 1 and 2 exchanged",
        |l| swap_blocks(&l.hot(1), 1, &l.hot(2), 1),
        Refused("857 to 1400"),
        Refused("FS.00000001.wal"),
    ),
    ("no frame beside 0", |l| fs::write(l.cold(0), b"no frame").unwrap(), Whole, Whole),
    (
        "the wrong frame beside 0",
        |l| {
            l.write_frame(1);
            fs::rename(l.cold(1), l.cold(0)).unwrap();
        },
        Whole,
        Whole,
    ),
    (
        "0 cold under the name of 1",
        |l| {
            l.freeze(0);
            fs::rename(l.cold(0), l.cold(1)).unwrap();
            fs::remove_file(l.hot(1)).unwrap();
        },
        Refused("segment 1"),
        Refused("FS.00000001.wal.lz4"),
    ),
    (
        "0 cold and cut",
        |l| {
            l.freeze(0);
            resize(&l.cold(0), 1000);
        },
        Whole,
        Refused("FS.00000000.wal.lz4"),
    ),
    (
        "meta ahead of the log",
        |l| l.write_meta(1501),
        Refused("1501 to 1501"),
        Refused("1501 to 1501"),
    ),
    ("meta empty", |l| fs::write(l.path().join(file_name::META), b"").unwrap(), Whole, Whole),
    (
        "a megabyte of identity",
        |l| fs::write(l.path().join(file_name::IDENTITY), vec![b'='; 1 << 20]).unwrap(),
        Whole,
        Whole,
    ),
];

#[test]
fn g6_tampered_segments_are_refused_or_whole() {
    for (what, tamper, open, reading) in ROWS {
        let log = log();
        tamper(&log);
        check(what, &log, *open, *reading);
    }
}

/// Puts something under a file name.
type Plant = (&'static str, fn(&Path));

/// Anything but a regular file under a name of ours is never followed, read or removed.
#[test]
fn g13_anything_but_a_file_is_refused_and_left_alone() {
    let plants: &[Plant] = &[
        ("link to a copy", |path| {
            let copy = path.with_extension("elsewhere");
            if path.exists() {
                fs::rename(path, &copy).unwrap();
            }
            symlink(copy, path).unwrap();
        }),
        ("dangling link", |path| symlink("nowhere", path).unwrap()),
        ("link to a directory", |path| symlink("/", path).unwrap()),
        ("link to a device", |path| symlink("/dev/zero", path).unwrap()),
        ("link to itself", |path| symlink(path, path).unwrap()),
        ("directory", |path| fs::create_dir(path).unwrap()),
        ("pipe", |path| run(Command::new("mkfifo").arg(path))),
        ("socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("device", |path| run(Command::new("mknod").arg(path).args(["c", "1", "5"]))),
    ];
    let root = rustix::process::geteuid().is_root();
    let files = [
        "FS.00000000.wal",
        "FS.00000001.wal",
        "FS.00000002.wal",
        "FS.00000003.wal",
        "FS.00000000.wal.lz4",
        "wal_meta.dat",
        "wal_identity",
        "wal_lock",
    ];
    for (kind, plant) in plants {
        if *kind == "device" && !root {
            common::skipped("making a device needs root");
            continue;
        }
        for name in files {
            let what = format!("{kind} as {name}");
            let log = log();
            let path = log.path().join(name);
            if name.ends_with(".lz4") {
                fs::remove_file(log.hot(0)).unwrap();
            }
            if *kind != "link to a copy" {
                let _ = fs::remove_file(&path);
            }
            plant(&path);
            let before = fs::symlink_metadata(&path).unwrap();
            let reading = if name == "wal_lock" { Whole } else { Refused(name) };
            check(&what, &log, Refused(name), reading);
            let after = fs::symlink_metadata(&path).unwrap();
            assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()), "{what}");
        }
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Many files with names almost like ours.
#[test]
fn foreign_files_are_never_touched() {
    let log = log();
    let foreign = |n: u32| match n % 8 {
        0 => format!("FS.{n}.wal"),
        1 => format!("FS.0{n:08}.wal"),
        2 => format!("FS.{n:08}.wal.corrupt"),
        3 => format!("FS.{n:08}.wal.lz4.corrupt.1"),
        4 => format!("FS.{n:08}.WAL"),
        5 => format!("FS.{n:08}.wal.LZ4"),
        6 => format!(" FS.{n:08}.wal"),
        _ => format!("wal_meta.dat.{n}"),
    };
    const MANY: u32 = 10_000;
    for n in 0..MANY {
        fs::write(log.path().join(foreign(n)), n.to_string()).unwrap();
    }
    check("foreign files", &log, Whole, Whole);
    for n in 0..MANY {
        assert_eq!(fs::read_to_string(log.path().join(foreign(n))).unwrap(), n.to_string());
    }
}
