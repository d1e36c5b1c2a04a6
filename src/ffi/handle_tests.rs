//! Handles of real logs, misused, and shut down while in use.

use super::*;
use crate::config::Config;
use crate::ffi::status::*;
use crate::format::RequestEvent;
use std::ptr;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

struct Opened {
    wal: *mut Wal,
    directory: tempfile::TempDir,
}

fn open() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let active = directory.path().join("active");
    std::fs::create_dir(&active).unwrap();
    let config = Config { num_blocks: 16, active_parent: active, ..Config::default() };
    let (manager, writer) = Manager::open(&directory.path().join("log"), config).unwrap();
    Opened { wal: Wal::fill(Room::take().unwrap(), manager, writer, 0), directory }
}

/// Lets a handle's address go to another thread, as C does.
#[derive(Clone, Copy)]
struct Address(*mut Wal);
// SAFETY: handles are used from many threads; each test says who calls what.
unsafe impl Send for Address {}

impl Address {
    /// # Safety
    /// As for `with_log`.
    unsafe fn with_log(self, call: impl FnOnce(&Log) -> Result<()>) -> Status {
        // SAFETY: the caller's promise.
        unsafe { with_log(self.0, call) }
    }
}

#[test]
fn what_is_not_a_handle_is_refused() {
    let room = [7_u8; size_of::<Wal>() + align_of::<Wal>()];
    let wal = room.as_ptr().wrapping_add(room.as_ptr().align_offset(align_of::<Wal>()));
    let wal = wal.cast::<Wal>().cast_mut();
    // SAFETY: NULL, a misaligned pointer, and readable memory without the magic number are
    // refused.
    unsafe {
        for wal in [ptr::null_mut(), wal.wrapping_byte_add(1), wal] {
            assert_eq!(with_log(wal, |_| unreachable!()), FS_WAL_ERR_INVALID_ARGUMENT);
            assert_eq!(with_writer(wal, |_, _| unreachable!()), FS_WAL_ERR_INVALID_ARGUMENT);
        }
        assert_eq!(shut_down(wal), FS_WAL_ERR_INVALID_ARGUMENT);
        assert_eq!(shut_down(ptr::null_mut()), FS_WAL_OK);
    }
}

#[test]
fn a_panic_inside_poisons_the_log() {
    for in_writer in [true, false] {
        let log = open();
        // SAFETY: an open handle, used by this thread alone.
        unsafe {
            let status = if in_writer {
                with_writer(log.wal, |_, _| panic!("planted"))
            } else {
                with_log(log.wal, |_| panic!("planted"))
            };
            assert_eq!(status, FS_WAL_ERR_INTERNAL);
            let mut words = String::new();
            let status = with_writer(log.wal, |writer, _| {
                writer.append(&Default::default()).inspect_err(|error| words = error.to_string())
            });
            assert_eq!(status, FS_WAL_ERR_POISONED);
            assert!(words.ends_with("defect in the library: planted"), "{words}");
            assert_eq!(with_log(log.wal, |log| log.poison().check()), FS_WAL_ERR_POISONED);
            assert_eq!(shut_down(log.wal), FS_WAL_ERR_POISONED);
        }
    }
}

#[test]
fn shutting_down_wakes_waiting_calls_and_waits_for_those_inside() {
    let log = open();
    let wal = Address(log.wal);
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    // SAFETY: both calls on the handle are inside before the shutdown begins.
    let (waiter, straggler) = unsafe {
        let begun_too = begun.clone();
        let waiter = thread::spawn(move || {
            wal.with_log(|log| {
                begun.send(()).unwrap();
                log.wait_durable(1, Duration::MAX)
            })
        });
        let straggler = thread::spawn(move || {
            wal.with_log(|log| {
                begun_too.send(()).unwrap();
                released.recv().unwrap();
                log.poison().check()
            })
        });
        (waiter, straggler)
    };
    has_begun.recv().unwrap();
    has_begun.recv().unwrap();
    let shutdown = thread::spawn(move || {
        let wal = wal;
        // SAFETY: the test's last call on the handle, whose writer was never used.
        unsafe { shut_down(wal.0) }
    });
    assert_eq!(waiter.join().unwrap(), FS_WAL_ERR_CLOSED, "woken by the shutdown");
    // This is the last thing a shutdown writes. After it, only the call inside can delay it.
    let identity = log.directory.path().join("log/wal_identity");
    while !std::fs::read_to_string(&identity).unwrap().contains("clean=1") {
        thread::yield_now();
    }
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(50) {
        assert!(!shutdown.is_finished(), "the handle was freed under a call");
        thread::yield_now();
    }
    release.send(()).unwrap();
    assert_eq!(straggler.join().unwrap(), FS_WAL_ERR_CLOSED);
    assert_eq!(shutdown.join().unwrap(), FS_WAL_OK);
}

#[test]
fn every_call_on_a_log_of_the_parent_returns_closed() {
    let log = open();
    // SAFETY: an open handle, used by this thread alone, and left to itself at the end.
    unsafe {
        with_log(log.wal, |log| {
            log.poison().mark_forked();
            Ok(())
        });
        assert_eq!(with_log(log.wal, |_| unreachable!()), FS_WAL_ERR_CLOSED);
        let event = RequestEvent { event_id: 1, ..Default::default() };
        assert_eq!(with_writer(log.wal, |writer, _| writer.append(&event)), FS_WAL_ERR_CLOSED);
        assert_eq!(with_writer(log.wal, |writer, _| writer.commit(1)), FS_WAL_ERR_CLOSED);
        let claim = with_writer(log.wal, |writer, _| writer.claim().map(|_slot| ()));
        assert_eq!(claim, FS_WAL_ERR_CLOSED);
        assert_eq!(shut_down(log.wal), FS_WAL_ERR_CLOSED);
        assert_eq!(shut_down(log.wal), FS_WAL_ERR_CLOSED, "the handle is still there");
    }
}

/// The memory of a handle outlives its log: a call that was about to come in is turned away, even
/// when another log, of this test or one beside it, has that memory by now.
#[test]
fn a_call_that_comes_too_late_is_turned_away() {
    let first = open();
    // SAFETY: handles used by this thread alone.
    unsafe {
        let (handle, number) = Wal::borrow(first.wal).unwrap_or_else(|_| panic!("it is open"));
        assert_eq!(shut_down(first.wal), FS_WAL_OK);
        assert!(handle.gate.enter(number).is_none());
        let second = open();
        assert!(handle.gate.enter(number).is_none());
        assert_eq!(shut_down(second.wal), FS_WAL_OK);
    }
}
