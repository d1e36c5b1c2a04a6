//! What bugs of `backup` would leave, planted into a backup that is right.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use flashstrike_wal::directory::Inventory;
use flashstrike_wal::format::{
    file_name, BlockHeader, Layout, SegmentHeader, BLOCK_HEADER_SIZE, SEGMENT_HEADER_SIZE,
};
use flashstrike_wal::storage::{Links, PosixStorage, Storage};

use crate::support::{command, text, wait_until};

use super::storm::Storm;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The last segment is copied as a file, not sealed anew at the last event.
    LastSegmentCopied,
    /// Its stamps are those of the log, which has gone on.
    StampsAsTheyWere,
    /// The log's holds are copied along.
    HoldsCopied,
    /// It has its name before all of it is there.
    NamedEarly,
}

impl Bug {
    pub const ALL: [Bug; 4] =
        [Bug::LastSegmentCopied, Bug::StampsAsTheyWere, Bug::HoldsCopied, Bug::NamedEarly];

    pub fn spoil(self, storm: &mut Storm, out: &Path) {
        match self {
            Bug::LastSegmentCopied => copy_last_segment(&storm.place.log(), out),
            Bug::StampsAsTheyWere => {
                let last = file_name::hot(last_segment(out));
                let durable = storm.engine.durable();
                wait_until("the log goes on", || storm.engine.durable() > durable + 256);
                stamp(&out.join(last), storm.engine.durable());
            }
            Bug::HoldsCopied => {
                let holds = storm.place.log().join("wal_holds");
                assert!(Command::new("cp")
                    .arg("-r")
                    .arg(holds)
                    .arg(out)
                    .status()
                    .unwrap()
                    .success());
            }
            Bug::NamedEarly => while !name_early(&storm.place.log(), out) {},
        }
    }
}

fn last_segment(log: &Path) -> u32 {
    let directory = PosixStorage::for_reading().open_directory(log, Links::Follow);
    let inventory = Inventory::of(&*directory.unwrap().unwrap()).unwrap();
    *inventory.indexes().last().unwrap()
}

/// The log has that segment, hot or cold: a hold keeps it.
fn copy_last_segment(log: &Path, out: &Path) {
    let index = last_segment(out);
    fs::remove_file(out.join(file_name::hot(index))).unwrap();
    wait_until("the segment's file is copied", || {
        [file_name::hot(index), file_name::cold(index)]
            .into_iter()
            .any(|name| fs::copy(log.join(&name), out.join(&name)).is_ok())
    });
}

/// Makes all stamps of a segment say that events up to this one are durable.
fn stamp(segment: &Path, durable: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(segment).unwrap();
    let mut header = [0; SEGMENT_HEADER_SIZE];
    file.read_exact_at(&mut header, 0).unwrap();
    for block in 0..SegmentHeader::decode(&header).unwrap().block_count {
        let mut bytes = [0; BLOCK_HEADER_SIZE];
        file.read_exact_at(&mut bytes, Layout::block_offset(block)).unwrap();
        let seal = BlockHeader::decode(&bytes).unwrap();
        let stamped = BlockHeader { durable_event_id: durable, ..seal };
        file.write_all_at(&stamped.encode(), Layout::block_offset(block)).unwrap();
    }
}

/// Kills a run and names what it has made so far. `false` when it was done before.
fn name_early(log: &Path, out: &Path) -> bool {
    let partial = out.with_file_name("backup.partial");
    let _ = fs::remove_dir_all(&partial);
    let run = command(&["backup", text(log), text(out)]).stdout(Stdio::null()).spawn();
    let mut run = run.unwrap();
    let has_begun = || fs::read_dir(&partial).is_ok_and(|mut files| files.next().is_some());
    while !has_begun() && run.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let _ = fs::remove_dir_all(out);
    !partial.join("wal_identity").exists() && fs::rename(&partial, out).is_ok()
}
