//! What was tried and what it cost: each harness writes a row, and `tools/durability_table.py`
//! makes the table of `docs/durability.md` from the rows of a run.

use std::fs;

use super::{child, seed};

/// One row: a kind of fault, how often it was caused, and what became of the events.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Name of the row and of its file: lower case, words joined by `-`.
    pub name: &'a str,
    /// The fault, as the table says it.
    pub fault: &'a str,
    /// Where to find the test.
    pub test: &'a str,
    /// How often the fault was caused.
    pub tried: u64,
    /// Events that were promised and are gone.
    pub lost: u64,
    /// Events that are there and were never appended, are there twice, or out of order.
    pub invented: u64,
    /// Damage that was given out as if it were good.
    pub undetected: u64,
    /// The planted bugs that the same harness was shown to catch.
    pub planted: &'a [&'a str],
}

/// Writes the row where the table's maker finds it; not when one seed was chosen, which is no run
/// of the harness.
pub fn record(row: Row<'_>) {
    if seed::chosen().is_some() {
        return;
    }
    // In the target directory: programs are in target/debug, tests in target/debug/deps.
    let program = child::program();
    let directory = program.ancestors().nth(2).expect("a target directory").join("durability");
    fs::create_dir_all(&directory).unwrap();
    let Row { name, fault, test, tried, lost, invented, undetected, planted } = row;
    // As Rust writes them, plain texts are JSON.
    let json = format!(
        r#"{{"fault": {fault:?}, "test": {test:?}, "tried": {tried}, "lost": {lost},
 "invented": {invented}, "undetected": {undetected}, "planted": {planted:?}}}"#
    );
    fs::write(directory.join(format!("{name}.json")), json).unwrap();
    println!("{row:?}");
}

/// How often to try: less in every run of the tests, more in `make torture`.
pub fn times(in_every_run: u64, in_torture: u64) -> u64 {
    if std::env::var_os("FLASHSTRIKE_TORTURE").is_some() {
        in_torture
    } else {
        in_every_run
    }
}
