//! Those who are told of the watermark by a descriptor: event loops.

#[cfg(all(test, loom))]
use loom::sync::{
    atomic::{fence, AtomicUsize, Ordering},
    Mutex, MutexGuard,
};
use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
#[cfg(not(all(test, loom)))]
use std::sync::{
    atomic::{fence, AtomicUsize, Ordering},
    Mutex, MutexGuard,
};

use crate::error::{Cause, Error, Result};
use crate::storage::EventFd;

/// Somebody who is told.
pub trait Listener: Debug {
    /// Tells. `false` if nobody listens any more.
    fn tell(&self) -> bool;
    /// Whether `newer` can only be there because this one is not any more.
    fn is_replaced_by(&self, newer: &Self) -> bool;
}

impl Listener for EventFd {
    fn tell(&self) -> bool {
        EventFd::tell(self)
    }

    fn is_replaced_by(&self, newer: &Self) -> bool {
        self.has_number_of(newer)
    }
}

/// All who are told. While there is none, telling costs a fence and a load.
///
/// Who begins to listen is counted and then looks at the watermark; the persister moves it and then
/// reads the count. Both have a full fence in between, so either the listener is told or it has
/// seen what it would have been told of.
#[derive(Debug)]
pub struct Listeners<L = EventFd> {
    count: AtomicUsize,
    /// `None` once the log has ended: nobody is told of anything any more.
    list: Mutex<Option<Vec<L>>>,
}

impl<L: Listener> Default for Listeners<L> {
    fn default() -> Self {
        Listeners { count: AtomicUsize::new(0), list: Mutex::new(Some(Vec::new())) }
    }
}

impl Listeners {
    /// Begins to tell somebody, who gets the descriptor.
    pub fn listen(&self) -> Result<OwnedFd> {
        let (given, event) = EventFd::make()?;
        self.add(event)?;
        Ok(given)
    }
}

impl<L: Listener> Listeners<L> {
    fn add(&self, listener: L) -> Result<()> {
        let mut list = self.lock();
        let Some(listeners) = &mut *list else {
            return Err(Error::new(Cause::Closed, "the log is shut down"));
        };
        listeners.retain(|other| !other.is_replaced_by(&listener));
        listeners.push(listener);
        self.count.store(listeners.len(), Ordering::Relaxed);
        drop(list);
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Tells everybody that there is something to see, and forgets those who have gone.
    pub fn tell(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(listeners) = &mut *self.lock() {
            listeners.retain(L::tell);
            self.count.store(listeners.len(), Ordering::Relaxed);
        }
    }

    /// Tells everybody a last time.
    pub fn end(&self) {
        let listeners = self.lock().take();
        for listener in listeners.into_iter().flatten() {
            listener.tell();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<L>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::atomic::{AtomicBool, AtomicU64};
    use loom::sync::Arc;
    use loom::thread;

    #[derive(Debug)]
    struct Told(Arc<AtomicBool>);

    impl Listener for Told {
        fn tell(&self) -> bool {
            self.0.store(true, Ordering::Release);
            true
        }

        fn is_replaced_by(&self, _: &Self) -> bool {
            false
        }
    }

    /// The watermark moves while somebody begins to listen: that one sees it, or is told.
    #[test]
    fn nobody_misses_a_move() {
        loom::model(|| {
            let (listeners, durable) =
                (Arc::new(Listeners::<Told>::default()), Arc::new(AtomicU64::new(0)));
            let told = Arc::new(AtomicBool::new(false));
            let (all, moved) = (Arc::clone(&listeners), Arc::clone(&durable));
            let persister = thread::spawn(move || {
                moved.store(1, Ordering::Relaxed);
                all.tell();
            });
            listeners.add(Told(Arc::clone(&told))).unwrap();
            let seen = durable.load(Ordering::Relaxed);
            persister.join().unwrap();
            assert!(seen == 1 || told.load(Ordering::Acquire));
        });
    }

    /// The log ends meanwhile: who listens is told that, or is not let in.
    #[test]
    fn nobody_misses_the_end() {
        loom::model(|| {
            let listeners = Arc::new(Listeners::<Told>::default());
            let told = Arc::new(AtomicBool::new(false));
            let all = Arc::clone(&listeners);
            let ending = thread::spawn(move || all.end());
            let is_in = listeners.add(Told(Arc::clone(&told))).is_ok();
            ending.join().unwrap();
            assert_eq!(is_in, told.load(Ordering::Acquire));
        });
    }
}
