//! Options as C gives them, made into a checked [`Config`] or refused by name.

use std::ffi::{c_char, c_void};
use std::fmt::Display;
use std::time::Duration;

use crate::config::{self, Backpressure, Config, Keep, SyncMode};
use crate::error::{Cause, Error, Result};
use crate::replay::ReaderOptions;

use super::argument::{self, refused};
use super::guard::guard;
use super::sized::{self, CStruct};

/// `max_segments`, `max_compressed_segments`: no limit.
pub const FS_WAL_KEEP_ALL: u32 = u32::MAX;
/// `max_compressed_segments` only: no cold segments at all.
pub const FS_WAL_KEEP_NONE: u32 = u32::MAX - 1;

/// Where recovery would refuse to open, open at the last provable event; the rest is kept aside.
pub const FS_WAL_FLAG_ACCEPT_LOSS: u32 = 1;
/// Open on any filesystem: also on copy-on-write and network ones, where space cannot really be
/// reserved and a full disk may kill the process, and on vfat and its like, where a power cut may
/// take whole files.
pub const FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM: u32 = 2;
/// Delete hot segments past `max_segments` instead of compressing them.
pub const FS_WAL_FLAG_NO_COMPRESSION: u32 = 4;
/// The persister spins for new events and never sleeps: a core for a shorter time to durable.
pub const FS_WAL_FLAG_SPIN: u32 = 8;

/// When the disk is slow and no segment is ready, an append waits.
pub const FS_WAL_BACKPRESSURE_BLOCK: u32 = 0;
/// When the disk is slow and no segment is ready, an append returns `FS_WAL_ERR_WOULD_BLOCK`.
pub const FS_WAL_BACKPRESSURE_FAIL_FAST: u32 = 1;

/// Events are made durable as soon as there are any, syncs back to back under load.
pub const FS_WAL_SYNC_CONTINUOUS: u32 = 0;
/// Events are made durable every `sync_interval_ns`.
pub const FS_WAL_SYNC_INTERVAL: u32 = 1;
/// Events are made durable when their segment is full.
pub const FS_WAL_SYNC_ROTATION: u32 = 2;

/// Follow a live log. Not in this version: `FS_WAL_ERR_UNSUPPORTED`.
pub const FS_WAL_READER_FOLLOW: u32 = 1;
/// Read around damage. Each call that meets some fails once, with `FS_WAL_ERR_CORRUPT` (or
/// `FS_WAL_ERR_IO`, `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_GAP`) and the range in
/// `fs_wal_last_error_detail`; the next call goes on behind it. Not together with
/// `FS_WAL_READER_NO_VERIFY`.
pub const FS_WAL_READER_SALVAGE: u32 = 2;
/// Do not verify the checksums of sealed blocks.
pub const FS_WAL_READER_NO_VERIFY: u32 = 4;
/// Stop at the durable watermark. Not in this version: `FS_WAL_ERR_UNSUPPORTED`.
pub const FS_WAL_READER_DURABLE_ONLY: u32 = 8;

