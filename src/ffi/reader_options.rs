//! The options of a reader, and what becomes of them.

use std::ffi::c_char;
use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::keep::Bookmark;
use crate::replay::{FollowOptions, Follower, Reader, ReaderOptions, DEFAULT_SPIN};

use super::any_reader::{AnyReader, Source};
use super::argument::{refuse_unknown_flags, refused};
use super::hold::hold_name;
use super::signals::Blocked;
use super::sized::{self, CStruct};
use super::snapshot::keeping;

/// Follow a live log; see above. Not together with `FS_WAL_READER_SALVAGE`.
pub const FS_WAL_READER_FOLLOW: u32 = 1;
/// Read around damage; see above how it is reported. Not together with `FS_WAL_READER_NO_VERIFY`.
pub const FS_WAL_READER_SALVAGE: u32 = 2;
/// Do not verify the checksums of sealed blocks.
pub const FS_WAL_READER_NO_VERIFY: u32 = 4;
/// Give an event when the durable watermark has passed it. Not together with
/// `FS_WAL_READER_SALVAGE`.
pub const FS_WAL_READER_DURABLE_ONLY: u32 = 8;

/// Highest `threads` of a reader.
pub const FS_WAL_READER_MAX_THREADS: u32 = 16;

/// Options of `fs_wal_reader_open`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ReaderConfig {
    /// Set it to `sizeof(fs_wal_reader_config)`. Fields beyond it have their defaults.
    pub struct_size: u32,
    /// Any of `FS_WAL_READER_`, or-ed. Default: none.
    pub flags: u32,
    /// Threads that open, decompress and verify segments ahead of the caller, at most 16. Default:
    /// none, the caller's own thread does it. See "Threads of a reader" above. A follower, and a
    /// reader with `FS_WAL_READER_DURABLE_ONLY`, uses none.
    pub threads: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Event id: behind it reading ends with `FS_WAL_END`, wherever `fs_wal_reader_seek` goes. 0 =
    /// at the end of the log.
    pub end_event_id: u64,
    /// With `FS_WAL_READER_FOLLOW`: how long `fs_wal_reader_wait` spins before it sleeps, in
    /// nanoseconds; `UINT64_MAX` = always. Default, also for 0: 20,000.
    pub spin_ns: u64,
    /// Name of a hold (see "Snapshots and holds") that the reader opens and moves along; NULL =
    /// none. The reader begins where the hold stands; a new one is made at the oldest event there
    /// is. To call `fs_wal_reader_next`, `fs_wal_reader_next_batch` or `fs_wal_reader_wait` again
    /// is to be done with the events that were given before; past those the hold moves, at most
    /// once a second, and when the reader is closed. So a consumer that is started again goes on
    /// by itself, and sees again at most what it may not have finished. Only the log's own user
    /// can, and one reader a name at a time. In a forked child the reader goes on, and moves
    /// nothing.
    pub hold: *const c_char,
}

// SAFETY: repr(C), `struct_size` first; integers, and a pointer that is checked before it is used.
unsafe impl CStruct for ReaderConfig {}

/// What a reader does at damage and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderKind {
    /// Stops at damage, and ends.
    Plain(ReaderOptions),
    /// Reads around damage, and ends.
    Salvaging,
    /// Stops at damage. It does not end, or ends with what is durable.
    Following(FollowOptions),
}

/// How a log is read.
pub(super) struct Setup<'a> {
    kind: ReaderKind,
    threads: u32,
    end_event_id: u64,
    hold: Option<&'a str>,
}

impl Setup<'_> {
    pub(super) fn open(&self, dir: &Path) -> Result<AnyReader> {
        // First: from here on retention takes nothing that the reader is to give.
        let bookmark = self.hold.map(|name| Bookmark::open(keeping(dir)?, name)).transpose()?;
        let mut reader = AnyReader::new(self.open_source(dir)?);
        if let Some(bookmark) = bookmark {
            reader.resume(bookmark)?;
        }
        Ok(reader)
    }

    fn open_source(&self, dir: &Path) -> Result<Source> {
        let mut reader = match self.kind {
            ReaderKind::Plain(options) => Reader::open(dir, options)?,
            ReaderKind::Salvaging => Reader::open_salvaging(dir)?,
            ReaderKind::Following(options) => {
                let options = FollowOptions { end_event_id: self.end_event_id, ..options };
                return Ok(Source::Following(Box::new(Follower::open(dir, options)?)));
            }
        };
        reader.end_behind(self.end_event_id);
        if self.threads > 0 {
            // The threads inherit the mask.
            let _blocked = Blocked::new();
            reader.use_threads(self.threads)?;
        }
        Ok(Source::Ending(Box::new(reader)))
    }
}

/// The options of a reader; NULL is all defaults.
///
/// # Safety
/// `config` is NULL or a struct as long as it says, whose `hold` is NULL or a C string.
pub(super) unsafe fn setup<'a>(config: *const ReaderConfig) -> Result<Setup<'a>> {
    // SAFETY: the caller's promise.
    let given = unsafe { sized::read(config, "config") }?;
    let kind = reader_kind(&given)?;
    if given.threads > FS_WAL_READER_MAX_THREADS {
        let most = FS_WAL_READER_MAX_THREADS;
        let message = format!("config.threads is {}: it must be 0 to {most}", given.threads);
        return Err(refused(message));
    }
    let hold = match given.hold.is_null() {
        true => None,
        // SAFETY: the caller's promise.
        false => Some(unsafe { hold_name(given.hold, "config.hold") }?),
    };
    Ok(Setup { kind, threads: given.threads, end_event_id: given.end_event_id, hold })
}

