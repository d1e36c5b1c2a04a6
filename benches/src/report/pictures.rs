//! The pictures of a run.

use std::fs;
use std::path::Path;

use super::chart::{self, Axis, Chart, Line, Strip, COLOURS};
use crate::aims::timeline::{seconds, Seen};

use crate::contestants::LIBRARY;
use crate::latencies::Latencies;
use crate::pace::{Sample, Samples};

const ROTATIONS: &str = "#D55E00";
const SYNCS: &str = "#0072B2";
const COMPRESSIONS: &str = "#009E73";
const NEARLY_ALL: &str = "99.9%";
/// Points of a line over time.
const WINDOWS: usize = 500;
/// What the closer look shows.
const CLOSER_SECONDS: f64 = 0.25;

/// One turn over time.
pub struct Timeline<'a> {
    pub begin: u64,
    pub samples: &'a Samples,
    /// In seconds from `begin`.
    pub rotations: Vec<f64>,
    pub seen: &'a [Seen],
}

/// `latency.svg`: how long the slowest one in ten, hundred, thousand … takes.
pub fn percentiles(directory: &Path, contestants: &[(&str, Latencies)]) {
    const STEPS: i32 = 20;
    // From the 50th percentile to the one of which there are still some ten samples.
    let least = contestants.iter().map(|(_, latencies)| latencies.count()).max().unwrap_or(10);
    let nines = (least as f64 / 10.0).log10().floor().clamp(2.0, 6.0) as i32;
    let line = |(n, (name, latencies)): (usize, &(&str, Latencies))| {
        let at = |step: i32| {
            let one_in = 10_f64.powf(f64::from(step) / f64::from(STEPS));
            (one_in, latencies.percentile_ns(100.0 - 100.0 / one_in).max(1.0))
        };
        let points = (6..=nines * STEPS).map(at).collect();
        let width = if *name == LIBRARY { 3.0 } else { 1.6 };
        Line { name: (*name).to_owned(), colour: COLOURS[n % COLOURS.len()], width, points }
    };
    let lines: Vec<Line> = contestants.iter().enumerate().map(line).collect();
    let percentile = |one_in: f64| match one_in {
        one_in if one_in < 2.0 => String::new(),
        one_in => format!("{}%", trimmed(100.0 - 100.0 / one_in)),
    };
    let mut x = Axis::decades("percentile", 1.0, 10_f64.powi(nines), percentile);
    x.low = 2.0;
    x.ticks[0] = (2.0, "50%".to_owned());
    let subtitle = "a million 64-byte events a second; all rounds together; lower is better";
    save(directory, "latency.svg", "Latency of an append", subtitle, x, lines, Vec::new());
}

/// `latency-over-time.svg`: the whole turn.
pub fn timeline(directory: &Path, timeline: &Timeline<'_>) {
    let samples: Vec<&Sample> = timeline.samples.iter().collect();
    let end = samples.last().map_or(1.0, |sample| seconds(sample.intended, timeline.begin));
    let lines = lines_over_time(&samples, timeline.begin);
    let strips = strips(timeline, 0.0, end, false);
    let x = Axis::linear("seconds", 0.0, end);
    let subtitle = "a million events a second with rotation, sync and compression; \
                    each point a five-hundredth of the turn";
    save(directory, "latency-over-time.svg", "Latency over time", subtitle, x, lines, strips);
}

/// `latency-closer.svg`: a quarter of a second in the middle of it, with each sync.
pub fn closer(directory: &Path, timeline: &Timeline<'_>) {
    let all: Vec<&Sample> = timeline.samples.iter().collect();
    let middle = all.len() / 2;
    let from = seconds(all[middle].intended, timeline.begin);
    let to = from + CLOSER_SECONDS;
    let within = |sample: &&Sample| (from..to).contains(&seconds(sample.intended, timeline.begin));
    let samples: Vec<&Sample> = all.into_iter().filter(within).collect();
    let mut lines = lines_over_time(&samples, timeline.begin);
    // With this few samples a point the slowest says as much.
    lines.retain(|line| line.name != NEARLY_ALL);
    let strips = strips(timeline, from, to, true);
    let x = Axis::linear("seconds", from, to);
    let subtitle = "a quarter of a second of the same turn; syncs as seen once a millisecond";
    save(directory, "latency-closer.svg", "Latency, a closer look", subtitle, x, lines, strips);
}

