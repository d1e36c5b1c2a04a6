//! What the kernel counts for the calling thread (`getrusage(RUSAGE_THREAD)`).

#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadCounts {
    pub page_faults: u64,
    /// How often the thread gave up the processor, to sleep or to wait.
    pub voluntary_switches: u64,
    /// How often the kernel took the processor away from it.
    pub involuntary_switches: u64,
}

impl ThreadCounts {
    pub fn now() -> Self {
        let usage = usage(libc::RUSAGE_THREAD);
        ThreadCounts {
            page_faults: (usage.ru_minflt + usage.ru_majflt) as u64,
            voluntary_switches: usage.ru_nvcsw as u64,
            involuntary_switches: usage.ru_nivcsw as u64,
        }
    }

    pub fn since(&self, before: &ThreadCounts) -> Self {
        ThreadCounts {
            page_faults: self.page_faults - before.page_faults,
            voluntary_switches: self.voluntary_switches - before.voluntary_switches,
            involuntary_switches: self.involuntary_switches - before.involuntary_switches,
        }
    }
}

/// Processor time of the whole process so far, in seconds.
pub fn process_cpu_seconds() -> f64 {
    let usage = usage(libc::RUSAGE_SELF);
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn usage(who: libc::c_int) -> libc::rusage {
    // SAFETY: all zeros is a valid rusage, which the call fills.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    }
}
