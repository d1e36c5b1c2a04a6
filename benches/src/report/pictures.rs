//! The pictures of a run.

use std::fs;
use std::path::Path;

use super::chart::{self, Axis, Chart, Line, Strip, COLOURS};
use crate::clock::seconds_between;
use crate::contestants::LIBRARY;
use crate::latencies::Latencies;
use crate::pace::{Sample, Samples};

const ROTATIONS: &str = "#D55E00";
const SYNCS: &str = "#0072B2";
const COMPRESSIONS: &str = "#009E73";
const NEARLY_ALL: &str = "99.9%";
/// Points in a line over time.
const WINDOWS: usize = 500;
/// The length of the closer look.
const CLOSER_SECONDS: f64 = 0.25;

/// The counters of the log, as another thread read them during the turn.
#[derive(Debug, Clone, Copy)]
pub struct CounterReading {
    pub tick: u64,
    /// Events that were appended and not yet durable.
    pub lag: u64,
    pub syncs: u64,
    pub compressions: u64,
}

/// One turn over time.
pub struct Timeline<'a> {
    pub begin: u64,
    pub samples: &'a Samples,
    /// In seconds from `begin`.
    pub rotations: Vec<f64>,
    pub readings: &'a [CounterReading],
}

impl Timeline<'_> {
    /// Seconds from the beginning of the turn to this tick.
    fn seconds(&self, tick: u64) -> f64 {
        seconds_between(self.begin, tick)
    }
}

/// `latency.svg`: the time of the slowest append in ten, in a hundred, in a thousand, …
pub fn percentiles(directory: &Path, contestants: &[(&str, Latencies)]) {
    const STEPS: i32 = 20;
    // From the 50th percentile to the highest one that about ten samples lie above.
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
    let end = samples.last().map_or(1.0, |sample| timeline.seconds(sample.intended));
    let lines = lines_over_time(&samples, timeline.begin);
    let strips = strips(timeline, 0.0, end, false);
    let x = Axis::linear("seconds", 0.0, end);
    let subtitle = "a million events a second with rotation, sync and compression; \
                    each point a five-hundredth of the turn";
    save(directory, "latency-over-time.svg", "Latency over time", subtitle, x, lines, strips);
}

/// `latency-closer.svg`: a quarter of a second from the middle of the turn, with each sync.
pub fn closer(directory: &Path, timeline: &Timeline<'_>) {
    let all: Vec<&Sample> = timeline.samples.iter().collect();
    let middle = all.len() / 2;
    let from = timeline.seconds(all[middle].intended);
    let to = from + CLOSER_SECONDS;
    let within = |sample: &&Sample| (from..to).contains(&timeline.seconds(sample.intended));
    let samples: Vec<&Sample> = all.into_iter().filter(within).collect();
    let mut lines = lines_over_time(&samples, timeline.begin);
    // A point stands for so few samples here that this line would be the same as the slowest.
    lines.retain(|line| line.name != NEARLY_ALL);
    let strips = strips(timeline, from, to, true);
    let x = Axis::linear("seconds", from, to);
    let subtitle = "a quarter of a second of the same turn; syncs as seen once a millisecond";
    save(directory, "latency-closer.svg", "Latency, a closer look", subtitle, x, lines, strips);
}

/// `watermark-lag.svg`: how far the durable watermark lags behind the last append.
pub fn lag(directory: &Path, timeline: &Timeline<'_>) {
    let readings: Vec<&CounterReading> =
        timeline.readings.iter().filter(|reading| reading.tick >= timeline.begin).collect();
    let end = readings.last().map_or(1.0, |reading| timeline.seconds(reading.tick));
    let windows: Vec<&[&CounterReading]> =
        readings.chunks(readings.len().div_ceil(WINDOWS).max(1)).collect();
    let line = |name: &str, colour, width, pick: fn(&mut Vec<u64>) -> u64| {
        let point = |window: &&[&CounterReading]| {
            let mut lags: Vec<u64> = window.iter().map(|reading| reading.lag).collect();
            // At a million events a second an event stands for a microsecond.
            let ns = pick(&mut lags) as f64 * 1e3;
            (timeline.seconds(window[0].tick), ns.max(1e4))
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

/// The slowest, the 99.9th percentile and the median sample of each window.
fn lines_over_time(samples: &[&Sample], begin: u64) -> Vec<Line> {
    let windows: Vec<&[&Sample]> = samples.chunks(samples.len().div_ceil(WINDOWS).max(1)).collect();
    let line = |name: &str, colour, width, pick: fn(&Latencies) -> f64| {
        let point = |window: &&[&Sample]| {
            let latencies = Latencies::of(window.iter().map(|sample| sample.taken));
            (seconds_between(begin, window[0].intended), pick(&latencies).max(1.0))
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

/// The moments of rotations and compressions, and of syncs if there is room for them.
fn strips(timeline: &Timeline<'_>, from: f64, to: f64, with_syncs: bool) -> Vec<Strip> {
    let within = |at: &f64| (from..=to).contains(at);
    let rises = |pick: fn(&CounterReading) -> u64| {
        let pairs = timeline.readings.windows(2).filter(|pair| pick(&pair[1]) > pick(&pair[0]));
        let at: Vec<f64> = pairs.map(|pair| timeline.seconds(pair[1].tick)).collect();
        at.into_iter().filter(within).collect()
    };
    let strip = |name: &str, colour, at| Strip { name: name.to_owned(), colour, at };
    let rotations = timeline.rotations.iter().copied().filter(within).collect();
    let mut strips = vec![
        strip("rotations", ROTATIONS, rotations),
        strip("compressions ended", COMPRESSIONS, rises(|reading| reading.compressions)),
    ];
    if with_syncs {
        strips.push(strip("syncs", SYNCS, rises(|reading| reading.syncs)));
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

/// Prints 99.9, not 99.90000000000001.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
