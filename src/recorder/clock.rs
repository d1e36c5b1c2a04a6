//! The two clocks of a recorder.

/// Wall clock, ns since 1970. At least 1, also when the clock stands at 1970 or before: a segment
/// whose closing time is 0 is an open one.
pub fn now_ns() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(1, |elapsed| (elapsed.as_nanos() as u64).max(1))
}

/// The processor's clock. Reading it needs no system call, whatever the kernel's clock source is.
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has RDTSC, which reads a register and touches no memory.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}
