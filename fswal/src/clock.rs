//! Times in words, in UTC, and back.

use std::time::Duration;

const DAY: u64 = 86_400;
const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds since 1970 as `2026-11-28T23:57:00.123456789Z`.
pub fn utc(ns: u64) -> String {
    let (seconds, rest) = (ns / SECOND_NS, ns % SECOND_NS);
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:09}Z")
}

/// The same to the second.
pub fn utc_seconds(ns: u64) -> String {
    format!("{}Z", &utc(ns)[..19])
}

/// An event's timestamp, whose unit is the engine's choice: as a time where it looks like
/// nanoseconds since 1970 of this century, else the number.
pub fn event_time(timestamp: u64) -> String {
    const FROM: u64 = 946_684_800 * SECOND_NS;
    const TO: u64 = 4_102_444_800 * SECOND_NS;
    match (FROM..TO).contains(&timestamp) {
        true => utc(timestamp),
        false => timestamp.to_string(),
    }
}

/// A time from the command line: nanoseconds, or `2026-11-28T23:57:00`, with a fraction and a `Z`
/// if you like, or without the seconds, or the day alone.
pub fn parse(text: &str) -> Result<u64, String> {
    if let Ok(ns) = text.parse() {
        return Ok(ns);
    }
    parse_utc(text).ok_or_else(|| {
        "a time is a number of nanoseconds, or UTC as 2026-11-28, 2026-11-28T23:57 or \
         2026-11-28T23:57:00.123Z"
            .into()
    })
}

fn parse_utc(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut parts = day.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if hour > 23 || minute > 59 || second > 59 || !is_digits || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let days = days_before(year, month, day)?;
    let ns: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    seconds.checked_mul(SECOND_NS)?.checked_add(ns)
}

/// The date of a day, counted from 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

/// Days from 1970-01-01 to a date; `None` = there is no such date.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=2554).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > days_of_month(year, month) {
        return None;
    }
    let years: u64 = (1970..year).map(days_of_year).sum();
    let months: u64 = (1..month).map(|month| days_of_month(year, month)).sum();
    Some(years + months + day - 1)
}

fn is_leap(year: u64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_year(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A span of time in words, to two units.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_micros() == 0 => "0 s".to_owned(),
        0 if time.as_millis() == 0 => format!("{} µs", time.as_micros()),
        0 => format!("{} ms", time.as_millis()),
        1..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days {} h", seconds / DAY, seconds % DAY / 3600),
    }
}

/// A time in the unit that fits it.
pub fn short_span(ns: u64) -> String {
    match ns {
        0..=999 => format!("{ns} ns"),
        1_000..=999_999 => format!("{} µs", short(ns, 1_000)),
        1_000_000..=999_999_999 => format!("{} ms", short(ns, 1_000_000)),
        1_000_000_000..=99_999_999_999 => format!("{} s", short(ns, SECOND_NS)),
        _ => span(Duration::from_nanos(ns)),
    }
}

fn short(ns: u64, unit: u64) -> String {
    match ns < 10 * unit {
        true => format!("{:.1}", ns as f64 / unit as f64).trim_end_matches(".0").to_owned(),
        false => (ns / unit).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (1_795_910_220_123_456_789, "2026-11-28T23:57:00.123456789Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(utc(ns), text);
            assert_eq!(parse(text), Ok(ns));
        }
        assert_eq!(parse("2026-11-28"), parse("2026-11-28T00:00:00"));
        assert_eq!(parse("2026-11-28 01:02:03.5"), parse("2026-11-28T01:02:03.500Z"));
        assert_eq!(parse("2026-11-28T01:02Z"), parse("2026-11-28T01:02:00Z"));
        assert_eq!(parse("17"), Ok(17));
        for wrong in
            ["", "today", "2026-02-29", "2026-13-01", "2026-01-01T24:00:00", "-1", "1969-12-31"]
                .into_iter()
                .chain(["2026-01-01T23", "2026-01-01T23:", "2026-01-01T23:57:"])
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_looks_like_a_time_is_shown_as_one() {
        assert_eq!(event_time(12_345), "12345");
        assert_eq!(event_time(1_795_910_220_000_000_000), "2026-11-28T23:57:00.000000000Z");
    }

    #[test]
    fn spans() {
        let in_words = |ns| span(Duration::from_nanos(ns));
        assert_eq!([in_words(0), in_words(1_500), in_words(15_000_000)], ["0 s", "1 µs", "15 ms"]);
        assert_eq!([in_words(119 * SECOND_NS), in_words(120 * SECOND_NS)], ["119 s", "2 min 0 s"]);
        assert_eq!(in_words(3 * DAY * SECOND_NS), "3 days 0 h");
    }

    #[test]
    fn spans_in_a_unit_that_fits() {
        let all = [128, 16_384, 1_234_567, 1 << 34].map(short_span);
        assert_eq!(all, ["128 ns", "16 µs", "1.2 ms", "17 s"]);
    }
}
