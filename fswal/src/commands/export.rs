//! `export`: events as Parquet, Arrow IPC or CSV, in bounded memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::SchemaRef;
use clap::ValueEnum;
use flashstrike_wal::format::RequestEvent;
use serde::Serialize;

use crate::columns::{not_made, Shape};
use crate::directory::{refuse_within, Log};
use crate::events::{write_csv, Events, How, Next, CSV_HEAD};
use crate::failure::{Failure, Outcome, Verdict};
use crate::new_log::{name, partial_of};
use crate::output::{named, progress_bar, NamedFile, Output};
use crate::parquet_file::ParquetFile;
use crate::selection::{Filter, Range};
use crate::table::{count, grouped};

/// Events of a batch.
const BATCH: usize = 64 * 1024;

/// Events as Parquet, Arrow IPC or CSV: all of them, or those of a range of ids or times
///
/// Every block is checked before its events are exported, and a file gets its name when it is
/// whole. Memory is bounded, however long the log is.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// The file to make: *.parquet, *.arrow or *.csv; - is standard output (arrow or csv)
    out: PathBuf,
    /// What to write, where the name does not say it
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Whether timestamps are numbers or times; utc refuses what is no time
    #[arg(long, value_enum, default_value_t = Timestamps::Number)]
    timestamps: Timestamps,
    /// The 56 bytes behind the id as one column, for engines that put something else there
    #[arg(long)]
    payload: bool,
    /// The unit of prices and quantities, for those who read the file: into its metadata
    #[arg(long, value_name = "TEXT")]
    scale: Option<String>,
    /// Only events that are durable
    #[arg(long)]
    durable_only: bool,
    // Last: their heading is that of all that follow.
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Arrow,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Timestamps {
    Number,
    Utc,
}

#[derive(Debug, Serialize)]
struct Report {
    dir: String,
    out: String,
    events: u64,
    first_event_id: u64,
    last_event_id: u64,
}

/// Where events go.
enum Sink {
    Parquet(Box<ParquetFile>),
    ArrowFile(Box<FileWriter<BufWriter<NamedFile>>>),
    ArrowStream(Box<StreamWriter<BufWriter<io::Stdout>>>),
    Csv(Box<dyn Write>),
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let (dir, out) = (&arguments.dir, &arguments.out);
    let log = Log::look(dir)?;
    let format = format(arguments)?;
    let shape = Shape { utc: arguments.timestamps == Timestamps::Utc, payload: arguments.payload };
    if format == Format::Csv && (shape.utc || shape.payload) {
        return Err(Failure::usage("CSV has timestamps as numbers, and each field by itself")
            .next("export as parquet or arrow"));
    }
    let partial = match is_stdout(out) {
        true => None,
        false => Some(reserve(dir, out)?),
    };
    let schema = shape.schema(metadata(&log, arguments));
    let how = How { follow: false, durable_only: arguments.durable_only };
    let mut events = Events::open(dir, &arguments.range, how)?;
    let mut sink = Sink::open(format, partial.as_deref(), shape, &schema)?;
    let bar = progress_bar(0, "{bar:40} {percent} %, event {msg}, {eta} left");
    let end = arguments.range.to_id.unwrap_or(u64::MAX).min(log.known_durable());
    let mut tell = |first: u64, now: u64| {
        bar.set_length(end.saturating_sub(first).max(1));
        bar.set_position(now - first);
        bar.set_message(grouped(now));
    };
    let exported = copy(arguments, &mut events, shape, &schema, &mut sink, &mut tell);
    bar.finish_and_clear();
    events.tell_denial();
    let finished = exported.and_then(|(n, first, last)| {
        sink.finish(first, last)?;
        if let Some(partial) = &partial {
            File::open(partial)?.sync_all().map_err(|error| named(partial, &error))?;
            name(partial, out)?;
        }
        Ok((n, first, last))
    });
    if let (Err(_), Some(partial)) = (&finished, &partial) {
        drop(std::fs::remove_file(partial));
    }
    let (n, first_event_id, last_event_id) = finished?;
    // What is on standard output are the events.
    if partial.is_some() {
        let (dir, out) = (dir.display().to_string(), out.display().to_string());
        let report = Report { dir, out, events: n, first_event_id, last_event_id };
        match output.is_json() {
            true => output.object(&report)?,
            false => output.line(&format!("{}: {}", report.out, count(n, "event")))?,
        }
    }
    Ok(Verdict::Well)
}

fn is_stdout(out: &Path) -> bool {
    out.as_os_str() == "-"
}

fn format(arguments: &Arguments) -> Outcome<Format> {
    let ending = arguments.out.extension().and_then(|ending| ending.to_str());
    let named = match ending {
        Some("parquet") => Some(Format::Parquet),
        Some("arrow" | "ipc" | "feather") => Some(Format::Arrow),
        Some("csv") => Some(Format::Csv),
        _ => None,
    };
    let usage = |what: &str| Failure::usage(what).next("--format parquet, arrow or csv");
    let format = arguments.format.or(named).ok_or_else(|| usage("what is to be written?"))?;
    match format == Format::Parquet && is_stdout(&arguments.out) {
        true => Err(usage("Parquet needs a file: it is written from both ends")),
        false => Ok(format),
    }
}

