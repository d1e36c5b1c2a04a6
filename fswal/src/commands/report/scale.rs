//! Axes: round numbers and round times as their marks.

use crate::clock::{utc, utc_seconds};
use crate::table::{bytes, grouped};

use super::markup::Tick;

/// Bars of a chart.
pub const BINS: usize = 96;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

/// Marks upward from 0, and what the top of the chart is.
pub fn upward(greatest: f64, label: impl Fn(u64) -> String) -> (f64, Vec<Tick>) {
    let step = round_up(greatest.max(1.0) / 4.0).max(1.0);
    let top = (greatest.max(1.0) / step).ceil() * step;
    let marks = (top / step).round() as u64;
    let tick = |n: u64| Tick { at: n as f64 * step / top, label: label((n as f64 * step) as u64) };
    (top, (0..=marks).map(tick).collect())
}

/// 1, 2 or 5 times a power of ten, at least as much.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = [1.0, 2.0, 5.0, 10.0].into_iter().find(|digit| digit * power >= value * 0.999_999);
    digit.unwrap_or(10.0) * power
}

/// Round numbers of a range.
pub fn numbers(first: u64, last: u64) -> Vec<Tick> {
    let step = (round_up((last - first) as f64 / 5.0) as u64).max(1);
    round_marks(first, last, step, grouped_short)
}

/// Round times of a range, in UTC.
pub fn times(first: u64, last: u64) -> Vec<Tick> {
    const STEPS: [u64; 16] = [
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        30 * SECOND,
        60 * SECOND,
        120 * SECOND,
        300 * SECOND,
        600 * SECOND,
        1800 * SECOND,
        3600 * SECOND,
        3 * 3600 * SECOND,
        6 * 3600 * SECOND,
        12 * 3600 * SECOND,
        DAY,
        2 * DAY,
    ];
    let least = (last - first) / 6;
    let step = match STEPS.into_iter().find(|&step| step >= least) {
        _ if least < SECOND / 2 => round_up(least.max(1) as f64) as u64,
        Some(step) => step,
        None => round_up(least.div_ceil(DAY) as f64) as u64 * DAY,
    };
    round_marks(first, last, step, |ns| match step {
        step if step >= DAY => utc(ns)[5..10].to_owned(),
        step if step >= 60 * SECOND => utc(ns)[11..16].to_owned(),
        step if step >= SECOND => utc(ns)[11..19].to_owned(),
        step if step >= SECOND / 1000 => utc(ns)[14..23].to_owned(),
        _ => utc(ns)[17..29].to_owned(),
    })
}

/// What an axis of times is called: its day or days.
pub fn times_name(first: u64, last: u64) -> String {
    let (first, last) = (utc(first)[..10].to_owned(), utc(last)[..10].to_owned());
    match first == last {
        true => format!("UTC, {first}"),
        false => format!("UTC, {first} to {last}"),
    }
}

fn round_marks(first: u64, last: u64, step: u64, label: impl Fn(u64) -> String) -> Vec<Tick> {
    let width = (last - first).max(1) as f64;
    let begin = first.div_ceil(step);
    let marks = (begin..=last / step).map(|n| n * step);
    marks.map(|n| Tick { at: (n - first) as f64 / width, label: label(n) }).collect()
}

/// Great numbers with a unit, so that they fit below an axis.
pub fn grouped_short(n: u64) -> String {
    for (unit, name) in [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M")] {
        if n >= unit && n % (unit / 100) == 0 {
            let text = format!("{:.2}", n as f64 / unit as f64);
            return format!("{} {name}", text.trim_end_matches('0').trim_end_matches('.'));
        }
    }
    grouped(n)
}

/// Bytes below an axis.
pub fn short_bytes(n: u64) -> String {
    bytes(n).replace(".0 ", " ")
}

/// A wall clock time to the second; "-" where there is none.
pub fn moment(ns: u64) -> String {
    match ns {
        0 => "-".to_owned(),
        ns => utc_seconds(ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| &*tick.label).collect()
    }

    #[test]
    fn marks_are_round() {
        let (top, ticks) = upward(3700.0, grouped);
        assert_eq!((top, labels(&ticks)), (4000.0, vec!["0", "1,000", "2,000", "3,000", "4,000"]));
        assert_eq!(labels(&upward(0.0, grouped).1), ["0", "1"]);
        assert_eq!(labels(&numbers(1, 9000)), ["2,000", "4,000", "6,000", "8,000"]);
        assert_eq!(numbers(7, 7).len(), 1);
        assert!(numbers(1, u64::MAX).len() <= 6);
    }

    #[test]
    fn marks_of_time_are_round_at_every_width() {
        const NIGHT: u64 = 1_795_910_220_000_000_000;
        for (width, first) in [
            (9, "23:57:00"),
            (900, "00:00"),
            (86_400, "00:00"),
            (30 * 86_400, "12-01"),
            (900 * 86_400, "05-18"),
        ] {
            let ticks = times(NIGHT, NIGHT + width * SECOND);
            assert!((1..=8).contains(&ticks.len()), "{width}: {ticks:?}");
            assert_eq!(ticks[0].label.len(), first.len(), "{width}: {ticks:?}");
        }
        assert_eq!(labels(&times(NIGHT, NIGHT + 100_000_000))[1], "57:00.020");
        assert!(times(NIGHT, NIGHT).len() <= 1);
    }

    #[test]
    fn numbers_that_fit() {
        assert_eq!([grouped_short(2_500_000), grouped_short(1234)], ["2.5 M", "1,234"]);
        assert_eq!(short_bytes(200_000), "200 kB");
    }
}
