//! P10: from the append of an event until another process has it, at a million a second. Each event
//! is stored twice, each time with the time just before: into a bare ring in shared memory, and
//! into the log. The follower, a process that spins on the processor of the library's threads,
//! looks for it in one of the two; so both are measured beside the same load. The appends of the
//! writer are timed with 0, 1 and 4 followers of the log.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::abi::{Config, Event, EVENT_SIZE};
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{Library, SharedMemory};
use crate::latencies::{Latencies, PERCENTILES};
use crate::pace::Pace;
use crate::reader::Follower;

const RATE: u64 = 1_000_000;
const SLOTS: u64 = 1 << 16;
const RING_SIZE: usize = SLOTS as usize * EVENT_SIZE;
/// Events before those that are measured.
const WARM_UP: u64 = 100_000;
/// `FS_WAL_SYNC_ROTATION`: between two rotations the library's threads leave the other processor to
/// the follower. On two processors there is no other for it.
const SYNC_ROTATION: u32 = 2;
const RING: &str = "ring";
const LOG: &str = "log";
const BARE: &str = "a bare hand-off";
const FOLLOWED: &str = "flashstrike-wal";

/// Percentiles of a turn: what a follower saw, and the appends.
#[derive(Default)]
struct Turns {
    seen: Vec<Vec<f64>>,
    appended: Vec<Latencies>,
}

pub fn run(bench: &mut Bench) {
    let pace = Pace::new(RATE, bench.scale.paced);
    let kinds: [&[&str]; 4] = [&[RING], &[LOG], &[], &[LOG; 4]];
    let mut turns: [Turns; 4] = std::array::from_fn(|_| Turns::default());
    for round in 0..bench.scale.rounds {
        for (n, (ways, turns)) in kinds.iter().zip(&mut turns).enumerate() {
            let name = format!("p10-{round}-{n}");
            take_turn(bench, &name, ways, &pace, turns);
            bench.remove(&[&name]);
        }
    }
    let at = |turns: &Turns, n: usize| turns.seen.iter().map(|seen| seen[n]).collect::<Vec<_>>();
    let mut table = bench.report.table("P10", "From an append until another process has the event");
    for (n, (figure, _)) in PERCENTILES.iter().enumerate() {
        table.add(BARE, figure, "ns", &at(&turns[0], n));
        let row = table.add(FOLLOWED, figure, "ns", &at(&turns[1], n));
        row.against(BARE, &at(&turns[0], n));
        match *figure {
            "p50" => drop(row.at_most_times(1.3)),
            "p99" => drop(row.at_most_times(2.0)),
            _ => {}
        }
    }
    let mut table = bench.report.table("P10", "The append, with followers");
    for (figure, percentile) in PERCENTILES {
        let of = |turns: &Turns| -> Vec<f64> {
            turns.appended.iter().map(|turn| turn.percentile_ns(percentile)).collect()
        };
        let none = of(&turns[2]);
        table.add("no follower", figure, "ns", &none);
        for (subject, turns) in [("1 follower", &turns[1]), ("4 followers", &turns[3])] {
            table.add(subject, figure, "ns", &of(turns)).against("no follower", &none);
        }
    }
}

