//! What `generate` makes for packages: a man page for each command, and completions that shells
//! load. mandoc, groff, zsh and fish are asked where they are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

use crate::support::{fswal, is_well, say, text};

const BASH: &str = "bash-completion/completions/fswal";
const ZSH: &str = "zsh/site-functions/_fswal";
const FISH: &str = "fish/vendor_completions.d/fswal.fish";

fn generated() -> TempDir {
    let out = tempfile::tempdir().unwrap();
    fswal(&["generate", text(out.path())]).ends_with(0);
    out
}

/// The commands below this one that its help lists.
fn commands(of: &[&str]) -> Vec<String> {
    let help = fswal(&[of, &["--help"]].concat()).ends_with(0).out;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let name = Regex::new(r"^  ([a-z]+)( |$)").unwrap();
    let lines = listed.lines().take_while(|line| line.starts_with(' '));
    let names = lines.filter_map(|line| Some(name.captures(line)?[1].to_owned()));
    names.filter(|name| name != "help").collect()
}

fn pages(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out.join("man/man1")).unwrap();
    let mut pages: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

#[test]
fn each_command_has_a_page() {
    let out = generated();
    let mut expected = vec!["fswal.1".to_owned()];
    let top = commands(&[]);
    assert!(top.len() > 10, "{top:?}");
    for command in &top {
        expected.push(format!("fswal-{command}.1"));
        let below = commands(&[command]);
        expected.extend(below.iter().map(|name| format!("fswal-{command}-{name}.1")));
    }
    expected.sort();
    let found = pages(out.path());
    let names: Vec<_> =
        found.iter().map(|page| text(Path::new(page.file_name().unwrap()))).collect();
    assert_eq!(names, expected);
    for page in &found {
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    let status = std::fs::read_to_string(out.path().join("man/man1/fswal-status.1")).unwrap();
    assert!(status.contains("Is it healthy, live, clean?"), "{status}");
}

#[test]
fn the_pages_are_shown_without_a_warning() {
    let out = generated();
    for page in pages(out.path()) {
        is_well(say(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page)));
        let shown = say(Command::new("groff").args(["-man", "-ww", "-Tutf8", "-P-c"]).arg(&page));
        let warnings = shown.map(|shown| String::from_utf8(shown.stderr).unwrap());
        assert_eq!(warnings.unwrap_or_default(), "", "{}", page.display());
    }
}

#[test]
fn completions_load_and_know_the_commands() {
    let out = generated();
    let file = |name: &str| text(&out.path().join(name)).to_owned();
    let ask = "source \"$1\"; COMP_WORDS=(fswal \"$2\"); COMP_CWORD=1; \
               _fswal fswal \"$2\" fswal; echo \"${COMPREPLY[*]}\"";
    let complete = |begun: &str| {
        let mut bash = Command::new("bash");
        let said = bash.args(["-euc", ask, "bash", &file(BASH), begun]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stderr), "");
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    for command in commands(&[]) {
        assert!(complete(&command).split(' ').any(|word| word == command), "{command}");
    }
    assert_eq!(complete("verif"), "verify");
    assert_eq!(complete("gen"), "", "who operates a log has no use for it");

    is_well(say(Command::new("zsh").args(["-n", &file(ZSH)])));
    let ask = "source $argv[1]; complete -C 'fswal verif'";
    let fish = say(Command::new("fish").args(["--no-config", "-c", ask, &file(FISH)]));
    if let Some(said) = fish {
        let said = String::from_utf8(said.stdout).unwrap();
        assert_eq!(
            said.lines().map(|line| line.split('\t').next().unwrap()).next(),
            Some("verify")
        );
    }
}
