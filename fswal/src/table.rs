//! Tables and numbers for people.

use crate::failure::Outcome;
use crate::output::Output;

/// Columns that are as wide as their widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Which columns are numbers, and stand to the right.
    right: Vec<bool>,
}

impl Table {
    /// A table with these columns; a name that begins with `>` is that of a column of numbers.
    pub fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|name| name.starts_with('>')).collect();
        let names = columns.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
        Table { rows: vec![names], right }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.right.len());
        self.rows.push(cells);
    }

    pub fn write(&self, output: &mut Output) -> Outcome<()> {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.right);
            let line: Vec<String> = cells
                .map(|((cell, &width), &right)| match right {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                })
                .collect();
            output.line(line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Bytes in words: three digits and a unit.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let (mut value, mut unit) = (n as f64 / 1000.0, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match value < 99.95 {
        true => format!("{value:.1} {}", UNITS[unit]),
        false => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An event id; "-" where there is none.
pub fn id(event_id: u64) -> String {
    match event_id {
        0 => "-".to_owned(),
        id => id.to_string(),
    }
}

/// "1 event", "2 events".
pub fn count(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words() {
        assert_eq!([bytes(0), bytes(999), bytes(1000)], ["0 B", "999 B", "1.0 kB"]);
        assert_eq!([bytes(4_210_752), bytes(999_600)], ["4.2 MB", "1.0 MB"]);
        assert_eq!([bytes(150_000), bytes(u64::MAX)], ["150 kB", "18447 PB"]);
        assert_eq!([grouped(0), grouped(999), grouped(1_000)], ["0", "999", "1,000"]);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([count(1, "event"), count(0, "event")], ["1 event", "0 events"]);
    }
}
