//! Snapshots of the C ABI.

use std::ffi::{c_char, c_void, CString};
use std::path::Path;
use std::sync::OnceLock;

use crate::abi::{self, failed, Status};

const WOULD_BLOCK: Status = 9;
const END: Status = 15;

/// `fs_wal_snapshot_info`.
#[derive(Debug, Default)]
#[repr(C)]
struct Info {
    struct_size: u32,
    reserved: u32,
    event_id: u64,
    created_ns: u64,
    size: u64,
    passed_over: u32,
    reserved2: u32,
}

/// `fs_wal_snapshot *`.
type RawSnapshot = *mut c_void;

/// The functions on it.
struct Functions {
    create: unsafe extern "C" fn(*const c_char, u64, *mut RawSnapshot) -> Status,
    write: unsafe extern "C" fn(RawSnapshot, *const c_void, usize) -> Status,
    commit: unsafe extern "C" fn(RawSnapshot) -> Status,
    open: unsafe extern "C" fn(*const c_char, u64, *mut Info, *mut RawSnapshot) -> Status,
    read: unsafe extern "C" fn(RawSnapshot, *mut c_void, usize, *mut usize) -> Status,
    close: unsafe extern "C" fn(RawSnapshot),
}

fn functions() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    // SAFETY: the types are those of the header.
    FUNCTIONS.get_or_init(|| unsafe {
        Functions {
            create: abi::function("fs_wal_snapshot_create"),
            write: abi::function("fs_wal_snapshot_write"),
            commit: abi::function("fs_wal_snapshot_commit"),
            open: abi::function("fs_wal_snapshot_open"),
            read: abi::function("fs_wal_snapshot_read"),
            close: abi::function("fs_wal_snapshot_close"),
        }
    })
}

/// Writes this state, as it is after `event_id`, beside the log.
pub fn write(log: &Path, event_id: u64, state: &[u8]) {
    let path = c_path(log);
    let mut snapshot = std::ptr::null_mut();
    // SAFETY: a NUL-terminated path, a place for the snapshot.
    let status = unsafe { (functions().create)(path.as_ptr(), event_id, &mut snapshot) };
    check(status, "fs_wal_snapshot_create");
    // SAFETY: an open snapshot of this thread, and as many bytes as are said.
    let status = unsafe { (functions().write)(snapshot, state.as_ptr().cast(), state.len()) };
    check(status, "fs_wal_snapshot_write");
    loop {
        // SAFETY: an open snapshot of this thread; it is freed unless it is asked again.
        match unsafe { (functions().commit)(snapshot) } {
            WOULD_BLOCK => std::thread::sleep(std::time::Duration::from_millis(1)),
            status => return check(status, "fs_wal_snapshot_commit"),
        }
    }
}

/// Fills `state` from the newest snapshot of the log, which must be as long. Returns its event.
pub fn read(log: &Path, state: &mut [u8]) -> u64 {
    let path = c_path(log);
    let mut info = Info { struct_size: size_of::<Info>() as u32, ..Info::default() };
    let mut snapshot = std::ptr::null_mut();
    // SAFETY: a NUL-terminated path, an info of its `struct_size`, a place for the snapshot.
    let status = unsafe { (functions().open)(path.as_ptr(), 0, &mut info, &mut snapshot) };
    check(status, "fs_wal_snapshot_open");
    assert_eq!((info.size, info.passed_over), (state.len() as u64, 0), "not the right snapshot");
    let mut filled = 0;
    while filled < state.len() {
        let (rest, mut got) = (&mut state[filled..], 0);
        // SAFETY: an open snapshot of this thread, as many bytes as are said, a place for a size.
        let status =
            unsafe { (functions().read)(snapshot, rest.as_mut_ptr().cast(), rest.len(), &mut got) };
        assert_ne!(status, END, "it is shorter than it says");
        check(status, "fs_wal_snapshot_read");
        filled += got;
    }
    // SAFETY: an open snapshot, which is not used again.
    unsafe { (functions().close)(snapshot) };
    info.event_id
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL in it")
}

fn check(status: Status, call: &str) {
    if status != 0 {
        failed(abi::functions(), status, call);
    }
}
