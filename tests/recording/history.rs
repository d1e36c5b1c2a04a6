//! `wal_history`: every open that succeeds leaves its line, and nothing depends on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::crash::{crash, identity, reboot};
use common::{open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::verify;

/// The values of these fields, of every line.
fn lines(place: &Place, fields: &[&str]) -> Vec<Vec<String>> {
    let text = fs::read_to_string(place.log().join("wal_history")).unwrap();
    let value = |line: &str, field: &&str| {
        let found = line.split(' ').find_map(|word| word.strip_prefix(*field)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{field} in {line:?}")).to_owned()
    };
    text.lines().map(|line| fields.iter().map(|field| value(line, field)).collect()).collect()
}

#[test]
fn every_open_that_succeeds_leaves_its_line() {
    let place = Place::new();
    crash(&place, 100, 150);
    let (manager, writer) = open(&place.log(), place.small());
    manager.shutdown(writer).unwrap();
    let (manager, writer) = open(&place.log(), place.small());
    manager.shutdown(writer).unwrap();
    let expected = [
        ["1", "new-log", "0", "0"],
        ["2", "process-crash", "150", "50"],
        ["3", "clean", "150", "0"],
    ];
    let fields = ["generation", "decision", "last_event_id", "events_carried_over"];
    assert_eq!(lines(&place, &fields), expected);

    crash(&place, 200, 250);
    reboot(&place);
    let before = fs::read(place.log().join("wal_history")).unwrap();
    fs::remove_file(place.log().join("FS.00000000.wal")).unwrap();
    assert!(Manager::open(&place.log(), place.small()).is_err());
    assert_eq!(fs::read(place.log().join("wal_history")).unwrap(), before, "it was refused");
    assert_eq!(verify(&place.log()).unwrap().foreign_files, 0);
}

/// Whatever is in its place, the log is opened, says so, and leaves that alone.
#[test]
fn an_open_does_not_need_it() {
    type Put = fn(&PathBuf);
    let obstacles: [(&str, Put); 3] = [
        ("directory", |path| fs::create_dir(path).unwrap()),
        ("link", |path| symlink("/etc/hostname", path).unwrap()),
        ("pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ];
    for (what, put) in obstacles {
        let place = Place::new();
        fs::create_dir(place.log()).unwrap();
        let path = place.log().join("wal_history");
        put(&path);
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&heard);
        let log = LogSink::new(move |_, message| telling.lock().unwrap().push(message.to_owned()));
        let (manager, writer) = open(&place.log(), Config { log, ..place.small() });
        manager.shutdown(writer).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), kind, "{what}");
        let heard = heard.lock().unwrap();
        let told = heard.iter().any(|message| message.contains("not in the history"));
        assert!(told, "{what}: {heard:?}");
        assert_eq!(identity(&place.log()).generation, 1);
    }
}