/// Options of `fs_wal_open`. A field that is 0 (or NULL) has its default.
///
/// RETENTION: old events are DELETED. The defaults keep the last 160 segments, 10.5 million events:
/// 3 hours at 1,000 a second, 10 seconds at a million a second. Set `max_segments` and
/// `max_compressed_segments` to what you need.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalConfig {
    /// `sizeof(fs_wal_config)` as the caller knows it. Fields past it have their defaults.
    pub struct_size: u32,
    /// Blocks of 256 events a segment, `FS_WAL_MIN_BLOCKS` to `FS_WAL_MAX_BLOCKS`. Default 256:
    /// segments of 4.2 MB.
    pub num_blocks: u32,
    /// Hot segments kept, the active one included. Default 32; `FS_WAL_KEEP_ALL`.
    pub max_segments: u32,
    /// Cold (compressed) segments kept. Default 128; `FS_WAL_KEEP_ALL`, `FS_WAL_KEEP_NONE`.
    pub max_compressed_segments: u32,
    /// Segments kept ready ahead of the writer, 1 to 64. Default 4. Memory in use is this and 2
    /// more segments.
    pub prepared_segments: u32,
    /// `FS_WAL_FLAG_`, or-ed.
    pub flags: u32,
    /// One of `FS_WAL_BACKPRESSURE_`. Default: block.
    pub backpressure: u32,
    /// One of `FS_WAL_SYNC_`. Default: continuous.
    pub sync_mode: u32,
    /// For `FS_WAL_SYNC_INTERVAL`. Default 10 ms.
    pub sync_interval_ns: u64,
    /// Nothing at or above this event id is deleted. 0 = no floor. See
    /// `fs_wal_set_retention_floor`.
    pub retention_floor: u64,
    /// Directory, best on tmpfs, in which the active directory is made. NULL = /dev/shm. Copied:
    /// it may be freed once `fs_wal_open` has returned.
    pub active_dir: *const c_char,
    /// Told what happens to the log: opening and what recovery decided and noticed, filesystem and
    /// memory that are not as they should be, the failure that poisons the log, a full disk and its
    /// end, compression that fails, segments that retention deletes, shutdown. NULL = nobody.
    ///
    /// `level` is one of `FS_WAL_LOG_`; `message` is one line, valid during the call. It is called
    /// on the thread that opens and the one that shuts down, and between the two on threads of the
    /// library, never by append, append_batch, claim or commit; one call at a time for each log.
    /// What is late in it holds up the disk work of the log, and of those that share its threads. It
    /// must not throw, and must not call into any log but for `fs_wal_meta`, `fs_wal_durable` and
    /// `fs_wal_metrics`.
    pub log: Option<unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char)>,
    /// Handed to `log` as `user`. Must be fit for other threads, and stay until `fs_wal_shutdown`
    /// has returned, or `fs_wal_open` has failed.
    pub log_user: *mut c_void,
    /// Processors that the log's own thread, its persister, may run on: bit n is processor n. 0 =
    /// those of the thread that opens. One that is not available is refused.
    pub persister_cpus: u64,
    /// The same for the threads that logs share: those with the same `worker_cpus` and
    /// `worker_nice`, on the same filesystems. 0 = those of the thread that opens the first of them.
    pub worker_cpus: u64,
    /// Nice value of all these threads, -20 to 19; compression always has 19. 0 = that of the thread
    /// that opens. A value the process may not have is refused with `FS_WAL_ERR_PERMISSION`.
    pub worker_nice: i32,
    /// 0.
    pub reserved: u32,
}

/// Options of `fs_wal_reader_open`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ReaderConfig {
    /// `sizeof(fs_wal_reader_config)` as the caller knows it.
    pub struct_size: u32,
    /// `FS_WAL_READER_`, or-ed.
    pub flags: u32,
}

// SAFETY: repr(C), `struct_size` first; integers, pointers that are checked before they are used,
// and a pointer to a function, which may have any value but is called only as C means it.
unsafe impl CStruct for WalConfig {}
// SAFETY: repr(C), `struct_size` first, integers only.
unsafe impl CStruct for ReaderConfig {}

/// Bytes of the structs in their first version: nobody has shorter ones.
const FIRST_CONFIG_SIZE: usize = 56;
const FIRST_READER_CONFIG_SIZE: usize = 8;

const _: () = assert!(size_of::<WalConfig>() >= FIRST_CONFIG_SIZE);
const _: () = assert!(size_of::<ReaderConfig>() >= FIRST_READER_CONFIG_SIZE);

/// The defaults, spelt out.
fn defaults(struct_size: u32) -> WalConfig {
    WalConfig {
        struct_size,
        num_blocks: config::DEFAULT_NUM_BLOCKS,
        max_segments: config::DEFAULT_MAX_SEGMENTS,
        max_compressed_segments: config::DEFAULT_MAX_COMPRESSED_SEGMENTS,
        prepared_segments: config::DEFAULT_PREPARED_SEGMENTS,
        flags: 0,
        backpressure: FS_WAL_BACKPRESSURE_BLOCK,
        sync_mode: FS_WAL_SYNC_CONTINUOUS,
        sync_interval_ns: config::DEFAULT_SYNC_INTERVAL.as_nanos() as u64,
        retention_floor: 0,
        active_dir: std::ptr::null(),
        log: None,
        log_user: std::ptr::null_mut(),
        persister_cpus: 0,
        worker_cpus: 0,
        worker_nice: 0,
        reserved: 0,
    }
}

