//! Options as C gives them, translated into the recorder's.

use std::ffi::c_char;
use std::time::Duration;

use super::guard::{path, struct_size};
use crate::config::{
    Backpressure, Config, Keep, SyncMode, DEFAULT_ACTIVE_PARENT, DEFAULT_MAX_COMPRESSED_SEGMENTS,
    DEFAULT_MAX_SEGMENTS, DEFAULT_NUM_BLOCKS, DEFAULT_PREPARED_SEGMENTS, DEFAULT_SYNC_INTERVAL,
};
use crate::error::{Cause, Error, Result};

/// Keep every segment.
pub const FS_WAL_KEEP_ALL: u32 = 4_294_967_295;
/// Keep no cold segment: expired hot ones are deleted. For max_compressed_segments only.
pub const FS_WAL_KEEP_NONE: u32 = 4_294_967_294;

/// Open at the last provable event where recovery would refuse; the rest is kept aside.
pub const FS_WAL_FLAG_ACCEPT_LOSS: u32 = 1;
/// Open on copy-on-write and network filesystems too, where preallocation does not hold.
pub const FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM: u32 = 2;
/// Delete expired hot segments instead of compressing them.
pub const FS_WAL_FLAG_NO_COMPRESSION: u32 = 4;
/// The persister spins for new events instead of sleeping: a core for less delay after idle spells.
pub const FS_WAL_FLAG_SPIN: u32 = 8;

/// No prepared segment ready: wait (the default).
pub const FS_WAL_BACKPRESSURE_BLOCK: u32 = 0;
/// No prepared segment ready: return FS_WAL_ERR_WOULD_BLOCK.
pub const FS_WAL_BACKPRESSURE_FAIL_FAST: u32 = 1;

/// Make events durable as soon as there are new ones (the default).
pub const FS_WAL_SYNC_CONTINUOUS: u32 = 0;
/// Make events durable every sync_interval_ns.
pub const FS_WAL_SYNC_INTERVAL: u32 = 1;
/// Make events durable when their segment is full.
pub const FS_WAL_SYNC_ROTATION: u32 = 2;

const KNOWN_FLAGS: u32 = FS_WAL_FLAG_ACCEPT_LOSS
    | FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM
    | FS_WAL_FLAG_NO_COMPRESSION
    | FS_WAL_FLAG_SPIN;

/// Options of a log. Set struct_size, or call fs_wal_config_init; a zero field is its default, a
/// value out of range is an error that names the field.
///
/// The defaults keep 32 hot segments of 65,536 events and 128 cold ones: 10.5 million events, which
/// are LESS THAN THREE HOURS AT 1,000 EVENTS A SECOND, and 10 seconds at a million. Older events are
/// deleted. Set the limits, or FS_WAL_KEEP_ALL, to what you must be able to replay.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct fs_wal_config {
    /// sizeof(fs_wal_config) as the caller knows it.
    pub struct_size: u32,
    /// Blocks of 256 events in each new segment: 16 to 261120; 0 = 256.
    pub num_blocks: u32,
    /// Hot segments kept, the active one included; 0 = 32; FS_WAL_KEEP_ALL.
    pub max_segments: u32,
    /// Cold segments kept; 0 = 128; FS_WAL_KEEP_ALL, FS_WAL_KEEP_NONE.
    pub max_compressed_segments: u32,
    /// Segments kept ready ahead of the writer: 1 to 64; 0 = 4. Memory used is
    /// (prepared_segments + 2) * (64 + num_blocks * 16448) bytes: 25 MB by default.
    pub prepared_segments: u32,
    /// FS_WAL_FLAG_...
    pub flags: u32,
    /// FS_WAL_BACKPRESSURE_...
    pub backpressure: u32,
    /// FS_WAL_SYNC_...
    pub sync_mode: u32,
    /// For FS_WAL_SYNC_INTERVAL, nanoseconds; 0 = 10 ms.
    pub sync_interval_ns: u64,
    /// Nothing at or above this event id is deleted; 0 = no floor.
    pub retention_floor: u64,
    /// Memory-backed directory in which the active directory is made; NULL = /dev/shm. Read during
    /// fs_wal_open only.
    pub active_dir: *const c_char,
}

