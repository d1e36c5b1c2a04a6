//! `docs/field_faults.md` has a row for every fault, and the tests of the files it names carry the
//! fault's number: in their names, or at the head of a program.

use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const FAULTS: u32 = 45;

#[test]
fn every_fault_has_a_row_and_tests_with_its_number() {
    let root = Path::new(ROOT);
    let page = fs::read_to_string(root.join("docs/field_faults.md")).unwrap();
    for n in 1..=FAULTS {
        let begin = format!("| F{n} |");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&begin)).collect();
        assert_eq!(rows.len(), 1, "F{n}: {rows:?}");
        let tests: Vec<&str> =
            rows[0].split('`').filter(|word| word.contains('/') && word.contains('.')).collect();
        assert!(!tests.is_empty(), "F{n} names no test");
        for name in tests {
            let text = fs::read_to_string(root.join(name)).unwrap_or_else(|error| {
                panic!("F{n} names {name}: {error}");
            });
            let text = text.to_lowercase();
            let carries = [format!("f{n}_"), format!("f{n}:")].iter().any(|tag| text.contains(tag));
            assert!(carries, "no test in {name} begins with f{n}_");
        }
    }
}
