//! `bench`: what it says is what it has seen, and it leaves nothing. No figure is judged: the
//! machine of a test may be slow.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{command, fswal, state_of, text, wait_until, Place};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// That nothing is left on disk or in memory.
#[track_caller]
fn nothing_is_left(place: &Place) {
    assert_eq!(state_of(place.base()), []);
    assert_eq!(place.actives(), Vec::<std::path::PathBuf>::new());
}

fn arguments<'a>(place: &'a Place, seconds: &'a str) -> [&'a str; 8] {
    let (base, memory) = (text(place.base()), text(place.memory()));
    ["bench", base, "--active-dir", memory, "--rate", "10000", "--seconds", seconds]
}

#[test]
fn it_tells_what_it_measured_and_leaves_nothing() {
    let place = Place::new();
    let found = fswal(&[&arguments(&place, "1")[..], &["--json"]].concat()).ends_with(0).json();
    nothing_is_left(&place);
    for times in ["sync", "woken", "append"] {
        let of = |name: &str| found[times][name].as_u64().unwrap();
        let rising = ["p50_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns"].map(of);
        assert!(of("count") > 0 && rising[0] > 0 && rising.is_sorted(), "{}", found[times]);
    }
    assert!(found["durable_events_per_second"].as_f64() > Some(0.0), "{found}");
    assert!(found["rate"].as_f64() > Some(0.0), "{found}");
    assert!(found["processors"].as_u64() > Some(0), "{found}");
    let grades = ["good", "fair", "poor"];
    let grade = |of: &Value| grades.iter().position(|grade| *of == **grade).unwrap();
    let reasons = found["reasons"].as_array().unwrap();
    let worst = reasons.iter().map(|reason| grade(&reason["grade"])).max();
    assert_eq!(Some(grade(&found["verdict"])), worst, "{found}");
}

#[test]
fn the_settings_are_fields_of_the_config() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/flashstrike_wal.h");
    let header = std::fs::read_to_string(header).unwrap();
    let (_, config) = header.split_once("typedef struct fs_wal_config {").unwrap();
    let (config, _) = config.split_once("} fs_wal_config;").unwrap();
    let place = Place::new();
    let found = fswal(&[&arguments(&place, "1")[..], &["--json"]].concat()).ends_with(0).json();
    let settings = found["settings"].as_array().unwrap();
    let mut fields = 0;
    for setting in settings {
        let (field, value) = (&setting["field"].as_str().unwrap(), &setting["value"]);
        let is_constant = value.as_str().unwrap().starts_with("FS_WAL_");
        assert!(!is_constant || header.contains(&format!("#define {} ", value.as_str().unwrap())));
        if *field != "engine's thread" {
            assert!(config.contains(&format!(" {field};")), "{field}");
            fields += 1;
        }
    }
    assert_eq!(fields, 7, "{found}");
    let said = fswal(&arguments(&place, "1")).ends_with(0);
    for name in settings.iter().map(|setting| setting["field"].as_str().unwrap()) {
        assert!(said.out.contains(&format!("  {name} = ")), "{name}: {}", said.out);
    }
}

#[test]
fn a_directory_with_a_log_is_refused() {
    let place = Place::new();
    place.record(1..=100);
    let log = place.log();
    let before = state_of(place.base());
    let refused = |arguments: &[&str], why: &str| {
        let said = fswal(arguments).ends_with(2);
        assert!(said.err.contains(why) && said.err.contains("next: "), "{}", said.err);
    };
    refused(&["bench", text(&log)], "has a log");
    refused(&["bench", text(&log.join("wal_identity"))], "is a file");
    refused(&["bench", text(&place.base().join("nowhere"))], "there is no such directory");
    let nowhere = place.memory().join("nowhere");
    refused(
        &["bench", text(place.base()), "--active-dir", text(&nowhere)],
        "there is no such directory",
    );
    assert_eq!(state_of(place.base()), before);
}

#[test]
fn what_another_bench_has_there_is_not_touched() {
    let place = Place::new();
    let other = place.base().join("fswal-bench.tmp");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("disk"), "its").unwrap();
    let before = state_of(place.base());
    let said = fswal(&arguments(&place, "1")).ends_with(2);
    assert!(said.err.contains("another bench"), "{}", said.err);
    assert_eq!(state_of(place.base()), before);
}

fn start(place: &Place, seconds: &str) -> Child {
    let mut bench = command(&arguments(place, seconds));
    bench.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends it the signal; gives the one that ended it, if one did.
fn interrupted(bench: Child, signal: i32) -> Option<i32> {
    let kill = format!("kill -{signal} {}", bench.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let ended = bench.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    ended.status.signal()
}

#[test]
fn a_bench_that_is_interrupted_at_the_disk_leaves_nothing() {
    let place = Place::new();
    let bench = start(&place, "3600");
    wait_until("it writes", || place.base().join("fswal-bench.tmp/disk").exists());
    assert_eq!(interrupted(bench, SIGTERM), Some(SIGTERM));
    nothing_is_left(&place);
}

#[test]
fn a_bench_that_is_interrupted_while_it_has_a_log_leaves_nothing() {
    let place = Place::new();
    // On a machine that is held up for long the bench may end before the signal comes.
    let signals = ["2", "8", "32", "128"].iter().map(|seconds| {
        let mut bench = start(&place, seconds);
        wait_until("it has a log", || {
            !place.actives().is_empty() || bench.try_wait().unwrap().is_some()
        });
        let signal = interrupted(bench, SIGINT);
        nothing_is_left(&place);
        signal
    });
    assert!(signals.into_iter().any(|signal| signal == Some(SIGINT)));
}
