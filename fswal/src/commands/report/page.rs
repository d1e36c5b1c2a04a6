//! The page: what it says first, and the order of what follows.

use std::fmt::Write;
use std::time::Duration;

use flashstrike_wal::replay::{DamageKind, Newest};

use crate::clock::{span, utc_seconds};
use crate::directory::State;
use crate::table::{bytes, count, grouped, id};

use super::charts::{self, class_of, note, section};
use super::coverage;
use super::facts::Facts;
use super::markup::{escaped, Rows};
use super::segments::Kept;
use super::timeline::{Clock, Timeline};

const STYLE: &str = include_str!("page.css");

pub fn page(facts: &Facts, now_ns: u64) -> String {
    let path = path_of(facts);
    let timeline = Timeline::of(&facts.probes, &facts.segments, &facts.found.damages);
    let timeline = timeline.as_ref();
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{}: {}</title>\n<style>\n{STYLE}</style></head>\n<body><main>\n",
        escaped(&facts.headline().word),
        escaped(&path)
    );
    text += &head(facts, &path, now_ns);
    text += &tiles(facts, timeline);
    text += "<div class=\"cards\">\n";
    // What is wrong comes first.
    let is_kept = !facts.holds.is_empty() || !facts.snapshots.is_empty();
    let (before, after) = match facts.found.damage_count {
        0 => (String::new(), section("Integrity", is_kept, &integrity(facts))),
        _ => (section("Integrity", true, &integrity(facts)), String::new()),
    };
    text += &before;
    text += &section("Events over time", true, &charts::over_time(timeline));
    text += &section("Coverage", true, &coverage::coverage(facts, timeline));
    text += &section("Sizes of segments", false, &charts::sizes(facts));
    text += &section("Compression", false, &charts::compression(facts));
    text += &section("How long things took", true, &charts::latencies(facts));
    text += &section("Opens and recoveries", true, &charts::history(&facts.opens));
    text += &after;
    text += &section("Holds and snapshots", is_kept || !before.is_empty(), &coverage::kept(facts));
    text += &section("The log", true, &identity(facts));
    text += "</div>\n";
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(text, "<footer>Written by fswal {version}; nothing was changed.</footer>");
    text + "</main></body></html>\n"
}

/// Whole: whoever sees the page is elsewhere.
fn path_of(facts: &Facts) -> String {
    let path = std::path::absolute(&facts.log.path);
    path.unwrap_or_else(|_| facts.log.path.clone()).display().to_string()
}

fn head(facts: &Facts, path: &str, now_ns: u64) -> String {
    let headline = facts.headline();
    format!(
        "<header class=\"{}\"><h1>{}</h1><div class=\"word\">{}</div><p>{}</p>\
         <p class=\"soft\">{}</p></header>\n",
        class_of(headline.tone),
        escaped(path),
        escaped(&headline.word),
        escaped(&headline.why),
        escaped(&format!("as of {}", utc_seconds(now_ns)))
    )
}

fn tiles(facts: &Facts, timeline: Option<&Timeline>) -> String {
    let found = &facts.found;
    let of = |kept: Kept| facts.segments.iter().filter(|one| one.kept == kept).count() as u64;
    let mut tiles = vec![
        (grouped(found.events), "events".to_owned()),
        (
            grouped(found.last_event_id),
            match found.first_event_id {
                0 => "last event: there is none".to_owned(),
                first => format!("last event; the first is {}", grouped(first)),
            },
        ),
        (grouped(found.durable_event_id), "durable up to".to_owned()),
        (
            grouped(facts.segments.len() as u64),
            format!("segments: {} hot, {} cold", of(Kept::Hot) + of(Kept::Open), of(Kept::Cold)),
        ),
        (bytes(facts.disk_bytes), format!("on disk; {} free", bytes(facts.disk_free_bytes))),
        (grouped(found.damage_count), format!("things wrong in {} read", bytes(found.bytes))),
    ];
    if let Some(timeline) = timeline.filter(|timeline| timeline.clock != Clock::Unit) {
        let width = span(Duration::from_nanos(timeline.last - timeline.first));
        tiles.push((width, format!("from {}", day_and_time(timeline.first))));
    }
    if let Some(open) = facts.opens.last() {
        tiles.push((open.decision.clone(), format!("last open, {}", day_and_time(open.ns))));
    }
    let mut text = "<div class=\"tiles\">".to_owned();
    for (value, what) in tiles {
        let (value, what) = (escaped(&value), escaped(&what));
        let _ = write!(text, "<div class=\"tile\"><b>{value}</b><span>{what}</span></div>");
    }
    text + "</div>\n"
}

/// A time of which no part stands alone on a line.
fn day_and_time(ns: u64) -> String {
    utc_seconds(ns).trim_end_matches('Z').replace('-', "\u{2011}").replace('T', "\u{a0}")
}

