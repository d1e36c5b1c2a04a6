//! P5: ten million paced appends after an idle spell and a sync of the whole system, with
//! rotation, sync and compression in the background. Counts the system calls, allocations and page
//! faults of the append thread. Before that, each counter must count a planted one.

use std::time::Duration;

use super::latency::RATE;
use crate::abi::{Config, Event};
use crate::allocations;
use crate::bench::Bench;
use crate::contestants::{Contestant, Entrant, Entry, Library, LIBRARY};
use crate::pace::{Pace, Samples};
use crate::system_calls;
use crate::thread_counts::ThreadCounts;

pub fn run(bench: &mut Bench) {
    let open = Library::open(&bench.fresh("p5"), &Config::default());
    let mut library = Entry { name: LIBRARY, contestant: open, next_id: 1 };
    let pace = Pace { interval: Duration::from_micros(1), events: bench.scale.hot_events };
    let mut samples = Samples::with_room_for(pace.events);
    // After this many events, compression has begun.
    library.paced(&Pace::new(RATE, Duration::from_secs(3)), &mut samples);
    library.contestant.settle();
    std::thread::sleep(bench.scale.idle);
    // SAFETY: sync(2) takes nothing and returns nothing.
    unsafe { libc::sync() };

    plant(&mut library.contestant);
    let before = library.contestant.log.metrics();
    let counts_before = ThreadCounts::now();
    let allocations_before = allocations::on_this_thread();
    let calls = system_calls::counted(|| library.paced(&pace, &mut samples));
    let allocations = allocations::on_this_thread() - allocations_before;
    let counts = ThreadCounts::now().since(&counts_before);
    let after = library.contestant.log.metrics();
    drop(library);
    bench.remove(&["p5"]);

    let title = "On the append thread";
    let mut table = bench.report.table("P5", title);
    let mut add = |figure, value| {
        table.add(LIBRARY, figure, "", &[value as f64]).at_most(0.0);
    };
    if let Some(calls) = calls {
        add("system calls", calls);
    }
    add("allocations", allocations);
    add("page faults", counts.page_faults);
    table.add(LIBRARY, "events", "", &[samples.len() as f64]);
    let text = format!(
        "Meanwhile: {} rotations, {} syncs, {} segments compressed. Each counter has seen one that \
         was planted before.",
        after.rotation.count - before.rotation.count,
        after.sync.count - before.sync.count,
        after.compression.count - before.compression.count,
    );
    bench.report.remark("P5", text);
    if calls.is_none() {
        let text = "System calls were not counted: this kernel has no Syscall User Dispatch.";
        bench.report.remark("P5", text.to_owned());
    }
}

/// Plants one event for each counter, and fails if it is not counted: a system call; an append that
/// is refused, for which the library allocates a message; a store to a fresh page.
fn plant(library: &mut Library) {
    // SAFETY: getppid(2) takes nothing and changes nothing.
    let calls = system_calls::counted(|| unsafe {
        libc::getppid();
    });
    assert!(matches!(calls, None | Some(1)), "one system call was counted as {calls:?}");
    let before = allocations::on_this_thread();
    let status = library.log.try_append(&Event::order(1));
    assert_ne!(status, 0, "event 1 is in the log already");
    assert!(allocations::on_this_thread() > before, "the library's allocation was not counted");
    let before = ThreadCounts::now();
    touch_a_fresh_page();
    assert!(ThreadCounts::now().since(&before).page_faults > 0, "a page fault was not counted");
}

fn touch_a_fresh_page() {
    const PAGE: usize = 4096;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new page, written once and unmapped again.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED, "a page");
        page.cast::<u8>().write_volatile(1);
        libc::munmap(page, PAGE);
    }
}
