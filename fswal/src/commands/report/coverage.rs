//! What is covered of ids and of time, and what lies where: damage, holds, snapshots.

use std::time::Duration;

use crate::clock::{event_time, span};
use crate::table::{count, grouped};

use super::charts::note;
use super::facts::Facts;
use super::markup::{legend, strip, stripe, upright, Rows};
use super::probes::id_gaps;
use super::scale::{self, moment, BINS};
use super::timeline::{Clock, Timeline};

/// Rows of a table of gaps, and holds or snapshots that are drawn.
const MOST: usize = 12;

pub fn coverage(facts: &Facts, timeline: Option<&Timeline>) -> String {
    ids(facts) + &times(timeline)
}

fn ids(facts: &Facts) -> String {
    let mut with_events = facts.segments.iter().filter(|one| one.events > 0);
    let first = with_events.next();
    let (Some(first), Some(last)) = (first, with_events.next_back().or(first)) else {
        return note("There are no events.");
    };
    let begin = first.first_event_id;
    let width = (last.last_event_id - begin) as f64 + 1.0;
    let place = |id: u64| ((id.max(begin) - begin) as f64 / width).min(1.0);
    let mut shapes = stripe("main", 0.0, 1.0, "events");
    for (from, to) in id_gaps(&facts.segments, &facts.probes).into_iter().take(2 * BINS) {
        let title = format!("no event has the ids {} to {}", grouped(from), grouped(to));
        shapes += &stripe("back", place(from), place(to + 1), &title);
    }
    for damage in facts.found.damages.iter().filter(|damage| damage.event_ids.0 > 0) {
        let title = format!("damaged from id {} on", grouped(damage.event_ids.0));
        let to = damage.event_ids.1.max(damage.event_ids.0);
        let (from, to) = (place(damage.event_ids.0), place(to.saturating_add(1)));
        shapes += &stripe("bad", from, to.max((from + 0.004).min(1.0)), &title);
    }
    for snapshot in facts.snapshots.iter().rev().take(MOST * 4) {
        let title = format!("snapshot after event {}", grouped(snapshot.event_id));
        shapes += &upright("snap", place(snapshot.event_id), &title);
    }
    for hold in facts.holds.iter().take(MOST * 4) {
        let Some(id) = hold.event_id else { continue };
        let title = format!("hold {} from event {}", hold.name, grouped(id));
        shapes += &upright("hold", place(id), &title);
    }
    let durable = facts.found.durable_event_id;
    shapes += &upright("durable", place(durable), &format!("durable up to {}", grouped(durable)));
    let ticks = scale::numbers(begin, last.last_event_id);
    let legend = legend(&[
        ("main", "events"),
        ("back", "no event has these ids"),
        ("bad", "damaged"),
        ("durable", "durable up to here"),
        ("snap", "snapshot"),
        ("hold", "held from here on"),
    ]);
    let said = "Which ids are there, and what is where";
    "<h3>By id</h3>".to_owned()
        + &legend
        + &strip(said, &shapes, &ticks, "event id")
        + &id_gaps_table(facts)
}

fn id_gaps_table(facts: &Facts) -> String {
    let gaps = id_gaps(&facts.segments, &facts.probes);
    let of_segments = facts.segments.iter().filter(|one| one.events > 0);
    let left_out: u64 = of_segments
        .map(|one| (one.last_event_id - one.first_event_id + 1).saturating_sub(one.events))
        .sum();
    let inside = match left_out {
        0 => "no id is left out within a segment".to_owned(),
        n => format!("{} left out within segments", count(n, "id")),
    };
    if gaps.is_empty() {
        return note(&format!("No gap was found, and {inside}."));
    }
    let mut rows = Rows::new(&[">from id", ">to id", ">ids"]);
    for (from, to) in gaps.iter().take(MOST) {
        rows.row(&[grouped(*from), grouped(*to), grouped(to - from + 1)]);
    }
    let told = count(gaps.len() as u64, "gap");
    note(&format!(
        "{told}; {inside}. An engine may leave ids out; that a segment is \
         missing is said under integrity."
    )) + &rows.folded()
}

fn times(timeline: Option<&Timeline>) -> String {
    let Some(timeline) = timeline else { return String::new() };
    let is_clock = timeline.clock != Clock::Unit;
    let width = (timeline.last - timeline.first) as f64;
    let place = |time: u64| (time - timeline.first) as f64 / width;
    let mut quiet: Vec<_> = timeline.quiet.iter().take(2 * BINS).copied().collect();
    quiet.sort_unstable();
    let mut shapes = stripe("main", 0.0, 1.0, "events");
    for (begin, end) in quiet {
        shapes += &stripe("back", place(begin), place(end), "no events");
    }
    let (ticks, name) = match is_clock {
        true => (
            scale::times(timeline.first, timeline.last),
            scale::times_name(timeline.first, timeline.last),
        ),
        false => {
            (scale::numbers(timeline.first, timeline.last), "timestamp, the engine's unit".into())
        }
    };
    let strip = strip("At which times there are events", &shapes, &ticks, &name);
    let mut rows = Rows::new(&["from", "to", ">for"]);
    let long = |ns: u64| if is_clock { span(Duration::from_nanos(ns)) } else { grouped(ns) };
    for (begin, end) in timeline.quiet.iter().take(MOST) {
        let time = |time| if is_clock { event_time(time) } else { grouped(time) };
        rows.row(&[time(*begin), time(*end), long(end - begin)]);
    }
    let told = match timeline.quiet.len() {
        0 => note("No pause that would be seen here."),
        n => note(&format!(
            "{} of more than {} without an event.",
            count(n as u64, "pause"),
            long((timeline.last - timeline.first) / BINS as u64)
        )),
    };
    let table = if rows.is_empty() { String::new() } else { rows.folded() };
    format!("<h3>By time</h3>{strip}{told}{table}")
}

/// Holds and snapshots.
pub fn kept(facts: &Facts) -> String {
    const MOST_ROWS: usize = 60;
    let mut holds = Rows::new(&["~hold", "state", ">from event", ">ids held", "updated"]);
    for hold in facts.holds.iter().take(MOST_ROWS) {
        let behind = |id: u64| (facts.found.durable_event_id + 1).saturating_sub(id);
        holds.row(&[
            hold.name.clone(),
            hold.state.to_owned(),
            hold.event_id.map_or_else(|| "-".to_owned(), grouped),
            hold.event_id.map_or_else(|| "everything".to_owned(), |id| grouped(behind(id))),
            moment(hold.updated_ns),
        ]);
    }
    let mut snapshots = Rows::new(&[">after event", "state", "made", ">state size", ">file"]);
    for snapshot in facts.snapshots.iter().rev().take(MOST_ROWS) {
        let state = if snapshot.is_readable { "header is right" } else { "header is damaged" };
        snapshots.row(&[
            grouped(snapshot.event_id),
            state.to_owned(),
            moment(snapshot.created_ns),
            crate::table::bytes(snapshot.size),
            crate::table::bytes(snapshot.file_bytes),
        ]);
    }
    let shown = |rows: &Rows, none: &str| {
        if rows.is_empty() {
            note(none)
        } else {
            rows.markup()
        }
    };
    let more = |all: usize| match all.saturating_sub(MOST_ROWS) {
        0 => String::new(),
        n => note(&format!("and {} more", grouped(n as u64))),
    };
    shown(&holds, "No holds: retention goes by the engine's limits alone.")
        + &more(facts.holds.len())
        + &shown(&snapshots, "No snapshots.")
        + &more(facts.snapshots.len())
}
