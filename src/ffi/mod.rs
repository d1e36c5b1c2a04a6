//! The C ABI, and the only place with `extern "C"`. The comment on each function, struct, field
//! and constant here is the header's comment: `make header` generates `include/flashstrike_wal.h`
//! from them, in the order that `include/flashstrike_wal.h.in` gives.
//!
//! Imports point from the calls down to what they are made with.

// The calls, by task.
mod errors;
mod hold;
mod metrics;
mod reader;
mod recorder;
mod report;
mod snapshot;
mod verify;
mod version;

// The types and constants they take.
mod config;
mod format;
mod log;
mod reader_metrics;
mod reader_options;
mod status;

// What every call is made with: `handle` is what a `fs_wal *` points at, and `one_thread` what a
// pointer to a snapshot or a hold does; `guard` turns results and panics into codes, `last_error`
// keeps the words.
mod any_reader;
mod argument;
mod cancel;
mod checks;
mod fork;
mod gate;
mod guard;
mod handle;
mod last_error;
mod one_thread;
mod room;
mod signals;
mod sized;
mod text;