/// Fills a config with the defaults, written out, and its struct_size. Writes no more than
/// `struct_size` bytes: give sizeof(fs_wal_config). NULL is fine. Any thread.
///
/// # Safety
/// `config` is NULL or points to `struct_size` writable bytes.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_config_init(config: *mut fs_wal_config, struct_size: u32) {
    let defaults = fs_wal_config {
        struct_size,
        num_blocks: DEFAULT_NUM_BLOCKS,
        max_segments: DEFAULT_MAX_SEGMENTS,
        max_compressed_segments: DEFAULT_MAX_COMPRESSED_SEGMENTS,
        prepared_segments: DEFAULT_PREPARED_SEGMENTS,
        flags: 0,
        backpressure: FS_WAL_BACKPRESSURE_BLOCK,
        sync_mode: FS_WAL_SYNC_CONTINUOUS,
        sync_interval_ns: DEFAULT_SYNC_INTERVAL.as_nanos() as u64,
        retention_floor: 0,
        active_dir: std::ptr::null(),
    };
    if config.is_null() {
        return;
    }
    let size = struct_size as usize;
    let known = size.min(size_of::<fs_wal_config>());
    // SAFETY: the caller's promise: `size` bytes are writable, of which `known` are copied from a
    // struct that has at least as many, and the rest, fields of a later version, are zeroed.
    unsafe {
        let out = config.cast::<u8>();
        out.copy_from_nonoverlapping(std::ptr::from_ref(&defaults).cast(), known);
        out.add(known).write_bytes(0, size - known);
    }
}

/// The caller's options, checked.
///
/// # Safety
/// `config` is NULL or points to as many bytes as its struct_size says; its active_dir is NULL or a
/// NUL-terminated string.
pub unsafe fn translate(config: *const fs_wal_config) -> Result<Config> {
    if config.is_null() {
        return Ok(Config::default());
    }
    // SAFETY: the caller's promise covers all the bytes the struct says it has.
    let c = unsafe { read(config.cast()) }?;
    if c.flags & !KNOWN_FLAGS != 0 {
        return Err(invalid("flags", c.flags, "has unknown bits"));
    }
    let set = |flag| c.flags & flag != 0;
    let config = Config {
        num_blocks: or(c.num_blocks, DEFAULT_NUM_BLOCKS),
        max_segments: match c.max_segments {
            FS_WAL_KEEP_ALL => Keep::All,
            FS_WAL_KEEP_NONE => {
                return Err(invalid("max_segments", FS_WAL_KEEP_NONE, "is for cold segments only"))
            }
            n => Keep::AtMost(or(n, DEFAULT_MAX_SEGMENTS)),
        },
        max_compressed_segments: match c.max_compressed_segments {
            FS_WAL_KEEP_ALL => Keep::All,
            FS_WAL_KEEP_NONE => Keep::AtMost(0),
            n => Keep::AtMost(or(n, DEFAULT_MAX_COMPRESSED_SEGMENTS)),
        },
        prepared_segments: or(c.prepared_segments, DEFAULT_PREPARED_SEGMENTS),
        accept_loss: set(FS_WAL_FLAG_ACCEPT_LOSS),
        allow_any_filesystem: set(FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM),
        no_compression: set(FS_WAL_FLAG_NO_COMPRESSION),
        spin: set(FS_WAL_FLAG_SPIN),
        backpressure: match c.backpressure {
            FS_WAL_BACKPRESSURE_BLOCK => Backpressure::Block,
            FS_WAL_BACKPRESSURE_FAIL_FAST => Backpressure::FailFast,
            other => return Err(invalid("backpressure", other, "is not a known mode")),
        },
        sync_mode: match c.sync_mode {
            FS_WAL_SYNC_CONTINUOUS => SyncMode::Continuous,
            FS_WAL_SYNC_INTERVAL if c.sync_interval_ns == 0 => {
                SyncMode::Interval(DEFAULT_SYNC_INTERVAL)
            }
            FS_WAL_SYNC_INTERVAL => SyncMode::Interval(Duration::from_nanos(c.sync_interval_ns)),
            FS_WAL_SYNC_ROTATION => SyncMode::Rotation,
            other => return Err(invalid("sync_mode", other, "is not a known mode")),
        },
        retention_floor: c.retention_floor,
        active_parent: if c.active_dir.is_null() {
            DEFAULT_ACTIVE_PARENT.into()
        } else {
            // SAFETY: the caller's promise about active_dir.
            unsafe { path(c.active_dir, "config.active_dir") }?.into()
        },
    };
    config.validate()?;
    Ok(config)
}

