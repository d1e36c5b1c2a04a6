//! How a command ends: a verdict, or a failure with what to do next; both as exit codes.

use std::io;
use std::process::ExitCode;

use flashstrike_wal::error::{Cause, Error};

/// What a command that ran to its end says of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Well,
    /// Something is wrong with the log.
    Wrong,
    /// Something could not be read.
    Unreadable,
}

impl Verdict {
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Verdict::Well => 0,
            Verdict::Wrong => 1,
            Verdict::Unreadable => 3,
        })
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
    /// What to do about it.
    next: Option<String>,
}

/// Result of a command.
pub type Outcome<T = Verdict> = Result<T, Failure>;

impl Failure {
    /// Something is wrong with the log.
    pub fn wrong(message: impl Into<String>) -> Self {
        Failure { code: 1, message: message.into(), next: None }
    }

    /// The command was used wrongly, or there is no log.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure { code: 2, message: message.into(), next: None }
    }

    /// Something cannot be read or written.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Failure { code: 3, message: message.into(), next: None }
    }

    /// What went wrong, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn next(mut self, what: impl Into<String>) -> Self {
        self.next = Some(what.into());
        self
    }

    /// Says it on standard error. A reader of standard output that has gone wants no more, and
    /// that is no failure.
    pub fn report(self) -> ExitCode {
        if self.code == 0 {
            return ExitCode::SUCCESS;
        }
        eprintln!("fswal: {}", self.message);
        if let Some(next) = self.next {
            eprintln!("  next: {next}");
        }
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, next) = match error.cause() {
            Some(Cause::Corrupt) => (1, "`fswal verify DIR` names every place that is damaged"),
            Some(Cause::Poisoned) => (1, "stop the engine, look at the disk, open the log again"),
            Some(Cause::Gap) => (1, "`fswal ls DIR` shows what is there"),
            Some(Cause::NotFound) => (2, "check the path; `fswal status DIR` says what is there"),
            Some(Cause::Locked) => (2, "wait for the process that has it, or stop that first"),
            Some(Cause::Permission) => {
                (3, "run this as the log's own user (`ls -ld DIR` names it) or as root")
            }
            Some(Cause::NoSpace) => (3, "make room and run it again"),
            Some(Cause::Io) => (3, "look at `dmesg`: the disk, or the way to it, has failed"),
            Some(Cause::Unsupported) => (2, "use the version of fswal that belongs to the library"),
            Some(Cause::InvalidArgument | Cause::OutOfOrder) => (2, "see `fswal help`"),
            Some(Cause::Internal | Cause::Closed) | None => (1, "report this as a defect"),
        };
        Failure { code, message: error.to_string(), next: Some(next.to_owned()) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 3 };
        let next = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room and run it again"
            }
            io::ErrorKind::PermissionDenied => "name a place where this user may write",
            io::ErrorKind::NotFound => "check the path",
            _ => "look at `dmesg`: the disk, or the way to it, may have failed",
        };
        Failure { code, message: error.to_string(), next: Some(next.to_owned()) }
    }
}
