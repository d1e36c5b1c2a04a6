//! The transcripts of the pages are what the program says. Each stands between comments that name
//! its scene. With FSWAL_WRITE_TRANSCRIPTS=1 (`make transcripts`) they are written anew.

use std::path::Path;

use regex::Regex;

use crate::scenes::{fswal_unless_silent, Scene};
use crate::support::text;

const LOG: &str = "/var/lib/engine/wal";
const MEMORY: &str = "/dev/shm";
const BASE: &str = "/srv";
const LOG_ID: &str = "${1}0123456789abcdef0123456789abcdef";
const ACTIVE: &str =
    "flashstrike-wal-0123456789abcdef0123456789abcdef-fedcba9876543210fedcba9876543210";

/// The commands whose outcomes are shown for each scene, and how their tables begin.
const OUTCOMES: [&str; 10] = [
    "status /var/lib/engine/wal",
    "ls /var/lib/engine/wal",
    "cat /var/lib/engine/wal",
    "verify /var/lib/engine/wal",
    "recover --dry-run /var/lib/engine/wal",
    "salvage /var/lib/engine/wal /srv/salvaged",
    "backup /var/lib/engine/wal /srv/backup",
    "orphans --all",
    "holds /var/lib/engine/wal",
    "snapshots /var/lib/engine/wal",
];
const TABLES: [&str; 4] = ["index ", "event_id,", "name ", "after event"];

#[test]
fn the_transcripts_of_operating_are_what_the_program_says() {
    check("operating.md", 9);
}

#[test]
fn the_transcripts_of_migrating_are_what_the_program_says() {
    check("migrating.md", 1);
}

/// The commands of README.md, without what they print.
#[test]
fn the_commands_of_the_readme_succeed() {
    let commands = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/book/fswal.sh");
    let scene = Scene::named("shut_down");
    let mut run = 0;
    for line in std::fs::read_to_string(commands).unwrap().lines() {
        let said = transcript(&scene, line.split('#').next().unwrap().trim());
        assert!(!said.contains("(ends with "), "{said}");
        run += 1;
    }
    assert_eq!(run, 4);
}

/// Compares a page of docs/, which has `least` transcripts or more.
fn check(page: &str, least: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let written = std::fs::read_to_string(&path).unwrap();
    let said = with_transcripts(&written, least);
    if std::env::var_os("FSWAL_WRITE_TRANSCRIPTS").is_some() {
        return std::fs::write(&path, &said).unwrap();
    }
    for (written, said) in written.lines().zip(said.lines()) {
        assert_eq!(written, said, "docs/{page}: run `make transcripts`, and look at it");
    }
    assert_eq!(written.len(), said.len());
}

/// The page with each transcript as the program gives it now.
fn with_transcripts(page: &str, least: usize) -> String {
    let block = r"(?s)(<!-- scene_([a-z_]+): begin -->\n```console\n)(.*?)(```\n<!-- scene)";
    let block = Regex::new(block).unwrap();
    let mut shown = 0;
    let page = block.replace_all(page, |found: &regex::Captures| {
        shown += 1;
        let scene = Scene::named(&found[2]);
        let commands = found[3].lines().filter_map(|line| line.strip_prefix("$ "));
        let said: Vec<String> = commands.map(|command| transcript(&scene, command)).collect();
        format!("{}{}{}", &found[1], said.join("\n"), &found[4])
    });
    assert!(shown >= least, "only {shown} transcripts were found");
    with_outcomes(&page)
}

/// What each command says of a scene, a line for each.
fn with_outcomes(page: &str) -> String {
    let block = r"(?s)(<!-- outcomes_([a-z_]+): begin -->\n```text\n)(.*?)(```\n<!-- outcomes)";
    let block = Regex::new(block).unwrap();
    let page = block.replace_all(page, |found: &regex::Captures| {
        let scene = Scene::named(&found[2]);
        let lines: String = OUTCOMES.iter().map(|command| outcome(&scene, command)).collect();
        format!("{}{lines}{}", &found[1], &found[4])
    });
    page.into_owned()
}

/// How a command ends, and the first line of what it says, or why it fails; of a table, how many
/// rows it has.
fn outcome(scene: &Scene, command: &str) -> String {
    let said = transcript(scene, &format!("fswal {command}"));
    let name = command.replace(LOG, "DIR").replace("/srv/", "").replace(" --all", "");
    let code = Regex::new(r"\(ends with ([0-9])\)").unwrap();
    let code = code.captures(&said).map_or("0".to_owned(), |code| code[1].to_owned());
    let lines: Vec<&str> = said.lines().skip(1).collect();
    let error = lines.iter().find_map(|line| line.strip_prefix("fswal: "));
    let is_table = TABLES.iter().any(|head| lines[0].starts_with(head));
    let first = match error {
        Some(error) => error.split(". ").next().unwrap_or(error).to_owned(),
        None if is_table => format!("{} rows", lines.len() - 1),
        // The name of the active directory comes first.
        None => lines[usize::from(lines[0] == ACTIVE)].trim().to_owned(),
    };
    let first = first.replace(&format!("{LOG}: "), "").replace(LOG, "DIR");
    format!("{name:<24} {code}  {first}\n")
}

fn transcript(scene: &Scene, command: &str) -> String {
    let place = &scene.place;
    let active = place.actives().pop().unwrap_or_default();
    let active = active.file_name().map_or(ACTIVE, |name| name.to_str().unwrap());
    let real = command
        .replace(ACTIVE, active)
        .replace(LOG, text(&place.log()))
        .replace(MEMORY, text(place.memory()))
        .replace(BASE, text(place.base()));
    let words: Vec<&str> = real.split_whitespace().collect();
    assert_eq!(words[0], "fswal", "{command}");
    let in_memory = ["--in", text(place.memory())];
    let active_dir = ["--active-dir", text(place.memory())];
    let more: &[&str] = match words[1] {
        "orphans" => &in_memory,
        "recover" => &active_dir,
        _ => &[],
    };
    let said = fswal_unless_silent(&[&words[1..], more].concat());
    let mut text = format!("$ {command}\n{}{}", stable(scene, &said.out), stable(scene, &said.err));
    if said.code != 0 {
        text += &format!("(ends with {})\n", said.code);
    }
    text
}

/// What differs from run to run, always the same.
fn stable(scene: &Scene, said: &str) -> String {
    let mut said = said
        .replace(text(&scene.place.log()), LOG)
        .replace(text(scene.place.memory()), MEMORY)
        .replace(text(scene.place.base()), BASE);
    for (pattern, instead) in [
        (r"flashstrike-wal-[0-9a-f]{32}-[0-9a-f]{32}", ACTIVE),
        (r"(  log +)[0-9a-f]{32}", LOG_ID),
        (r"\bprocess [0-9]+", "process 4711"),
        (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-11-29T02:58:07Z"),
        (r"(since \S+) \([^)]*\)", "$1 (3 min 7 s)"),
        (r"\b[0-9.]+ .B free", "212 GB free"),
    ] {
        said = Regex::new(pattern).unwrap().replace_all(&said, instead).into_owned();
    }
    said
}
