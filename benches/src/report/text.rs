//! The report as text. Each table has a line per subject and a column per figure.

use super::document::{Report, Row};

pub fn print(report: &Report) {
    let taken = &report.machine.taken;
    println!(
        "\nOf memory left alone for a second, {} % of the pages took over 20 µs at the next store \
         ({} µs)",
        short(taken.percent),
        short(taken.wait_us)
    );
    let mut aim = "";
    for rows in report.rows.chunk_by(|a, b| (a.aim, a.table) == (b.aim, b.table)) {
        if rows[0].aim != aim {
            print_remarks(report, aim);
            aim = rows[0].aim;
        }
        print_table(rows);
    }
    print_remarks(report, aim);
    print_targets(report);
}

fn print_table(rows: &[Row]) {
    println!("\n{}  {}", rows[0].aim, rows[0].table);
    let subjects = distinct(rows, |row| &row.subject);
    let figures = distinct(rows, |row| &row.figure);
    let mut lines = vec![vec![String::new()]];
    for figure in &figures {
        let unit = rows.iter().find(|row| &row.figure == *figure).map_or("", |row| row.unit);
        let named = |unit: &str| match unit {
            "" | "ns" => (*figure).clone(),
            unit => format!("{figure}, {unit}"),
        };
        lines[0].push(named(unit));
    }
    for subject in subjects {
        let mut line = vec![subject.clone()];
        for figure in &figures {
            let row = rows.iter().find(|row| &row.subject == subject && &row.figure == *figure);
            line.push(row.map_or(String::new(), cell));
        }
        lines.push(line);
    }
    print_aligned(&lines);
}

/// The median, the range, and the ratio if the row is compared with something.
fn cell(row: &Row) -> String {
    let (low, high) = (shown(row, row.spread.min), shown(row, row.spread.max));
    let mut text = shown(row, row.spread.median);
    if low != high {
        text += &format!(" ({low}–{high})");
    }
    if let Some(ratio) = &row.ratio {
        text += &format!(" {}×", short(ratio.spread.median));
    }
    text
}

/// Large times are shown in µs, ms or s. Other numbers keep their unit.
fn shown(row: &Row, value: f64) -> String {
    match value {
        ns if row.unit != "ns" => number(ns),
        ns if ns < 1e3 => format!("{} ns", if ns < 10.0 { short(ns) } else { number(ns) }),
        ns if ns < 1e6 => format!("{} µs", short(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", short(ns / 1e6)),
        ns => format!("{} s", short(ns / 1e9)),
    }
}

/// Rounds to about three digits.
fn short(value: f64) -> String {
    let decimals = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// A number with about three digits, or with commas between thousands.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 10.0 && value.fract() != 0.0 {
        return if value.abs() < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") };
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = if value <= -0.5 { "-".to_owned() } else { String::new() };
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn print_aligned(lines: &[Vec<String>]) {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    for line in lines {
        let mut text = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            let pad = " ".repeat(width - cell.chars().count());
            text += &if column == 0 { format!("  {cell}{pad}") } else { format!("   {pad}{cell}") };
        }
        println!("{}", text.trim_end());
    }
}

fn print_remarks(report: &Report, aim: &str) {
    for remark in report.remarks.iter().filter(|remark| remark.aim == aim) {
        println!("  * {}", remark.text);
    }
}

fn print_targets(report: &Report) {
    println!("\nAims");
    for row in &report.rows {
        if let Some(target) = &row.target {
            let mut is = shown(row, row.spread.median);
            if row.unit != "ns" {
                is = format!("{is} {}", row.unit).trim_end().to_owned();
            }
            if let Some(ratio) = &row.ratio {
                is += &format!(", {} ×", short(ratio.spread.median));
            }
            let verdict = if target.met { "met   " } else { "MISSED" };
            let Row { aim, subject, figure, .. } = row;
            println!("  {verdict} {aim} {subject}, {figure}: {is} (aim: {})", target.text);
        }
    }
}

fn distinct<'a>(rows: &'a [Row], key: impl Fn(&'a Row) -> &'a String) -> Vec<&'a String> {
    let mut found = Vec::new();
    for row in rows {
        if !found.contains(&key(row)) {
            found.push(key(row));
        }
    }
    found
}
