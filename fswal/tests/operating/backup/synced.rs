//! Nothing has the backup's name before it is on disk: by its system calls.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use crate::support::{text, Place, PER_SEGMENT};

#[test]
fn it_is_synced_before_it_is_named() {
    if Command::new("strace").arg("--version").output().is_err() {
        return println!("skipped: strace is not installed");
    }
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT + 700);
    let (out, calls) = (place.base().join("backup"), place.base().join("calls"));
    // Syncs are slow, so that whoever does not wait for one goes on before it is done.
    let run = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2"])
        .args(["-e", "inject=fdatasync:delay_enter=50000", "-o"])
        .args([&calls, Path::new(env!("CARGO_BIN_EXE_fswal")), Path::new("backup")])
        .args([&place.log(), &out])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let calls = std::fs::read_to_string(calls).unwrap();
    let naming = format!("{}\"", text(&out));
    let (before, after) = calls.split_at(calls.find(&naming).expect("it is renamed"));
    let partial = format!("{}.partial", text(&out));
    for file in std::fs::read_dir(&out).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(is_synced(before, &format!("{partial}/{name}")), "{name}: {calls}");
    }
    assert!(is_synced(before, &partial), "{calls}");
    assert!(is_synced(after, text(place.base())), "{calls}");
}

/// Whether a sync of this path has come to its end, and well.
fn is_synced(calls: &str, path: &str) -> bool {
    let path = format!("<{path}>");
    let mut begun = HashMap::new();
    for line in calls.lines().filter(|line| line.contains("sync")) {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let is_of_it = match call.contains("resumed>") {
            true => begun.get(thread) == Some(&true),
            false => call.contains(&path),
        };
        if is_of_it && call.contains(" = 0") {
            return true;
        }
        begun.insert(thread, is_of_it);
    }
    false
}
