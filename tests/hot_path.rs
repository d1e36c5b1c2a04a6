//! G1: an append makes no system call, allocates nothing and takes no page fault, across blocks and
//! rotations, while the persister syncs without pause. Each check must catch a planted offence. And
//! another thread pays for touching pages that were long unused.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Display;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use common::spinning::{append_spinning, open_spinning};
use common::{append, assert_holds, child, eventually, Place};

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
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about both is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

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
    let (manager, mut writer) = open_spinning(&place.log(), place.memory());
    append(&mut writer, 1..=10);
    let before = ALLOCATIONS.with(Cell::get);
    append_spinning(&mut writer, 11..=APPENDS);
    let after = ALLOCATIONS.with(Cell::get);
    assert_eq!(after - before, 0);
    drop(Box::new(7_u64));
    assert_eq!(ALLOCATIONS.with(Cell::get) - after, 2, "the counter missed a planted offence");
    assert!(manager.log().metrics().rotation.count >= 244);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), APPENDS);
}

#[test]
fn g1_no_page_fault() {
    let place = Place::new();
    let (manager, mut writer) = open_spinning(&place.log(), place.memory());
    append(&mut writer, 1..=10);
    let before = faults_of_this_thread();
    append_spinning(&mut writer, 11..=APPENDS);
    let after = faults_of_this_thread();
    assert_eq!(after - before, 0);
    std::hint::black_box(vec![1_u8; 1 << 20]);
    assert!(faults_of_this_thread() > after, "the counter missed a planted offence");
    manager.shutdown(writer).unwrap();
}

/// For each mapped segment of a log, how many KiB were accessed since the accessed bits were
/// cleared.
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
fn memory_ahead_of_the_writer_is_touched_before_it_is_needed() {
    let place = Place::new();
    let (manager, mut writer) = common::open(&place.log(), place.small());
    append(&mut writer, [1]);
    manager.log().sync().unwrap();
    // Clear the accessed bits that preparing the segment has set.
    std::fs::write("/proc/self/clear_refs", "1").unwrap();
    // A processor that has the translation of a page cached does not mark the page as accessed
    // again. Unmapping this many pages makes every processor drop its cached translations of the
    // process.
    let mut many = memmap2::MmapMut::map_anon(1 << 20).unwrap();
    many.fill(1);
    drop(many);
    append(&mut writer, [2]);
    // The event's page and 8 ahead. Whether the page between them counts, which the writer
    // prefetches, depends on the processor.
    eventually("9 or 10 pages of a segment accessed", || {
        accessed_kib(&place).iter().any(|kib| matches!(kib, 36 | 40))
    });
    manager.shutdown(writer).unwrap();
}

/// Exit status of a child that appends under seccomp; if `offend`, it makes a system call.
fn appended_without_system_calls(offend: bool) -> ExitStatus {
    let place = Place::new();
    let (log, memory) = (place.log(), place.memory().display());
    let arguments: [&dyn Display; 4] = [&log.display(), &memory, &APPENDS, &offend];
    let output = child::output_under(&[], "append-without-system-calls", &arguments);
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output.status
}

#[test]
fn g1_no_system_call() {
    let honest = appended_without_system_calls(false);
    assert_eq!(honest.code(), Some(0), "{honest}");
    let offending = appended_without_system_calls(true);
    assert_eq!(offending.signal(), Some(libc::SIGSYS), "the planted call was not caught");
}
