//! One long turn of the library at a million events a second, drawn over time. The append thread
//! takes the latencies and knows where segments end, which gives the rotations. Another thread
//! reads the syncs, the compressions and the lag of the watermark from `fs_wal_metrics`, once a
//! millisecond.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::latency::RATE;
use crate::abi::{Config, Handle};
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{Entrant, Entry, Library, LIBRARY};
use crate::latencies::{Latencies, PERCENTILES};
use crate::pace::{Pace, Samples};
use crate::processors::Processors;
use crate::report::pictures::{self, CounterReading, Timeline};

const EVENTS_PER_SEGMENT: u64 = 256 * 256;

pub fn run(bench: &mut Bench) {
    let open = Library::open(&bench.fresh("timeline"), &Config::default());
    let mut library = Entry { name: LIBRARY, contestant: open, next_id: 1 };
    let pace = Pace::new(RATE, bench.scale.timeline);
    let mut samples = Samples::with_room_for(pace.events);
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (handle, done) = (library.contestant.log.handle(), Arc::clone(&done));
        let processors = bench.processors.clone();
        std::thread::spawn(move || watch(&handle, &done, &processors))
    };
    // Lets compression begin.
    let lead = Pace::new(RATE, bench.scale.timeline.min(Duration::from_secs(3)));
    library.paced(&lead, &mut samples);
    let first_id = library.next_id;
    library.paced(&pace, &mut samples);
    done.store(true, Ordering::Release);
    let readings = watcher.join().expect("the watcher only reads");
    library.settle();
    drop(library);
    bench.remove(&["timeline"]);

    let begin = samples.iter().next().map_or(0, |sample| sample.intended);
    let rotations = samples.iter().enumerate().filter_map(|(n, sample)| {
        let opens_a_segment = (first_id + n as u64) % EVENTS_PER_SEGMENT == 1;
        opens_a_segment.then(|| clock::seconds_between(begin, sample.intended))
    });
    let rotations = rotations.collect();
    let timeline = Timeline { begin, samples: &samples, rotations, readings: &readings };
    pictures::timeline(&bench.pictures, &timeline);
    pictures::closer(&bench.pictures, &timeline);
    pictures::lag(&bench.pictures, &timeline);
    add_rows(bench, &samples, &timeline);
}

fn watch(handle: &Handle, done: &AtomicBool, processors: &Processors) -> Vec<CounterReading> {
    processors.pin_worker();
    let mut readings = Vec::new();
    while !done.load(Ordering::Acquire) {
        let metrics = handle.metrics();
        readings.push(CounterReading {
            tick: clock::now(),
            lag: metrics.appended_event_id.saturating_sub(metrics.durable_event_id),
            syncs: metrics.sync.count,
            compressions: metrics.compression.count,
        });
        std::thread::sleep(Duration::from_millis(1));
    }
    readings
}

fn add_rows(bench: &mut Bench, samples: &Samples, timeline: &Timeline<'_>) {
    let latencies = Latencies::of(samples.iter().map(|sample| sample.taken));
    let title = "One turn without a pause, and watched: latency";
    let mut table = bench.report.table("P2", title);
    for (figure, percentile) in PERCENTILES {
        table.add(LIBRARY, figure, "ns", &[latencies.percentile_ns(percentile)]);
    }
    table.add(LIBRARY, "most", "ns", &[latencies.max_ns()]);
    table.add(LIBRARY, "events", "", &[latencies.count() as f64]);
    table.add(LIBRARY, "rotations", "", &[timeline.rotations.len() as f64]);
    let is_during = |reading: &&CounterReading| reading.tick >= timeline.begin;
    let during: Vec<&CounterReading> = timeline.readings.iter().filter(is_during).collect();
    if let [first, .., last] = during.as_slice() {
        table.add(LIBRARY, "syncs", "", &[(last.syncs - first.syncs) as f64]);
        let compressions = last.compressions - first.compressions;
        table.add(LIBRARY, "compressions", "", &[compressions as f64]);
    }
}
