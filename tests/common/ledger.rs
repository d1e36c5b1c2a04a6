//! How often each fault was caused and what it cost: each harness writes a row, and
//! `tools/durability_table.py` makes the table of `docs/durability.md` from the rows of a run.

use std::fs;

use super::{child, seed};

/// One row: a kind of fault, how often it was caused, and what became of the events.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Name of the row and of its file: lower case, words joined by `-`.
    pub name: &'a str,
    /// The fault, as written in the table.
    pub fault: &'a str,
    /// The test's file.
    pub test: &'a str,
    /// How often the fault was caused.
    pub tried: u64,
    /// Events that were acknowledged and are lost.
    pub lost: u64,
    /// Events found that were never appended, are there twice, or are out of order.
    pub invented: u64,
    /// Damaged events that were returned as good.
    pub undetected: u64,
    /// The planted bugs that this harness has caught.
    pub planted: &'a [&'a str],
}

/// Writes the row where `tools/durability_table.py` finds it; but not when one seed was chosen,
/// which is not a full run of the harness.
pub fn record(row: Row<'_>) {
    if seed::chosen().is_some() {
        return;
    }
    // The target directory: programs are in target/debug, tests in target/debug/deps.
    let program = child::program();
    let directory = program.ancestors().nth(2).expect("a target directory").join("durability");
    fs::create_dir_all(&directory).unwrap();
    let Row { name, fault, test, tried, lost, invented, undetected, planted } = row;
    // Rust's debug format of plain text is valid JSON.
    let json = format!(
        r#"{{"fault": {fault:?}, "test": {test:?}, "tried": {tried}, "lost": {lost},
 "invented": {invented}, "undetected": {undetected}, "planted": {planted:?}}}"#
    );
    fs::write(directory.join(format!("{name}.json")), json).unwrap();
    println!("{row:?}");
}

/// How often to cause a fault: so often in every run of the tests, and so often in `make torture`.
/// With `TORTURE=n` it goes n percent of the way.
pub fn times(in_every_run: u64, in_torture: u64) -> u64 {
    let Ok(percent) = std::env::var("FLASHSTRIKE_TORTURE") else { return in_every_run };
    let percent: u64 = percent.parse().expect("FLASHSTRIKE_TORTURE is a number of percent");
    let more = in_torture.abs_diff(in_every_run) * percent / 100;
    if in_torture > in_every_run {
        in_every_run + more
    } else {
        in_every_run - more
    }
}
