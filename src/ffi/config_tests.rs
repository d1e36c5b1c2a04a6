//! Options from C: the values that are accepted, and those that are refused.

use super::*;
use crate::error::Cause;
use std::path::Path;

fn options(change: impl FnOnce(&mut WalConfig)) -> Result<Config> {
    let mut given = WalConfig { struct_size: 56, ..defaults(0) };
    change(&mut given);
    // SAFETY: `given` is a whole struct; the tests that change its size make it shorter or are
    // refused before it is read.
    unsafe { log_options(&given) }
}

fn refusal(change: impl FnOnce(&mut WalConfig)) -> String {
    let error = options(change).unwrap_err();
    assert_eq!(error.cause(), Some(Cause::InvalidArgument), "{error}");
    error.to_string()
}

#[test]
fn null_zeros_and_init_all_mean_the_defaults() {
    let expected = format!("{:?}", Config::default());
    // SAFETY: NULL is allowed.
    let null = unsafe { log_options(std::ptr::null()) }.unwrap();
    assert_eq!(format!("{null:?}"), expected);

    let zeros = options(|given| {
        // SAFETY: any bytes are a `WalConfig`, as `CStruct` says.
        *given = WalConfig { struct_size: 56, ..unsafe { std::mem::zeroed() } };
    });
    assert_eq!(format!("{:?}", zeros.unwrap()), expected);

    let init = options(|given| {
        given.num_blocks = 77;
        // SAFETY: `given` is a whole struct.
        unsafe { fs_wal_config_init(given, size_of::<WalConfig>() as u32) };
        assert_eq!((given.num_blocks, given.max_segments), (256, 32));
        assert_eq!((given.max_compressed_segments, given.prepared_segments), (128, 4));
        assert_eq!(given.sync_interval_ns, 10_000_000);
    });
    assert_eq!(format!("{:?}", init.unwrap()), expected);
}

#[test]
fn init_writes_its_size_and_not_a_byte_more() {
    const MAX_SNAPSHOTS: usize = std::mem::offset_of!(WalConfig, max_snapshots);
    for size in 0..=120_usize {
        let mut room = [0xaa_aa_aa_aa_aa_aa_aa_aa_u64; 16];
        // SAFETY: `room` has 128 bytes, more than any size.
        unsafe { fs_wal_config_init(room.as_mut_ptr().cast(), size as u32) };
        let bytes: Vec<u8> = room.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert!(bytes[size..].iter().all(|byte| *byte == 0xaa), "size {size}");
        let is_default = |(at, byte): (usize, &u8)| match at {
            MAX_SNAPSHOTS => *byte == 2,
            at => at < 56 || *byte == 0,
        };
        assert!(bytes[..size].iter().enumerate().all(is_default), "size {size}");
        if size >= 8 {
            assert_eq!(bytes[..8], [size as u8, 0, 0, 0, 0, 1, 0, 0]);
        }
    }
    let mut config = WalConfig { num_blocks: 7, ..defaults(56) };
    // SAFETY: both are refused before anything is written.
    unsafe {
        fs_wal_config_init(&mut config, 4097);
        fs_wal_config_init(std::ptr::null_mut(), 56);
    }
    assert_eq!((config.struct_size, config.num_blocks), (56, 7));
}

#[test]
fn a_struct_of_another_size_is_refused() {
    for size in [0, 3, 55, 4097, u32::MAX] {
        let message = refusal(|given| given.struct_size = size);
        let expected = format!("config.struct_size is {size}: set it to sizeof *config, 120");
        assert_eq!(message, expected);
    }
}

