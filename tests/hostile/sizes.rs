//! Files larger than any memory: opening and reading them needs little memory, and ends.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use common::child;
use common::segments::Log;
use common::tampered::{log, within_time, LAST};
use flashstrike_wal::format::{file_name, Layout};

fn resize(path: &Path, len: u64) {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap()
        .set_len(len)
        .unwrap();
}

/// What is made huge, and in which log.
type Row = (&'static str, fn(&Log));

/// Empty files of many gigabytes, and frames that expand to far more than their own size.
#[test]
fn huge_files_take_no_memory() {
    const HUGE: u64 = 1 << 40;
    let rows: &[Row] = &[
        ("a segment that was never used", |l| {
            fs::write(l.hot(3), b"").unwrap();
            resize(&l.hot(3), HUGE);
        }),
        ("the segment that goes on", |l| resize(&l.hot(2), HUGE)),
        // A multiple of the block size, so that the log could go on in it.
        ("the last segment, larger than the active set", |l| {
            resize(&l.hot(2), Layout { blocks: 20_000 }.file_size());
        }),
        ("the last segment, with holes behind damaged events", |l| {
            let file = OpenOptions::new().write(true).open(l.hot(2)).unwrap();
            file.write_all_at(&[0; 8], Layout::event_offset(100)).unwrap();
            resize(&l.hot(2), HUGE);
        }),
        ("a closed segment", |l| resize(&l.hot(0), HUGE)),
        ("meta", |l| resize(&l.path().join(file_name::META), HUGE)),
        ("identity", |l| resize(&l.path().join(file_name::IDENTITY), HUGE)),
        ("a lock", |l| {
            fs::write(l.path().join(file_name::LOCK), b"").unwrap();
            resize(&l.path().join(file_name::LOCK), HUGE);
        }),
        ("a cold segment of zeros", |l| {
            fs::write(l.cold(0), b"").unwrap();
            resize(&l.cold(0), HUGE);
        }),
        ("a temporary file", |l| {
            fs::write(l.path().join("FS.00000003.wal.tmp"), b"").unwrap();
            resize(&l.path().join("FS.00000003.wal.tmp"), HUGE);
        }),
        ("a frame that holds a gigabyte of zeros", |l| {
            use std::io::Read;
            let mut content = fs::File::open(l.hot(0)).unwrap().chain(std::io::repeat(0));
            let frame = fs::File::create(l.cold(0)).unwrap();
            flashstrike_wal::format::cold_frame::compress(&mut content, 1 << 30, frame).unwrap();
            fs::remove_file(l.hot(0)).unwrap();
        }),
    ];
    // In parallel: some take ten seconds of a processor.
    let start = |(what, make): &Row| {
        let log = log();
        make(&log);
        let (path, memory) = (log.path(), log.memory().display());
        let child = child::spawn("stay-small", &[&path.display(), &memory, &LAST]);
        (*what, log, child)
    };
    for (what, log, child) in rows.iter().map(start).collect::<Vec<_>>() {
        let output = within_time(what, move || child.wait_with_output().unwrap());
        child::assert_succeeded(what, &output);
        let files = fs::read_dir(log.path()).unwrap();
        let used: u64 = files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum();
        assert!(used < 500 << 20, "{what}: {used} bytes on disk");
    }
}
