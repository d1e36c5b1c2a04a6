//! What is measured: the library, the floors of the machine, and other ways to write a log. All of
//! them implement one trait (`contestant`).

mod background;
mod baselines;
mod beside_disk;
mod block_buffer;
mod contestant;
mod floor;
mod library;
mod mapped;
mod mapped_file;
mod okaywal;
mod raft_engine;
mod shared_memory;
mod write_each;

pub use baselines::{baselines, BESIDE_DISK, LIBRARY, MEMORY, TIMER};
pub use beside_disk::BesideDisk;
pub use contestant::{Contestant, Entrant, Entry, LAP};
pub use floor::{Memory, Timer};
pub use library::{settle, Batches, Library};
pub use mapped::Mapped;
pub use shared_memory::SharedMemory;