/// Fills a config with the defaults, as numbers one can read (`active_dir` stays NULL), and sets
/// its `struct_size`. Give `sizeof(fs_wal_config)`: no more bytes than that are written, and those
/// that this version of the library does not know are zeroed.
///
/// Writes nothing when `config` is NULL or `struct_size` is above 4096; `fs_wal_last_error` says
/// so. Starting from `{0}` with `struct_size` set does as well.
///
/// Threads: any.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_config_init(config: *mut WalConfig, struct_size: u32) {
    guard(
        || {
            if config.is_null() {
                return Err(refused("config is NULL".to_owned()));
            }
            if struct_size > sized::MAX_SIZE {
                let message = format!("struct_size is {struct_size}: give sizeof(fs_wal_config)");
                return Err(refused(message));
            }
            let defaults = defaults(struct_size);
            let (size, known) = (struct_size as usize, size_of::<WalConfig>());
            // SAFETY: the header asks for `struct_size` bytes that can be written at `config`. Of
            // them the first are copied from a whole `WalConfig`, no more than it has, and the
            // others zeroed.
            unsafe {
                let from = std::ptr::from_ref(&defaults).cast::<u8>();
                let to = config.cast::<u8>();
                std::ptr::copy_nonoverlapping(from, to, size.min(known));
                if size > known {
                    std::ptr::write_bytes(to.add(known), 0, size - known);
                }
            }
            Ok(())
        },
        |_panic| (),
    );
}

/// The options of a log; NULL is all defaults. Ranges are [`Config::validate`]'s affair.
///
/// # Safety
/// `config` is NULL or a struct as long as it says, its `active_dir` NULL or a C string, and its
/// `log` NULL or a function that may be called with `log_user` on any thread, until the log is shut
/// down.
pub(super) unsafe fn log_options(config: *const WalConfig) -> Result<Config> {
    if config.is_null() {
        return Ok(Config::default());
    }
    // SAFETY: the caller's promise.
    let given = unsafe { sized::read(config, "config", FIRST_CONFIG_SIZE) }?;
    refuse_unknown_flags("config.flags", given.flags, KNOWN_FLAGS)?;
    if given.reserved != 0 {
        return Err(refused(format!("config.reserved is {}: it must be 0", given.reserved)));
    }
    let mut options = Config {
        num_blocks: or_default(given.num_blocks, config::DEFAULT_NUM_BLOCKS),
        max_segments: keep_hot(given.max_segments)?,
        max_compressed_segments: keep_cold(given.max_compressed_segments),
        prepared_segments: or_default(given.prepared_segments, config::DEFAULT_PREPARED_SEGMENTS),
        accept_loss: given.flags & FS_WAL_FLAG_ACCEPT_LOSS != 0,
        allow_any_filesystem: given.flags & FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM != 0,
        no_compression: given.flags & FS_WAL_FLAG_NO_COMPRESSION != 0,
        spin: given.flags & FS_WAL_FLAG_SPIN != 0,
        backpressure: backpressure(given.backpressure)?,
        sync_mode: sync_mode(given.sync_mode, given.sync_interval_ns)?,
        retention_floor: given.retention_floor,
        persister_cpus: given.persister_cpus,
        worker_cpus: given.worker_cpus,
        worker_nice: given.worker_nice,
        ..Config::default()
    };
    if !given.active_dir.is_null() {
        // SAFETY: the caller's promise.
        let parent = unsafe { argument::path(given.active_dir, "config.active_dir") }?;
        options.active_parent = parent.to_owned();
    }
    if let Some(function) = given.log {
        // SAFETY: the caller's promise.
        options.log = unsafe { super::log::sink(function, given.log_user) };
    }
    Ok(options)
}

/// What a reader does at damage: stops, or reads around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReaderKind {
    Plain(ReaderOptions),
    Salvaging,
}