/// The struct as far as this version knows it. What a newer caller has beyond must be zero: it
/// would ask for something this version cannot do.
///
/// # Safety
/// `from` points to as many bytes as the `u32` at its beginning says.
unsafe fn read(from: *const u8) -> Result<fs_wal_config> {
    const KNOWN: usize = size_of::<fs_wal_config>();
    // SAFETY: the caller's promise covers the size itself, and once it is checked to be at least
    // KNOWN, the whole struct and what lies beyond it.
    unsafe {
        let size = struct_size(from, KNOWN, "config.struct_size")?;
        let beyond = std::slice::from_raw_parts(from.add(KNOWN), size - KNOWN);
        if let Some(at) = beyond.iter().position(|&byte| byte != 0) {
            let message = format!(
                "config: byte {} is not zero: this version does not know the field there",
                KNOWN + at
            );
            return Err(Error::new(Cause::Unsupported, message));
        }
        Ok(from.cast::<fs_wal_config>().read_unaligned())
    }
}

fn or(value: u32, default: u32) -> u32 {
    if value == 0 {
        default
    } else {
        value
    }
}

fn invalid(field: &str, value: u32, why: &str) -> Error {
    Error::new(Cause::InvalidArgument, format!("config.{field} is {value}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut fs_wal_config)) -> fs_wal_config {
        // SAFETY: all-zero is a valid value: numbers and a NULL pointer.
        let mut config: fs_wal_config = unsafe { std::mem::zeroed() };
        config.struct_size = size_of::<fs_wal_config>() as u32;
        change(&mut config);
        config
    }

    fn translated(config: &fs_wal_config) -> Result<Config> {
        // SAFETY: the struct has the size it says in every test that gets past the size check.
        unsafe { translate(config) }
    }

    #[test]
    fn zero_means_default_and_init_writes_the_defaults_out() {
        let zeros = translated(&config(|_| ())).unwrap();
        let mut filled = config(|c| c.flags = 77);
        // SAFETY: the size is the struct's.
        unsafe { fs_wal_config_init(&mut filled, filled.struct_size) };
        assert_eq!(filled.num_blocks, 256);
        let written_out = translated(&filled).unwrap();
        assert_eq!(format!("{zeros:?}"), format!("{written_out:?}"));
        assert_eq!(format!("{zeros:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn init_writes_no_more_than_it_may() {
        let mut bytes = [0xAA_u64; 16];
        // SAFETY: the array has 128 bytes.
        unsafe { fs_wal_config_init(bytes.as_mut_ptr().cast(), 16) };
        assert_eq!(bytes[2..], [0xAA; 14]);
        // SAFETY: the array has 128 bytes.
        unsafe { fs_wal_config_init(bytes.as_mut_ptr().cast(), 64) };
        assert_eq!((bytes[7], bytes[8]), (0, 0xAA), "fields of a later version are zero");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        type Change = fn(&mut fs_wal_config);
        let cases: [(Change, &str); 9] = [
            (|c| c.struct_size = 0, "config.struct_size is 0"),
            (|c| c.struct_size = 55, "config.struct_size is 55"),
            (|c| c.struct_size = 4097, "config.struct_size is 4097"),
            (|c| c.num_blocks = 15, "config.num_blocks is 15"),
            (|c| c.prepared_segments = 65, "config.prepared_segments is 65"),
            (|c| c.flags = 16, "config.flags is 16"),
            (|c| c.backpressure = 2, "config.backpressure is 2"),
            (|c| c.sync_mode = 3, "config.sync_mode is 3"),
            (|c| c.max_segments = FS_WAL_KEEP_NONE, "config.max_segments is"),
        ];
        for (change, expected) in cases {
            let error = translated(&config(change)).unwrap_err();
            assert_eq!(error.cause(), Some(Cause::InvalidArgument));
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_newer_caller_may_not_ask_for_what_is_not_known() {
        let mut bytes = [0_u8; 64];
        bytes[0] = 64;
        // SAFETY: the array has the 64 bytes it says.
        assert!(unsafe { translate(bytes.as_ptr().cast()) }.is_ok());
        bytes[60] = 1;
        // SAFETY: the array has the 64 bytes it says.
        let error = unsafe { translate(bytes.as_ptr().cast()) }.unwrap_err();
        assert_eq!(error.cause(), Some(Cause::Unsupported));
        assert!(error.to_string().contains("byte 60"), "{error}");
    }
}
