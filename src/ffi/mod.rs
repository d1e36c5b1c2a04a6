//! The C ABI, and the only place with `extern "C"`. What each function promises is in its comment,
//! which is the header's: `include/flashstrike_wal.h` is generated from here by cbindgen.
//!
//! Reading order: `recorder`, `metrics`, `reader` and `verify` have the calls; `handle` is what a `fs_wal *`
//! points at; `guard` is what every call goes through; `argument`, `sized` and `config` turn what C
//! gives into what the crate takes, `log` what the crate tells into what C takes; `status` and
//! `last_error` turn failures into what C gets; `fork` keeps forked children off their parents'
//! logs, `signals` keeps the process's signals off the workers.

// What the header has, in the order it has it.
mod version;

mod status;

mod last_error;

mod format;

mod log;

mod config;

mod recorder;

mod metrics;

mod reader;

mod verify;

// What it is made with.
mod argument;
mod fork;
mod guard;
mod handle;
mod signals;
mod sized;
