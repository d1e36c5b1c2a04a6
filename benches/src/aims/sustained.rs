//! P3: how many events a second the log can make durable without end, with recycled files. Events
//! are appended in batches as fast as possible; the writer waits when no segment is ready.
//! Compared with 4 MiB overwrites of a written file on the same disk, each with `fdatasync`. With
//! compression, a second figure counts the time until everything due to be compressed has been: of
//! an engine that is pinned, which leaves the library the other processors, and of one that is not,
//! where whatever processor is free may compress.

use std::time::{Duration, Instant};

use crate::abi::{Config, Event, Metrics, DISK_BYTES_PER_EVENT, KEEP_NONE};
use crate::bench::Bench;
use crate::contestants::{settle, Library};
use crate::disk::BareDisk;

const MAX_SEGMENTS: u32 = 32;
/// A turn ends early when this many segments (2 GB) wait for compression.
const MAX_WAITING: u64 = 500;
const DISK: &str = "the disk: 4 MiB overwrites";

/// A log, and the events that are appended to it.
struct Subject {
    library: Library,
    events: [Event; 256],
    next_id: u64,
}

/// The measurements of a turn.
struct Turn {
    events_per_second: f64,
    /// The same, with the time until all segments are compressed and recycled.
    with_rest: f64,
    before: Metrics,
    after: Metrics,
    elapsed: Duration,
}

impl Subject {
    /// Keeps this many cold segments; 0 = the default.
    fn open(bench: &Bench, name: &str, max_compressed_segments: u32) -> Self {
        let config =
            Config { max_segments: MAX_SEGMENTS, max_compressed_segments, ..Config::default() };
        let library = Library::open(&bench.fresh(name), &config);
        Subject { library, events: [Event::order(1); 256], next_id: 1 }
    }

    /// Appends until files are recycled.
    fn warm_up(&mut self) {
        while self.library.log.metrics().segments_recycled < 8 {
            self.append_segment();
        }
        settle(&self.library.log, u64::from(MAX_SEGMENTS));
    }

    fn append_segment(&mut self) {
        for _ in 0..256 {
            for event in &mut self.events {
                *event = Event::order(self.next_id);
                self.next_id += 1;
            }
            self.library.log.append_batch(&self.events);
        }
    }

    fn turn(&mut self, duration: Duration) -> Turn {
        let before = self.library.log.metrics();
        let begin = Instant::now();
        while begin.elapsed() < duration {
            self.append_segment();
            let waiting = self.library.log.metrics().hot_segments;
            if waiting > u64::from(MAX_SEGMENTS) + MAX_WAITING {
                break;
            }
        }
        let (after, elapsed) = (self.library.log.metrics(), begin.elapsed());
        let events = (after.durable_events - before.durable_events) as f64;
        let events_per_second = events / elapsed.as_secs_f64();
        settle(&self.library.log, u64::from(MAX_SEGMENTS));
        let all = (after.appended_events - before.appended_events) as f64;
        let with_rest = all / begin.elapsed().as_secs_f64();
        Turn { events_per_second, with_rest, before, after, elapsed }
    }
}

pub fn run(bench: &mut Bench) {
    let mut disk = BareDisk::new(&bench.fresh("p3-disk"));
    let mut plain = Subject::open(bench, "p3-plain", KEEP_NONE);
    let mut compressing = Subject::open(bench, "p3-compressing", 0);
    plain.warm_up();
    compressing.warm_up();
    let processors = bench.processors.clone();
    let mut unpinned = processors.on_all(|| Subject::open(bench, "p3-unpinned", 0));
    processors.on_all(|| unpinned.warm_up());
    let duration = bench.scale.sustained;
    let (mut of_disk, mut of_plain) = (Vec::new(), Vec::new());
    let (mut of_compressing, mut of_unpinned) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.rounds {
        let bytes = bench.processors.on_workers(|| disk.sequential_rate(duration));
        of_disk.push(bytes / DISK_BYTES_PER_EVENT);
        of_plain.push(plain.turn(duration));
        of_compressing.push(compressing.turn(duration));
        of_unpinned.push(processors.on_all(|| unpinned.turn(duration)));
    }
    drop((disk, plain, compressing, unpinned));
    bench.remove(&["p3-disk", "p3-plain", "p3-compressing", "p3-unpinned"]);

    let of = |turns: &[Turn], pick: fn(&Turn) -> f64| turns.iter().map(pick).collect::<Vec<_>>();
    let unit = "events/s";
    let mut table = bench.report.table("P3", "Sustained: what the log takes and makes durable");
    table.add(DISK, "durable", unit, &of_disk);
    let values = of(&of_plain, |turn| turn.events_per_second);
    table
        .add("flashstrike-wal", "durable", unit, &values)
        .against(DISK, &of_disk)
        .at_least_times(0.9);
    let values = of(&of_compressing, |turn| turn.events_per_second);
    table.add("flashstrike-wal, compressing", "durable", unit, &values).against(DISK, &of_disk);
    let values = of(&of_compressing, |turn| turn.with_rest);
    table.add("flashstrike-wal, compressing", "all of it compressed", unit, &values);
    let values = of(&of_unpinned, |turn| turn.with_rest);
    let name = "flashstrike-wal, compressing, engine not pinned";
    table.add(name, "all of it compressed", unit, &values);
    let middle = |turns: &[Turn]| bounds(&turns[turns.len() / 2]);
    let text = format!("In one turn without compression: {}", middle(&of_plain));
    bench.report.remark("P3", text);
    let text = format!("In one turn with it: {}", middle(&of_compressing));
    bench.report.remark("P3", text);
    let text = format!("In one turn of the engine that is not pinned: {}", middle(&of_unpinned));
    bench.report.remark("P3", text);
}

/// What the workers spent their time on.
fn bounds(turn: &Turn) -> String {
    let share = |pick: fn(&Metrics) -> u64| {
        100.0 * (pick(&turn.after) - pick(&turn.before)) as f64 / turn.elapsed.as_nanos() as f64
    };
    format!(
        "the persister sealed and wrote {:.0} % of the time and synced {:.0} %, the maintainer \
         closed segments {:.0} %, the preparer made them ready {:.0} %, the freezers compressed \
         {:.0} %, all of them together; the writer waited for a segment {:.0} %.",
        share(|metrics| metrics.persist.total_ns),
        share(|metrics| metrics.sync.total_ns),
        share(|metrics| metrics.close.total_ns),
        share(|metrics| metrics.prepare.total_ns),
        share(|metrics| metrics.compression.total_ns),
        share(|metrics| metrics.append_wait.total_ns),
    )
}
