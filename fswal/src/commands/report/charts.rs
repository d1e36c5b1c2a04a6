//! The sections that are charts: each with the numbers under it.

use std::time::Duration;

use flashstrike_wal::telemetry::{HistogramSnapshot, LatencySnapshot};

use crate::clock::{event_time, short_span, span};
use crate::history::Opened;
use crate::output::Tone;
use crate::table::{bytes, count, grouped};

use super::facts::Facts;
use super::markup::{bar, dot, escaped, legend, upright, Plot, Rows, Tick};
use super::scale::{self, grouped_short, moment, short_bytes, BINS};
use super::segments::{Kept, Segment};
use super::timeline::{Clock, Timeline};

/// A section of the page.
pub fn section(title: &str, is_wide: bool, body: &str) -> String {
    let class = if is_wide { " class=\"wide\"" } else { "" };
    format!("<section{class}><h2>{}</h2>\n{body}</section>\n", escaped(title))
}

pub fn note(text: &str) -> String {
    format!("<p class=\"soft\">{}</p>", escaped(text))
}

/// Events over time.
pub fn over_time(timeline: Option<&Timeline>) -> String {
    let Some(timeline) = timeline else {
        return note("No two events, or segments, are known to be of different times.");
    };
    let width = timeline.bounds(0).1 - timeline.bounds(0).0;
    let is_clock = timeline.clock != Clock::Unit;
    // Events a second where seconds are known, else events in a bar.
    let per = if is_clock { width.max(1) as f64 / 1e9 } else { 1.0 };
    let rates: Vec<f64> = timeline.bins.iter().map(|events| events / per).collect();
    let (top, y) = scale::upward(rates.iter().copied().fold(0.0, f64::max), grouped_short);
    let time = |at: u64| if is_clock { event_time(at) } else { grouped(at) };
    let y_name = if is_clock { "events a second" } else { "events in a bar" };
    let mut shapes = String::new();
    let mut rows = Rows::new(&["from", "to", ">events", ">events a second"]);
    for (bin, rate) in rates.iter().enumerate() {
        let (begin, end) = timeline.bounds(bin);
        let x = (bin as f64 / BINS as f64, (bin as f64 + 0.88) / BINS as f64);
        let events = timeline.bins[bin].round() as u64;
        let title = format!("{}: about {}", time(begin), count(events, "event"));
        shapes += &bar("main", x, (0.0, rate / top), &title);
        let rate = if is_clock { grouped(rate.round() as u64) } else { "-".to_owned() };
        rows.row(&[time(begin), time(end), grouped(events), rate]);
    }
    let (x, x_name) = match timeline.clock {
        Clock::Unit => (
            scale::numbers(timeline.first, timeline.last),
            "timestamp, in the engine's unit".to_owned(),
        ),
        _ => (
            scale::times(timeline.first, timeline.last),
            scale::times_name(timeline.first, timeline.last),
        ),
    };
    let said =
        format!("Events over time, from {} to {}", time(timeline.first), time(timeline.last));
    let plot = Plot { said, y_name: y_name.to_owned(), y, x_name, x, shapes };
    let mut text = String::new();
    if timeline.falls > 0 {
        text += &note(&format!(
            "The events' timestamps do not rise: {} of those that were looked at are below the one \
             before. This is by the times at which segments were closed.",
            grouped(timeline.falls as u64)
        ));
    } else if timeline.clock == Clock::Closed {
        text += &note(
            "The events' timestamps say nothing. This is by the times at which segments were \
             closed.",
        );
    }
    text + &plot.markup() + &rows.folded()
}

/// Some segments that a bar stands for.
struct Group<'a>(&'a [Segment]);

impl Group<'_> {
    fn sum(&self, of: impl Fn(&Segment) -> u64) -> u64 {
        self.0.iter().map(of).sum()
    }

    fn name(&self) -> String {
        match self.0 {
            [one] => format!("segment {}", one.index),
            [first, .., last] => format!("segments {} to {}", first.index, last.index),
            [] => String::new(),
        }
    }

    fn has(&self, index: u32) -> bool {
        self.0.iter().any(|segment| segment.index == index)
    }
}

fn groups(segments: &[Segment]) -> Vec<Group<'_>> {
    segments.chunks(segments.len().div_ceil(BINS).max(1)).map(Group).collect()
}

