//! The library itself, with the options that an engine has when it sets none.

use std::path::Path;
use std::time::{Duration, Instant};

use flashstrike_wal::config::Config;
use flashstrike_wal::error::Error;
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::{Log, Manager, Writer};
use flashstrike_wal::telemetry::MetricsSnapshot;

use crate::failure::{Failure, Outcome};

use super::scratch::Interrupt;
use super::times::{Percentiles, Times};

/// Where logs are made for the bench, each in its turn.
pub struct Logs<'a> {
    pub scratch: &'a Path,
    pub active_dir: &'a Path,
    pub interrupt: &'a Interrupt,
}

/// Appends at a rate, and what the log counted meanwhile.
pub struct Paced {
    pub append: Percentiles,
    pub rate: f64,
    pub metrics: MetricsSnapshot,
}

impl Logs<'_> {
    /// From an append to a log at rest until the event is durable, for who waits for it.
    pub fn woken(&self, time: Duration) -> Outcome<Percentiles> {
        const REST: Duration = Duration::from_millis(20);
        const PATIENCE: Duration = Duration::from_secs(60);
        self.with_one(|log, writer| {
            let (begin, mut times, mut id) = (Instant::now(), Times::new(), 0);
            while id == 0 || begin.elapsed() < time {
                self.interrupt.check()?;
                std::thread::sleep(REST);
                id += 1;
                let start = Instant::now();
                writer.append(&event(id))?;
                match log.wait_durable(id, PATIENCE) {
                    Err(Error::WouldBlock) => {
                        let message = "the disk took more than a minute for one event";
                        return Err(Failure::unreadable(message).next("look at `dmesg`"));
                    }
                    waited => waited?,
                }
                times.add(start.elapsed());
            }
            Ok(times.percentiles())
        })
    }

    /// Single appends, each when it is due.
    pub fn paced(&self, time: Duration, rate: u64) -> Outcome<Paced> {
        self.with_one(|log, writer| {
            let (begin, mut times, mut id) = (Instant::now(), Times::new(), 0);
            let mut start = begin;
            while id == 0 || start - begin < time {
                self.interrupt.check()?;
                let due = begin + Duration::from_nanos(id * 1_000_000_000 / rate);
                while start < due {
                    start = Instant::now();
                }
                id += 1;
                let event = event(id);
                start = Instant::now();
                writer.append(&event)?;
                let end = Instant::now();
                times.add(end - start);
                start = end;
            }
            let rate = id as f64 / begin.elapsed().as_secs_f64();
            Ok(Paced { append: times.percentiles(), rate, metrics: log.metrics() })
        })
    }

    /// As many as it takes; gives how many it made durable in a second.
    pub fn sustained(&self, time: Duration) -> Outcome<f64> {
        const BATCH: usize = 256;
        self.with_one(|log, writer| {
            let (begin, mut id) = (Instant::now(), 0);
            let mut batch = [RequestEvent::default(); BATCH];
            while id == 0 || begin.elapsed() < time {
                self.interrupt.check()?;
                batch.iter_mut().zip(id + 1..).for_each(|(slot, id)| *slot = event(id));
                writer.append_batch(&batch, &mut 0)?;
                id += BATCH as u64;
            }
            log.sync()?;
            Ok(id as f64 / begin.elapsed().as_secs_f64())
        })
    }

    /// Opens a new log, and takes it away again: its memory too, so it is shut down in any case.
    fn with_one<T>(&self, work: impl FnOnce(&Log, &mut Writer) -> Outcome<T>) -> Outcome<T> {
        let path = self.scratch.join("wal");
        let config = Config { active_parent: self.active_dir.to_owned(), ..Config::default() };
        let (manager, mut writer) = Manager::open(&path, config)?;
        let done = work(manager.log(), &mut writer);
        let ended = manager.shutdown(writer);
        let done = done?;
        ended?;
        std::fs::remove_dir_all(&path)?;
        Ok(done)
    }
}

/// An event that looks like order flow to the compression.
fn event(event_id: u64) -> RequestEvent {
    let mixed = event_id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    RequestEvent {
        event_id,
        timestamp: 1_700_000_000_000_000_000 + event_id * 1000 + mixed % 1000,
        price: 10_000 + (mixed >> 20) as i64 % 64,
        quantity: 100 * (1 + (mixed >> 30) as i64 % 10),
        user_id: (mixed >> 40) as u32 % 500,
        order_id: event_id as u32,
        side: (mixed >> 50) as u8 & 1,
        ..RequestEvent::default()
    }
}
