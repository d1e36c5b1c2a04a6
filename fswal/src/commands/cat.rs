//! `cat`: the events of a log.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use flashstrike_wal::format::RequestEvent;
use serde::Serialize;

use crate::directory::Log;
use crate::events::{write_csv, write_hex, Events, How, Next, CSV_HEAD};
use crate::failure::{Outcome, Verdict};
use crate::output::Output;
use crate::selection::{type_name, Filter, Range};

/// Events, as CSV, JSON lines or a table
///
/// Every block is checked before its events are shown; the first damage ends it, with the place.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// What it looks like; --json is the same as json
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Go on with what is appended; the log need not be there yet
    #[arg(long)]
    follow: bool,
    /// Only events that are durable
    #[arg(long)]
    durable_only: bool,
    /// At most this many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    // Last: their heading is that of all that follow.
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Table,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    if !arguments.follow {
        Log::look(&arguments.dir)?;
    }
    let how = How { follow: arguments.follow, durable_only: arguments.durable_only };
    let mut events = Events::open(&arguments.dir, &arguments.range, how)?;
    let format = if output.is_json() { Format::Json } else { arguments.format };
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    head(format, output)?;
    while left > 0 {
        let batch = match events.next() {
            Ok(Next::Batch(batch)) => batch,
            Ok(Next::End) => {
                events.tell_denial();
                break;
            }
            Ok(Next::Nothing) => {
                output.flush()?;
                events.tell_denial();
                events.wait()?;
                continue;
            }
            Err(failure) => {
                // What was read before it comes first.
                output.flush()?;
                return Err(failure);
            }
        };
        for event in batch {
            if left > 0 && arguments.range.has(event) && arguments.filter.has(event) {
                show(format, event, output)?;
                left -= 1;
            }
        }
    }
    Ok(Verdict::Well)
}

fn head(format: Format, output: &mut Output) -> Outcome<()> {
    match format {
        Format::Json => Ok(()),
        Format::Csv => output.line(CSV_HEAD),
        Format::Table => output.line(&format!(
            "{:>20} {:>20} {:>14} {:>14} {:>10} {:>10} {:<15} {:<6} {}",
            "event_id",
            "timestamp",
            "price",
            "quantity",
            "user_id",
            "order_id",
            "type",
            "order",
            "side"
        )),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    event_id: u64,
    timestamp: u64,
    price: i64,
    quantity: i64,
    user_id: u32,
    order_id: u32,
    r#type: u8,
    order_type: u8,
    side: u8,
    reserved: &'a str,
}

fn show(format: Format, event: &RequestEvent, output: &mut Output) -> Outcome<()> {
    let RequestEvent { event_id, timestamp, price, quantity, user_id, order_id, .. } = *event;
    let (kind, order_type, side) = (event.r#type, event.order_type, event.side);
    match format {
        Format::Json => {
            let mut reserved = Vec::with_capacity(2 * event.reserved.len());
            write_hex(&event.reserved, &mut reserved)?;
            output.object(&Line {
                event_id,
                timestamp,
                price,
                quantity,
                user_id,
                order_id,
                r#type: kind,
                order_type,
                side,
                reserved: &String::from_utf8_lossy(&reserved),
            })?;
        }
        Format::Csv => write_csv(event, output.stream())?,
        Format::Table => {
            let name = |names: [&str; 2], n: u8| {
                names.get(usize::from(n)).map_or_else(|| n.to_string(), |name| (*name).to_owned())
            };
            writeln!(
                output.stream(),
                "{event_id:>20} {timestamp:>20} {price:>14} {quantity:>14} {user_id:>10} \
                 {order_id:>10} {:<15} {:<6} {}",
                type_name(kind),
                name(["limit", "market"], order_type),
                name(["bid", "ask"], side)
            )?;
        }
    }
    Ok(())
}
