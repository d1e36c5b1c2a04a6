//! Replay: reading a log, while it is written or at rest. Writes nothing, anywhere.
//!
//! In reading order: `reader` (across segments), `log_files` (which file holds a segment right now,
//! and the lock that keeps it), then the events of one segment, block by block: `sealed_segment`
//! (closed, hot or cold) and `open_segment` (in memory, or on disk without its end known).
//!
//! For logs that are damaged: `salvage` walks through a segment around whatever is wrong with it
//! (`frame` does so within a cold one), for `reader` when it is asked to, and for `verify`, which
//! checks every byte of a log. `damage` is what they tell.

mod block_check;
mod damage;
mod findings;
mod frame;
mod log_files;
mod open_segment;
mod reader;
mod salvage;
mod salvage_files;
mod sealed_segment;
mod verify;
mod verify_segment;

pub use damage::{Damage, DamageKind, MAX_DAMAGES};
pub use verify::{verify, VerifyReport};

pub use reader::{Reader, ReaderOptions};

use std::io;

use crate::error::{Cause, Error, Place};

/// What a step through a segment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A block was read; its wanted events, perhaps none, were added.
    Block,
    /// The segment has no more: the log goes on in the next one, if there is one.
    Complete,
    /// Nothing more right now: this is the end of the log.
    End,
}

/// A segment's number, and the name of its file for messages.
#[derive(Debug, Clone)]
struct Site {
    index: u32,
    name: String,
}

impl Site {
    /// Damage, named: its offset in the segment (in a cold one, of what the frame holds) and the
    /// events that cannot be read for it.
    fn damaged(&self, offset: u64, ids: (u64, u64), what: &str) -> Error {
        let (first, last) = ids;
        let concerned = if first <= last && first != 0 {
            format!(" (event ids {first} to {last})")
        } else {
            String::new()
        };
        let message = format!("{}: offset {offset}: {what}{concerned}", self.name);
        Error::new(Cause::Corrupt, message).at(Place {
            segment_index: Some(self.index),
            offset: Some(offset),
            event_ids: (!concerned.is_empty()).then_some(ids),
        })
    }

    /// What the storage says about a frame stays what it is; what the decoder says is damage.
    fn frame_error(&self, offset: u64, ids: (u64, u64), error: &io::Error) -> Error {
        if error.raw_os_error().is_some() {
            return self.located(Error::io(&self.name, error));
        }
        let stored = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match stored {
            Some(error) => self.located(error.clone()),
            None => self.damaged(offset, ids, &format!("the frame cannot be decoded: {error}")),
        }
    }

    fn located(&self, error: Error) -> Error {
        error.at(Place { segment_index: Some(self.index), ..Place::default() })
    }
}
