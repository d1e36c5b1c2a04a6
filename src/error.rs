//! Errors by cause. `ffi::status` alone maps them to the codes of the C interface.

use std::fmt;
use std::io;

/// What went wrong, in the distinctions that a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An argument is out of its range; the message names it.
    InvalidArgument,
    /// The directory or file does not exist.
    NotFound,
    /// Another owner has the log open for writing.
    Locked,
    /// The operating system denies access.
    Permission,
    /// No disk space, quota, memory or descriptors are left, or the file would be too large.
    NoSpace,
    /// An input or output operation failed.
    Io,
    /// The files contradict what is known to have been written.
    Corrupt,
    /// The event id does not rise.
    OutOfOrder,
    /// The log has failed before; the message carries the first failure.
    Poisoned,
    /// Events were removed by retention before the reader got to them.
    Gap,
    /// This version does not support it.
    Unsupported,
    /// A defect in the library.
    Internal,
    /// The log is shut down, or the handle belongs to the parent of a forked process.
    Closed,
}

/// Where it went wrong, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Segment index.
    pub segment_index: Option<u32>,
    /// Byte offset in that segment's file.
    pub offset: Option<u64>,
    /// First and last event id concerned.
    pub event_ids: Option<(u64, u64)>,
    /// Bytes from there on of which no event can be read; 0 = it costs none, or their end is not
    /// known.
    pub len: u64,
}

/// A failure in words and as data.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The kind of failure.
    pub cause: Cause,
    /// A message that names the object and the place.
    pub message: String,
    /// The operating system's error number, 0 when there is none.
    pub errno: i32,
    /// Where it happened.
    pub place: Place,
    /// The kind of damage that was found, as `segment::DamageKind` numbers it.
    pub damage: Option<u8>,
}

/// The error of every fallible call in the crate.
///
/// The first three belong to normal operation and carry no text, so that they cost nothing.
#[derive(Debug, Clone)]
pub enum Error {
    /// Nothing can be done right now; try again.
    WouldBlock,
    /// The time given has passed.
    Timeout,
    /// A reader is at the end of the log.
    End,
    /// Anything else.
    Failure(Box<Failure>),
}

/// Result of every fallible call in the crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure that is not the operating system's.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self::with_errno(cause, message, 0)
    }

    /// A failure with the operating system's error number.
    pub fn with_errno(cause: Cause, message: impl Into<String>, errno: i32) -> Self {
        let message = message.into();
        debug_assert!(errno >= 0);
        let place = Place::default();
        Error::Failure(Box::new(Failure { cause, message, errno, place, damage: None }))
    }

    /// A failure of the operating system in `what` (an operation and a path).
    pub fn io(what: impl fmt::Display, source: &io::Error) -> Self {
        let errno = source.raw_os_error().unwrap_or(0);
        let cause = match errno {
            libc::ENOSPC
            | libc::EDQUOT
            | libc::EFBIG
            | libc::ENOMEM
            | libc::EMFILE
            | libc::ENFILE => Cause::NoSpace,
            libc::EACCES | libc::EPERM | libc::EROFS => Cause::Permission,
            _ => Cause::Io,
        };
        Self::with_errno(cause, format!("{what}: {source}"), errno)
    }

    /// The same error, with the place it concerns.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        if let Error::Failure(failure) = &mut self {
            failure.place = place;
        }
        self
    }

    /// The same error, with the segment it concerns, if it does not name one.
    #[must_use]
    pub fn in_segment(mut self, index: u32) -> Self {
        if let Error::Failure(failure) = &mut self {
            failure.place.segment_index.get_or_insert(index);
        }
        self
    }

    /// The same error, with the kind of damage that was found.
    #[must_use]
    pub fn of_damage(mut self, kind: u8) -> Self {
        if let Error::Failure(failure) = &mut self {
            failure.damage = Some(kind);
        }
        self
    }

    /// The kind of damage that was found.
    pub fn damage(&self) -> Option<u8> {
        match self {
            Error::Failure(failure) => failure.damage,
            _ => None,
        }
    }

    /// The cause of a failure; `None` in normal operation.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Error::Failure(failure) => Some(failure.cause),
            _ => None,
        }
    }

    /// The operating system's error number, 0 when there is none.
    pub fn errno(&self) -> i32 {
        match self {
            Error::Failure(failure) => failure.errno,
            _ => 0,
        }
    }

    /// The error that every later call returns, once `self` has poisoned the log.
    #[must_use]
    pub fn as_poisoned(&self) -> Self {
        let message = format!("the log has failed and takes no more events: {self}");
        let poisoned = Self::with_errno(Cause::Poisoned, message, self.errno());
        match self {
            Error::Failure(failure) => poisoned.at(failure.place),
            _ => poisoned,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::WouldBlock => f.write_str("nothing can be done right now, try again"),
            Error::Timeout => f.write_str("the time given has passed"),
            Error::End => f.write_str("end of the log"),
            Error::Failure(failure) => f.write_str(&failure.message),
        }
    }
}

impl std::error::Error for Error {}
