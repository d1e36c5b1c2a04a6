//! `backup --to-tar`: what tar makes of the stream is a backup like any other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::damage::flip;
use crate::support::{command, event, fswal, text, wait_until, Place, PER_SEGMENT};

use super::opens::assert_opens;
use super::{backup, holds};

/// Extracts a stream into a new directory, as whoever restores it does.
fn extract(place: &Place, stream: &Path) -> PathBuf {
    let out = place.base().join("extracted");
    std::fs::create_dir(&out).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(stream).arg("-C").arg(&out).output().unwrap();
    assert!(tar.status.success() || stream.ends_with("cut.tar"), "{tar:?}");
    out
}

/// Writes a backup to a file; gives the exit code and what was said.
fn to_tar(place: &Place, stream: &Path) -> (Option<i32>, String) {
    let to = std::fs::File::create(stream).unwrap();
    let run = command(&["backup", "--json", text(&place.log()), "--to-tar"]).stdout(to).output();
    let run = run.unwrap();
    (run.status.code(), String::from_utf8(run.stderr).unwrap())
}

/// Names and contents of a backup, without its identity.
fn files_of(backup: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(backup).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| (text(path.strip_prefix(backup).unwrap()).to_owned(), path);
    let mut files: Vec<_> = entries.map(named).filter(|(name, _)| name != "wal_identity").collect();
    files.sort();
    files.into_iter().map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

#[test]
fn it_has_what_a_directory_has() {
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT + 700);
    let out = place.base().join("backup");
    backup(&place, &out);
    let stream = place.base().join("backup.tar");
    let (code, said) = to_tar(&place, &stream);
    assert_eq!(code, Some(0), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["up_to_event_id"], &said["out"]),
        (&(2 * PER_SEGMENT + 700).into(), &"-".into())
    );
    let extracted = extract(&place, &stream);
    assert!(files_of(&extracted) == files_of(&out));
    assert_opens(&place, &extracted, 1..=2 * PER_SEGMENT + 700);
    assert_eq!(holds(&place), Vec::<Value>::new(), "its hold is gone");
    // It is gone on from as another backup is.
    assert_eq!(backup(&place, &extracted)["segments_kept"], 3);
}

#[test]
fn of_a_live_log_it_ends_with_what_is_durable() {
    let place = Place::new();
    let (manager, mut writer) = place.open();
    (1..=PER_SEGMENT + 100).for_each(|id| writer.append(&event(id)).unwrap());
    manager.log().sync().unwrap();
    let stream = place.base().join("backup.tar");
    assert_eq!(to_tar(&place, &stream).0, Some(0));
    let extracted = extract(&place, &stream);
    assert_opens(&place, &extracted, 1..=PER_SEGMENT + 100);
    manager.shutdown(writer).unwrap();
}

/// One that cannot be whole has no identity, and so is never taken for a backup.
#[test]
fn of_a_damaged_log_it_ends_without_the_records() {
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT);
    flip(&place.log().join("FS.00000000.wal"), 64 + 16_448 + 100);
    let stream = place.base().join("cut.tar");
    let (code, said) = to_tar(&place, &stream);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FS.00000000.wal"), "{said}");
    let extracted = extract(&place, &stream);
    assert!(extracted.join("FS.00000001.wal").exists() && !extracted.join("wal_identity").exists());
}

#[test]
fn a_terminal_and_a_reader_that_goes_get_none() {
    let place = Place::new();
    place.record(1..=60 * PER_SEGMENT);
    let said = fswal(&["backup", text(&place.log()), "x", "--to-tar"]).ends_with(2);
    assert!(said.err.contains("cannot be used with"), "{}", said.err);

    let path = place.log();
    let line = format!("{} backup {} --to-tar", env!("CARGO_BIN_EXE_fswal"), text(&path));
    let on_terminal = Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
    let said = String::from_utf8_lossy(&on_terminal.stdout).into_owned();
    assert_eq!(on_terminal.status.code(), Some(2), "{said}");
    assert!(said.contains("standard output is a terminal"), "{said}");

    let mut run = command(&["backup", text(&path), "--to-tar"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(run.stdout.take());
    let run = run.wait_with_output().unwrap();
    assert_eq!(run.status.code(), Some(3), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("is no backup"), "{run:?}");
    assert_eq!(holds(&place), Vec::<Value>::new());
}

#[test]
fn a_run_that_was_killed_is_taken_over() {
    use std::io::Read;
    let place = Place::new();
    place.record(1..=60 * PER_SEGMENT);
    let path = place.log();
    let mut run =
        command(&["backup", text(&path), "--to-tar"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut some = vec![0; 1_000_000];
    run.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("its hold stays", || holds(&place).len() == 1);
    assert_eq!(to_tar(&place, &place.base().join("backup.tar")).0, Some(0));
    assert_eq!(holds(&place), Vec::<Value>::new());
}