/// What it does at damage and at the end, and what it verifies.
fn reader_kind(given: &ReaderConfig) -> Result<ReaderKind> {
    refuse_unknown_flags("config.flags", given.flags, KNOWN_READER_FLAGS)?;
    if given.reserved != 0 {
        return Err(refused(format!("config.reserved is {}: it must be 0", given.reserved)));
    }
    let has = |flag| given.flags & flag != 0;
    let read = ReaderOptions { verify: !has(FS_WAL_READER_NO_VERIFY) };
    let (follow, durable_only) = (has(FS_WAL_READER_FOLLOW), has(FS_WAL_READER_DURABLE_ONLY));
    if !has(FS_WAL_READER_SALVAGE) {
        let spin = match given.spin_ns {
            0 => DEFAULT_SPIN,
            u64::MAX => Duration::MAX,
            spin => Duration::from_nanos(spin),
        };
        let options = FollowOptions { read, follow, durable_only, spin, end_event_id: 0 };
        return Ok(match follow || durable_only {
            true => ReaderKind::Following(options),
            false => ReaderKind::Plain(read),
        });
    }
    let others = [
        (!read.verify, "FS_WAL_READER_NO_VERIFY: what is not verified cannot be salvaged"),
        (follow, "FS_WAL_READER_FOLLOW: what is not there yet would be taken for damage"),
        (durable_only, "FS_WAL_READER_DURABLE_ONLY: the watermark says nothing of damage"),
    ];
    match others.iter().find(|(is_set, _)| *is_set) {
        Some((_, other)) => {
            Err(refused(format!("config.flags has FS_WAL_READER_SALVAGE and {other}")))
        }
        None => Ok(ReaderKind::Salvaging),
    }
}

const KNOWN_READER_FLAGS: u32 = FS_WAL_READER_FOLLOW
    | FS_WAL_READER_SALVAGE
    | FS_WAL_READER_NO_VERIFY
    | FS_WAL_READER_DURABLE_ONLY;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;

    fn config() -> ReaderConfig {
        ReaderConfig { struct_size: size_of::<ReaderConfig>() as u32, ..CStruct::zeroed() }
    }

    fn reader(flags: u32) -> Result<ReaderKind> {
        let given = ReaderConfig { flags, ..config() };
        reader_kind(&given)
    }

    #[test]
    fn reader_flags_are_accepted_or_refused() {
        let plain = |verify| ReaderKind::Plain(ReaderOptions { verify });
        assert_eq!(reader(0).unwrap(), plain(true));
        assert_eq!(reader(FS_WAL_READER_NO_VERIFY).unwrap(), plain(false));
        assert_eq!(reader(FS_WAL_READER_SALVAGE).unwrap(), ReaderKind::Salvaging);
        for flag in [FS_WAL_READER_NO_VERIFY, FS_WAL_READER_FOLLOW, FS_WAL_READER_DURABLE_ONLY] {
            let error = reader(FS_WAL_READER_SALVAGE | flag).unwrap_err();
            assert_eq!(error.cause(), Some(Cause::InvalidArgument), "{error}");
        }
        let error = reader(16).unwrap_err();
        assert_eq!(error.cause(), Some(Cause::InvalidArgument));
        assert_eq!(error.to_string(), "config.flags is 0x10: 0x10 is not a flag");
    }

    #[test]
    fn followers_are_told_by_their_flags_and_how_long_they_spin() {
        let options = |follow, durable_only, spin_ns| {
            let flags = FS_WAL_READER_NO_VERIFY
                | if follow { FS_WAL_READER_FOLLOW } else { 0 }
                | if durable_only { FS_WAL_READER_DURABLE_ONLY } else { 0 };
            match reader_kind(&ReaderConfig { flags, spin_ns, ..config() }).unwrap() {
                ReaderKind::Following(options) => options,
                other => panic!("{other:?}"),
            }
        };
        let given = options(true, false, 0);
        assert_eq!((given.follow, given.durable_only, given.read.verify), (true, false, false));
        assert_eq!(given.spin, DEFAULT_SPIN);
        let given = options(false, true, 7);
        assert_eq!((given.follow, given.durable_only), (false, true));
        assert_eq!(given.spin, Duration::from_nanos(7));
        assert_eq!(options(true, true, u64::MAX).spin, Duration::MAX);
    }

    #[test]
    fn fields_out_of_range_are_refused_by_name() {
        let cause_of = |given: ReaderConfig, name: &str| {
            // SAFETY: a whole struct.
            let error = unsafe { setup(&given) }.err().unwrap();
            assert!(error.to_string().contains(name), "{error}");
            error.cause()
        };
        let hold = ReaderConfig { hold: c"na\xffme".as_ptr(), ..config() };
        assert_eq!(cause_of(hold, "config.hold is"), Some(Cause::InvalidArgument));
        let threads = ReaderConfig { threads: 17, ..config() };
        assert_eq!(cause_of(threads, "threads is 17"), Some(Cause::InvalidArgument));
        let reserved = ReaderConfig { reserved: 1, ..config() };
        assert_eq!(cause_of(reserved, "reserved"), Some(Cause::InvalidArgument));
    }
}
