//! What each open of a log found, a line each, in `wal_history`: for whoever asks later what
//! happened. Nothing is decided by it.

use crate::error::Result;
use crate::format::file_name;
use crate::storage::{now_ns, put_in_place, Directory, Open};

use super::report::RecoveryReport;

/// Bytes of the file. The oldest lines go when a new one needs their room.
const MAX_SIZE: usize = 64 * 1024;
/// Bytes of a line's notes. What is behind them is left out.
const MAX_NOTES: usize = 2048;

/// Adds the line of an open that has succeeded. The file is replaced: after a power cut the one
/// with the line is there, or the one without.
pub fn add_to_history(wal: &dyn Directory, report: &RecoveryReport) -> Result<()> {
    let line = line(now_ns(), report);
    let mut text = newest_lines(wal, MAX_SIZE - line.len())?;
    text.extend_from_slice(line.as_bytes());
    put_in_place(wal, file_name::HISTORY, &text)
}

/// The whole lines at the end of the file, no more than `room` bytes of them.
fn newest_lines(wal: &dyn Directory, room: usize) -> Result<Vec<u8>> {
    let Some(file) = wal.open(file_name::HISTORY, Open::Read)? else { return Ok(Vec::new()) };
    // One byte more tells whether the first line that is read is whole.
    let begin = file.size()?.saturating_sub(room as u64 + 1);
    let mut bytes = vec![0; room + 1];
    let length = file.read_at(&mut bytes, begin)?;
    bytes.truncate(length);
    let is_end = |byte: &u8| *byte == b'\n';
    let whole = bytes.iter().rposition(is_end).map_or(0, |at| at + 1);
    bytes.truncate(whole);
    if begin > 0 {
        let cut = bytes.iter().position(is_end).map_or(whole, |at| at + 1);
        bytes.drain(..cut);
    }
    Ok(bytes)
}

fn line(time_ns: u64, report: &RecoveryReport) -> String {
    let RecoveryReport {
        generation,
        decision,
        last_event_id,
        durable_event_id,
        events_carried_over,
        events_accepted,
        events_kept_aside,
        hot_segments,
        cold_segments,
        notes,
        ..
    } = report;
    let kept = notes.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MAX_NOTES);
    // A path in a note may have any character, and a line is one line.
    let notes: String = kept.map(|(_, c)| if c.is_control() { ' ' } else { c }).collect();
    format!(
        "{} generation={generation} decision={decision} last_event_id={last_event_id} \
         durable_event_id={durable_event_id} events_carried_over={events_carried_over} \
         events_accepted={events_accepted} events_kept_aside={events_kept_aside} \
         hot_segments={hot_segments} cold_segments={cold_segments} notes={notes}\n",
        utc(time_ns),
    )
}

/// A time as in ISO 8601, to the second. The years count from 1 March, so that a leap day is the
/// last of its year.
fn utc(time_ns: u64) -> String {
    let seconds = time_ns / 1_000_000_000;
    let (mut days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    const IN_400_YEARS: u64 = 146_097;
    let era = days / IN_400_YEARS;
    days %= IN_400_YEARS;
    let of_era = (days - days / 1_460 + days / 36_524 - days / 146_096) / 365;
    days -= 365 * of_era + of_era / 4 - of_era / 100;
    let from_march = (5 * days + 2) / 153;
    let day = days - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Links, PosixStorage, Storage};

    #[test]
    fn times_as_date_prints_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX / 1_000_000_000, "2554-07-21T23:34:33Z"),
        ] {
            assert_eq!(utc(seconds * 1_000_000_000 + 7), text);
        }
    }

    #[test]
    fn the_oldest_lines_go_and_a_line_that_is_not_whole_goes_too() {
        let path = tempfile::tempdir().unwrap();
        let storage = PosixStorage::for_writing();
        let wal = storage.open_directory(path.path(), Links::Refuse).unwrap().unwrap();
        let file = path.path().join(file_name::HISTORY);
        let read = || std::fs::read_to_string(&file).unwrap();
        let report = |generation| RecoveryReport {
            generation,
            decision: "clean".to_owned(),
            notes: "two\nlines, \u{e9}".to_owned() + &"x".repeat(5000),
            ..RecoveryReport::default()
        };
        std::fs::write(&file, "one\ncut").unwrap();
        add_to_history(&*wal, &report(1)).unwrap();
        let text = read();
        assert!(text.starts_with("one\n2") && text.ends_with("x\n"), "{text}");
        assert!(text.contains(" generation=1 decision=clean ") && text.contains("=two lines, é"));
        assert_eq!((text.lines().count(), text.split("x").count() > 2000), (2, true));
        assert!(text.len() < MAX_NOTES + 300);
        for generation in 2..100 {
            add_to_history(&*wal, &report(generation)).unwrap();
            assert!(read().len() <= MAX_SIZE);
        }
        let text = read();
        let of = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
        let found: Vec<_> = text.lines().map(of).collect();
        let first = 100 - found.len();
        let expected = (first..100).map(|generation| format!("generation={generation}"));
        assert_eq!(found, expected.collect::<Vec<_>>());
        let line = text.len() / found.len();
        assert!(text.len() + line > MAX_SIZE, "as many as have room: {}", text.len());
    }
}
