//! `status`, `ls`, `cat` on logs that are well.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use flashstrike_wal::config::{Config, SyncMode};
use flashstrike_wal::recorder::Manager;
use serde_json::json;

use crate::scenes::fswal_unless_silent;
use crate::support::{command, event, fswal, state_of, text, wait_until, Place, PER_SEGMENT};

#[test]
fn a_directory_without_a_log_is_wrong_usage() {
    let place = Place::new();
    for command in ["status", "ls", "cat", "verify", "recover", "holds", "snapshots"] {
        for (path, why) in [
            (place.log(), "there is no such directory"),
            (place.base().to_owned(), "there is no log here"),
        ] {
            let said = fswal(&[command, text(&path)]).ends_with(2);
            assert!(said.err.contains(why), "{command}: {}", said.err);
            assert!(said.err.contains("next: "), "{command}: {}", said.err);
        }
    }
    assert!(!place.log().exists());
    fswal(&["status"]).ends_with(2);
}

#[test]
fn status_of_a_log_that_was_shut_down() {
    let place = Place::new();
    place.record(1..=5000);
    let before = state_of(place.base());
    let status = fswal(&["--json", "status", text(&place.log())]).ends_with(0).json();
    assert_eq!(status["state"], "shut-down");
    assert_eq!(status["healthy"], true);
    assert_eq!(status["durable_event_id"], 5000);
    assert_eq!(status["hot_segments"], 2);
    assert_eq!(status["pid"], json!(null));
    assert!(status["disk_bytes"].as_u64() > Some(500_000));
    let said = fswal(&["status", text(&place.log())]).ends_with(0);
    assert!(said.out.contains("shut down cleanly"), "{}", said.out);
    assert!(!said.out.contains('\x1b'), "colour is for terminals");
    assert_eq!(state_of(place.base()), before);
}

#[test]
fn status_of_a_live_log_comes_from_its_control_file() {
    let place = Place::new();
    let (manager, mut writer) = place.open();
    (1..=100).for_each(|id| writer.append(&event(id)).unwrap());
    manager.log().sync().unwrap();
    let log = place.log();
    let status = fswal_unless_silent(&["status", "--json", text(&log)]).ends_with(0).json();
    assert_eq!(status["state"], "live");
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(
        (&status["appended_event_id"], &status["durable_event_id"]),
        (&json!(100), &json!(100))
    );
    assert_eq!(status["generation"], 1);
    assert!(status["events_per_second"].is_number());
    manager.shutdown(writer).unwrap();
}

#[test]
fn a_killed_writer_is_a_crash_and_not_live() {
    let place = Place::new();
    let mut child = place.spawn_writer(100, 200);
    let log = place.log();
    let live = fswal_unless_silent(&["status", "--json", text(&log)]).ends_with(0).json();
    assert_eq!((&live["state"], &live["pid"]), (&json!("live"), &json!(child.id())));
    child.kill().unwrap();
    child.wait().unwrap();
    let dead = fswal(&["status", "--json", text(&place.log())]).ends_with(0).json();
    assert_eq!((&dead["state"], &dead["pid"]), (&json!("crashed"), &json!(null)));
    assert_eq!(dead["appended_event_id"], 200);
    // Without its memory, acknowledged events may be lost.
    for active in place.actives() {
        std::fs::remove_dir_all(active).unwrap();
    }
    let lost = fswal(&["status", "--json", text(&place.log())]).ends_with(1).json();
    assert_eq!(lost["state"], "memory-lost");
}

