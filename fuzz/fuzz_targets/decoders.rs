//! Bytes into everything that decodes: the first one says into which.
#![no_main]

use common::fuzzing::source::Source;
use common::fuzzing::targets::TARGETS;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut source = Source::of_bytes(bytes);
    let (_, target) = TARGETS[source.below(TARGETS.len())];
    target(&mut source);
});
