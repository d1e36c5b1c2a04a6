//! Options as C gives them, made into a checked [`Config`] or refused by name.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use crate::config::{self, Backpressure, Config, Keep, SyncMode};
use crate::error::{Error, Result};

use super::argument::{self, refuse_unknown_flags, refused};
use super::checks::{FS_WAL_CHECK_ONE_WRITER, FS_WAL_CHECK_SLOTS};
use super::guard::guard;
use super::sized::{self, CStruct};

/// For `max_segments` and `max_compressed_segments`: no limit.
pub const FS_WAL_KEEP_ALL: u32 = u32::MAX;
/// For `max_compressed_segments` only: keep no cold segments at all.
pub const FS_WAL_KEEP_NONE: u32 = u32::MAX - 1;

/// Where recovery would refuse to open, open at the last event that can be proved. The rest is
/// kept aside in `*.corrupt` files.
pub const FS_WAL_FLAG_ACCEPT_LOSS: u32 = 1;
/// Open on any filesystem. On copy-on-write and network filesystems space cannot really be
/// reserved, and a full disk may kill the process; on vfat and the like a power cut may take whole
/// files.
pub const FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM: u32 = 2;
/// Compress nothing. Hot segments beyond `max_segments` stay, unless `max_compressed_segments` is
/// `FS_WAL_KEEP_NONE`: then they are deleted. Cold ones that are there obey their own limit.
pub const FS_WAL_FLAG_NO_COMPRESSION: u32 = 4;
/// The persister spins for new events instead of sleeping. Uses a whole processor core and makes
/// events durable sooner.
pub const FS_WAL_FLAG_SPIN: u32 = 8;

/// When the disk is slow and no segment is ready, an append waits.
pub const FS_WAL_BACKPRESSURE_BLOCK: u32 = 0;
/// When the disk is slow and no segment is ready, an append returns `FS_WAL_ERR_WOULD_BLOCK`.
pub const FS_WAL_BACKPRESSURE_FAIL_FAST: u32 = 1;

/// Events are made durable as soon as there are any; under load one sync follows the other.
pub const FS_WAL_SYNC_CONTINUOUS: u32 = 0;
/// Events are made durable every `sync_interval_ns`.
pub const FS_WAL_SYNC_INTERVAL: u32 = 1;
/// Events are made durable when their segment is full.
pub const FS_WAL_SYNC_ROTATION: u32 = 2;

