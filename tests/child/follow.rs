//! Followers in processes of their own, and the writer that they follow.

use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::event;
use common::flow::{call, event_of, storm_config, successor, Random, Shared};
use common::following::{Blind, Blindfold, Progress, FOLLOWS, GONE, TAKEN_BACK, TELLS_GAPS};
use common::read_only::ReadOnly;
use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::{Cause, Error, Failure};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{FollowOptions, Follower, Look, ReaderOptions, DEFAULT_SPIN};
use flashstrike_wal::storage::{PosixStorage, Storage};

use crate::arguments::Arguments;

/// How long a follower may see nothing before it gives up.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Looks between two waits.
const LOOKS: u32 = 10_000;

/// Appends until it is killed, or told to shut down. `TIGHT`: retention deletes what it can;
/// `LAZY`: nothing is synced but full segments.
pub fn append_until_told(arguments: &Arguments) {
    common::end_with_parent();
    let (seed, base): (u32, _) = (arguments.number("SEED"), arguments.path("BASE"));
    let shared = Shared::open(&base.join("shared"));
    let mut config = storm_config(seed.into(), arguments.path("ACTIVE"));
    match arguments.word("KIND") {
        "tight" => tighten(&mut config),
        "lazy" => config.sync_mode = SyncMode::Rotation,
        _ => {}
    }
    let opened = Manager::open(&base.join("log"), config);
    let (manager, mut writer) = opened.unwrap_or_else(|error| panic!("open: {error}"));
    let mut random = Random(u64::from(seed) * 31 + 7);
    let mut last = manager.log().appended().last_event_id;
    shared.recovered().store(last, Release);
    Progress::kept(&shared, seed).store(last, Release);
    shared.opened().store(1, Release);
    while Progress::told(&shared).load(Acquire) == 0 {
        last = call(&mut writer, &mut random, &shared, seed, last).unwrap();
        shared.acknowledged().store(last, Release);
        if random.below(5000) == 0 {
            manager.log().sync().unwrap();
        }
    }
    manager.shutdown(writer).unwrap();
}

fn tighten(config: &mut Config) {
    config.max_segments = Keep::AtMost(1);
    config.max_compressed_segments = Keep::AtMost(1);
}

/// Follows a log and checks every event, until it has seen the last one, or what it has seen was
/// taken back. Its progress is in a file that it shares.
pub fn follow_a_storm(arguments: &Arguments) {
    common::end_with_parent();
    let base = arguments.path("BASE");
    let mut random = Random(arguments.number::<u64>("SEED") * 7919 + 11);
    let options = FollowOptions {
        read: ReaderOptions { verify: !random.one_in(4) },
        follow: true,
        durable_only: arguments.word("SHOWS") == "durable",
        spin: [Duration::ZERO, DEFAULT_SPIN, Duration::MAX][random.below(3) as usize],
        end_event_id: 0,
    };
    let storage: Arc<dyn Storage> = match Blind::named(arguments.word("BUG")) {
        Some(bug) => ReadOnly::under(&Arc::new(Blindfold::new(bug))),
        None => Arc::new(PosixStorage::for_reading()),
    };
    let log = base.join("log");
    let follower = Follower::open_with(storage, &log, options).unwrap();
    let mut storm = Storm {
        follower,
        writer: Shared::open(&base.join("shared")),
        own: Progress::open(arguments.path("PROGRESS")),
        how: [How::Batches, How::Events, How::Looks][random.below(3) as usize],
        last: None,
    };
    let may_meet_gaps = if arguments.word("KIND") == "tight" { TELLS_GAPS } else { 0 };
    storm.own.state().store(FOLLOWS | may_meet_gaps, Release);
    storm.run();
}

/// How it takes events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Batches,
    Events,
    /// It looks for each event, as long as memory tells.
    Looks,
}

/// A follower, and what it has seen.
struct Storm {
    follower: Follower,
    writer: Shared,
    own: Progress,
    how: How,
    /// The last event, and in which life of the log it was appended.
    last: Option<(u64, u32)>,
}