/// The path beside OUT under which it is written.
fn reserve(dir: &Path, out: &Path) -> Outcome<PathBuf> {
    refuse_within(dir, out)?;
    if out.symlink_metadata().is_ok() {
        let message = format!("{}: is there already", out.display());
        return Err(Failure::usage(message).next("remove it, or name another file"));
    }
    partial_of(out)
}

fn metadata(log: &Log, arguments: &Arguments) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    let mut add = |name: &str, value: String| drop(metadata.insert(name.to_owned(), value));
    if let Some(identity) = &log.identity {
        add("flashstrike_wal.log_id", format!("{:032x}", identity.id));
    }
    if let Some(scale) = &arguments.scale {
        add("flashstrike_wal.scale", scale.clone());
    }
    metadata
}

/// Exports the events, a batch at a time; gives how many, the first one and the last. Tells the
/// first and the last id that was read.
fn copy(
    arguments: &Arguments,
    events: &mut Events,
    shape: Shape,
    schema: &SchemaRef,
    sink: &mut Sink,
    tell: &mut dyn FnMut(u64, u64),
) -> Outcome<(u64, u64, u64)> {
    let mut begin = None;
    let mut batch: Vec<RequestEvent> = Vec::with_capacity(BATCH + 256);
    let (mut n, mut first, mut last) = (0, 0, 0);
    loop {
        let is_end = match events.next()? {
            Next::Batch(read) => {
                let wanted = read
                    .iter()
                    .filter(|event| arguments.range.has(event) && arguments.filter.has(event));
                batch.extend(wanted);
                if let (Some(first), Some(last)) = (read.first(), read.last()) {
                    tell(*begin.get_or_insert(first.event_id), last.event_id);
                }
                false
            }
            Next::Nothing | Next::End => true,
        };
        if batch.len() >= BATCH || (is_end && !batch.is_empty()) {
            if n == 0 {
                first = batch[0].event_id;
            }
            last = batch[batch.len() - 1].event_id;
            n += batch.len() as u64;
            sink.write(&batch, shape, schema)?;
            batch.clear();
        }
        if is_end {
            return Ok((n, first, last));
        }
    }
}

impl Sink {
    /// Opens the file, or standard output.
    fn open(
        format: Format,
        file: Option<&Path>,
        shape: Shape,
        schema: &SchemaRef,
    ) -> Outcome<Self> {
        let create = |path: &Path| -> Outcome<BufWriter<NamedFile>> {
            Ok(BufWriter::with_capacity(1024 * 1024, NamedFile::create(path)?))
        };
        Ok(match (format, file) {
            (Format::Parquet, Some(path)) => {
                let file = ParquetFile::new(create(path)?, shape.columns(), schema)?;
                Sink::Parquet(Box::new(file))
            }
            (Format::Arrow, Some(path)) => Sink::ArrowFile(Box::new(
                FileWriter::try_new(create(path)?, schema).map_err(not_made)?,
            )),
            (Format::Csv, file) => {
                let mut to: Box<dyn Write> = match file {
                    Some(path) => Box::new(create(path)?),
                    None => Box::new(BufWriter::new(io::stdout())),
                };
                writeln!(to, "{CSV_HEAD}")?;
                Sink::Csv(to)
            }
            (Format::Arrow | Format::Parquet, None) => {
                let to = BufWriter::new(io::stdout());
                Sink::ArrowStream(Box::new(StreamWriter::try_new(to, schema).map_err(not_made)?))
            }
        })
    }

    fn write(&mut self, events: &[RequestEvent], shape: Shape, schema: &SchemaRef) -> Outcome<()> {
        match self {
            Sink::Parquet(file) => file.write(events),
            Sink::ArrowFile(writer) => {
                writer.write(&shape.batch(schema, events)?).map_err(not_made)
            }
            Sink::ArrowStream(writer) => {
                writer.write(&shape.batch(schema, events)?).map_err(not_made)
            }
            Sink::Csv(to) => events.iter().try_for_each(|event| write_csv(event, to)),
        }
    }

    fn finish(self, first: u64, last: u64) -> Outcome<()> {
        let range = [("first_event_id", first), ("last_event_id", last)];
        let range = range.map(|(name, id)| (format!("flashstrike_wal.{name}"), id.to_string()));
        match self {
            Sink::Parquet(file) => file.finish(range)?,
            Sink::ArrowFile(mut writer) => {
                range.into_iter().for_each(|(key, value)| writer.write_metadata(key, value));
                writer.finish().map_err(not_made)?;
            }
            Sink::ArrowStream(mut writer) => writer.finish().map_err(not_made)?,
            Sink::Csv(mut to) => to.flush()?,
        }
        Ok(())
    }
}
