//! Arbitrary bytes, at least a million of them, into everything that decodes: no panic, no read out
//! of bounds, no endless loop, and what is decoded is what the bytes say.

use std::io::Read;

use common::fuzzing::source::Source;
use common::fuzzing::targets::{cold_with, TARGETS};
use common::ledger::{self, Row};
use common::seed;

#[test]
fn arbitrary_bytes_are_decoded_or_refused() {
    let rounds = ledger::times(50_000, 1_000_000);
    for seed in seed::chosen().map_or(0..rounds, |seed| seed..seed + 1) {
        for (name, target) in TARGETS {
            let run = std::panic::catch_unwind(|| target(&mut Source::seeded(seed)));
            assert!(run.is_ok(), "target {name}: {}", seed::again(seed));
        }
    }
    planted_bug_is_found();
    ledger::record(Row {
        name: "fuzz-bytes",
        fault: "arbitrary bytes as headers, blocks, frames, names, meta, identity",
        test: "tests/faults/fuzz_bytes.rs",
        tried: rounds * TARGETS.len() as u64,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &["a decoder that takes the end of its input for the end of the frame"],
    });
}

/// A decoder that does not check that the frame was complete: the harness sees its wrong output.
fn planted_bug_is_found() {
    let read = |frame: &[u8], content: &mut Vec<u8>| lz4::Decoder::new(frame)?.read_to_end(content);
    let found = (0..1_000).find(|&seed| {
        std::panic::catch_unwind(|| cold_with(&mut Source::seeded(seed), read)).is_err()
    });
    assert!(found.is_some(), "not caught in a thousand frames");
}
