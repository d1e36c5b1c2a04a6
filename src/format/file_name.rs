//! Names of the files in a WAL directory. A name that is none of them is foreign: never touched.

/// Lock file.
pub const LOCK: &str = "wal_lock";
/// Persisted MetaState.
pub const META: &str = "wal_meta.dat";
/// Identity of the log.
pub const IDENTITY: &str = "wal_identity";
/// Suffix of files being written.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// What the name of one of the log's files stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// Hot segment.
    Hot(u32),
    /// Cold segment.
    Cold(u32),
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
        let ours = stem.starts_with("FS.") || stem == META || stem == IDENTITY;
        return ours.then_some(FileName::Temporary);
    }
    let rest = name.strip_prefix("FS.")?;
    if let Some(number) = rest.strip_suffix(".wal.lz4") {
        return index(number).map(FileName::Cold);
    }
    index(rest.strip_suffix(".wal")?).map(FileName::Hot)
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
        for foreign in [
            "FS.7.wal",
            "FS.000000007.wal",
            "FS.4294967296.wal",
            "FS.+0000007.wal",
            "FS.00000007.wal.corrupt",
            "FS.00000007.WAL",
            "notes.tmp",
            "wal_lock",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
        assert_eq!(parse(&hot(u32::MAX)), Some(FileName::Hot(u32::MAX)));
        assert_eq!(parse(&cold(0)), Some(FileName::Cold(0)));
    }
}
