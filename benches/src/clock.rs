//! The processor's clock (RDTSCP), and the conversion of its ticks into nanoseconds.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static TICKS_PER_NS: OnceLock<f64> = OnceLock::new();

/// The clock now. RDTSCP waits until all earlier instructions have executed, but not until their
/// stores are visible in memory.
#[inline(always)]
pub fn now() -> u64 {
    let mut processor = 0;
    // SAFETY: every x86-64 processor that can run these benchmarks has RDTSCP; it writes
    // `processor` and nothing else.
    unsafe { std::arch::x86_64::__rdtscp(&mut processor) }
}

/// Ticks in a nanosecond, measured once against the system's monotonic clock.
pub fn ticks_per_ns() -> f64 {
    *TICKS_PER_NS.get_or_init(|| {
        let (instant, begin) = (Instant::now(), now());
        std::thread::sleep(Duration::from_millis(200));
        (now() - begin) as f64 / instant.elapsed().as_nanos() as f64
    })
}

/// The smallest step of this clock, in nanoseconds.
pub fn step_ns() -> f64 {
    let steps = (0..100_000).map(|_| {
        let before = now();
        now() - before
    });
    to_ns(steps.filter(|&step| step > 0).min().unwrap_or(0) as f64)
}

pub fn to_ns(ticks: f64) -> f64 {
    ticks / ticks_per_ns()
}

/// Seconds from one tick to a later one; negative if it is an earlier one.
pub fn seconds_between(begin: u64, end: u64) -> f64 {
    to_ns(end as f64 - begin as f64) / 1e9
}

pub fn to_ticks(duration: Duration) -> u64 {
    (duration.as_nanos() as f64 * ticks_per_ns()) as u64
}

/// Spins until the clock has reached this tick.
#[inline(always)]
pub fn spin_until(tick: u64) {
    while now() < tick {}
}
