//! Fuzzing without a fuzzer: what `tests/fuzz_*.rs` run from seeds, and `fuzz/` from the bytes that
//! libFuzzer finds.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod bench;
pub mod check;
pub mod forge;
pub mod logs;
pub mod mutation;
pub mod source;
pub mod targets;
