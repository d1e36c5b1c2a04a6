//! Files, directories and mappings behind small traits, so that tests can put a faulty disk under
//! the whole recorder. `posix` and `posix_file` are the real file system; `simulated` forgets what
//! was not synced.

mod calls;
pub mod descriptors;
mod mapping;
mod names;
mod pages;
mod posix;
mod posix_file;
pub mod simulated;
mod special;
mod standard;
mod stat;
mod traits;

pub use mapping::Mapping;
pub use names::{clear_temporary, create, create_temporary, free_name, move_aside};
pub use names::{put_in_place, rename_if_there, replace_small};
pub use pages::Pages;
pub(crate) use pages::PAGE;
pub use posix::PosixStorage;
pub(crate) use special::processors_set_apart;
pub use traits::{read_small, write_zeros};
pub use traits::{
    Directory, DirectoryLock, DirectoryStatus, File, FileStatus, Links, Open, Storage,
};