#[test]
fn values_without_a_meaning_are_refused_by_name() {
    let message = refusal(|given| given.flags = 0x8000_0001);
    assert_eq!(message, "config.flags is 0x80000001: 0x80000000 is not a flag");
    let message = refusal(|given| given.backpressure = 2);
    assert!(message.starts_with("config.backpressure is 2: "), "{message}");
    let message = refusal(|given| given.sync_mode = 3);
    assert!(message.starts_with("config.sync_mode is 3: "), "{message}");
    let message = refusal(|given| given.max_segments = FS_WAL_KEEP_NONE);
    assert!(message.starts_with("config.max_segments is FS_WAL_KEEP_NONE"), "{message}");
    let message = refusal(|given| given.active_dir = c"".as_ptr());
    assert!(message.starts_with("config.active_dir is empty"), "{message}");
}

#[test]
fn every_field_reaches_the_option_of_its_name() {
    let options = options(|given| {
        given.num_blocks = 16;
        given.max_segments = FS_WAL_KEEP_ALL;
        given.max_compressed_segments = FS_WAL_KEEP_NONE;
        given.prepared_segments = 9;
        given.backpressure = FS_WAL_BACKPRESSURE_FAIL_FAST;
        given.sync_mode = FS_WAL_SYNC_INTERVAL;
        given.sync_interval_ns = 5;
        given.retention_floor = 1 << 40;
        given.struct_size = size_of::<WalConfig>() as u32;
        (given.max_held_bytes, given.max_snapshots) = (1 << 41, 7);
        given.active_dir = c"/run/engine".as_ptr();
    })
    .unwrap();
    assert_eq!((options.num_blocks, options.prepared_segments), (16, 9));
    assert_eq!(options.max_segments, Keep::All);
    assert_eq!(options.max_compressed_segments, Keep::AtMost(0));
    assert_eq!(options.backpressure, Backpressure::FailFast);
    assert_eq!(options.sync_mode, SyncMode::Interval(Duration::from_nanos(5)));
    assert_eq!(options.retention_floor, 1 << 40);
    assert_eq!((options.max_held_bytes, options.max_snapshots), (1 << 41, 7));
    assert_eq!(options.active_parent, Path::new("/run/engine"));
    assert!(!options.accept_loss && !options.allow_any_filesystem);
    assert!(!options.no_compression && !options.spin);
}

#[test]
fn each_flag_sets_its_option_and_no_other() {
    let set = |flags: u32| {
        let options = options(|given| given.flags = flags).unwrap();
        let Config { accept_loss, allow_any_filesystem, no_compression, spin, .. } = options;
        [accept_loss, allow_any_filesystem, no_compression, spin]
    };
    assert_eq!(set(1), [true, false, false, false]);
    assert_eq!(set(2), [false, true, false, false]);
    assert_eq!(set(4), [false, false, true, false]);
    assert_eq!(set(8), [false, false, false, true]);
}

#[test]
fn counts_and_modes_that_have_special_values() {
    let cold = |value: u32| {
        options(|given| given.max_compressed_segments = value).unwrap().max_compressed_segments
    };
    assert_eq!(
        (cold(0), cold(5), cold(FS_WAL_KEEP_ALL)),
        (Keep::AtMost(128), Keep::AtMost(5), Keep::All)
    );
    let mode = |mode: u32| {
        options(|given| (given.sync_mode, given.sync_interval_ns) = (mode, 0)).unwrap().sync_mode
    };
    assert_eq!(mode(FS_WAL_SYNC_INTERVAL), SyncMode::Interval(Duration::from_millis(10)));
    assert_eq!(mode(FS_WAL_SYNC_ROTATION), SyncMode::Rotation);
}

#[test]
fn threads_are_placed_as_the_options_say() {
    let given = options(|given| {
        given.struct_size = size_of::<WalConfig>() as u32;
        (given.persister_cpus, given.worker_cpus, given.worker_nice) = (1, 1 << 63, -20);
    });
    let given = given.unwrap();
    assert_eq!((given.persister_cpus, given.worker_cpus, given.worker_nice), (1, 1 << 63, -20));
    assert!(given.validate().is_ok());
    let message = refusal(|given| {
        given.struct_size = size_of::<WalConfig>() as u32;
        given.reserved = 7;
    });
    assert_eq!(message, "config.reserved is 7: it must be 0");
}