#[test]
fn a_writer_that_is_stopped_is_not_well() {
    let place = Place::new();
    let mut child = place.spawn_writer(100, 200);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    let log = place.log();
    wait_until("its silence is told", || {
        let said = fswal(&["status", "--json", "--interval", "10", text(&log)]);
        let problems = said.json()["problems"].to_string();
        said.code == 1 && problems.contains("silent for")
    });
    signal("-CONT");
    wait_until("it is well again", || fswal(&["status", text(&log)]).code == 0);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn watching_shows_it_again_and_again() {
    let place = Place::new();
    place.record(1..=10);
    let mut child = command(&["--json", "status", "--watch", "--interval", "10"])
        .arg(place.log())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(3);
    assert_eq!(lines.filter(|line| line.as_ref().unwrap().contains("shut-down")).count(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// As a person sees it: on a terminal, which `script` plays.
#[test]
fn on_a_terminal_it_has_colour_and_begins_the_screen_anew() {
    const GREEN: &str = "\x1b[1;32mshut down cleanly";
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let place = Place::new();
    place.record(1..=10);
    let shown = |before: &str, more: &str| {
        let program = env!("CARGO_BIN_EXE_fswal");
        let line = format!("{before} {program} status {more} {}", text(&place.log()));
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
        script
    };
    let seen = |mut command: Command| String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(seen(shown("", "")).contains(GREEN));
    assert!(!seen(shown("NO_COLOR=1", "")).contains('\x1b'));

    let mut watching = shown("", "--watch --interval 10").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let firsts: Vec<_> =
        lines.map(Result::unwrap).filter(|line| line.contains("wal: ")).take(3).collect();
    assert_eq!(firsts.len(), 3);
    assert!(
        firsts.iter().all(|line| line.starts_with(CLEAR) && line.contains(GREEN)),
        "{firsts:?}"
    );
    // Its terminal is gone, and so it ends.
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn ls_counts_every_segment() {
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT + 7);
    let rows = fswal(&["ls", "--json", text(&place.log())]).ends_with(0).lines();
    assert_eq!(rows.len(), 3);
    for (n, row) in (0..).zip(&rows) {
        let first = n * PER_SEGMENT + 1;
        let last = ((n + 1) * PER_SEGMENT).min(2 * PER_SEGMENT + 7);
        assert_eq!((&row["index"], &row["state"]), (&json!(n), &json!("hot")));
        assert_eq!(row["events"], last + 1 - first);
        assert_eq!((&row["first_event_id"], &row["last_event_id"]), (&json!(first), &json!(last)));
        assert_eq!(row["first_timestamp"], event(first).timestamp);
        assert_eq!(row["last_timestamp"], event(last).timestamp);
    }
    let said = fswal(&["ls", text(&place.log())]).ends_with(0);
    assert!(said.out.contains("2026-11-28T23:57:04.096"), "{}", said.out);
}

#[test]
fn ls_of_a_live_log_counts_what_is_in_memory() {
    let place = Place::new();
    // Nothing of the second segment is on disk before it is full.
    let config = Config { sync_mode: SyncMode::Rotation, ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    (1..=PER_SEGMENT + 9).for_each(|id| writer.append(&event(id)).unwrap());
    let rows = fswal(&["ls", "--json", text(&place.log())]).ends_with(0).lines();
    let open = rows.iter().find(|row| row["index"] == 1).unwrap();
    assert_eq!((&open["state"], &open["events"]), (&json!("open"), &json!(9)));
    assert_eq!(open["last_timestamp"], event(PER_SEGMENT + 9).timestamp);
    manager.shutdown(writer).unwrap();
}

#[test]
fn cat_gives_what_was_asked_for() {
    let place = Place::new();
    place.record(1..=5000);
    let log = place.log();
    let ids = |arguments: &[&str]| -> Vec<u64> {
        let all = [&["cat", "--json", text(&log)], arguments].concat();
        let lines = fswal(&all).ends_with(0).lines();
        lines.iter().map(|line| line["event_id"].as_u64().unwrap()).collect()
    };
    let all: Vec<u64> = (1..=5000).collect();
    assert_eq!(ids(&[]), all);
    assert_eq!(ids(&["--from-id", "4090", "--to-id", "4100"]), (4090..=4100).collect::<Vec<_>>());
    let (from, to) = (event(17).timestamp.to_string(), event(19).timestamp.to_string());
    assert_eq!(ids(&["--from-time", &from, "--to-time", &to]), [17, 18, 19]);
    let of = |wanted: fn(&u64) -> bool| all.iter().copied().filter(wanted).collect::<Vec<_>>();
    assert_eq!(ids(&["--user", "3"]), of(|id| id % 7 == 3));
    assert_eq!(ids(&["--order", "40"]), [80, 81]);
    assert_eq!(ids(&["--type", "cancel"]), of(|id| id % 4 == 0));
    assert_eq!(ids(&["--type", "cancel", "--limit", "2"]), [4, 8]);
    assert_eq!(ids(&["--durable-only"]), all);
    assert_eq!(ids(&["--durable-only", "--from-id", "4999"]), [4999, 5000]);
}

#[test]
fn cat_in_each_format() {
    let place = Place::new();
    place.record(1..=3);
    let csv = fswal(&["cat", text(&place.log())]).ends_with(0).out;
    let zeros = "00".repeat(21);
    let head = "event_id,timestamp,price,quantity,user_id,order_id,type,order_type,side,reserved";
    let first = format!("1,1795910220001000000,9993,200,1,0,0,0,1,{zeros}");
    assert_eq!(csv.lines().take(2).collect::<Vec<_>>(), [head, &first]);
    let json = fswal(&["cat", "--format", "json", text(&place.log())]).ends_with(0).lines();
    assert_eq!((&json[2]["event_id"], &json[2]["price"]), (&json!(3), &json!(9995)));
    assert_eq!(json[2]["reserved"], zeros);
    let table = fswal(&["cat", "--format", "table", text(&place.log())]).ends_with(0).out;
    let words: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words, ["1", "1795910220001000000", "9993", "200", "1", "0", "new", "limit", "ask"]);
}

#[test]
fn cat_follows_a_log_that_is_written_and_stops_where_it_is_told() {
    let place = Place::new();
    // If it keeps what it has read to itself, it is ended, and its output with it.
    let mut child = Command::new("timeout")
        .args(["120", env!("CARGO_BIN_EXE_fswal"), "cat", "--follow", "--json", "--to-id", "300"])
        .arg(place.log())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for the log to come.
    let (manager, mut writer) = place.open();
    (1..=100).for_each(|id| writer.append(&event(id)).unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut take = |n: u64| lines.by_ref().take(n as usize).map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(take(100).len(), 100, "what is there comes without waiting for more");
    (101..=400).for_each(|id| writer.append(&event(id)).unwrap());
    let rest = take(1000);
    assert_eq!(rest.len(), 200);
    assert!(rest[199].starts_with("{\"event_id\":300,"));
    assert!(child.wait().unwrap().success());
    manager.shutdown(writer).unwrap();
}

#[test]
fn whoever_stops_reading_is_no_error() {
    let place = Place::new();
    place.record(1..=20_000);
    let mut child = command(&["cat"])
        .arg(place.log())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}
