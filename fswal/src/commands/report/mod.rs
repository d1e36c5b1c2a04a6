//! `report`: a log on one page, for people: `facts` gathers, `page` arranges, the others draw.

mod charts;
mod coverage;
mod facts;
mod markup;
mod page;
mod probes;
mod scale;
mod segments;
mod timeline;

use std::io::Write;
use std::path::{Path, PathBuf};

use flashstrike_wal::replay::{verify_telling, VerifyReport};
use flashstrike_wal::storage::now_ns;
use serde::Serialize;

use crate::directory::{refuse_within, Log, State};
use crate::failure::{Failure, Outcome};
use crate::new_log::{name, partial_of};
use crate::output::{byte_bar, NamedFile, Output};
use crate::table::bytes;

use facts::Facts;
use segments::Segment;

/// One page, to look at in a browser: events over time, coverage, sizes, times, recoveries, damage
///
/// The page needs nothing but itself: no network, no scripts. Every byte of the log is checked, as
/// verify does; nothing of it is changed, and a live log is not held up. Ends with 1 if anything is
/// wrong with the log, with 3 if a part of it could not be read; the page is written all the same.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// The page; one that is there is replaced
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

#[derive(Debug, Serialize)]
struct Written {
    page: String,
    bytes: u64,
    state: State,
    headline: String,
    why: String,
    damage_count: u64,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let log = Log::look(&arguments.dir)?;
    refuse_within(&arguments.dir, &arguments.output)?;
    let facts = Facts::gather(log, verified)?;
    let page = page::page(&facts, now_ns());
    write(&arguments.output, &page)?;
    let headline = facts.headline();
    let written = Written {
        page: arguments.output.display().to_string(),
        bytes: page.len() as u64,
        state: facts.log.state,
        headline: headline.word,
        why: headline.why,
        damage_count: facts.found.damage_count,
    };
    if output.is_json() {
        output.object(&written)?;
    } else {
        let word = output.toned(headline.tone, &written.headline);
        output.line(&format!("{}: {word}: {}", arguments.dir.display(), written.why))?;
        output.line(&format!("  page: {}, {}", written.page, bytes(written.bytes)))?;
    }
    Ok(facts.verdict())
}

/// Replaces the page, once the new one is whole.
fn write(out: &Path, page: &str) -> Outcome<()> {
    let partial = partial_of(out)?;
    let mut file = NamedFile::create(&partial)?;
    let written = file.write_all(page.as_bytes()).map_err(Failure::from);
    let named = written.and_then(|()| name(&partial, out));
    if named.is_err() {
        drop(std::fs::remove_file(&partial));
    }
    named
}

/// With a bar on standard error, where that is a terminal.
fn verified(log: &Log, segments: &[Segment]) -> Outcome<VerifyReport> {
    let total = segments.iter().map(|one| one.hot_bytes + one.cold_bytes).sum();
    let bar = byte_bar(total);
    let found = verify_telling(&log.path, &mut |so_far| bar.set_position(so_far.bytes));
    bar.finish_and_clear();
    Ok(found?)
}
