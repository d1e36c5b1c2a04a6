//! Those who keep something of a log that another process writes.

use std::path::Path;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use common::crash::SEGMENT;
use common::end_with_parent;
use common::flow::{Random, Shared};
use common::inject::Meeting;
use common::keeping::{directory, Claim, HOLD, STATE_SIZE};
use common::planted::Planted;
use common::victim::CLEAN;
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::keep::{Hold, SnapshotWriter, WalDirectory};
use flashstrike_wal::replay::{Reader, ReaderOptions};

use crate::arguments::Arguments;

/// The event must be there: it was held.
fn assert_is_there(log: &Path, event_id: u64) {
    let mut reader = Reader::open(log, ReaderOptions { verify: true }).unwrap();
    reader.seek(event_id).unwrap();
    let found = reader.next().unwrap().event_id;
    assert_eq!(found, event_id, "event {event_id} was held, and the oldest left is {found}");
}

/// Opens a hold, moves it and removes it, again and again, and says in `SHARED` what it relies on.
/// The events that are durable are in `SHARED`, too.
pub fn hold_until_killed(arguments: &Arguments) {
    end_with_parent();
    let (log, shared) = (arguments.path("LOG"), Shared::open(arguments.path("SHARED")));
    let mut random = Random(arguments.number::<u64>("SEED") * 7919 + 3);
    let may_break = arguments.yes_or_no("MAY_BREAK");
    let claim = Claim(&shared);
    let broken = |error: &Error| {
        assert!(may_break && error.cause() == Some(Cause::Gap), "{error}");
        claim.give_up();
        Hold::remove(&directory(log), HOLD).unwrap();
    };
    loop {
        let durable = shared.durable().load(std::sync::atomic::Ordering::Acquire);
        let from = match random.below(3) {
            0 => 0,
            _ => durable.saturating_sub(random.below(3 * SEGMENT)).max(1),
        };
        let mut hold = match Hold::open(directory(log), HOLD, from) {
            // It came too late, and says so; or it was broken, and nobody was there.
            Err(error) if error.cause() == Some(Cause::Gap) => {
                let _ = Hold::remove(&directory(log), HOLD);
                continue;
            }
            hold => hold.unwrap(),
        };
        let mut at = match hold.event_id() {
            Ok(at) => at,
            Err(error) => {
                drop(hold);
                broken(&error);
                continue;
            }
        };
        claim.hold(at);
        let moved = move_some_times(&mut hold, &mut at, durable, &mut random, &claim, |at| {
            if !may_break {
                assert_is_there(log, at);
            }
        });
        drop(hold);
        match moved {
            Err(error) => broken(&error),
            Ok(()) if random.one_in(2) => {
                claim.give_up();
                Hold::remove(&directory(log), HOLD).unwrap();
            }
            Ok(()) => {}
        }
    }
}

/// Moves a hold, no further than what was durable.
fn move_some_times(
    hold: &mut Hold,
    at: &mut u64,
    durable: u64,
    random: &mut Random,
    claim: &Claim<'_>,
    check: impl Fn(u64),
) -> Result<(), Error> {
    for _ in 0..random.below(4) {
        check(*at);
        let to = (*at + random.below(SEGMENT)).min(durable.max(*at));
        claim.begin_to_move(to);
        hold.move_to(to)?;
        *at = to;
        claim.hold(to);
        let (begin, pause) = (Instant::now(), Duration::from_micros(random.below(900)));
        while begin.elapsed() < pause {
            std::hint::spin_loop();
        }
    }
    Ok(())
}

/// Takes a snapshot of each of these events, and says in `SHARED` which are committed.
pub fn take_snapshots(arguments: &Arguments) {
    end_with_parent();
    let (log, shared) = (arguments.path("LOG"), Shared::open(arguments.path("SHARED")));
    let storage = Planted::posix(arguments.bug("BUG"), log);
    let directory = WalDirectory::open(storage, log).unwrap();
    let meeting = Meeting(&shared);
    meeting.opening();
    for event_id in arguments.numbers("EVENTS") {
        shared.attempted().store(event_id, Release);
        let mut snapshot = SnapshotWriter::create(directory.clone(), event_id).unwrap();
        let state = common::keeping::state(event_id, STATE_SIZE);
        for piece in state.chunks(STATE_SIZE / 7) {
            snapshot.write(piece).unwrap();
        }
        snapshot.commit().unwrap();
        shared.acknowledged().store(event_id, Release);
    }
    std::process::exit(CLEAN);
}
