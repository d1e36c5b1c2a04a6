//! A simulated file system, with power cuts and failing calls: it tests everything above the
//! storage traits in thousands of cases a second.
//!
//! There are two roots: [`DISK`], and [`MEMORY`] in place of `/dev/shm`. What was written to the
//! disk and not synced may survive a power cut or not: every write, in any order, torn into
//! 512-byte sectors, and every change of a name. What is in memory survives the death of a process
//! and never a power cut. From top to bottom: `machine`, `handles` (the traits), `state` (what all
//! handles share), `fault`, `directory` (names), `inode` (content), `random`.

mod directory;
mod fault;
mod handles;
mod inode;
mod machine;
mod random;
mod state;

pub use fault::{Call, Crash, Fault};
pub use handles::SimulatedStorage;
pub use machine::Machine;
pub use random::Random;
pub use state::{DISK, MEMORY};