/// Where a bar stands, of so many.
fn place(n: usize, of: usize) -> (f64, f64) {
    // A few bars need not fill the box.
    let slots = of.max(8) as f64;
    ((n as f64 + 0.08) / slots, (n as f64 + 0.92) / slots)
}

/// Marks below bars.
fn bar_ticks(groups: &[Group<'_>]) -> Vec<Tick> {
    let step = groups.len().div_ceil(6).max(1);
    let tick = |(n, group): (usize, &Group<'_>)| {
        let (left, right) = place(n, groups.len());
        let label = grouped(group.0.first().map_or(0, |first| first.index.into()));
        Tick { at: (left + right) / 2.0, label }
    };
    groups.iter().enumerate().step_by(step).map(tick).collect()
}

/// The sizes of segments, hot and cold.
pub fn sizes(facts: &Facts) -> String {
    if facts.segments.is_empty() {
        return note("There are no segments.");
    }
    let groups = groups(&facts.segments);
    let size = |group: &Group<'_>| group.sum(|one| one.hot_bytes + one.cold_bytes);
    let greatest = groups.iter().map(size).max().unwrap_or(0);
    let (top, y) = scale::upward(greatest as f64, short_bytes);
    let mut shapes = String::new();
    let mut rows = Rows::new(&["segments", ">events", ">first id", ">last id", ">hot", ">cold"]);
    for (n, group) in groups.iter().enumerate() {
        let cold = group.sum(|one| one.cold_bytes);
        let is_open = |one: &Segment| matches!(one.kept, Kept::Open | Kept::Damaged);
        let open = group.sum(|one| if is_open(one) { one.hot_bytes } else { 0 });
        let hot = group.sum(|one| one.hot_bytes) - open;
        let title = format!("{}: {}", group.name(), bytes(hot + cold + open));
        let mut from = 0.0;
        for (class, size) in [("cold", cold), ("hot", hot), ("open", open)] {
            let to = from + size as f64 / top;
            shapes += &bar(class, place(n, groups.len()), (from, to), &title);
            from = to;
        }
        let damaged = |damage: &u32| group.has(*damage);
        let places = facts.found.damages.iter().filter_map(|damage| damage.segment_index);
        if places.filter(damaged).count() > 0 {
            let title = format!("{}: damaged", group.name());
            shapes += &bar("bad", place(n, groups.len()), (from, from + 0.04), &title);
        }
        let ids = group.0.iter().filter(|one| one.events > 0);
        let first = ids.clone().map(|one| one.first_event_id).min().unwrap_or(0);
        let last = ids.map(|one| one.last_event_id).max().unwrap_or(0);
        rows.row(&[
            group.name(),
            grouped(group.sum(|one| one.events)),
            grouped(first),
            grouped(last),
            bytes(hot + open),
            bytes(cold),
        ]);
    }
    let each = facts.segments.len().div_ceil(BINS);
    let y_name = match each {
        0 | 1 => "bytes on disk of each segment".to_owned(),
        n => format!("bytes on disk of {n} segments together"),
    };
    let said = format!("Sizes of {}", count(facts.segments.len() as u64, "segment"));
    let (x, x_name) = (bar_ticks(&groups), "segment index".to_owned());
    legend(&[
        ("cold", "cold: compressed"),
        ("hot", "hot: closed"),
        ("open", "open or prepared"),
        ("bad", "damaged"),
    ]) + &Plot { said, y_name, y, x_name, x, shapes }.markup()
        + &rows.folded()
}

/// What compression saves.
pub fn compression(facts: &Facts) -> String {
    let is_cold = |one: &&Segment| one.kept == Kept::Cold && one.whole_bytes > 0;
    let cold: Vec<Segment> = facts.segments.iter().filter(is_cold).copied().collect();
    if cold.is_empty() {
        return note("No segment is compressed.");
    }
    let groups = groups(&cold);
    let ratio = |group: &Group<'_>| {
        group.sum(|one| one.cold_bytes) as f64 / group.sum(|one| one.whole_bytes) as f64
    };
    let all = Group(&cold);
    let greatest = groups.iter().map(ratio).fold(0.0, f64::max);
    let (top, y) = scale::upward(greatest * 100.0, |n| format!("{n} %"));
    let mut shapes = String::new();
    let mut rows = Rows::new(&["segments", ">uncompressed", ">compressed", ">ratio"]);
    for (n, group) in groups.iter().enumerate() {
        let (whole, packed) = (group.sum(|one| one.whole_bytes), group.sum(|one| one.cold_bytes));
        let share = format!("{:.1} %", ratio(group) * 100.0);
        let y = (0.0, ratio(group) * 100.0 / top);
        shapes += &bar("cold", place(n, groups.len()), y, &format!("{}: {share}", group.name()));
        rows.row(&[group.name(), bytes(whole), bytes(packed), share]);
    }
    let plot = Plot {
        said: "Compressed size as a share of the uncompressed one".into(),
        y_name: "compressed size, of the uncompressed one".into(),
        y,
        x_name: "segment index".into(),
        x: bar_ticks(&groups),
        shapes,
    };
    note(&format!(
        "{} became {}: {:.1} % in all.",
        bytes(all.sum(|one| one.whole_bytes)),
        bytes(all.sum(|one| one.cold_bytes)),
        ratio(&all) * 100.0
    )) + &plot.markup()
        + &rows.folded()
}

