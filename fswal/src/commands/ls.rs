//! `ls`: every segment of a log.

use std::path::PathBuf;

use flashstrike_wal::error::Cause;
use flashstrike_wal::format::{
    file_name, Layout, LogEnd, RequestEvent, Rule, SegmentHeader, SegmentScan,
};
use flashstrike_wal::format::{BLOCK_SIZE, EVENT_SIZE};
use flashstrike_wal::replay::{closed_header, Reader, ReaderOptions};
use flashstrike_wal::storage::{File, Open};
use serde::Serialize;

use crate::clock::event_time;
use crate::directory::Log;
use crate::failure::{Outcome, Verdict};
use crate::output::Output;
use crate::table::{bytes, grouped, id, Table};

/// Every segment: its state, its events, their ids and times, its size
///
/// cold: compressed. hot: closed and not compressed. open: its header counts nothing yet; its
/// events are counted where they are. prepared: open, and without events. twin: both files are
/// there. damaged: its header is not right. unreadable: its file cannot be read. The times are
/// those of the events, which are the engine's. Ends with 1 if a segment is damaged, with 3 if one
/// cannot be read.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
}

#[derive(Debug, Default, Serialize)]
struct Row {
    index: u32,
    state: &'static str,
    events: u64,
    first_event_id: u64,
    last_event_id: u64,
    first_timestamp: Option<u64>,
    last_timestamp: Option<u64>,
    /// Bytes of its files.
    bytes: u64,
    /// Bytes of the file over those of its events uncompressed.
    ratio: Option<f64>,
    closed_ns: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Other {
    kept_aside: String,
    bytes: u64,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let log = Log::look(&arguments.dir)?;
    let mut reader = Reader::open(&log.path, ReaderOptions { verify: false }).ok();
    let mut table = Table::new(&[
        ">index",
        "state",
        ">events",
        ">first id",
        ">last id",
        "first time",
        "last time",
        ">size",
        ">ratio",
    ]);
    let mut states = Vec::new();
    let mut floor = 0;
    for index in log.inventory.indexes() {
        let Some(row) = look(&log, index, floor, reader.as_mut())? else { continue };
        floor = floor.max(row.last_event_id);
        states.push(row.state);
        if output.is_json() {
            output.object(&row)?;
            continue;
        }
        let time = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), event_time);
        table.row(vec![
            row.index.to_string(),
            row.state.to_owned(),
            grouped(row.events),
            id(row.first_event_id),
            id(row.last_event_id),
            time(row.first_timestamp),
            time(row.last_timestamp),
            bytes(row.bytes),
            row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]);
    }
    if !output.is_json() {
        table.write(output)?;
    }
    kept_aside(&log, output)?;
    Ok(match &states {
        states if states.contains(&"damaged") => Verdict::Wrong,
        states if states.contains(&"unreadable") => Verdict::Unreadable,
        _ => Verdict::Well,
    })
}

/// `None` when retention has removed it meanwhile.
fn look(log: &Log, index: u32, floor: u64, reader: Option<&mut Reader>) -> Outcome<Option<Row>> {
    let (hot, cold) = (file_name::hot(index), file_name::cold(index));
    let sizes = [log.wal.status_of(&hot)?, log.wal.status_of(&cold)?];
    let [hot_size, cold_size] = sizes.map(|status| status.map(|status| status.size));
    if hot_size.is_none() && cold_size.is_none() {
        return Ok(None);
    }
    let mut row = Row { index, ..Row::default() };
    row.bytes = hot_size.unwrap_or(0) + cold_size.unwrap_or(0);
    let is_hot = hot_size.is_some();
    match closed_header(&*log.wal, index, is_hot) {
        Ok(Some(header)) => {
            row.state = match (hot_size, cold_size) {
                (Some(_), Some(_)) => "twin",
                (Some(_), None) => "hot",
                (None, _) => "cold",
            };
            of_closed(&mut row, &header, cold_size.filter(|_| !is_hot), reader);
        }
        Ok(None) if is_hot => of_open(log, &mut row, &hot, floor)?,
        Err(error) if error.cause() != Some(Cause::Corrupt) => {
            row.state = "unreadable";
            eprintln!("fswal: {error}");
        }
        Ok(None) | Err(_) => row.state = "damaged",
    }
    Ok(Some(row))
}

fn of_closed(
    row: &mut Row,
    header: &SegmentHeader,
    cold: Option<u64>,
    reader: Option<&mut Reader>,
) {
    row.events = header.event_count.into();
    (row.first_event_id, row.last_event_id) = (header.first_event_id, header.last_event_id);
    row.closed_ns = Some(header.closed_ts_ns);
    let whole = Layout { blocks: header.block_count }.file_size();
    row.ratio = cold.map(|cold| cold as f64 / whole as f64);
    // Without checking what lies between: a damaged block there is for `verify` to find.
    let Some(reader) = reader.filter(|_| row.events > 0) else { return };
    let mut time_of = |event_id: u64| {
        reader.seek(event_id).and_then(|()| reader.next()).ok().map(|event| event.timestamp)
    };
    row.first_timestamp = time_of(row.first_event_id);
    row.last_timestamp = time_of(row.last_event_id);
}

/// Its events are counted in memory, where the log has that, else in its file.
fn of_open(log: &Log, row: &mut Row, name: &str, floor: u64) -> Outcome<()> {
    let in_memory = log.active.as_ref().map(|active| active.open(name, Open::Read));
    let file = match in_memory.transpose()?.flatten() {
        Some(file) => Some(file),
        None => log.wal.open(name, Open::Read)?,
    };
    let Some(file) = file else { return Ok(()) };
    let end = scan(&*file, floor)?;
    row.events = end.event_count.into();
    row.state = if row.events == 0 { "prepared" } else { "open" };
    if row.events > 0 {
        (row.first_event_id, row.last_event_id) = (end.first_event_id, end.last_event_id);
        row.first_timestamp = timestamp(&*file, 0)?;
        row.last_timestamp = timestamp(&*file, end.event_count - 1)?;
    }
    Ok(())
}

/// The events of an open segment: ids that rise, from the first slot on.
fn scan(file: &dyn File, floor: u64) -> Outcome<LogEnd> {
    let mut scan = SegmentScan::new(Rule::Memory, floor);
    let mut block = vec![0; BLOCK_SIZE];
    for n in 0..Layout::of_file(file.size()?).blocks {
        let is_whole = file.read_at(&mut block, Layout::block_offset(n))? == BLOCK_SIZE;
        if !is_whole || scan.block(&block) == 0 {
            break;
        }
    }
    Ok(scan.end())
}

fn timestamp(file: &dyn File, slot: u32) -> Outcome<Option<u64>> {
    let mut bytes = [0; EVENT_SIZE];
    let read = file.read_at(&mut bytes, Layout::event_offset(slot))?;
    Ok((read == EVENT_SIZE).then(|| RequestEvent::decode(&bytes).timestamp))
}

fn kept_aside(log: &Log, output: &mut Output) -> Outcome<()> {
    let names = log.kept_aside()?;
    if !names.is_empty() && !output.is_json() {
        output.line("\nkept aside by recovery:")?;
    }
    for name in names {
        let bytes_of = log.wal.status_of(&name)?.map_or(0, |status| status.size);
        match output.is_json() {
            true => output.object(&Other { kept_aside: name, bytes: bytes_of })?,
            false => output.line(&format!("  {name}  {}", bytes(bytes_of)))?,
        }
    }
    Ok(())
}
