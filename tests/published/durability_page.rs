//! `docs/durability.md` has a row for every guarantee, and the tests it names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn page() -> String {
    fs::read_to_string(Path::new(ROOT).join("docs/durability.md")).unwrap()
}

/// The words between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_guarantee_has_a_row_with_tests() {
    let page = page();
    for n in 1..=14 {
        let row = page.lines().find(|line| line.starts_with(&format!("| G{n} |")));
        let row = row.unwrap_or_else(|| panic!("G{n} has no row"));
        let tests = quoted(row).into_iter().filter(|name| name.starts_with("tests/"));
        assert!(tests.count() > 0, "{row}");
    }
}

#[test]
fn every_file_that_is_named_exists() {
    let page = page();
    let root = Path::new(ROOT);
    let is_path = |name: &&str| ["tests/", "src/", "tools/"].iter().any(|p| name.starts_with(p));
    let named: Vec<&str> = quoted(&page).into_iter().filter(is_path).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        let path = name.split_whitespace().next().unwrap();
        assert!(root.join(path).exists(), "docs/durability.md names {path}");
    }
}