fn take_turn(bench: &Bench, name: &str, ways: &[&str], pace: &Pace, turns: &mut Turns) {
    let directory = bench.fresh(name);
    let ring_path = PathBuf::from(format!("/dev/shm/flashstrike-bench-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&ring_path);
    let file = file.expect("a file for the ring");
    file.set_len(RING_SIZE as u64).expect("room for the ring");
    let mut ring = SharedMemory::of(&file, RING_SIZE);
    for slot in 0..SLOTS {
        id_of(&mut ring, slot).store(0, Ordering::Release);
    }
    let log = directory.join(LOG);
    let config = Config { sync_mode: SYNC_ROTATION, ..Config::default() };
    let mut library = Library::open(&log, &config);
    let place = |way: &str| if way == RING { ring_path.clone() } else { log.clone() };
    let events = WARM_UP + pace.events;
    let followers: Vec<_> = bench
        .processors
        .on_workers(|| ways.iter().map(|way| start(way, &place(way), events)).collect());
    let is_ring_followed = ways.contains(&RING);
    let mut appends = Latencies::new();
    let schedule = Pace { events, ..*pace }.start();
    for n in 0..events {
        clock::spin_until(schedule.tick(n));
        let mut event = Event::order(n + 1);
        // The followed way first: stores become visible in their order, and must not stand in line
        // behind those of the other.
        if is_ring_followed {
            event.timestamp = clock::now();
            hand_off(&mut ring, &event);
        }
        let begin = clock::now();
        event.timestamp = begin;
        library.log.append(&event);
        let taken = clock::now() - begin;
        if !is_ring_followed {
            hand_off(&mut ring, &event);
        }
        if n >= WARM_UP {
            appends.record(taken);
        }
    }
    turns.appended.push(appends);
    for mut follower in followers {
        let figures = line_of(&mut follower);
        turns.seen.push(figures.split(' ').map(|ns| ns.parse().expect("a number")).collect());
        follower.0.wait().expect("it has ended");
    }
    drop(library);
    fs::remove_file(ring_path).expect("it was made just now");
}

fn id_of(ring: &mut SharedMemory, n: u64) -> &AtomicU64 {
    // SAFETY: the place of an event in the ring, aligned to 64, which is accessed as an atomic.
    unsafe { &*ring.at((n % SLOTS) as usize * EVENT_SIZE).cast() }
}

/// Stores the event, its id last.
#[inline(always)]
fn hand_off(ring: &mut SharedMemory, event: &Event) {
    let slot = ring.at((event.event_id % SLOTS) as usize * EVENT_SIZE);
    // SAFETY: 64 bytes in the ring; of these nobody reads more than the id before that is stored.
    unsafe { slot.add(8).copy_from_nonoverlapping((&raw const *event).cast::<u8>().add(8), 56) };
    id_of(ring, event.event_id).store(event.event_id, Ordering::Release);
}

type Started = (Child, BufReader<std::process::ChildStdout>);

/// Starts a follower, which is ready when this returns.
fn start(way: &str, place: &Path, events: u64) -> Started {
    let program = std::env::current_exe().expect("this program's path");
    let mut command = Command::new(program);
    command.arg("follower").arg(way).arg(place).arg(events.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("this program can be run");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut started = (child, output);
    assert_eq!(line_of(&mut started), "ready", "the follower has failed");
    started
}

fn line_of(started: &mut Started) -> String {
    let mut line = String::new();
    started.1.read_line(&mut line).expect("the follower writes a line");
    line.trim_end().to_owned()
}

/// The child: prints the percentiles of how late it had the events.
pub fn child(way: &str, place: &Path, events: u64) {
    // The clock is measured first.
    clock::to_ticks(Duration::from_nanos(1));
    let seen = if way == RING { follow_ring(place, events) } else { follow_log(place, events) };
    let figures = PERCENTILES.map(|(_, percentile)| seen.percentile_ns(percentile).to_string());
    println!("{}", figures.join(" "));
}

fn follow_ring(place: &Path, events: u64) -> Latencies {
    let file = File::options().read(true).write(true).open(place).expect("the ring");
    let mut ring = SharedMemory::shared(&file, RING_SIZE);
    let mut seen = Latencies::new();
    let mut event = Event::order(0);
    println!("ready");
    for id in 1..=events {
        while id_of(&mut ring, id).load(Ordering::Acquire) != id {}
        let slot = ring.at((id % SLOTS) as usize * EVENT_SIZE);
        // SAFETY: a whole event, whose id was just loaded. The writer overwrites it a whole ring
        // later; then the figure is wrong, and the memory still bytes.
        event = unsafe { slot.cast::<Event>().read_volatile() };
        record(&mut seen, &event, id);
    }
    std::hint::black_box(event);
    seen
}

fn follow_log(place: &Path, events: u64) -> Latencies {
    let mut follower = Follower::open(place);
    let mut seen = Latencies::new();
    let mut event = Event::order(0);
    println!("ready");
    for id in 1..=events {
        while !follower.next(&mut event) {}
        assert_eq!(event.event_id, id, "every event comes once");
        record(&mut seen, &event, id);
    }
    seen
}

#[inline(always)]
fn record(seen: &mut Latencies, event: &Event, id: u64) {
    let now = clock::now();
    if id > WARM_UP {
        seen.record(now.saturating_sub(event.timestamp));
    }
}
