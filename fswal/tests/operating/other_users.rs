//! Who may read the log's directory, and not its memory: the group of an engine's user.

use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::{json, Value};

use crate::support::{text, Place};

const USER: &str = "65534";

/// Lets the group of `USER` read what is on disk.
fn let_in(place: &Place) {
    let walk = |path: &Path| {
        chown(path, None, Some(65534)).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        // What the owner may read, the group may.
        let mode = mode | (mode & 0o500) >> 3;
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    walk(place.base());
    walk(&place.log());
    std::fs::read_dir(place.log()).unwrap().for_each(|entry| walk(&entry.unwrap().path()));
}

/// Code, standard output and standard error of the program, run as that user.
fn as_other(program: &Path, arguments: &[&str]) -> (i32, String, String) {
    let said = Command::new("setpriv")
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(program)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (said.status.code().unwrap(), text(said.stdout), text(said.stderr))
}

#[test]
fn who_may_not_read_the_memory_is_told_what_is_missing() {
    if !is_root() {
        return eprintln!("skipped: it takes root to become another user");
    }
    let place = Place::new();
    place.crash(3000, 3100);
    let_in(&place);
    // That user may not enter where this program lies.
    let program = place.base().join("fswal");
    std::fs::copy(env!("CARGO_BIN_EXE_fswal"), &program).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = place.log();
    let run = |arguments: &[&str]| as_other(&program, arguments);

    let (code, out, err) = run(&["status", "--json", text(&path)]);
    let status: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((code, &status["state"]), (3, &json!("memory-unreadable")));
    assert_eq!(status["durable_event_id"], 3000);
    let problem = status["problems"][0].as_str().unwrap();
    assert!(problem.contains("as the log's own user or as root"), "{problem}");

    let missing = "events that are not durable yet are missing";
    let (code, out, err) = run(&["cat", text(&path)]);
    assert_eq!((code, out.lines().count()), (0, 3001), "{err}");
    assert!(err.contains(missing), "{err}");
    let (code, out, err) = run(&["export", "--format", "csv", text(&path), "-"]);
    assert_eq!((code, out.lines().count()), (0, 3001), "{err}");
    assert!(err.contains(missing), "{err}");

    let page = place.memory().join("report.html");
    std::fs::set_permissions(place.memory(), PermissionsExt::from_mode(0o777)).unwrap();
    let (code, out, err) = run(&["report", "-o", text(&page), text(&path)]);
    assert_eq!(code, 3, "{out}{err}");
    assert!(std::fs::read_to_string(page).unwrap().contains("<div class=\"word\">Not known</div>"));
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n")
}
