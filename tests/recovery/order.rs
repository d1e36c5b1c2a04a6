//! The order in which a recovery makes things durable, as seen in its system calls: events above D
//! are written and synced before D moves, and events to be cut are copied and synced before they
//! are removed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;

use common::crash::{crash, first_segment, offset, reboot, SEGMENT};
use common::{child, event, has_strace, Place};
use flashstrike_wal::format::RequestEvent;

/// One call that changes something.
#[derive(Debug)]
enum Call {
    Write(String),
    Sync(String),
    Rename(String, String),
}

/// Recovers under strace. Returns the calls up to the rename of the new generation's identity.
fn recovery_calls(place: &Place) -> Vec<Call> {
    let trace = place.base().join("trace").display().to_string();
    let calls = "trace=pwrite64,fdatasync,fsync,renameat";
    let wrapper = ["strace", "-f", "-qq", "-y", "-s", "64", "-o", &trace, "-e", calls];
    child::play_under(&wrapper, "recover", &[&place.log().display(), &place.memory().display()]);
    let log = format!("{}/", place.log().display());
    let mut calls = Vec::new();
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let name = |text: &str| Some(text.strip_prefix(&log)?.to_owned());
        let descriptor = line.split(['<', '>']).nth(1).unwrap_or_default();
        let quoted: Vec<&str> = line.split('"').collect();
        if line.contains(" pwrite64(") {
            calls.extend(name(descriptor).map(Call::Write));
        } else if line.contains(" fdatasync(") || line.contains(" fsync(") {
            let whole = descriptor == log.trim_end_matches('/');
            calls.extend(name(descriptor).or(whole.then(String::new)).map(Call::Sync));
        } else if line.contains(" renameat(") && descriptor == log.trim_end_matches('/') {
            calls.push(Call::Rename(quoted[1].to_owned(), quoted[3].to_owned()));
            if quoted[3] == "wal_identity" {
                return calls;
            }
        }
    }
    panic!("no identity: {calls:?}")
}

/// Checks the calls: before each rename that decides something, everything it depends on must be
/// synced. Returns the number of those renames.
fn check(calls: &[Call]) -> usize {
    let mut dirty: BTreeSet<&str> = BTreeSet::new();
    let mut names_dirty = false;
    let mut aside = 0;
    let (mut segment_written, mut meta_moved) = (false, false);
    for call in calls {
        match call {
            Call::Write(name) => {
                let aside_is_safe = !names_dirty || name.ends_with(".tmp");
                let segment = name.starts_with("FS.") && name.ends_with(".wal");
                assert!(!segment || aside_is_safe, "{name} is written before a copy is synced");
                assert!(!segment || !meta_moved, "{name} is written after D has moved");
                segment_written |= segment;
                dirty.insert(name);
            }
            Call::Sync(name) if name.is_empty() => names_dirty = false,
            Call::Sync(name) => drop(dirty.remove(name.as_str())),
            Call::Rename(from, to) => {
                assert!(!dirty.contains(from.as_str()), "{from} is renamed before it is synced");
                if to.contains(".corrupt") {
                    assert!(!segment_written, "{to} is renamed after its original was changed");
                    aside += 1;
                }
                if to == "wal_meta.dat" || to == "wal_identity" {
                    let segment = dirty.iter().find(|name| name.starts_with("FS."));
                    assert!(
                        segment.is_none(),
                        "{to} is renamed before {segment:?} is synced: {calls:?}"
                    );
                }
                meta_moved |= to == "wal_meta.dat";
                names_dirty = true;
            }
        }
    }
    aside
}

#[test]
fn g3_recovery_moves_d_only_over_what_is_synced() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, SEGMENT + 50, SEGMENT + 100);
    let calls = recovery_calls(&place);
    assert_eq!(check(&calls), 0);
    let rewritten = calls.iter().any(|c| matches!(c, Call::Write(n) if n == "FS.00000001.wal"));
    assert!(rewritten, "events above D are not written again: {calls:?}");
}

#[test]
fn g3_recovery_clears_only_what_is_kept_aside() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    crash(&place, 50, 100);
    reboot(&place);
    let torn = RequestEvent { price: 1, ..event(52) };
    first_segment(&place).write_all_at(&torn.encode(), offset(51)).unwrap();
    assert_eq!(check(&recovery_calls(&place)), 1);
}
