//! `backup`: a copy of a log that always opens, and says up to which event.
//!
//! A directory is made beside its name, synced, checked, and only then named: a run that was killed
//! leaves an earlier backup as it was. A stream ends with the records without which it is no log.
//!
//! In reading order: `hold` keeps the log's files meanwhile, `source` finds them, `contents` says
//! what goes in and in which order, into a `target`: a `directory`, with what can be kept of an
//! `earlier` backup, made durable by `syncs`, or a `stream`. `segment_writer` seals what is not
//! closed in the log, `check` reads it all again, `report` says what was done.

mod check;
mod contents;
mod directory;
mod earlier;
mod hold;
mod report;
mod segment_writer;
mod source;
mod stream;
mod syncs;
mod target;

use std::path::{Path, PathBuf};

use crate::directory::Log;
use crate::failure::{Outcome, Verdict};
use crate::output::Output;

use check::{check_copy, check_events, check_opens};
use contents::{put_events, put_records};
use directory::NewDirectory;
use earlier::Earlier;
use report::Report;
use source::Source;
use stream::Stream;

/// A copy that always opens, and says up to which event; run again, it adds what is new
///
/// Of a live log it has what was durable when it began, of a crashed one all that an open would
/// recover, what is in memory too. An earlier backup of the same log in OUT is gone on from, and
/// keeps segments that retention has deleted in the log; what differs from it is copied anew. One
/// is refused if events between it and the log are in neither, or if it has events that the log has
/// lost. To restore, copy the backup to where the log was, or extract the tar stream there into an
/// empty directory, and open it: that gives it an id of its own.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// The directory of the backup: a new one, or that of an earlier backup of this log
    #[arg(required_unless_present = "to_tar", conflicts_with = "to_tar")]
    out: Option<PathBuf>,
    /// Write the backup to standard output, as a tar stream; what was done is said on standard
    /// error
    #[arg(long)]
    to_tar: bool,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let log = Log::look(&arguments.dir)?;
    match &arguments.out {
        Some(out) => into_directory(&log, out)?.show(output)?,
        None => into_stream(&log, Stream::on_stdout(&log)?)?.show_on_stderr(output)?,
    }
    Ok(Verdict::Well)
}

fn into_directory(log: &Log, out: &Path) -> Outcome<Report> {
    let earlier = Earlier::find(log, out)?;
    hold::during(log, &hold::name_for(out)?, || {
        let source = Source::open(&log.path)?;
        earlier.iter().try_for_each(|earlier| earlier.check_followed_by(&source))?;
        let mut target = NewDirectory::create(out, earlier)?;
        let mut report = Report::of(&source, out);
        let end = put_events(&source, &mut target, &mut report)?;
        put_records(&source, &mut target, end)?;
        check_copy(target.path(), &source.log.path, &report)?;
        check_opens(target.path(), &report)?;
        target.name()?;
        Ok(report)
    })
}

/// What was written cannot be read again, so its source is, before the records make it a log.
fn into_stream(log: &Log, mut target: Stream) -> Outcome<Report> {
    hold::during(log, hold::OF_STREAMS, || {
        let source = Source::open(&log.path)?;
        let mut report = Report::of(&source, Path::new("-"));
        let end = put_events(&source, &mut target, &mut report)?;
        check_events(&source.log.path, &report)?;
        put_records(&source, &mut target, end)?;
        target.finish()?;
        Ok(report)
    })
}
