//! Appending, durability, retention, and what a log reports.

mod clean_up;
mod compression;
mod control;
mod guarantees;
mod history;
mod holds;
mod lifecycle;
mod log_sink;
mod long_run;
mod metrics;
mod persist_order;
mod retention;
mod snapshots;
mod stepped;
mod threads;
mod troubles;
