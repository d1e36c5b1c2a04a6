//! Models of how threads wake each other, for loom: every interleaving, and every order of memory
//! accesses that the code allows. No wait ends by itself here, so a wake-up that is lost leaves
//! everybody asleep, which the model reports.

use std::sync::Arc;
use std::time::Instant;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::format::MetaState;

use super::log::{pack, Control, Durability, ParkState, Parking, Progress};
use super::threads::{finish, run, Bell, Inbox, Signal, Step, Task, Waiters};

/// A signal and the bell of the one thread that answers it.
fn signal_with_bell() -> (Arc<Signal>, Arc<Bell>) {
    let (signal, bell) = (Arc::new(Signal::default()), Arc::new(Bell::default()));
    signal.ring_at(&bell);
    (signal, bell)
}

/// What `Durability` shares between the persister and those who wait for the watermark.
struct Shared {
    wanted: AtomicU64,
    durable: Progress,
    persister: Arc<Signal>,
    bell: Arc<Bell>,
    waiters: Waiters,
}

impl Shared {
    fn new() -> Arc<Self> {
        let (persister, bell) = signal_with_bell();
        Arc::new(Shared {
            wanted: AtomicU64::new(0),
            durable: Progress::new(MetaState::default()),
            persister,
            bell,
            waiters: Waiters::default(),
        })
    }

    /// As `Log::wait_durable`.
    fn wait(&self, event_id: u64) {
        let durable = || self.durable.snapshot().last_event_id >= event_id;
        if durable() {
            return;
        }
        self.wanted.fetch_max(event_id, Ordering::AcqRel);
        self.persister.raise();
        self.waiters.wait(None, || durable().then_some(Ok(()))).unwrap();
    }

    /// As the persister in `SyncMode::Rotation`: nothing is synced unless it is wanted.
    fn persist_until(&self, event_id: u64) {
        let mut durable = 0;
        while durable < event_id {
            self.persister.lower();
            let wanted = self.wanted.load(Ordering::Acquire);
            if wanted > durable {
                durable = wanted;
                self.durable.publish(pack(0, wanted as u32), wanted);
                self.waiters.wake();
            } else {
                self.bell.wait(None);
            }
        }
    }
}

#[test]
fn no_wake_up_is_lost_between_a_waiter_and_the_persister() {
    loom::model(|| {
        let shared = Shared::new();
        let persister = Arc::clone(&shared);
        let persister = thread::spawn(move || persister.persist_until(1));
        shared.wait(1);
        persister.join().unwrap();
    });
}

#[test]
fn no_wake_up_is_lost_when_two_wait() {
    bounded(2).check(|| {
        let shared = Shared::new();
        let (persister, other) = (Arc::clone(&shared), Arc::clone(&shared));
        let persister = thread::spawn(move || persister.persist_until(2));
        let other = thread::spawn(move || other.wait(1));
        shared.wait(2);
        other.join().unwrap();
        persister.join().unwrap();
    });
}

pub(super) fn bounded(preemptions: usize) -> loom::model::Builder {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model
}

/// A task that takes what it is given and raises the next one.
#[derive(Debug)]
struct Counting {
    signal: Arc<Signal>,
    given: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    next: Option<Arc<Signal>>,
    /// It does not end before it has taken so much.
    enough: u64,
}

impl Task for Counting {
    fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    fn step(&mut self, stopping: bool) -> Step {
        let given = self.given.load(Ordering::Acquire);
        if self.taken.swap(given, Ordering::AcqRel) != given {
            if let Some(next) = &self.next {
                next.raise();
            }
            return Step::Busy;
        }
        match stopping && given >= self.enough {
            true => Step::Done,
            false => Step::Rest,
        }
    }
}

fn counting(next: Option<Arc<Signal>>, given: Arc<AtomicU64>) -> Counting {
    Counting { signal: Arc::default(), given, taken: Arc::new(AtomicU64::new(0)), next, enough: 0 }
}

fn start_lane() -> (Arc<Inbox>, thread::JoinHandle<()>) {
    let inbox = Arc::new(Inbox::default());
    let own = Arc::clone(&inbox);
    (inbox, thread::spawn(move || run(&own)))
}