/// The options of a reader; NULL is all defaults.
///
/// # Safety
/// `config` is NULL or a struct as long as it says.
pub(super) unsafe fn reader_kind(config: *const ReaderConfig) -> Result<ReaderKind> {
    if config.is_null() {
        return Ok(ReaderKind::Plain(ReaderOptions { verify: true }));
    }
    // SAFETY: the caller's promise.
    let given = unsafe { sized::read(config, "config", FIRST_READER_CONFIG_SIZE) }?;
    refuse_unknown_flags("config.flags", given.flags, KNOWN_READER_FLAGS)?;
    let later = [
        (FS_WAL_READER_FOLLOW, "FS_WAL_READER_FOLLOW"),
        (FS_WAL_READER_DURABLE_ONLY, "FS_WAL_READER_DURABLE_ONLY"),
    ];
    if let Some((_, name)) = later.iter().find(|(flag, _)| given.flags & flag != 0) {
        let version = env!("CARGO_PKG_VERSION");
        let message = format!("config.flags has {name}: version {version} cannot do that");
        return Err(Error::new(Cause::Unsupported, message));
    }
    let verify = given.flags & FS_WAL_READER_NO_VERIFY == 0;
    if given.flags & FS_WAL_READER_SALVAGE == 0 {
        return Ok(ReaderKind::Plain(ReaderOptions { verify }));
    }
    if !verify {
        let message = "config.flags has FS_WAL_READER_SALVAGE and FS_WAL_READER_NO_VERIFY: \
                       what is not verified cannot be salvaged";
        return Err(refused(message.to_owned()));
    }
    Ok(ReaderKind::Salvaging)
}

const KNOWN_FLAGS: u32 = FS_WAL_FLAG_ACCEPT_LOSS
    | FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM
    | FS_WAL_FLAG_NO_COMPRESSION
    | FS_WAL_FLAG_SPIN;

const KNOWN_READER_FLAGS: u32 = FS_WAL_READER_FOLLOW
    | FS_WAL_READER_SALVAGE
    | FS_WAL_READER_NO_VERIFY
    | FS_WAL_READER_DURABLE_ONLY;

fn refuse_unknown_flags(name: &str, flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(refused(format!("{name} is {flags:#x}: {unknown:#x} is not a flag"))),
    }
}

fn or_default(value: u32, default: u32) -> u32 {
    if value == 0 {
        default
    } else {
        value
    }
}

fn keep_hot(value: u32) -> Result<Keep> {
    match value {
        0 => Ok(Keep::AtMost(config::DEFAULT_MAX_SEGMENTS)),
        FS_WAL_KEEP_ALL => Ok(Keep::All),
        FS_WAL_KEEP_NONE => Err(refused(
            "config.max_segments is FS_WAL_KEEP_NONE: that is for cold segments only".to_owned(),
        )),
        count => Ok(Keep::AtMost(count)),
    }
}

fn keep_cold(value: u32) -> Keep {
    match value {
        0 => Keep::AtMost(config::DEFAULT_MAX_COMPRESSED_SEGMENTS),
        FS_WAL_KEEP_ALL => Keep::All,
        FS_WAL_KEEP_NONE => Keep::AtMost(0),
        count => Keep::AtMost(count),
    }
}

fn backpressure(value: u32) -> Result<Backpressure> {
    match value {
        FS_WAL_BACKPRESSURE_BLOCK => Ok(Backpressure::Block),
        FS_WAL_BACKPRESSURE_FAIL_FAST => Ok(Backpressure::FailFast),
        _ => Err(not_one_of("backpressure", value, "FS_WAL_BACKPRESSURE_")),
    }
}

fn sync_mode(value: u32, interval_ns: u64) -> Result<SyncMode> {
    match value {
        FS_WAL_SYNC_CONTINUOUS => Ok(SyncMode::Continuous),
        FS_WAL_SYNC_INTERVAL if interval_ns == 0 => {
            Ok(SyncMode::Interval(config::DEFAULT_SYNC_INTERVAL))
        }
        FS_WAL_SYNC_INTERVAL => Ok(SyncMode::Interval(Duration::from_nanos(interval_ns))),
        FS_WAL_SYNC_ROTATION => Ok(SyncMode::Rotation),
        _ => Err(not_one_of("sync_mode", value, "FS_WAL_SYNC_")),
    }
}

fn not_one_of(field: &str, value: impl Display, prefix: &str) -> Error {
    refused(format!("config.{field} is {value}: it must be one of {prefix}"))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
