//! Bytes into everything that decodes: the first one says into which.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../tests/segments/mod.rs"]
mod segments;

use fuzzing::source::Source;
use fuzzing::targets::TARGETS;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::of_bytes(bytes);
    let (_, target) = TARGETS[source.below(TARGETS.len())];
    target(&mut source);
});
