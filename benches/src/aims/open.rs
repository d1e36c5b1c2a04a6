//! P6: opening a log whose process was killed, with few and with many segments, half of them cold.
//! In each round a child opens the log, appends 100,000 events a second for a while, and is
//! killed. Then the parent measures the time to open the log, and shuts it down.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::abi::{Config, Event, Log};
use crate::bench::Bench;
use crate::contestants::{Contestant, Entrant, Entry, Library};
use crate::pace::{Pace, Samples};
use crate::processors::Processors;

const FEW: u32 = 10;
/// The smallest segments, of 4,096 events, to keep the directory small.
const BLOCKS: u32 = 16;
const EVENTS_PER_SEGMENT: u64 = 256 * BLOCKS as u64;
const KILL_AFTER: Duration = Duration::from_millis(300);

fn config(segments: u32) -> Config {
    Config {
        num_blocks: BLOCKS,
        max_segments: segments / 2,
        max_compressed_segments: segments - segments / 2,
        ..Config::default()
    }
}

#[derive(Default)]
struct Rounds {
    open: Vec<f64>,
    prepare: Vec<f64>,
    carried: Vec<f64>,
    accepted: Vec<f64>,
    rest: Vec<f64>,
}

pub fn run(bench: &mut Bench) {
    let sizes = [FEW, bench.scale.many_segments];
    let directories = sizes.map(|size| bench.fresh(&format!("p6-{size}")));
    let mut rounds = [Rounds::default(), Rounds::default()];
    for _ in 0..bench.scale.rounds {
        for ((size, directory), rounds) in sizes.iter().zip(&directories).zip(&mut rounds) {
            kill_a_writer(directory, *size);
            bench.processors.on_workers(|| rounds.take(directory, *size));
        }
    }
    for size in sizes {
        bench.remove(&[&format!("p6-{size}")]);
    }

    let mut table = bench.report.table("P6", "Open after SIGKILL");
    for (n, (size, of_size)) in sizes.iter().zip(&rounds).enumerate() {
        let subject = format!("{size} segments");
        let row = table.add(&subject, "open", "ms", &of_size.open);
        if n == 1 {
            row.against(&format!("{FEW} segments"), &rounds[0].open).at_most_times(1.2);
        }
        table.add(&subject, "prepare", "ms", &of_size.prepare);
        table.add(&subject, "the rest", "ms", &of_size.rest).at_most(50.0);
        table.add(&subject, "events carried over", "", &of_size.carried);
        table.add(&subject, "events made durable", "", &of_size.accepted);
    }
    let text = "Open is the call, prepare the log's own counter of segments made ready when it \
                returned, and the rest what is left: reading the directory, proving the end of the \
                log, making what was found durable, which nothing counts by itself.";
    bench.report.remark("P6", text.to_owned());
}

impl Rounds {
    fn take(&mut self, directory: &Path, size: u32) {
        let begin = Instant::now();
        let log = Log::open(directory, &config(size));
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let metrics = log.metrics();
        let report = log.recovery_report();
        assert_eq!(report.clean, 0, "its writer was killed");
        let kept = report.hot_segments + report.cold_segments;
        assert!(kept + 2 >= size, "{kept} segments of {size} are there");
        let in_ms = |ns: u64| ns as f64 / 1e6;
        let prepare = in_ms(metrics.prepare.total_ns);
        self.open.push(ms);
        self.prepare.push(prepare);
        self.rest.push((ms - prepare).max(0.0));
        self.carried.push(report.events_carried_over as f64);
        self.accepted.push(report.events_accepted as f64);
    }
}

/// Runs `writer` in a child process and kills it while it appends.
fn kill_a_writer(directory: &Path, size: u32) {
    let program = std::env::current_exe().expect("this program's path");
    let mut child = Command::new(program)
        .arg("writer")
        .arg(directory)
        .arg(size.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be run");
    let mut line = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("the writer says when it is ready");
    assert_eq!(line, "ready\n", "the writer has failed");
    std::thread::sleep(KILL_AFTER);
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
}

/// The child: fills the log up to its number of segments, prints that it is ready, and appends
/// until it is killed.
pub fn writer(directory: PathBuf, size: u32) {
    Processors::choose(&directory).pin_append_thread();
    let mut library = Library::open(&directory, &config(size));
    let mut next_id = library.log.last_id() + 1;
    let full = |library: &Library| {
        let metrics = library.log.metrics();
        metrics.hot_segments + metrics.cold_segments >= u64::from(size)
    };
    while !full(&library) {
        for _ in 0..EVENTS_PER_SEGMENT {
            library.log.append(&Event::order(next_id));
            next_id += 1;
        }
    }
    library.settle();
    let mut entry = Entry { name: "writer", contestant: library, next_id };
    println!("ready");
    let pace = Pace::new(100_000, Duration::from_secs(1));
    let mut samples = Samples::with_room_for(pace.events);
    loop {
        entry.paced(&pace, &mut samples);
    }
}
