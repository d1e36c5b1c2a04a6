//! Bytes decide what is done to which log; the directory is then read and opened in every way.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../tests/segments/mod.rs"]
mod segments;

use std::sync::LazyLock;

use fuzzing::bench::Bench;
use fuzzing::logs::{self, Start};
use fuzzing::mutation::Mutation;
use fuzzing::source::Source;

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
