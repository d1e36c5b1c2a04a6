//! `salvage`: a new log of all that can be read of a damaged one.

use std::path::PathBuf;

use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::{BLOCK_SIZE, SEGMENT_HEADER_SIZE};
use flashstrike_wal::replay::{DamageKind, Reader};
use serde::Serialize;

use crate::directory::Log;
use crate::failure::{Failure, Outcome, Verdict};
use crate::new_log::NewLog;
use crate::output::{Output, Tone};
use crate::table::{count, id};

/// A new log, with an id of its own, of everything that can be read of a damaged one, and the list
/// of what cannot
///
/// The active directory is read too, where it is there. The damaged log is not changed. Its ids may
/// have gaps, so how many events are lost is not known: each place is exact in segment, block and
/// bytes, and lies between two ids. The new log is checked before it gets its name. Ends with 1 if
/// something could not be read.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory that is damaged
    dir: PathBuf,
    /// The directory to make
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    dir: String,
    out: String,
    events: u64,
    first_event_id: u64,
    last_event_id: u64,
    lost: Vec<Lost>,
}

/// A place that cannot be read.
#[derive(Debug, Serialize)]
struct Lost {
    segment: Option<u32>,
    block: Option<u64>,
    /// In the segment, uncompressed.
    first_byte: Option<u64>,
    /// `None`: to wherever the next event was found.
    last_byte: Option<u64>,
    /// What is lost lies behind this event; 0 = the log's beginning.
    after_event_id: u64,
    /// And before this one; none = to the end.
    before_event_id: Option<u64>,
    why: String,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    Log::look(&arguments.dir)?;
    let mut reader = Reader::open_salvaging(&arguments.dir)?;
    reader.use_threads(1)?;
    let mut new = NewLog::create(&arguments.out)?;
    let mut report = Report {
        dir: arguments.dir.display().to_string(),
        out: arguments.out.display().to_string(),
        events: 0,
        first_event_id: 0,
        last_event_id: 0,
        lost: Vec::new(),
    };
    read_all(&mut reader, &mut new, &mut report)?;
    report.events = new.finish()?;
    let is_whole = report.lost.is_empty();
    match output.is_json() {
        true => output.object(&report)?,
        false => show(&report, output)?,
    }
    Ok(if is_whole { Verdict::Well } else { Verdict::Wrong })
}

fn read_all(reader: &mut Reader, new: &mut NewLog, report: &mut Report) -> Outcome<()> {
    loop {
        match reader.next_batch() {
            Ok(events) => {
                for event in events {
                    new.append(event)?;
                }
                let (first, last) = (events[0].event_id, events[events.len() - 1].event_id);
                if report.first_event_id == 0 {
                    report.first_event_id = first;
                }
                report.last_event_id = last;
                let open = report.lost.iter_mut().filter(|lost| lost.before_event_id.is_none());
                open.for_each(|lost| lost.before_event_id = Some(first));
            }
            Err(Error::End) => return Ok(()),
            Err(error) => add(error, report)?,
        }
    }
}

/// Notes what cannot be read. A salvaging reader goes on behind it, and reports it once: one that
/// reports the same again stands still.
fn add(error: Error, report: &mut Report) -> Outcome<()> {
    let is_damage = matches!(error.cause(), Some(Cause::Corrupt | Cause::Io));
    let why = error.to_string();
    let again =
        report.lost.last().is_some_and(|lost| lost.why == why && lost.before_event_id.is_none());
    if !is_damage || again {
        return Err(Failure::from(error));
    }
    let Error::Failure(failure) = &error else { return Err(error.into()) };
    let offset = failure.place.offset;
    let (head, size) = (SEGMENT_HEADER_SIZE as u64, BLOCK_SIZE as u64);
    let is_block = matches!(
        DamageKind::of(&error),
        Some(DamageKind::Block | DamageKind::BlockHeader | DamageKind::Chain)
    );
    let extent = if is_block { Some(size) } else { None };
    report.lost.push(Lost {
        segment: failure.place.segment_index,
        block: offset.filter(|offset| *offset >= head).map(|offset| (offset - head) / size),
        first_byte: offset,
        last_byte: offset.zip(extent).map(|(offset, extent)| offset + extent - 1),
        after_event_id: report.last_event_id,
        before_event_id: None,
        why,
    });
    Ok(())
}

fn show(report: &Report, output: &mut Output) -> Outcome<()> {
    let verdict = match report.lost.len() {
        0 => output.toned(Tone::Good, "all of it"),
        n => {
            let places = count(n as u64, "place");
            output.toned(Tone::Bad, &format!("{places} could not be read"))
        }
    };
    output.line(&format!("{}: {verdict}", report.dir))?;
    output.line(&format!(
        "  {}: {}, ids {} to {}, checked",
        report.out,
        count(report.events, "event"),
        id(report.first_event_id),
        id(report.last_event_id)
    ))?;
    for lost in &report.lost {
        let segment = lost.segment.map_or_else(String::new, |n| format!("segment {n}, "));
        let block = lost.block.map_or_else(String::new, |n| format!("block {n}, "));
        let bytes = match (lost.first_byte, lost.last_byte) {
            (Some(first), Some(last)) => format!("bytes {first} to {last}, "),
            (Some(first), None) => format!("from byte {first} on, "),
            (None, _) => String::new(),
        };
        let before = lost
            .before_event_id
            .map_or_else(|| "to the end".to_owned(), |before| format!("and before event {before}"));
        output.line(&format!(
            "  lost: {segment}{block}{bytes}behind event {} {before}",
            id(lost.after_event_id)
        ))?;
        output.line(&format!("    {}", lost.why))?;
    }
    Ok(())
}