/// A task is added, raised and stopped at any moment while the lane goes to sleep: what was handed
/// over before is taken, the rest of its work is done, and the thread ends.
#[test]
fn no_note_to_a_lane_is_lost() {
    bounded(3).check(|| {
        let (inbox, thread) = start_lane();
        let task = counting(None, Arc::new(AtomicU64::new(0)));
        let (signal, given, taken) =
            (Arc::clone(&task.signal), Arc::clone(&task.given), Arc::clone(&task.taken));
        let seat = inbox.add(Box::new(task));
        given.store(1, Ordering::Release);
        signal.raise();
        while taken.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        given.store(2, Ordering::Release);
        finish(&[seat]);
        assert_eq!(taken.load(Ordering::Acquire), 2);
        inbox.end();
        thread.join().unwrap();
    });
}

/// Two logs in a lane: one ends and the other goes on, whatever is raised meanwhile.
#[test]
fn the_end_of_one_task_leaves_the_others_awake() {
    bounded(2).check(|| {
        let (inbox, thread) = start_lane();
        let second = counting(None, Arc::new(AtomicU64::new(0)));
        let (signal, given, taken) =
            (Arc::clone(&second.signal), Arc::clone(&second.given), Arc::clone(&second.taken));
        let first = counting(None, Arc::new(AtomicU64::new(0)));
        let ending = inbox.add(Box::new(first));
        let seat = inbox.add(Box::new(second));
        let stopper = thread::spawn(move || finish(&[ending]));
        given.store(1, Ordering::Release);
        signal.raise();
        while taken.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        stopper.join().unwrap();
        finish(&[seat]);
        inbox.end();
        thread.join().unwrap();
    });
}

/// One lane hands on to another, as the maintainer does to the freezer.
#[test]
fn no_wake_up_is_lost_between_two_lanes() {
    bounded(2).check(|| {
        let (near, near_thread) = start_lane();
        let (far, far_thread) = start_lane();
        let given = Arc::new(AtomicU64::new(0));
        let mut first = counting(None, Arc::clone(&given));
        // The second takes what the first has taken.
        let second = counting(None, Arc::clone(&first.taken));
        first.next = Some(Arc::clone(&second.signal));
        let (start, taken) = (Arc::clone(&first.signal), Arc::clone(&second.taken));
        let (first, second) = (near.add(Box::new(first)), far.add(Box::new(second)));
        given.store(1, Ordering::Release);
        start.raise();
        while taken.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        finish(&[first]);
        finish(&[second]);
        near.end();
        far.end();
        near_thread.join().unwrap();
        far_thread.join().unwrap();
    });
}

/// As the maintainer, which is being stopped and waits for what a freezer in its lane is at.
#[test]
fn what_comes_while_a_task_is_stopped_is_taken() {
    bounded(2).check(|| {
        let (near, near_thread) = start_lane();
        let (far, far_thread) = start_lane();
        let given = Arc::new(AtomicU64::new(0));
        let mut freezer = counting(None, Arc::clone(&given));
        let mut maintainer = counting(None, Arc::clone(&freezer.taken));
        freezer.next = Some(Arc::clone(&maintainer.signal));
        maintainer.enough = 1;
        let (start, taken) = (Arc::clone(&freezer.signal), Arc::clone(&maintainer.taken));
        let (freezer, maintainer) = (far.add(Box::new(freezer)), near.add(Box::new(maintainer)));
        given.store(1, Ordering::Release);
        start.raise();
        finish(&[maintainer]);
        assert_eq!(taken.load(Ordering::Acquire), 1);
        finish(&[freezer]);
        near.end();
        far.end();
        near_thread.join().unwrap();
        far_thread.join().unwrap();
    });
}

