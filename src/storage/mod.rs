//! Files, directories and mappings behind small traits, so that tests can put a faulty disk under
//! the whole recorder. `posix` and `posix_file` are the real file system; `simulated` forgets what
//! was not synced.

mod calls;
pub mod descriptors;
mod event_fd;
mod mapped;
mod mapping;
mod names;
mod pages;
mod pair;
mod pieces;
mod posix;
mod posix_file;
mod processors;
pub mod simulated;
mod slots;
mod special;
mod standard;
mod stat;
mod traits;
mod wall_clock;

pub use event_fd::EventFd;
pub use mapped::{Mapped, Shared};
pub(crate) use mapping::may_be_mapped;
pub use mapping::Mapping;
pub use names::{clear_temporary, create, create_temporary, free_name, move_aside};
pub use names::{put_in_place, rename_if_there, replace_small};
pub use pages::Pages;
pub(crate) use pages::PAGE;
pub use pair::{check_processor, Pair};
pub use pieces::{as_io, PieceWriter};
pub use posix::PosixStorage;
pub(crate) use processors::{on_its_own_thread, Processors};
pub use slots::Slots;
pub use special::clock_ns;
pub use traits::{read_small, write_zeros};
pub use traits::{
    Directory, DirectoryLock, DirectoryStatus, File, FileStatus, Links, Open, Storage,
};
pub use wall_clock::now_ns;