/// How long things took, by the control file.
pub fn latencies(facts: &Facts) -> String {
    let (Some(histograms), Some(metrics)) = (&facts.latencies, &facts.log.metrics) else {
        return note(
            "Times are counted in the memory of a log that is open, or whose process died; of this \
             one there is none.",
        );
    };
    let timed: [(&str, &HistogramSnapshot, &LatencySnapshot); 6] = [
        ("Syncs", &histograms[3], &metrics.sync_latency),
        ("Appends, sampled", &histograms[0], &metrics.append_latency),
        ("Rotations", &histograms[1], &metrics.rotation_latency),
        ("Appends that waited", &histograms[2], &metrics.append_wait_latency),
        ("Closing a segment", &histograms[4], &metrics.close_latency),
        ("Compressing a segment", &histograms[5], &metrics.compression_latency),
    ];
    let mut charts = String::new();
    let mut rows = Rows::new(&["what", ">count", ">half", ">90 %", ">99 %", ">99.9 %"]);
    for (name, histogram, latency) in timed {
        if histogram.count > 0 {
            charts += &format!(
                "<div><h3>{}</h3>{}</div>",
                escaped(name),
                histogram_of(histogram, latency)
            );
        }
        let mut cells = vec![name.to_owned(), grouped(latency.count)];
        let shares = [latency.p50_ns, latency.p90_ns, latency.p99_ns, latency.p999_ns];
        let in_words = |ns: u64| if latency.count == 0 { "-".to_owned() } else { short_span(ns) };
        cells.extend(shares.map(in_words));
        rows.row(&cells);
    }
    let behind = metrics.appended_event_id.saturating_sub(metrics.durable_event_id);
    let lag = match behind {
        0 => "Nothing that was appended was not durable when this was written.".to_owned(),
        n => format!(
            "{} not durable when this was written, the oldest for {}.",
            count(n, "event id"),
            span(Duration::from_nanos(metrics.durable_lag_ns))
        ),
    };
    let empty = if charts.is_empty() { note("Nothing was timed yet.") } else { String::new() };
    note(&format!("Since the open at {}. {lag}", moment(metrics.opened_ns)))
        + &legend(&[("p50", "half took no longer"), ("p99", "99 % took no longer")])
        + &empty
        + &format!("<div class=\"small\">{charts}</div>")
        + &rows.folded()
}