/// A persister parks while the writer appends, and the watcher ticks. Every event is found.
#[test]
fn no_event_is_missed_between_parking_and_watching() {
    bounded(3).check(|| {
        let appended = Arc::new(AtomicU64::new(0));
        let parking = Arc::new(Parking::default());
        let (persister, bell) = signal_with_bell();
        let (watcher, watching_bell) = signal_with_bell();

        let (own_appended, own_parking) = (Arc::clone(&appended), Arc::clone(&parking));
        let (raised, own) = (Arc::clone(&watcher), Arc::clone(&persister));
        let persisting = thread::spawn(move || loop {
            own.lower();
            own_parking.leave();
            let seen = own_appended.load(Ordering::Acquire);
            if seen == 1 {
                return;
            }
            own_parking.park(seen);
            raised.raise();
            bell.wait(None);
        });
        let (its_appended, own) = (Arc::clone(&appended), Arc::clone(&watcher));
        let watching = thread::spawn(move || loop {
            if own.lower() {
                return;
            }
            match parking.check(its_appended.load(Ordering::Acquire)) {
                ParkState::Awake => watching_bell.wait(None),
                ParkState::NothingNew => thread::yield_now(),
                ParkState::NewEvents => {
                    persister.raise();
                    watching_bell.wait(None);
                }
            }
        });
        appended.store(1, Ordering::Release);
        persisting.join().unwrap();
        watcher.stop();
        watching.join().unwrap();
    });
}

/// A log in `SyncMode::Rotation`, whose segment is never full: nothing is synced unless somebody
/// waits for it.
struct Unsynced {
    durability: Durability,
    persister: Arc<Signal>,
    bell: Arc<Bell>,
}

impl Unsynced {
    fn new() -> Arc<Self> {
        let (persister, bell) = signal_with_bell();
        let durability = Durability::new(Control::in_model(), Arc::clone(&persister));
        Arc::new(Unsynced { durability, persister, bell })
    }

    fn append(&self, event_id: u64) {
        self.durability.control().publish_appended(pack(0, event_id as u32), event_id);
    }

    /// As the persister, until this event is durable. It is never woken by an append: what it does
    /// not see of those who wait before it rests, it never sees.
    fn persist_until(&self, event_id: u64) {
        loop {
            self.persister.lower();
            let appended = self.durability.appended().last_event_id;
            let durable = self.durability.durable().last_event_id;
            if appended > durable && self.durability.is_wanted() {
                self.durability.move_watermark(pack(0, appended as u32), appended).unwrap();
                if appended >= event_id {
                    return;
                }
            } else if self.durability.is_awaited() {
                thread::yield_now();
            } else {
                self.bell.wait(None);
            }
        }
    }
}

/// f40: an event is waited for while it is appended: before, after, or anywhere in between, its
/// sync is asked for, and the wait ends.
#[test]
fn an_event_is_asked_for_whenever_it_is_appended() {
    bounded(3).check(|| {
        let log = Unsynced::new();
        let (persister, writer) = (Arc::clone(&log), Arc::clone(&log));
        let persister = thread::spawn(move || persister.persist_until(1));
        let writer = thread::spawn(move || writer.append(1));
        log.durability.wait(1, None).unwrap();
        assert_eq!(log.durability.durable().last_event_id, 1);
        assert!(!log.durability.is_awaited(), "who waited leaves no trace");
        writer.join().unwrap();
        persister.join().unwrap();
    });
}

/// f40: so it is for everybody who waits, whatever the end of another wait takes away.
#[test]
fn every_event_that_is_waited_for_is_asked_for() {
    bounded(2).check(|| {
        let log = Unsynced::new();
        let (persister, other) = (Arc::clone(&log), Arc::clone(&log));
        let persister = thread::spawn(move || persister.persist_until(2));
        let other = thread::spawn(move || other.durability.wait(1, None).unwrap());
        log.append(1);
        let writer = Arc::clone(&log);
        let writer = thread::spawn(move || writer.append(2));
        log.durability.wait(2, None).unwrap();
        other.join().unwrap();
        assert!(!log.durability.is_awaited(), "who waited leaves no trace");
        writer.join().unwrap();
        persister.join().unwrap();
    });
}

/// A deadline that has passed ends a wait: the thread does not sleep on.
#[test]
fn a_time_that_has_come_is_not_slept_through() {
    loom::model(|| Bell::default().wait(Some(Instant::now())));
}
