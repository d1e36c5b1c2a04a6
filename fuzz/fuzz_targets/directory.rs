//! Bytes decide what is done to which log; the directory is then read and opened in every way.
#![no_main]

use std::sync::LazyLock;

use common::fuzzing::bench::Bench;
use common::fuzzing::logs::{self, Start};
use common::fuzzing::mutation::Mutation;
use common::fuzzing::source::Source;

static BENCH: LazyLock<(Bench, Vec<Start>)> = LazyLock::new(|| {
    let bench = Bench::new();
    let starts = logs::all(&bench.home());
    (bench, starts)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (bench, starts) = &*BENCH;
    let mut source = Source::of_bytes(bytes);
    let start = &starts[source.below(starts.len())];
    let mutations = Mutation::some(&mut source, start);
    let seek_to = source.below(1600) as u64;
    if let Err(why) = bench.run(start, &mutations, seek_to) {
        panic!("log {}: {why}\n  {mutations:?}", start.name);
    }
});
