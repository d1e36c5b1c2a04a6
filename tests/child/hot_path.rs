//! G1: appends on a thread that may make no system call.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::append;
use common::spinning::{append_spinning, open_spinning};

use crate::arguments::Arguments;

/// From now on any system call of this thread kills the process with SIGSYS.
fn forbid_system_calls() {
    let kill = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_KILL_PROCESS,
    };
    let mut filter = [kill];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    // SAFETY: both calls only read the arguments, which live until they return.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        assert_eq!(libc::syscall(libc::SYS_seccomp, mode, 0, &program), 0);
    }
}

static DONE: AtomicBool = AtomicBool::new(false);

/// Appends on a thread that may make no system call, not even to end, so it spins until the process
/// ends.
pub fn append_under_seccomp(arguments: &Arguments) {
    let (last, offend): (u64, bool) = (arguments.number("EVENTS"), arguments.yes_or_no("OFFEND"));
    let (manager, mut writer) = open_spinning(arguments.path("LOG"), arguments.path("MEMORY"));
    std::thread::spawn(move || {
        append(&mut writer, 1..=10);
        forbid_system_calls();
        append_spinning(&mut writer, 11..=last / 2);
        if offend {
            // SAFETY: getppid has no arguments and cannot fail.
            unsafe { libc::getppid() };
        }
        append_spinning(&mut writer, last / 2 + 1..=last);
        DONE.store(true, Ordering::Release);
        loop {
            spin_loop();
        }
    });
    while !DONE.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let rotations = manager.log().metrics().rotation.count;
    assert!(rotations >= 244, "{rotations} rotations");
    std::process::exit(0);
}
