//! Names of the files in a WAL directory and in an active directory. A name that is none of them is
//! foreign: never touched.

/// Lock file.
pub const LOCK: &str = "wal_lock";
/// Persisted MetaState.
pub const META: &str = "wal_meta.dat";
/// Identity of the log.
pub const IDENTITY: &str = "wal_identity";
/// What each open found, a line each.
pub const HISTORY: &str = "wal_history";
/// What the writer of a log that is open tells other processes. In the active directory.
pub const CONTROL: &str = "wal_control";
/// Suffix of files being written.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
/// Directory of the holds.
pub const HOLDS: &str = "wal_holds";
/// Lock file in that directory.
pub const HOLDS_LOCK: &str = ".lock";
/// Suffix of a hold or snapshot that retention has given up.
pub const BROKEN_SUFFIX: &str = ".broken";
/// Longest name of a hold.
pub const MAX_HOLD_NAME: usize = 64;

/// What the name of one of the log's files stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// Hot segment.
    Hot(u32),
    /// Cold segment.
    Cold(u32),
    /// Snapshot, by its event id.
    Snapshot(u64),
    /// Snapshot that is being written: whoever writes it has it locked.
    BegunSnapshot(u64),
    /// Being written; never trusted, removed at start.
    Temporary,
}

/// `FS.<index>.wal`
pub fn hot(index: u32) -> String {
    format!("FS.{index:08}.wal")
}

/// `FS.<index>.wal.lz4`
pub fn cold(index: u32) -> String {
    format!("FS.{index:08}.wal.lz4")
}

/// `SNAP.<event id, 20 digits>.fss`
pub fn snapshot(event_id: u64) -> String {
    format!("SNAP.{event_id:020}.fss")
}

/// What the file of a hold or a snapshot is called once retention has given it up.
pub fn broken(name: &str) -> String {
    format!("{name}{BROKEN_SUFFIX}")
}

/// Whether a hold may have this name, and so its file in `wal_holds`.
pub fn is_hold(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_HOLD_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// The cold or the hot one.
pub fn of(index: u32, is_cold: bool) -> String {
    if is_cold {
        cold(index)
    } else {
        hot(index)
    }
}

/// `name.tmp`: what a file is called until it is whole.
pub fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY_SUFFIX}")
}

/// What `name` stands for, or `None` when it is foreign.
pub fn parse(name: &str) -> Option<FileName> {
    if let Some(stem) = name.strip_suffix(TEMPORARY_SUFFIX) {
        if let Some(id) = snapshot_id(stem) {
            return Some(FileName::BegunSnapshot(id));
        }
        let ours = stem.starts_with("FS.") || [META, IDENTITY, HISTORY].contains(&stem);
        return ours.then_some(FileName::Temporary);
    }
    if let Some(id) = snapshot_id(name) {
        return Some(FileName::Snapshot(id));
    }
    let rest = name.strip_prefix("FS.")?;
    if let Some(number) = rest.strip_suffix(".wal.lz4") {
        return index(number).map(FileName::Cold);
    }
    index(rest.strip_suffix(".wal")?).map(FileName::Hot)
}

/// The event id of a snapshot's name, which has exactly 20 digits.
fn snapshot_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("SNAP.")?.strip_suffix(".fss")?;
    let is_canonical = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_canonical)
}

/// The one spelling of an index: 8 digits, more only when it needs more.
fn index(number: &str) -> Option<u32> {
    let canonical = number.len() == 8 || (number.len() > 8 && !number.starts_with('0'));
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| canonical && digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_counts() {
        assert_eq!(parse("FS.00000007.wal"), Some(FileName::Hot(7)));
        assert_eq!(parse("FS.00000007.wal.lz4"), Some(FileName::Cold(7)));
        assert_eq!(parse("FS.4294967295.wal"), Some(FileName::Hot(u32::MAX)));
        assert_eq!(parse("FS.00000007.wal.lz4.tmp"), Some(FileName::Temporary));
        assert_eq!(parse("wal_meta.dat.tmp"), Some(FileName::Temporary));
        assert_eq!(parse("wal_history.tmp"), Some(FileName::Temporary));
        for foreign in [
            "FS.7.wal",
            "FS.000000007.wal",
            "FS.4294967296.wal",
            "FS.+0000007.wal",
            "FS.00000007.wal.corrupt",
            "FS.00000007.WAL",
            "notes.tmp",
            "wal_lock",
            "wal_holds",
            "wal_history",
            "SNAP.7.fss",
            "SNAP.00000000000000000007.fss.broken",
            "SNAP.18446744073709551616.fss",
            "SNAP.000000000000000000007.fss",
            "SNAP.+0000000000000000007.fss",
            "SNAP.7.fss.tmp",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
        assert_eq!(parse(&hot(u32::MAX)), Some(FileName::Hot(u32::MAX)));
        assert_eq!(parse(&cold(0)), Some(FileName::Cold(0)));
        for id in [0, 7, u64::MAX] {
            assert_eq!(parse(&snapshot(id)), Some(FileName::Snapshot(id)));
            assert_eq!(parse(&temporary(&snapshot(id))), Some(FileName::BegunSnapshot(id)));
        }
    }

    #[test]
    fn names_of_holds() {
        for name in ["a", "Z-9_", &"x".repeat(64)] {
            assert!(is_hold(name), "{name}");
        }
        for name in ["", ".lock", "a.broken", "a.tmp", "a/b", "..", "\u{e4}", &"x".repeat(65)] {
            assert!(!is_hold(name), "{name}");
        }
    }
}
