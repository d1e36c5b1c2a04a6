//! Reading the events of a log, for the commands that show or convert them.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::replay::{FollowOptions, Follower, Reader, ReaderOptions};

use crate::failure::{Failure, Outcome};
use crate::selection::Range;

/// How events are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Go on with what is appended.
    pub follow: bool,
    /// Only events that are durable.
    pub durable_only: bool,
}

/// Where events come from.
pub struct Events {
    from: Source,
    is_denial_told: bool,
}

enum Source {
    Log(Box<Reader>),
    Follower(Box<Follower>),
}

/// What comes next.
pub enum Next<'a> {
    Batch(&'a [RequestEvent]),
    /// Nothing yet: [`Events::wait`].
    Nothing,
    End,
}

impl Events {
    /// Opens a log at the beginning of a range; every block is checked before its events are given.
    pub fn open(dir: &Path, range: &Range, how: How) -> Outcome<Self> {
        let read = ReaderOptions { verify: true };
        let end_event_id = range.to_id.unwrap_or(0);
        let from = if how.follow || how.durable_only {
            let How { follow, durable_only } = how;
            let spin = Duration::ZERO;
            let options = FollowOptions { read, follow, durable_only, end_event_id, spin };
            Source::Follower(Box::new(Follower::open(dir, options)?))
        } else {
            let mut reader = Reader::open(dir, read)?;
            reader.end_behind(end_event_id);
            reader.use_threads(1)?;
            Source::Log(Box::new(reader))
        };
        let mut events = Events { from, is_denial_told: false };
        events.begin(range)?;
        Ok(events)
    }

    fn begin(&mut self, range: &Range) -> Result<(), Error> {
        match (&mut self.from, range.from_id, range.from_time) {
            (Source::Log(reader), Some(id), _) => reader.seek(id),
            (Source::Log(reader), None, Some(time)) => reader.seek_time(time),
            (Source::Follower(follower), Some(id), _) => follower.seek(id),
            (Source::Follower(follower), None, Some(time)) => follower.seek_time(time),
            (_, None, None) => Ok(()),
        }
    }

    /// The next events. Those that retention has removed are told, and passed over.
    pub fn next(&mut self) -> Outcome<Next<'_>> {
        let next = match &mut self.from {
            Source::Log(reader) => reader.next_batch(),
            Source::Follower(follower) => follower.next_batch(),
        };
        match next {
            Ok(events) => Ok(Next::Batch(events)),
            Err(Error::End) => Ok(Next::End),
            Err(Error::WouldBlock) => Ok(Next::Nothing),
            Err(error) => missed(error).map(|()| Next::Batch(&[])),
        }
    }

    /// Says so, once, when what is not durable yet is missing: other users may not read it.
    pub fn tell_denial(&mut self) {
        let metrics = match &self.from {
            Source::Log(reader) => reader.metrics(),
            Source::Follower(follower) => follower.metrics(),
        };
        if metrics.active_denied && !self.is_denial_told {
            self.is_denial_told = true;
            eprintln!(
                "fswal: note: this user may not read the log's active directory: events that are \
                 not durable yet are missing"
            );
        }
    }

    /// Waits until there is something.
    pub fn wait(&mut self) -> Outcome<()> {
        match &mut self.from {
            Source::Log(_) => Ok(()),
            Source::Follower(follower) => match follower.wait(None) {
                Ok(()) => Ok(()),
                Err(error) => missed(error),
            },
        }
    }
}

/// Events that retention has removed are told. Anything else ends it, behind what was read before.
fn missed(error: Error) -> Outcome<()> {
    if error.cause() == Some(Cause::Gap) {
        eprintln!("fswal: note: {error}");
        return Ok(());
    }
    let is_damage = error.cause() == Some(Cause::Corrupt);
    let failure = Failure::from(error);
    Err(match is_damage {
        true => failure.next(
            "`fswal verify DIR` names every damage; --from-id behind the damaged events goes on \
             there; `fswal salvage DIR OUT` makes a log of all that can be read",
        ),
        false => failure,
    })
}

/// The first line of events as CSV.
pub const CSV_HEAD: &str =
    "event_id,timestamp,price,quantity,user_id,order_id,type,order_type,side,reserved";

/// An event as a line of CSV, all in numbers; what is reserved in hexadecimal.
pub fn write_csv(event: &RequestEvent, to: &mut impl Write) -> Outcome<()> {
    let RequestEvent { event_id, timestamp, price, quantity, user_id, order_id, .. } = *event;
    let (kind, order_type, side) = (event.r#type, event.order_type, event.side);
    write!(
        to,
        "{event_id},{timestamp},{price},{quantity},{user_id},{order_id},{kind},{order_type},{side},"
    )?;
    write_hex(&event.reserved, to)?;
    Ok(to.write_all(b"\n")?)
}

/// Bytes in hexadecimal.
pub fn write_hex(bytes: &[u8], to: &mut impl Write) -> Outcome<()> {
    Ok(bytes.iter().try_for_each(|byte| write!(to, "{byte:02x}"))?)
}
