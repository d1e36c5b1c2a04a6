//! G1: an append makes no system call, allocates nothing and takes no page fault, across blocks
//! and rotations, while the persister syncs without pause. Each check is shown to catch a planted
//! offence. And what a page costs that was not used for long is paid by another thread.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::spin_loop;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{append, assert_holds, event, eventually, scenario, spawn_scenario, Place};
use flashstrike_wal::config::{Backpressure, Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::recorder::{Manager, Writer};

/// Appends per check: with 16 blocks a segment, 244 rotations.
const APPENDS: u64 = 1_000_000;

struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about both is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A log that never makes the writer sleep: when the disk is behind, the test spins.
fn open_spinning(place: &Place) -> (Manager, Writer) {
    let config = Config {
        backpressure: Backpressure::FailFast,
        prepared_segments: 16,
        max_segments: Keep::AtMost(400),
        ..place.small()
    };
    let opened = common::open(&place.log(), config);
    // What the whole machine writes back must not touch the active segments.
    rustix::fs::sync();
    opened
}

/// Appends `ids`, trying again while the disk is behind.
fn append_spinning(writer: &mut Writer, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        let event = event(id);
        loop {
            match writer.append(&event) {
                Ok(()) => break,
                Err(Error::WouldBlock) => spin_loop(),
                Err(_) => std::process::abort(),
            }
        }
    }
}

fn faults_of_this_thread() -> i64 {
    // SAFETY: getrusage fills the struct it is given; all-zero is a valid value of it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
        usage.ru_minflt + usage.ru_majflt
    }
}

#[test]
fn g1_no_allocation() {
    let place = Place::new();
    let (manager, mut writer) = open_spinning(&place);
    append(&mut writer, 1..=10);
    let before = ALLOCATIONS.with(Cell::get);
    append_spinning(&mut writer, 11..=APPENDS);
    let after = ALLOCATIONS.with(Cell::get);
    assert_eq!(after - before, 0);
    drop(Box::new(7_u64));
    assert_eq!(ALLOCATIONS.with(Cell::get) - after, 2, "the counter counts");
    assert!(manager.log().metrics().rotation.count >= 244);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), APPENDS);
}

#[test]
fn g1_no_page_fault() {
    let place = Place::new();
    let (manager, mut writer) = open_spinning(&place);
    append(&mut writer, 1..=10);
    let before = faults_of_this_thread();
    append_spinning(&mut writer, 11..=APPENDS);
    let after = faults_of_this_thread();
    assert_eq!(after - before, 0);
    std::hint::black_box(vec![1_u8; 1 << 20]);
    assert!(faults_of_this_thread() > after, "the counter counts");
    manager.shutdown(writer).unwrap();
}

/// Of each of a log's mapped segments, how many KiB were accessed since the process forgot.
fn accessed_kib(place: &Place) -> Vec<u64> {
    let memory = place.memory().to_str().unwrap();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut ours = false;
    let mut accessed = Vec::new();
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match words.next().unwrap() {
            "Referenced:" if ours => accessed.push(words.next().unwrap().parse().unwrap()),
            word if word.contains('-') => ours = line.contains(memory),
            _ => {}
        }
    }
    accessed
}

#[test]
fn memory_ahead_of_the_writer_is_used_before_it_comes() {
    let place = Place::new();
    let (manager, mut writer) = common::open(&place.log(), place.small());
    append(&mut writer, [1]);
    manager.log().sync().unwrap();
    // What was accessed until now, by whoever prepared the segment, is forgotten.
    std::fs::write("/proc/self/clear_refs", "1").unwrap();
    // A processor that still has the translation of a page does not note that it is accessed again.
    // When as many pages as this are unmapped, every processor forgets all it has of the process.
    let mut many = memmap2::MmapMut::map_anon(1 << 20).unwrap();
    many.fill(1);
    drop(many);
    append(&mut writer, [2]);
    // The event's page and 8 ahead. Whether the one between them, which the writer prefetches,
    // counts is the processor's business.
    eventually("9 or 10 pages of a segment accessed", || {
        accessed_kib(&place).iter().any(|kib| matches!(kib, 36 | 40))
    });
    manager.shutdown(writer).unwrap();
}

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

/// Appends on a thread that may make no system call; not even to end, so it spins until the
/// process does.
fn append_under_seccomp(offend: bool) -> ! {
    let place = Place::new();
    let (manager, mut writer) = open_spinning(&place);
    std::thread::spawn(move || {
        append(&mut writer, 1..=10);
        forbid_system_calls();
        append_spinning(&mut writer, 11..=APPENDS / 2);
        if offend {
            // SAFETY: getppid has no arguments and cannot fail.
            unsafe { libc::getppid() };
        }
        append_spinning(&mut writer, APPENDS / 2 + 1..=APPENDS);
        DONE.store(true, Ordering::Release);
        loop {
            spin_loop();
        }
    });
    while !DONE.load(Ordering::Acquire) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let rotations = manager.log().metrics().rotation.count;
    drop(place);
    std::process::exit(if rotations >= 244 { 0 } else { 3 })
}

fn run(name: &str, scenario: &str) -> ExitStatus {
    let output = spawn_scenario(name, scenario).wait_with_output().unwrap();
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output.status
}

#[test]
fn g1_no_system_call() {
    match scenario().as_deref() {
        Some("honest") => append_under_seccomp(false),
        Some("offending") => append_under_seccomp(true),
        _ => {}
    }
    let honest = run("g1_no_system_call", "honest");
    assert_eq!(honest.code(), Some(0), "{honest}");
    let offending = run("g1_no_system_call", "offending");
    assert_eq!(offending.signal(), Some(libc::SIGSYS), "the planted call was not caught");
}
