//! What can go wrong: calls fail, and processes end.

/// Calls that can be made to fail, as the traits name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `Storage::open_directory`
    OpenDirectory,
    /// `Storage::create_directory`, `ensure_directory`
    CreateDirectory,
    /// `Storage::remove_directory`
    RemoveDirectory,
    /// `Directory::list`
    List,
    /// `Directory::open` of an existing file
    Open,
    /// `Directory::open` of a new file
    Create,
    /// `Directory::rename`
    Rename,
    /// `Directory::remove`
    Remove,
    /// `Directory::sync`
    SyncNames,
    /// `Directory::status`
    Status,
    /// `Directory::lock`, `File::try_lock_exclusive`, `try_lock_shared`
    Lock,
    /// `File::size`, `inode`, `Directory::status_of`
    Stat,
    /// `File::read_at`
    Read,
    /// `File::write_at`
    Write,
    /// `File::allocate`
    Allocate,
    /// `File::sync`
    Sync,
    /// `File::map`
    Map,
}

impl Call {
    /// Every one.
    pub const ALL: [Call; 17] = [
        Call::OpenDirectory,
        Call::CreateDirectory,
        Call::RemoveDirectory,
        Call::List,
        Call::Open,
        Call::Create,
        Call::Rename,
        Call::Remove,
        Call::SyncNames,
        Call::Status,
        Call::Lock,
        Call::Stat,
        Call::Read,
        Call::Write,
        Call::Allocate,
        Call::Sync,
        Call::Map,
    ];
}

/// A call that will fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub call: Call,
    /// Which one of that kind from now on, counted from 1.
    pub nth: u64,
    /// The error it fails with.
    pub errno: i32,
}

/// What ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It is killed: its locks are gone, and its handles fail from now on.
    Kill,
    /// The power fails and comes back: memory is empty, and the disk has what was synced and what
    /// the seed chooses of the rest.
    PowerCut {
        /// Chooses what survives.
        seed: u64,
    },
}
