//! P1: a tight loop of appends that fit into the prepared segments, so that no append waits for the
//! disk, while the workers make the events durable. For that the logs have more segments prepared
//! than by default; no other option is set. Compared with the memory floor, which stores as much
//! into as much memory.

use crate::abi::{Config, EVENT_SIZE};
use crate::bench::Bench;
use crate::clock;
use crate::contestants::{
    baselines, Batches, Entrant, Entry, Library, Memory, LAP, LIBRARY, MEMORY,
};
use crate::report::Spread;

/// 16 prepared segments of 65,536 events, 67 MB, do not fit into the cache of a processor.
const PREPARED: u32 = 16;
const BATCHES: &str = "flashstrike-wal, 256 a call";
/// Without the few blocks in a hundred that wait for memory that the host has taken.
const MEDIAN: &str = "in the median block of 256";

pub fn run(bench: &mut Bench) {
    let config = Config { prepared_segments: PREPARED, ..Config::default() };
    let processors = &bench.processors;
    let open = |name| Library::open(&bench.fresh(name), &config);
    let mut entrants: Vec<Box<dyn Entrant>> = vec![
        Entry::boxed(MEMORY, Memory::new((PREPARED as usize) << 16 << EVENT_SIZE.ilog2())),
        Entry::boxed(LIBRARY, open("p1-append")),
        Batches::boxed(BATCHES, open("p1-batch"), false),
        Batches::boxed("with numbering its events", open("p1-numbered"), true),
    ];
    entrants.extend(baselines(&bench.fresh("p1-baselines"), processors));

    let blocks = bench.scale.tight_blocks;
    let mut turns = vec![(Vec::new(), Vec::new()); entrants.len()];
    // The first round warms up: it makes files that later rounds overwrite.
    for round in 0..=bench.scale.rounds {
        for (entrant, (whole, median)) in entrants.iter_mut().zip(&mut turns) {
            entrant.begin();
            let laps = entrant.tight(blocks);
            entrant.settle();
            if round > 0 {
                let ns = |ticks| clock::to_ns(ticks as f64) / LAP as f64;
                let laps: Vec<f64> = laps.into_iter().map(ns).collect();
                whole.push(laps.iter().sum::<f64>() / laps.len() as f64);
                median.push(Spread::of(&laps).median);
            }
        }
    }

    let mut table = bench.report.table("P1", "Throughput: a tight loop");
    for (entrant, (whole, median)) in entrants.iter().zip(&turns) {
        let row = table.add(entrant.name(), "an event", "ns", whole).against(MEMORY, &turns[0].0);
        match entrant.name() {
            LIBRARY | BATCHES => row.at_most_times(1.0),
            _ => row,
        };
        table.add(entrant.name(), MEDIAN, "ns", median).against(MEMORY, &turns[0].1);
    }
    drop(entrants);
    bench.remove(&["p1-append", "p1-batch", "p1-numbered", "p1-baselines"]);
}