impl Storm {
    fn run(&mut self) {
        let mut begin = Instant::now();
        loop {
            match self.follower.wait(Some(Duration::from_millis(20))) {
                Err(Error::Timeout) => {
                    assert!(begin.elapsed() < LONGEST_WAIT, "nothing comes: {:?}", self.last);
                }
                Ok(()) => self.take(),
                Err(Error::Failure(failure)) => {
                    if !self.goes_on(&failure) {
                        return;
                    }
                }
                Err(other) => panic!("after {:?}: {other}", self.last),
            }
            if let Some((last, life)) = self.last {
                if last != self.own.shown().swap(last, AcqRel) {
                    begin = Instant::now();
                }
                self.own.life().store(u64::from(life), Release);
            }
            let end = self.own.end().load(Acquire);
            if end != 0 && self.last.is_some_and(|(last, _)| last >= end) {
                assert_eq!(self.last.map(|last| last.0), Some(end));
                assert!(matches!(self.follower.next(), Err(Error::WouldBlock)));
                self.own.state().store(GONE, Release);
                return;
            }
        }
    }

    /// Takes what is there.
    fn take(&mut self) {
        let events = match self.how {
            How::Batches => self.follower.next_batch().unwrap().to_vec(),
            How::Events | How::Looks => vec![self.follower.next().unwrap()],
        };
        for event in events {
            self.check(&event);
        }
        let looks = if self.how == How::Looks { LOOKS } else { 0 };
        for _ in 0..looks {
            match self.follower.look() {
                Look::Event(event) => self.check(&event),
                Look::Nothing => std::hint::spin_loop(),
                Look::Elsewhere => return,
            }
        }
    }

    /// It is the one that comes next, as it was appended; and if it is the first one of a life, the
    /// log was opened with just what was seen before.
    fn check(&mut self, found: &RequestEvent) {
        let id = found.event_id;
        let life = found.user_id ^ event(id).user_id;
        assert_eq!(*found, event_of(life, id), "event {id} is not one that was appended");
        if let Some((last, before)) = self.last {
            assert_eq!(id, successor(last), "after {last}");
            let kept = Progress::kept(&self.writer, life).load(Acquire);
            assert!(life == before || last == kept, "life {life} goes on at {kept}, not at {last}");
        }
        self.last = Some((id, life));
        self.own.count().store(self.own.count().load(Acquire) + 1, Release);
    }

    /// A failure that is right here. Returns whether the follower goes on.
    fn goes_on(&mut self, failure: &Failure) -> bool {
        let said = &failure.message;
        let shown = self.last.map_or(0, |last| last.0);
        match failure.cause {
            Cause::Gap => {
                assert!(self.own.state().load(Acquire) & TELLS_GAPS != 0, "{said}");
                self.own.gaps().store(self.own.gaps().load(Acquire) + 1, Release);
                if let Some((first, _)) = failure.place.event_ids {
                    let next = shown + 1..=successor(shown);
                    assert!(next.contains(&first) || shown == 0, "after {shown}: {said}");
                }
                self.last = None;
                true
            }
            Cause::Corrupt => {
                let (first, last) = failure.place.event_ids.expect("the range is said");
                assert_eq!(last, shown, "{said}");
                let again = self.follower.next().unwrap_err().to_string();
                assert_eq!(again, *said, "it stays there");
                self.own.first_lost().store(first, Release);
                self.own.shown().store(shown, Release);
                self.own.state().store(TAKEN_BACK, Release);
                false
            }
            _ => panic!("after {shown}: {said}"),
        }
    }
}

/// Reads the events 1 to `AT` as a follower, stops as a process in mapped memory, and, continued,
/// follows on to the last.
pub fn stand_following(arguments: &Arguments) {
    common::end_with_parent();
    let log: &Path = arguments.path("LOG");
    let (at, last): (u64, u64) = (arguments.number("AT"), arguments.number("LAST"));
    let options = FollowOptions {
        read: ReaderOptions { verify: true },
        follow: true,
        durable_only: false,
        spin: DEFAULT_SPIN,
        end_event_id: 0,
    };
    let mut follower = Follower::open(log, options).unwrap();
    for id in 1..=last {
        follower.wait(Some(LONGEST_WAIT)).unwrap_or_else(|error| panic!("at {id}: {error}"));
        assert_eq!(follower.next().unwrap(), event(id));
        if id == at {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::STOP).unwrap();
        }
    }
}