/// `watermark-lag.svg`: how far the durable watermark is behind the last append.
pub fn lag(directory: &Path, timeline: &Timeline<'_>) {
    let seen: Vec<&Seen> =
        timeline.seen.iter().filter(|seen| seen.tick >= timeline.begin).collect();
    let end = seen.last().map_or(1.0, |seen| seconds(seen.tick, timeline.begin));
    let windows: Vec<&[&Seen]> = seen.chunks(seen.len().div_ceil(WINDOWS).max(1)).collect();
    let line = |name: &str, colour, width, pick: fn(&mut Vec<u64>) -> u64| {
        let point = |window: &&[&Seen]| {
            let mut lags: Vec<u64> = window.iter().map(|seen| seen.lag).collect();
            // At a million events a second, events are microseconds.
            let ns = pick(&mut lags) as f64 * 1e3;
            (seconds(window[0].tick, timeline.begin), ns.max(1e4))
        };
        let points = windows.iter().map(point).collect();
        Line { name: name.to_owned(), colour, width, points }
    };
    let lines = vec![
        line("most", COLOURS[3], 1.0, |lags| lags.iter().copied().max().unwrap_or(0)),
        line("median", COLOURS[2], 1.6, |lags| {
            lags.sort_unstable();
            lags[lags.len() / 2]
        }),
    ];
    let strips = strips(timeline, 0.0, end, false);
    let x = Axis::linear("seconds", 0.0, end);
    let subtitle = "appended but not yet durable, as seen once a millisecond, in time: \
                    an event is a microsecond";
    save(
        directory,
        "watermark-lag.svg",
        "Lag of the durable watermark",
        subtitle,
        x,
        lines,
        strips,
    );
}

/// Slowest and median sample of each window.
fn lines_over_time(samples: &[&Sample], begin: u64) -> Vec<Line> {
    let windows: Vec<&[&Sample]> = samples.chunks(samples.len().div_ceil(WINDOWS).max(1)).collect();
    let line = |name: &str, colour, width, pick: fn(&Latencies) -> f64| {
        let point = |window: &&[&Sample]| {
            let latencies = Latencies::of(window.iter().map(|sample| sample.taken));
            (seconds(window[0].intended, begin), pick(&latencies).max(1.0))
        };
        let points = windows.iter().map(point).collect();
        Line { name: name.to_owned(), colour, width, points }
    };
    vec![
        line("slowest", COLOURS[3], 1.0, Latencies::max_ns),
        line(NEARLY_ALL, COLOURS[5], 1.2, |latencies| latencies.percentile_ns(99.9)),
        line("median", COLOURS[2], 1.6, |latencies| latencies.percentile_ns(50.0)),
    ]
}

/// When there were rotations, compressions and, if there is room for them, syncs.
fn strips(timeline: &Timeline<'_>, from: f64, to: f64, with_syncs: bool) -> Vec<Strip> {
    let within = |at: &f64| (from..=to).contains(at);
    let rises = |pick: fn(&Seen) -> u64| {
        let pairs = timeline.seen.windows(2).filter(|pair| pick(&pair[1]) > pick(&pair[0]));
        let at: Vec<f64> = pairs.map(|pair| seconds(pair[1].tick, timeline.begin)).collect();
        at.into_iter().filter(within).collect()
    };
    let strip = |name: &str, colour, at| Strip { name: name.to_owned(), colour, at };
    let rotations = timeline.rotations.iter().copied().filter(within).collect();
    let mut strips = vec![
        strip("rotations", ROTATIONS, rotations),
        strip("compressions ended", COMPRESSIONS, rises(|seen| seen.compressions)),
    ];
    if with_syncs {
        strips.push(strip("syncs", SYNCS, rises(|seen| seen.syncs)));
    }
    strips
}

fn save(
    directory: &Path,
    file: &str,
    title: &str,
    subtitle: &str,
    x: Axis,
    lines: Vec<Line>,
    strips: Vec<Strip>,
) {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(1.0, f64::max);
    let y = Axis::decades("time (logarithmic)", low, high, chart::time);
    let (title, subtitle) = (title.to_owned(), subtitle.to_owned());
    let chart = Chart { title, subtitle, x, y, lines, strips };
    fs::write(directory.join(file), chart.svg()).expect("room for a picture");
}

/// 99.9 rather than 99.90000000000001.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
