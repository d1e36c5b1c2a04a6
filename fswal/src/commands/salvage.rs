//! `salvage`: a new log of all that can be read of a damaged one.

use std::path::PathBuf;

use flashstrike_wal::config::DEFAULT_ACTIVE_PARENT;
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::replay::Reader;

use crate::directory::Log;
use crate::failure::{Failure, Outcome, Verdict};
use crate::new_log::NewLog;
use crate::output::{Output, Tone};
use crate::salvaged::{Lost, Salvaged};
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
    /// Where to look for the log's memory, if it is not where the log says or that cannot be read:
    /// the directory in which active directories are made
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ACTIVE_PARENT)]
    active_dir: PathBuf,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let log = Log::look(&arguments.dir)?;
    let mut reader = Reader::open_salvaging_beside(&arguments.dir, &arguments.active_dir)?;
    reader.use_threads(1)?;
    let mut new = NewLog::create(&arguments.out)?;
    let mut report = Salvaged::new(&log, &arguments.out);
    read_all(&mut reader, &mut new, &mut report)?;
    report.look_beside(&log, &reader);
    report.events = new.finish()?;
    match output.is_json() {
        true => output.object(&report)?,
        false => show(&report, output)?,
    }
    Ok(if report.is_whole() { Verdict::Well } else { Verdict::Wrong })
}

/// A salvaging reader goes on behind what it cannot read, and reports it once: one that reports the
/// same again stands still.
fn read_all(reader: &mut Reader, new: &mut NewLog, report: &mut Salvaged) -> Outcome<()> {
    let mut last_error = None;
    loop {
        match reader.next_batch() {
            Ok(events) => {
                for event in events {
                    new.append(event)?;
                }
                report.pass(events[0].event_id, events[events.len() - 1].event_id);
                last_error = None;
            }
            Err(Error::End) => return Ok(()),
            Err(Error::Failure(failure)) => {
                let may_go_on = matches!(failure.cause, Cause::Corrupt | Cause::Io | Cause::Gap);
                let message = Some(failure.message.clone());
                if !may_go_on || message == last_error {
                    return Err(Error::Failure(failure).into());
                }
                last_error = message;
                report.add(*failure);
            }
            Err(error) => return Err(Failure::from(error)),
        }
    }
}

fn show(report: &Salvaged, output: &mut Output) -> Outcome<()> {
    let verdict = match (report.lost.len(), report.is_whole()) {
        (0, true) if report.doubts.is_empty() => output.toned(Tone::Good, "all of it"),
        (0, true) => output.toned(Tone::Doubtful, "all that is here"),
        (0, false) => output.toned(Tone::Doubtful, "damaged, and all that it holds is there"),
        (n, _) => {
            let places = count(n as u64, "place");
            output.toned(Tone::Bad, &format!("{places} could not be read"))
        }
    };
    output.line(&format!("{}: {verdict}", report.dir))?;
    let ids = match report.events {
        0 => String::new(),
        _ => format!(", ids {} to {}", id(report.first_event_id), id(report.last_event_id)),
    };
    output.line(&format!("  {}: {}{ids}, checked", report.out, count(report.events, "event"),))?;
    for lost in &report.lost {
        output.line(&format!("  lost: {}", place(lost)))?;
        output.line(&format!("    {}", lost.why))?;
    }
    for damaged in &report.damaged {
        output.line(&format!("  damaged, at no cost of events: {}", damaged.why))?;
    }
    for doubt in &report.doubts {
        output.line(&format!("  note: {doubt}"))?;
    }
    Ok(())
}

fn place(lost: &Lost) -> String {
    let range = |what: &str, first: u64, last: Option<u64>| match last {
        Some(last) if last == first => format!("{what} {first}"),
        Some(last) => format!("{what}s {first} to {last}"),
        None => format!("from {what} {first} on"),
    };
    let last_segment = lost.last_segment.map(u64::from);
    let mut parts: Vec<String> = Vec::new();
    parts.extend(lost.segment.map(|first| range("segment", u64::from(first), last_segment)));
    parts.extend(lost.block.map(|first| range("block", first, lost.last_block)));
    parts.extend(lost.first_byte.map(|first| range("byte", first, lost.last_byte)));
    let after = match lost.after_event_id {
        0 => "from the log's beginning".to_owned(),
        after => format!("behind event {after}"),
    };
    let before = match lost.before_event_id {
        Some(before) => format!("and before event {before}"),
        None => "to the end".to_owned(),
    };
    parts.push(format!("{after} {before}"));
    parts.join(", ")
}
