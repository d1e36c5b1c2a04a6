//! What `deploy/` names is there: metrics, alerts, what the unit must keep. `promtool` is asked
//! where it is installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use flashstrike_wal::telemetry::{prometheus_text, LogMetrics};
use regex::Regex;
use serde_json::Value;

use crate::exporter::Exporter;
use crate::support::{is_well, say, text, Place};

const RULES: [&str; 2] = ["prometheus/rules.yml", "prometheus/rules_test.yml"];
const DASHBOARD: &str = "grafana/flashstrike-wal.json";

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

/// The names of samples that the library prints, and of those that the exporter adds.
fn printed() -> BTreeSet<String> {
    let place = Place::new();
    place.record(1..=10);
    let exporter = Exporter::start(&[format!("log={}", text(&place.log()))]);
    let text = prometheus_text(&[LogMetrics::default()]) + &exporter.metrics();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split('{').next().unwrap().to_owned()).collect()
}

fn named(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(fs_wal|fswal)_[a-z0-9_]+").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn every_metric_that_is_named_is_one_that_is_printed() {
    let printed = printed();
    for file in RULES.into_iter().chain([DASHBOARD]) {
        // A description may name a family as a whole; an expression has to name samples.
        let families = ["fs_wal_prepare_seconds", "fs_wal_metrics_prometheus"];
        let named = named(&read(file));
        let unknown: Vec<_> = named
            .iter()
            .filter(|name| !printed.contains(*name) && !families.contains(&name.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(named.len() > 10, "{file}: only {}", named.len());
    }
}

#[test]
fn every_alert_is_tested_and_explained() {
    let alert = Regex::new(r"- alert: (\w+)").unwrap();
    let (rules, tests) = (read(RULES[0]), read(RULES[1]));
    let page = std::fs::read_to_string(deploy("../docs/operating.md")).unwrap();
    let names: Vec<_> = alert.captures_iter(&rules).map(|found| found[1].to_owned()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("- alertname: {name}\n")), "{name} is not tested");
        assert!(page.contains(&format!("`{name}`")), "{name} is not explained");
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id is there twice");
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{}", panel["title"]);
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert!(!named(expression).is_empty(), "{expression}");
            assert!(expression.contains("{log=~\"$log\"}"), "{expression}");
        }
    }
    assert!(panels.len() > 15);
}

#[test]
fn promtool_finds_that_each_alert_fires_when_it_should() {
    let [rules, tests] = RULES.map(deploy);
    is_well(say(Command::new("promtool").args(["check", "rules"]).arg(rules)));
    is_well(say(Command::new("promtool").args(["test", "rules"]).arg(tests)));
}

#[test]
fn the_unit_keeps_what_recovery_needs() {
    let unit = read("systemd/engine.service");
    for line in [
        "RuntimeDirectoryPreserve=yes",
        "RemoveIPC=no",
        "LimitMEMLOCK=infinity",
        "StateDirectory=engine",
        "RequiresMountsFor=/var/lib/engine",
        "ProtectSystem=strict",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn systemd_knows_every_line_of_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("engine.service");
    // The engine itself is not here.
    let text = read("systemd/engine.service").replace("=/usr/bin/engine", "=/bin/true");
    std::fs::write(&unit, text).unwrap();
    let mut verify = Command::new("systemd-analyze");
    if let Some(said) = say(verify.args(["verify", "--man=no"]).arg(&unit)) {
        let said = String::from_utf8(said.stderr).unwrap();
        // What it says of other units of the machine is not ours.
        let ours: Vec<_> = said.lines().filter(|line| line.contains("engine.service")).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}
