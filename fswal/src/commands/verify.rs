//! `verify`: every byte of a log, and the place of whatever is wrong.

use std::path::{Path, PathBuf};
use std::time::Instant;

use flashstrike_wal::replay::{verify_telling, Damage, Newest, VerifyReport};
use serde::Serialize;

use crate::directory::Log;
use crate::failure::{Outcome, Verdict};
use crate::output::{byte_bar, Output, Tone};
use crate::table::{bytes, count, id};

/// Every byte is checked; nothing is changed, and a live log is not held up
///
/// Names the exact place of each damage, and says what it cannot promise. Ends with 1 if anything
/// is damaged, with 3 if something could not be read.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    dir: String,
    sound: bool,
    damage_count: u64,
    damages: Vec<Place>,
    cannot_promise: Vec<String>,
    first_event_id: u64,
    last_event_id: u64,
    durable_event_id: u64,
    on_disk_event_id: u64,
    events: u64,
    blocks: u64,
    bytes: u64,
    hot_segments: u32,
    open_segments: u32,
    cold_segments: u32,
    kept_aside_files: u32,
    foreign_files: u32,
}

#[derive(Debug, Serialize)]
struct Place {
    kind: String,
    segment: Option<u32>,
    path: String,
    /// In the segment; in a cold one that is not the offset in its file.
    offset: u64,
    file_offset: u64,
    first_event_id: Option<u64>,
    /// `None` beside a first one: to the end.
    last_event_id: Option<u64>,
    what: String,
    unreadable: bool,
}

impl Place {
    fn of(damage: &Damage) -> Self {
        let some = |id: u64| (id != 0).then_some(id);
        Place {
            kind: kebab(&format!("{:?}", damage.kind)),
            segment: damage.segment_index,
            path: damage.path.clone(),
            offset: damage.offset,
            file_offset: damage.file_offset,
            first_event_id: some(damage.event_ids.0),
            last_event_id: some(damage.event_ids.1),
            what: damage.what.clone(),
            unreadable: damage.error.is_some(),
        }
    }
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let log = Log::look(&arguments.dir)?;
    let bar = byte_bar(log.segment_bytes()?);
    let begin = Instant::now();
    let found = verify_telling(&log.path, &mut |so_far| bar.set_position(so_far.bytes));
    bar.finish_and_clear();
    let found = found?;
    let report = report(&arguments.dir, &found);
    if output.is_json() {
        output.object(&report)?;
    } else {
        show(&report, &found, output)?;
        if begin.elapsed().as_secs() >= 2 {
            let speed = bytes((report.bytes as f64 / begin.elapsed().as_secs_f64()) as u64);
            output.line(&format!("  {speed} a second"))?;
        }
    }
    Ok(match report.damages.iter().any(|damage| !damage.unreadable) {
        _ if report.sound => Verdict::Well,
        true => Verdict::Wrong,
        false => Verdict::Unreadable,
    })
}

fn report(dir: &Path, found: &VerifyReport) -> Report {
    Report {
        dir: dir.display().to_string(),
        sound: found.damage_count == 0,
        damage_count: found.damage_count,
        damages: found.damages.iter().map(Place::of).collect(),
        cannot_promise: doubts(found),
        first_event_id: found.first_event_id,
        last_event_id: found.last_event_id,
        durable_event_id: found.durable_event_id,
        on_disk_event_id: found.on_disk_event_id,
        events: found.events,
        blocks: found.blocks,
        bytes: found.bytes,
        hot_segments: found.hot_segments,
        open_segments: found.open_segments,
        cold_segments: found.cold_segments,
        kept_aside_files: found.kept_aside_files,
        foreign_files: found.foreign_files,
    }
}

/// What the bytes alone cannot prove.
fn doubts(found: &VerifyReport) -> Vec<String> {
    let mut doubts = Vec::new();
    let active = &found.active_path;
    let last = id(found.last_event_id);
    match found.newest {
        Newest::OnDisk => {}
        Newest::NotKnown => doubts.push(format!(
            "wal_identity is missing or damaged, so whether events follow event {last} is not known"
        )),
        Newest::InMemory if found.on_disk_event_id < found.last_event_id => doubts.push(format!(
            "not shut down: events {} to {last} are in memory only ({active}), and are gone with a \
             power cut",
            found.on_disk_event_id + 1
        )),
        Newest::InMemory => doubts
            .push(format!("not shut down: its newest events are in {active} too, which was read")),
        Newest::Denied => doubts.push(format!(
            "not shut down, and this user may not read {active}: events may follow event {last}"
        )),
        Newest::Elsewhere => doubts.push(format!(
            "events may follow event {last}: in {active}, of the log that this is a copy of"
        )),
        Newest::NotHere => doubts.push(format!(
            "not shut down, and {active} is not here: events may have followed event {last}"
        )),
    }
    if found.is_copy {
        doubts.push("a copy: that it has all of its original cannot be seen from here".into());
    }
    if found.last_event_id < found.durable_event_id {
        doubts.push(format!("ends before event {}, which was durable", id(found.durable_event_id)));
    }
    doubts
}

fn show(report: &Report, found: &VerifyReport, output: &mut Output) -> Outcome<()> {
    let verdict = match report.sound {
        true => output.toned(Tone::Good, "sound"),
        false => output.toned(Tone::Bad, &format!("{} WRONG", count(report.damage_count, "thing"))),
    };
    output.line(&format!("{}: {verdict}", report.dir))?;
    let range = match report.events {
        0 => String::new(),
        _ => format!(", ids {} to {}", report.first_event_id, report.last_event_id),
    };
    output.line(&format!(
        "  {} in {}{range}; {} read",
        count(report.events, "event"),
        count(report.blocks, "block"),
        bytes(report.bytes)
    ))?;
    output.line(&format!(
        "  segments: {} hot, {} open, {} cold; durable up to {}",
        report.hot_segments,
        report.open_segments,
        report.cold_segments,
        id(report.durable_event_id)
    ))?;
    for damage in &found.damages {
        let word = output.toned(Tone::Bad, &kebab(&format!("{:?}", damage.kind)));
        output.line(&format!("  {word}: {}", damage.to_error()))?;
        if damage.file_offset != damage.offset {
            output.line(&format!("    at byte {} of that file", damage.file_offset))?;
        }
    }
    let listed = report.damages.len() as u64;
    if report.damage_count > listed {
        output.line(&format!("  and {} more", report.damage_count - listed))?;
    }
    if !report.cannot_promise.is_empty() {
        output.line("  what this cannot promise:")?;
    }
    for doubt in &report.cannot_promise {
        output.line(&format!("    {doubt}"))?;
    }
    if !report.sound {
        output.line(
            "  next: restore the named files from a backup; `fswal recover --dry-run` says what an \
             open would do",
        )?;
    }
    Ok(())
}

/// `SegmentHeader` as `segment-header`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}