/// Options of `fs_wal_open`. A field that is 0 (or NULL) has its default.
///
/// RETENTION: old events are DELETED. The defaults keep the last 160 segments, 10.5 million events.
/// Set `max_segments` and `max_compressed_segments` to what you need. The limits are those of each
/// open, and hold from its first moment: a log that was kept whole, and is opened with the defaults
/// once, loses what is beyond them.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalConfig {
    /// Set it to `sizeof(fs_wal_config)`; `fs_wal_config_init` does. Fields beyond it have their
    /// defaults.
    pub struct_size: u32,
    /// Blocks of 256 events in a segment, `FS_WAL_MIN_BLOCKS` to `FS_WAL_MAX_BLOCKS`. Default 256:
    /// segments of 4.2 MB.
    pub num_blocks: u32,
    /// Hot segments to keep, the active one included, or `FS_WAL_KEEP_ALL`. Default 32.
    pub max_segments: u32,
    /// Cold (compressed) segments to keep, or `FS_WAL_KEEP_ALL`, or `FS_WAL_KEEP_NONE`. Default
    /// 128.
    pub max_compressed_segments: u32,
    /// Segments to keep prepared ahead of the writer, 1 to 64. Default 4. The log uses the memory
    /// of this many segments and 2 more.
    pub prepared_segments: u32,
    /// Any of `FS_WAL_FLAG_`, or-ed. Default: none.
    pub flags: u32,
    /// One of `FS_WAL_BACKPRESSURE_`. Default: block.
    pub backpressure: u32,
    /// One of `FS_WAL_SYNC_`. Default: continuous.
    pub sync_mode: u32,
    /// Nanoseconds between syncs, for `FS_WAL_SYNC_INTERVAL` only. Default 10 ms.
    pub sync_interval_ns: u64,
    /// Event id: nothing at or above it is deleted. 0 = no floor. `fs_wal_set_retention_floor`
    /// moves it later.
    pub retention_floor: u64,
    /// Path of the directory, best on tmpfs, in which the library makes the active directory. NULL
    /// = /dev/shm. It is copied, and may be freed once `fs_wal_open` has returned.
    pub active_dir: *const c_char,
    /// Function that receives what happens to the log, or NULL; see "The log function" above.
    /// `user` is `log_user`. `level` is one of `FS_WAL_LOG_`. `message` is one line, valid during
    /// the call.
    pub log: Option<unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char)>,
    /// Passed to `log` as `user`; may be NULL. It must be usable from other threads, and stay
    /// valid until `fs_wal_shutdown` has returned or `fs_wal_open` has failed.
    pub log_user: *mut c_void,
    /// Processors that the log's own thread, the persister, may run on: bit n is processor n. A
    /// processor that is not available is refused. 0 = those of the thread that opens; but if that
    /// thread is pinned to one processor (or the whole process is), all others of its cpuset except
    /// those of isolcpus and nohz_full. To have it share that processor, set its bit.
    pub persister_cpus: u64,
    /// The same for the threads that logs share. Logs share threads when they have the same
    /// `worker_cpus` and `worker_nice` and are on the same filesystems. 0 = as for
    /// `persister_cpus`, by the thread that opens the first of these logs. `fs_wal_recovery_report`
    /// says what was done.
    pub worker_cpus: u64,
    /// Nice value of all these threads, -20 to 19; compression always has 19. 0 = that of the
    /// thread that opens. A value that the process may not set is refused with
    /// `FS_WAL_ERR_PERMISSION`.
    pub worker_nice: i32,
    /// Must be 0.
    pub reserved: u32,
    /// Bytes that holds and snapshots may keep on disk beyond `max_segments` and
    /// `max_compressed_segments`. When it is more, the one that holds the most is broken, until it
    /// is not: see `fs_wal_hold_open`. 0 = no limit: what is held stays, whatever it takes.
    pub max_held_bytes: u64,
    /// Snapshots to keep, the newest; the events behind the oldest of them are kept too. Default 2.
    pub max_snapshots: u32,
    /// Any of `FS_WAL_CHECK_`, or-ed: for tests of an engine, which then runs slower. Default:
    /// none.
    pub checks: u32,
    /// One in so many appends is timed: `append_latency` in `fs_wal_metrics_t`. That costs the
    /// append that is timed about 50 ns, and the others nothing. Default: none is.
    pub sample_appends: u32,
    /// Must be 0.
    pub reserved2: u32,
}

// SAFETY: repr(C), `struct_size` first; integers, pointers that are checked before they are used,
// and a pointer to a function, which may have any value but is called only as C means it.
unsafe impl CStruct for WalConfig {
    const MIN_SIZE: u32 = 56;
}

/// The defaults, spelt out where they are not 0.
fn defaults(struct_size: u32) -> WalConfig {
    WalConfig {
        struct_size,
        num_blocks: config::DEFAULT_NUM_BLOCKS,
        max_segments: config::DEFAULT_MAX_SEGMENTS,
        max_compressed_segments: config::DEFAULT_MAX_COMPRESSED_SEGMENTS,
        prepared_segments: config::DEFAULT_PREPARED_SEGMENTS,
        sync_interval_ns: config::DEFAULT_SYNC_INTERVAL.as_nanos() as u64,
        max_snapshots: config::DEFAULT_MAX_SNAPSHOTS,
        ..CStruct::zeroed()
    }
}