fn integrity(facts: &Facts) -> String {
    let found = &facts.found;
    let mut text = note(&format!(
        "Every byte was read: {} in {}, {}.",
        count(found.events, "event"),
        count(found.blocks, "block"),
        bytes(found.bytes)
    ));
    if !found.damages.is_empty() {
        let mut rows = Rows::new(&["what", "~file", ">at byte", "event ids", "~found"]);
        let here = format!("{}/", facts.log.path.display());
        for damage in &found.damages {
            let ids = match damage.event_ids {
                (0, _) => "-".to_owned(),
                (first, 0) => format!("from {} on", grouped(first)),
                (first, last) => format!("{} to {}", grouped(first), grouped(last)),
            };
            rows.row(&[
                name_of(damage.kind),
                // Of the log's files the name says enough.
                damage.path.strip_prefix(&here).unwrap_or(&damage.path).to_owned(),
                grouped(damage.file_offset),
                ids,
                damage.error.as_ref().map_or_else(|| damage.what.clone(), ToString::to_string),
            ]);
        }
        text += &rows.markup();
        let more = found.damage_count - found.damages.len() as u64;
        if more > 0 {
            text += &note(&format!("and {} more", grouped(more)));
        }
        text += &note(
            "Restore the named files from a backup while the engine is stopped; fswal recover \
             --dry-run says what an open would do, fswal salvage takes what can be read.",
        );
    }
    let doubts = doubts(facts);
    if !doubts.is_empty() {
        text += "<h3>What this cannot promise</h3><ul>";
        for doubt in doubts {
            let _ = write!(text, "<li>{}</li>", escaped(&doubt));
        }
        text += "</ul>";
    }
    if found.kept_aside_files > 0 {
        let files = count(found.kept_aside_files.into(), "file");
        text += &note(&format!("{files} kept aside by an earlier recovery (*.corrupt)."));
    }
    text
}

/// `SegmentHeader` as `segment header`.
fn name_of(kind: DamageKind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// What the bytes alone cannot prove.
fn doubts(facts: &Facts) -> Vec<String> {
    let found = &facts.found;
    let (active, last) = (&found.active_path, id(found.last_event_id));
    let mut doubts = Vec::new();
    let newest = match found.newest {
        Newest::OnDisk => None,
        Newest::NotKnown => Some(format!(
            "wal_identity is missing or damaged: whether events follow event {last} is not known"
        )),
        Newest::InMemory if found.on_disk_event_id < found.last_event_id => Some(format!(
            "events {} to {last} are in memory only ({active}): a power cut would take them",
            found.on_disk_event_id + 1
        )),
        Newest::InMemory => Some(format!("not shut down: its newest events are in {active} too")),
        Newest::Denied => {
            Some(format!("this user may not read {active}: events may follow event {last}"))
        }
        Newest::Elsewhere => {
            Some(format!("a copy: events may follow event {last} in {active}, of its original"))
        }
        Newest::NotHere => {
            Some(format!("{active} is not here: events may have followed event {last}"))
        }
    };
    doubts.extend(newest);
    if found.last_event_id < found.durable_event_id {
        doubts.push(format!("ends before event {}, which was durable", id(found.durable_event_id)));
    }
    doubts
}

fn identity(facts: &Facts) -> String {
    let mut list: Vec<(&str, String)> =
        vec![("Directory", path_of(facts)), ("State", facts.log.state.words().to_owned())];
    if let Some(identity) = &facts.log.identity {
        list.push(("Log id", format!("{:032x}", identity.id)));
        list.push(("Generation", format!("{} (one for each open)", identity.generation)));
        if !identity.clean {
            list.push(("Active directory", identity.active_path.clone()));
        }
        for ancestor in &identity.ancestors {
            list.push(("Copied from log", format!("{:032x}", ancestor.id)));
        }
        for cut in &identity.cuts {
            let (generation, last) = (cut.generation, grouped(cut.last_event_id));
            list.push((
                "Cut",
                format!("by the open of generation {generation}, behind event {last}"),
            ));
        }
    }
    if let Some(metrics) = &facts.log.metrics {
        list.push((
            "Opened",
            format!("{}, process {}", utc_seconds(metrics.opened_ns), metrics.writer_pid),
        ));
        list.push(("Memory locked", if metrics.memory_locked == 1 { "yes" } else { "no" }.into()));
    }
    // That of a live log is of a later moment than the rest of the page.
    if !matches!(facts.log.state, State::Live | State::Failed) {
        let durable = match facts.meta_event_id {
            0 => "nothing is durable yet".to_owned(),
            last => format!("durable up to {}", grouped(last)),
        };
        list.push(("wal_meta.dat", durable));
    }
    let mut text = "<dl>".to_owned();
    for (name, value) in list {
        let _ = write!(text, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&value));
    }
    text + "</dl>"
}
