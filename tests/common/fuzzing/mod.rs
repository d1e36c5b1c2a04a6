//! Fuzzing without a fuzzer: `tests/faults/fuzz_*.rs` run this from seeds, and `fuzz/` from the
//! bytes that libFuzzer finds.

pub mod bench;
pub mod check;
pub mod forge;
pub mod logs;
pub mod mutation;
pub mod source;
pub mod targets;
