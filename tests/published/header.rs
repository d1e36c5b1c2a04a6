//! `include/flashstrike_wal.h`: that it is what the code says, and that the shared library keeps it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn header() -> String {
    let path = Path::new(ROOT).join("include/flashstrike_wal.h");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The header without comments and preprocessor lines.
fn declarations(header: &str) -> String {
    let mut code = String::new();
    let mut rest = header;
    while let Some(begin) = rest.find("/*") {
        code.push_str(&rest[..begin]);
        rest = &rest[begin + rest[begin..].find("*/").expect("a comment ends") + 2..];
    }
    code.push_str(rest);
    let lines = code.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every name right before a parenthesis: the functions, and the layout checks at the end.
fn functions(header: &str) -> BTreeSet<String> {
    let code = declarations(header);
    let name = |before: &str| {
        before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
    };
    let names = code.match_indices('(').filter_map(|(at, _)| name(&code[..at]));
    names.filter(|name| name.starts_with("fs_")).collect()
}

/// The shared library of this build: cargo makes it together with the library the tests link, beside
/// their executables. The one a directory higher is that of the last `cargo build`, maybe an old one.
fn shared_library() -> PathBuf {
    let executable = std::env::current_exe().expect("a test has an executable");
    executable.with_file_name("libflashstrike_wal.so")
}

fn exported() -> BTreeSet<String> {
    let library = shared_library();
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output();
    let nm = nm.expect("nm, of binutils, is needed to link at all");
    assert!(nm.status.success(), "{}: {}", library.display(), String::from_utf8_lossy(&nm.stderr));
    let symbols = String::from_utf8(nm.stdout).expect("symbols are ASCII");
    symbols.lines().filter_map(|line| line.split(' ').next_back().map(str::to_owned)).collect()
}

#[test]
fn the_committed_header_is_the_one_the_code_makes() {
    let config = cbindgen::Config::from_file(Path::new(ROOT).join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::generate_with_config(ROOT, config).unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    if made != header() {
        let differs = made.lines().zip(header().lines()).position(|(a, b)| a != b);
        let line =
            differs.unwrap_or_else(|| made.lines().count().min(header().lines().count())) + 1;
        panic!(
            "include/flashstrike_wal.h is stale from line {line} on: make it anew with cbindgen"
        );
    }
}

#[test]
fn what_is_declared_is_exported_and_nothing_else() {
    let declared = functions(&header());
    assert!(declared.contains("fs_wal_append") && declared.len() > 20, "{declared:?}");
    assert_eq!(exported(), declared);
}

#[test]
fn no_name_leaves_the_librarys_namespace() {
    let text = header();
    let defines = text.lines().filter_map(|line| line.strip_prefix("#define "));
    let macros = defines.map(|rest| rest.split([' ', '(']).next().unwrap_or_default());
    // Types are named at the end of a line: "typedef struct fs_wal fs_wal;", "} fs_wal_config;".
    let types = text.lines().filter(|line| {
        (line.starts_with("} ") || line.starts_with("typedef ")) && line.ends_with(';')
    });
    let types = types.map(|line| line.trim_end_matches(';').split(' ').next_back().unwrap_or(line));
    let mut seen = 0;
    for name in macros.chain(types) {
        let ours = ["FS_WAL_", "FLASHSTRIKE_WAL_H", "fs_wal", "fs_request_event"];
        assert!(ours.iter().any(|prefix| name.starts_with(prefix)), "{name:?}");
        seen += 1;
    }
    assert!(seen > 50, "only {seen} names were found");
}
