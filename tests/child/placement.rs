//! On which processors, and at which priority, the threads of a log and of a reader run.

use std::sync::{Arc, Mutex};

use common::{append, assert_holds, event, eventually, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::log_sink::{Level, LogSink};
use flashstrike_wal::recorder::Decided;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use rustix::thread::CpuSet;

use crate::arguments::Arguments;
use crate::threads::{
    config, expect_none, expect_threads, more_freezers, named, names, processors, threads, Thread,
    SEGMENT, SHARED,
};

/// A mask as /proc writes it: groups of 8 digits, the highest first, as many as the kernel likes.
fn mask(cpus: &str) -> u128 {
    u128::from_str_radix(&cpus.replace(',', ""), 16).unwrap()
}

/// Pins this thread to the first processor that it may use. Returns all that it might use, that
/// one, and that one alone.
fn pin() -> (CpuSet, usize, CpuSet) {
    let all = rustix::thread::sched_getaffinity(None).unwrap();
    let pinned = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap();
    let mut own = CpuSet::new();
    own.set(pinned);
    rustix::thread::sched_setaffinity(None, &own).unwrap();
    (all, pinned, own)
}

/// An engine that pins itself before it opens has its processor to itself, without any option.
pub fn beside_a_pinned_engine(_: &Arguments) {
    let place = &Place::new();
    let (all, pinned, own) = pin();
    let (manager, mut writer) = open(&place.base().join("log"), config(place));
    append(&mut writer, 1..=10_000);
    manager.log().sync().unwrap();
    expect_threads(&["log".to_owned()], all.count() as usize - 1);
    assert_eq!(manager.log().recovery_report().placement, Decided::Beside(pinned));
    let beside = |thread: &Thread| mask(&thread.cpus) >> pinned & 1 == 0;
    eventually("all of them have left it", || threads().values().all(beside));
    // The engine's own thread stays where it was, and says otherwise if it likes.
    assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), own);
    let bit = 1 << pinned;
    let shared = Config { persister_cpus: bit, worker_cpus: bit, ..config(place) };
    let (other, other_writer) = open(&place.base().join("other"), shared);
    assert_eq!(other.log().recovery_report().placement, Decided::Configured);
    let with = |thread: &Thread| mask(&thread.cpus) == 1 << pinned;
    let ours = 5 + more_freezers(1).count();
    eventually("as configured", || {
        threads().values().filter(|thread| with(thread)).count() == ours
    });
    other.shutdown(other_writer).unwrap();
    manager.shutdown(writer).unwrap();

    rustix::thread::sched_setaffinity(None, &all).unwrap();
    let (manager, writer) = open(&place.base().join("log"), config(place));
    assert_eq!(manager.log().recovery_report().placement, Decided::Inherited);
    manager.shutdown(writer).unwrap();
}

/// Pins this thread, and opens. Either the threads run beside it, which is told, or there is no
/// other processor for them, which is warned of. The log works all the same.
pub fn with_one_processor(arguments: &Arguments) {
    let has_others = arguments.yes_or_no("HAS_OTHERS");
    let place = &Place::new();
    let (_, pinned, own) = pin();
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let log = LogSink::new(move |level, message| {
        if message.contains("is pinned to processor") {
            telling.lock().unwrap().push((level, message.to_owned()));
        }
    });
    let (manager, mut writer) = open(&place.log(), Config { log, ..config(place) });
    append(&mut writer, 1..=2 * SEGMENT);
    manager.log().sync().unwrap();
    let told = told.lock().unwrap().clone();
    let [(level, message)] = &told[..] else { panic!("it is told once: {told:?}") };
    assert!(message.contains(&format!("is pinned to processor {pinned}")), "{message}");
    let decided = manager.log().recovery_report().placement;
    let on_own = |thread: &Thread| mask(&thread.cpus) == 1 << pinned;
    if has_others {
        assert_eq!((decided, *level), (Decided::Beside(pinned), Level::Info), "{message}");
        eventually("all of them have left it", || !threads().values().any(on_own));
    } else {
        assert_eq!((decided, *level), (Decided::Shared(pinned), Level::Warn), "{message}");
        assert!(message.contains("appends will wait"), "{message}");
        assert!(threads().values().all(on_own), "{:?}", threads());
    }
    // The threads of a reader go where those of a log go, and end with it.
    let mut reader = Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap();
    reader.use_threads(3).unwrap();
    assert_eq!(reader.next().unwrap(), event(1));
    let of_reader = || -> Vec<Thread> {
        threads().into_values().filter(|thread| thread.name == "wal-replay").collect()
    };
    eventually("they are where they belong", || {
        let of_reader = of_reader();
        of_reader.len() == 3 && of_reader.iter().all(|thread| on_own(thread) != has_others)
    });
    drop(reader);
    eventually("they end with it", || of_reader().is_empty());
    // What was tried in order to decide has not moved the engine's own thread.
    assert_eq!(rustix::thread::sched_getaffinity(None).unwrap(), own);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 2 * SEGMENT);
}

pub fn on_chosen_processors(_: &Arguments) {
    let place = &Place::new();
    let (manager, writer) = open(&place.base().join("default"), config(place));
    expect_threads(&["default".to_owned()], processors());
    let ours = 5 + more_freezers(processors()).count();
    let default = named("wal-preparer");
    let freezer =
        || threads().into_values().filter(|thread| thread.name.starts_with("wal-freezer"));
    eventually("compression comes last", || freezer().all(|thread| thread.nice == 19));
    let inherited = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(default.nice, inherited);
    let available = mask(&default.cpus) as u64;
    let (low, high) = (1 << available.trailing_zeros(), 1 << available.ilog2());

    let placed =
        Config { persister_cpus: high, worker_cpus: low, worker_nice: 15, ..config(place) };
    let (other, other_writer) = open(&place.base().join("pläcedxyz"), placed);
    // As much of the name as fits, without splitting a character.
    let placed_so = |name: &str, cpus, nice| {
        let mut found = threads().into_values().filter(|thread| thread.name == name);
        found.any(|thread| mask(&thread.cpus) as u64 == cpus && thread.nice == nice)
    };
    eventually("its own", || placed_so("wal-p-pläcedxy", high, 15));
    for (name, nice) in SHARED.into_iter().zip([19, 15, 15, 15]) {
        eventually(name, || placed_so(name, low, nice));
    }
    let theirs = 5 + more_freezers(1).count();
    eventually("each log has its own threads", || names().len() == ours + theirs);
    manager.shutdown(writer).unwrap();
    eventually("its threads end", || names().len() == theirs);
    other.shutdown(other_writer).unwrap();
    expect_none();
}