/// Fills `*config` with the defaults, spelt out as numbers (`active_dir` and `log` are NULL), and
/// sets its `struct_size`. Pass `sizeof(fs_wal_config)` as `struct_size`: no more bytes than that
/// are written, and those that this version of the library does not know are zeroed. A config of
/// zeros with `struct_size` set has the same meaning. When `config` is NULL or `struct_size` is
/// above 4096, nothing is written, and `fs_wal_last_error` says so. Threads: any.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_config_init(config: *mut WalConfig, struct_size: u32) {
    guard(|| {
        let config = config.cast::<u8>();
        argument::check(config, "config")?;
        if struct_size > sized::MAX_SIZE {
            let message = format!("struct_size is {struct_size}: give sizeof(fs_wal_config)");
            return Err(refused(message));
        }
        let (defaults, size) = (defaults(struct_size), struct_size as usize);
        let from = std::ptr::from_ref(&defaults).cast();
        // SAFETY: the header asks for `struct_size` bytes that can be written at `config`; no more
        // are copied than those and than a `WalConfig` has.
        unsafe {
            config.write_bytes(0, size);
            config.copy_from_nonoverlapping(from, size.min(size_of::<WalConfig>()));
        }
        Ok(())
    });
}

/// The options of a log; NULL is all defaults. [`Config::validate`] checks ranges.
///
/// # Safety
/// `config` is NULL or a struct as long as it says, its `active_dir` NULL or a C string,
/// and its `log` NULL or a function that may be called with `log_user` on any thread, until the
/// log is shut down.
pub(super) unsafe fn log_options(config: *const WalConfig) -> Result<Config> {
    // SAFETY: the caller's promise.
    let given = unsafe { sized::read(config, "config") }?;
    refuse_unknown_flags("config.flags", given.flags, KNOWN_FLAGS)?;
    let zeros = [("reserved", given.reserved), ("reserved2", given.reserved2)];
    if let Some((field, value)) = zeros.into_iter().find(|(_, value)| *value != 0) {
        return Err(refused(format!("config.{field} is {value}: it must be 0")));
    }
    if given.max_segments == FS_WAL_KEEP_NONE {
        let message = "config.max_segments is FS_WAL_KEEP_NONE: that is for cold segments only";
        return Err(refused(message.to_owned()));
    }
    let cold = or_default(given.max_compressed_segments, config::DEFAULT_MAX_COMPRESSED_SEGMENTS);
    let mut options = Config {
        num_blocks: or_default(given.num_blocks, config::DEFAULT_NUM_BLOCKS),
        max_segments: keep(or_default(given.max_segments, config::DEFAULT_MAX_SEGMENTS)),
        max_compressed_segments: keep(cold),
        prepared_segments: or_default(given.prepared_segments, config::DEFAULT_PREPARED_SEGMENTS),
        accept_loss: given.flags & FS_WAL_FLAG_ACCEPT_LOSS != 0,
        allow_any_filesystem: given.flags & FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM != 0,
        no_compression: given.flags & FS_WAL_FLAG_NO_COMPRESSION != 0,
        spin: given.flags & FS_WAL_FLAG_SPIN != 0,
        backpressure: backpressure(given.backpressure)?,
        sync_mode: sync_mode(given.sync_mode, given.sync_interval_ns)?,
        retention_floor: given.retention_floor,
        max_held_bytes: given.max_held_bytes,
        max_snapshots: or_default(given.max_snapshots, config::DEFAULT_MAX_SNAPSHOTS),
        persister_cpus: given.persister_cpus,
        worker_cpus: given.worker_cpus,
        worker_nice: given.worker_nice,
        sample_appends: given.sample_appends,
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

/// Which checks are asked for; NULL: none.
///
/// # Safety
/// As for [`log_options`].
pub(super) unsafe fn checks(config: *const WalConfig) -> Result<u32> {
    // SAFETY: the caller's promise.
    let given = unsafe { sized::read(config, "config") }?;
    refuse_unknown_flags("config.checks", given.checks, KNOWN_CHECKS)?;
    Ok(given.checks)
}

const KNOWN_CHECKS: u32 = FS_WAL_CHECK_ONE_WRITER | FS_WAL_CHECK_SLOTS;

const KNOWN_FLAGS: u32 = FS_WAL_FLAG_ACCEPT_LOSS
    | FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM
    | FS_WAL_FLAG_NO_COMPRESSION
    | FS_WAL_FLAG_SPIN;

fn or_default(value: u32, default: u32) -> u32 {
    match value {
        0 => default,
        _ => value,
    }
}

fn keep(value: u32) -> Keep {
    match value {
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

fn not_one_of(field: &str, value: u32, prefix: &str) -> Error {
    refused(format!("config.{field} is {value}: it must be one of {prefix}"))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
