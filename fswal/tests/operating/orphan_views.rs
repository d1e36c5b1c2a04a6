//! `orphans`, seen from where the log's volume is not mounted, is read-only, or is another: nothing
//! that holds events is removed unasked, and every list says what is so.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;

use crate::orphans::leave_behind;
use crate::support::{fswal, said_by, state_of, text, Place, Said};

/// What has become of a log whose active directory is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    /// Its process does nothing for the moment: that it has the log open only the lock tells.
    Stopped,
    Crashed,
    /// The same, and the control file is gone, which says what was durable.
    Silent,
    /// Shut down, by a process that was killed before it had removed its memory.
    Clean,
}

/// From where it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// From where the log is written.
    Same,
    /// The volume is not mounted, and its mount point is the WAL directory.
    Unmounted,
    /// The volume is not mounted, and nothing is at the log's path.
    NoPath,
    /// The WAL directory has another name now.
    Renamed,
    /// The volume is read-only.
    ReadOnly,
    /// Memory is read-only.
    ReadOnlyMemory,
}

const STATES: [State; 5] =
    [State::Live, State::Stopped, State::Crashed, State::Silent, State::Clean];
const VIEWS: [View; 6] = [
    View::Same,
    View::Unmounted,
    View::NoPath,
    View::Renamed,
    View::ReadOnly,
    View::ReadOnlyMemory,
];
/// Events that are appended, and how many of them are durable.
const EVENTS: (u64, u64) = (20, 10);

struct Scene {
    place: Place,
    view: View,
    writer: Option<Child>,
}

impl Scene {
    fn new(state: State, view: View) -> Self {
        let place = Place::new();
        let mut writer = None;
        match state {
            State::Live | State::Stopped => {
                writer = Some(place.spawn_writer(EVENTS.1, EVENTS.0));
            }
            State::Crashed | State::Silent => place.crash(EVENTS.1, EVENTS.0),
            State::Clean => drop(leave_behind(&place, EVENTS.0)),
        }
        if let (State::Stopped, Some(writer)) = (state, &writer) {
            signal("-STOP", writer);
        }
        if state == State::Silent {
            std::fs::remove_file(place.actives()[0].join("wal_control")).unwrap();
        }
        if view == View::Renamed {
            std::fs::rename(place.log(), place.base().join("renamed")).unwrap();
        }
        Scene { place, view, writer }
    }

    /// Runs the program in a mount namespace of its own, where the mounts differ.
    fn orphans(&self, more: &[&str]) -> Said {
        let arguments = [&["orphans", "--in", text(self.place.memory())], more].concat();
        let (base, log) = (self.place.base().display(), self.place.log());
        let (log, memory) = (log.display(), self.place.memory().display());
        let mounts = match self.view {
            View::Same | View::Renamed => return fswal(&arguments),
            View::Unmounted => format!("mount -t tmpfs none {log}"),
            View::NoPath => format!("mount -t tmpfs none {base}"),
            View::ReadOnly => format!("mount --bind {log} {log}; mount -o remount,bind,ro {log}"),
            View::ReadOnlyMemory => {
                format!("mount --bind {memory} {memory}; mount -o remount,bind,ro {memory}")
            }
        };
        let script = format!("set -e; {mounts}; exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        said_by(command.arg(env!("CARGO_BIN_EXE_fswal")).args(arguments))
    }

    fn list(&self, more: &[&str]) -> Vec<Value> {
        self.orphans(&[&["--json"], more].concat()).ends_with(0).lines()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            let _ = writer.kill();
            let _ = writer.wait();
        }
    }
}

fn signal(which: &str, process: &Child) {
    let sent = Command::new("kill").args([which, &process.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// What it is to be called.
fn kind(state: State, view: View) -> &'static str {
    let is_found = matches!(view, View::Same | View::ReadOnly | View::ReadOnlyMemory);
    match state {
        State::Live | State::Stopped => "open",
        State::Crashed | State::Silent if is_found => "needed",
        State::Clean if is_found => "leftover",
        _ => "orphan",
    }
}

#[test]
fn nothing_that_holds_events_is_removed_from_wherever_it_is_seen() {
    if !may_mount() {
        return println!("skipped: mounting needs root, and unshare");
    }
    for state in STATES {
        for view in VIEWS {
            check(&Scene::new(state, view), state, view);
        }
    }
}

fn check(scene: &Scene, state: State, view: View) {
    let what = format!("{state:?}, {view:?}");
    let (kind, is_clean) = (kind(state, view), state == State::Clean);
    let active = scene.place.actives().pop().unwrap();
    let before = contents(&active);
    let all = scene.list(&["--all"]);
    assert_eq!(all.len(), 1, "{what}");
    let one = &all[0];
    let only_here = match state {
        State::Silent => EVENTS.0,
        State::Clean => 0,
        _ => EVENTS.0 - EVENTS.1,
    };
    assert_eq!(one["kind"], kind, "{what}: {one}");
    assert_eq!(one["clean"], is_clean, "{what}");
    assert_eq!(
        (&one["events"], &one["only_here"]),
        (&EVENTS.0.into(), &only_here.into()),
        "{what}"
    );
    assert_eq!(one["log_path"], text(&scene.place.log()), "{what}");
    let is_orphan = kind == "orphan";
    assert_eq!(scene.list(&[]).len(), usize::from(is_orphan), "{what}");

    // What is no orphan goes at no price.
    let name = active.file_name().unwrap().to_str().unwrap();
    if !is_orphan {
        scene.orphans(&["--discard-events", name]).ends_with(2);
    }
    let may_go = is_orphan && is_clean;
    let removed = scene.list(&["--remove", "--all"]);
    assert_eq!(removed[0]["removed"], may_go, "{what}");
    assert_eq!(active.exists(), !may_go, "{what}");
    if !may_go {
        assert_eq!(contents(&active), before, "{what}");
    }
}

/// The files of an active directory; but of the control file, in which a live log's clock stands,
/// only that it is there.
fn contents(active: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = state_of(active).into_iter().map(|(path, _, bytes)| {
        let is_control = path.ends_with("wal_control");
        (path, if is_control { Vec::new() } else { bytes })
    });
    files.collect()
}

/// A clean orphan whose memory cannot be removed stays whole.
#[test]
fn what_cannot_be_removed_stays() {
    if !may_mount() {
        return println!("skipped: mounting needs root, and unshare");
    }
    let mut scene = Scene::new(State::Clean, View::Renamed);
    scene.view = View::ReadOnlyMemory;
    let active = scene.place.actives().pop().unwrap();
    let before = contents(&active);
    scene.orphans(&["--remove"]).ends_with(3);
    assert_eq!(contents(&active), before);
}

fn may_mount() -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
    let unshare = Command::new("unshare").args(["--mount", "true"]).status();
    is_root && unshare.is_ok_and(|status| status.success())
}
