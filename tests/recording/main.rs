//! Appending, durability, retention, and what a log tells of itself.

mod guarantees;
mod lifecycle;
mod log_sink;
mod persist_order;
mod retention;