/// Bars of doublings, from the first to the last that there is one in.
fn histogram_of(histogram: &HistogramSnapshot, latency: &LatencySnapshot) -> String {
    let up_to = histogram.up_to;
    let mut bars: Vec<u64> = Vec::new();
    let mut before = 0;
    for reached in up_to.into_iter().chain([histogram.count]) {
        bars.push(reached.saturating_sub(before));
        before = reached.max(before);
    }
    let first = bars.iter().position(|&n| n > 0).unwrap_or(0);
    let last = bars.iter().rposition(|&n| n > 0).unwrap_or(0);
    let (first, end) = (first.saturating_sub(1), (last + 2).min(bars.len()).max(first + 6));
    let end = end.min(bars.len());
    let width = (end - first) as f64;
    let greatest = bars.iter().copied().max().unwrap_or(0);
    let (top, y) = scale::upward(greatest as f64, grouped_short);
    let mut shapes = String::new();
    let bound = |n: usize| if n == 0 { 0 } else { HistogramSnapshot::bound_ns(n - 1) };
    for (n, &counted) in bars.iter().enumerate().take(end).skip(first) {
        let left = (n - first) as f64;
        let title = format!("from {} on: {}", short_span(bound(n)), grouped(counted));
        let x = ((left + 0.06) / width, (left + 0.94) / width);
        shapes += &bar("main", x, (0.0, counted as f64 / top), &title);
    }
    // A time's place: each bar is a doubling, the first one begins at 2^6 ns for the eye.
    let at = |ns: u64| ((ns.max(64) as f64).log2() - 6.0 - first as f64) / width;
    for (class, ns) in [("p50", latency.p50_ns), ("p99", latency.p99_ns)] {
        shapes += &upright(class, at(ns).clamp(0.0, 1.0), &format!("{class}: {}", short_span(ns)));
    }
    let step = (end - first).div_ceil(3).max(1);
    let ticks = (first + 1..end).step_by(step);
    let tick = |n: usize| Tick { at: (n - first) as f64 / width, label: short_span(bound(n)) };
    Plot {
        said: format!("How long {} took", count(histogram.count, "time")),
        y_name: String::from("how many"),
        y,
        x_name: String::from("each bar is twice as long"),
        x: ticks.map(tick).collect(),
        shapes,
    }
    .markup()
}

/// What each open found: time to the right, the last event upward.
pub fn history(opens: &[Opened]) -> String {
    const MOST_DOTS: usize = 400;
    const MOST_ROWS: usize = 40;
    let [first, .., last] = opens else {
        return match opens {
            [] => note("No open has left a line in wal_history."),
            _ => opens_table(opens, MOST_ROWS).markup(),
        };
    };
    let shown = &opens[opens.len().saturating_sub(MOST_DOTS)..];
    let begin = shown.iter().map(|open| open.ns).min().unwrap_or(first.ns);
    let end = shown.iter().map(|open| open.ns).max().unwrap_or(last.ns).max(begin + 1_000_000_000);
    let greatest = shown.iter().map(|open| open.last_event_id).max().unwrap_or(0);
    let (top, y) = scale::upward(greatest as f64, grouped_short);
    let mut shapes = String::new();
    for open in shown {
        let x = (open.ns - begin) as f64 / (end - begin) as f64;
        let title = format!("{}: {}", moment(open.ns), open.decision);
        shapes += &dot(tone(open), x, open.last_event_id as f64 / top, &title);
    }
    let plot = Plot {
        said: format!("{} of the log", count(opens.len() as u64, "open")),
        y_name: "last event found by each open".into(),
        y,
        x_name: scale::times_name(begin, end),
        x: scale::times(begin, end),
        shapes,
    };
    let table = opens_table(opens, MOST_ROWS);
    let more = match opens.len().saturating_sub(MOST_ROWS) {
        0 => String::new(),
        n => note(&format!("and {} before: see wal_history", grouped(n as u64))),
    };
    legend(&[
        ("good", "nothing to recover"),
        ("doubt", "recovered"),
        ("bad", "events kept aside, or something was wrong"),
    ]) + &plot.markup()
        + &table.markup()
        + &more
}

fn tone(open: &Opened) -> &'static str {
    let mut parts = open.decision.split('/');
    if open.kept_aside > 0 || open.decision.contains('/') {
        return "bad";
    }
    match parts.next() {
        Some("new-log" | "clean") => "good",
        _ => "doubt",
    }
}

fn opens_table(opens: &[Opened], most: usize) -> Rows {
    let mut rows = Rows::new(&[
        "time",
        ">generation",
        "decision",
        ">last event",
        ">carried over",
        ">accepted",
        ">kept aside",
        "~notes",
    ]);
    for open in opens.iter().rev().take(most) {
        rows.row(&[
            moment(open.ns),
            open.generation.to_string(),
            open.decision.clone(),
            grouped(open.last_event_id),
            grouped(open.carried_over),
            grouped(open.accepted),
            grouped(open.kept_aside),
            open.notes.clone(),
        ]);
    }
    rows
}

/// A tone as a class of the page.
pub fn class_of(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Doubtful => "doubt",
    }
}
