//! What the measurements mean for an engine, and the settings that follow from them.

use flashstrike_wal::config::{Config, DEFAULT_SYNC_INTERVAL, MAX_PREPARED_SEGMENTS};
use flashstrike_wal::format::{EVENTS_PER_BLOCK, MAX_BLOCKS};
use serde::Serialize;

use crate::clock::short_span;
use crate::table::{bytes, count, grouped};

use super::interrupts::Served;
use super::measure::Measured;

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// How good something is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Good,
    Fair,
    Poor,
}

/// A judgement, and why.
#[derive(Debug, Serialize)]
pub struct Reason {
    pub of: &'static str,
    pub grade: Grade,
    pub why: String,
}

/// A field of `fs_wal_config`, or what else is to be set.
#[derive(Debug, Serialize)]
pub struct Setting {
    pub field: &'static str,
    pub value: String,
    pub why: String,
}

pub fn reasons(seen: &Measured) -> Vec<Reason> {
    vec![disk(seen), rate(seen), appends(seen), host(seen), processors(seen)]
}

/// The grade of what is at most `good`, at most `fair`, or more.
fn grade(value: f64, good: f64, fair: f64) -> Grade {
    match () {
        () if value <= good => Grade::Good,
        () if value <= fair => Grade::Fair,
        () => Grade::Poor,
    }
}

fn disk(seen: &Measured) -> Reason {
    // Less than it takes to ask a disk, whatever it is made of.
    const TOO_FAST: u64 = 8 * US;
    let (half, most) = (short_span(seen.sync.p50_ns), short_span(seen.sync.p99_ns));
    let (grade, why) = match () {
        () if seen.in_memory => {
            (Grade::Poor, "the directory is in memory: nothing here is ever durable".to_owned())
        }
        () if seen.sync.p50_ns < TOO_FAST => (
            Grade::Poor,
            format!(
                "a sync takes {half}, and no disk is that fast: it does not reach the disk (an \
                 overlay mounted volatile? eatmydata?)"
            ),
        ),
        () => {
            let grade = grade(seen.sync.p99_ns as f64, (2 * MS) as f64, (20 * MS) as f64);
            (grade, format!("half of the syncs take {half} or less, 99 % {most} or less"))
        }
    };
    Reason { of: "disk", grade, why }
}

fn rate(seen: &Measured) -> Reason {
    let times = seen.sustained / seen.rate as f64;
    let why = format!(
        "{} events a second are made durable, {times:.1} times the engine's",
        grouped(seen.sustained as u64)
    );
    Reason { of: "rate", grade: grade(-times, -4.0, -1.2), why }
}

fn appends(seen: &Measured) -> Reason {
    let append = &seen.append;
    let grade = grade(append.p999_ns as f64, US as f64, (20 * US) as f64);
    let why = format!(
        "99.9 % of the appends take {} or less, the clock's own {} included",
        short_span(append.p999_ns),
        short_span(seen.clock_ns)
    );
    Reason { of: "appends", grade, why }
}

fn host(seen: &Measured) -> Reason {
    let host = &seen.host;
    let grades = [
        grade(host.steal_percent, 0.1, 2.0),
        grade(host.longest_pause_ns as f64, MS as f64, (10 * MS) as f64),
        grade(host.paused_percent, 0.1, 2.0),
        grade(host.memory_taken_percent, 0.1, 5.0),
    ];
    let grade = grades.into_iter().max().unwrap_or(Grade::Good);
    let mut why = format!(
        "other programs and the host had a spinning thread wait for up to {}",
        short_span(host.longest_pause_ns)
    );
    if grades[3] > Grade::Good {
        why += "; it takes memory back: have the host reserve it";
    }
    Reason { of: "host", grade, why }
}

fn processors(seen: &Measured) -> Reason {
    let (grade, why) = match seen.processors {
        1 => (Grade::Poor, "the engine shares its one processor with the library's threads".into()),
        n => (Grade::Good, format!("{n}: the engine can have one to itself")),
    };
    Reason { of: "processors", grade, why }
}

pub fn settings(seen: &Measured) -> Vec<Setting> {
    let (num_blocks, prepared_segments) = segments(seen);
    let mut settings = sync(seen);
    settings.extend([wake(seen), engine(seen)]);
    settings.extend(["persister_cpus", "worker_cpus"].map(|field| Setting {
        field,
        value: "0".into(),
        why: match seen.processors {
            1 => "there is no other processor for them".into(),
            _ => "the library's threads keep off the processor that the engine is pinned to".into(),
        },
    }));
    settings.extend(memory(seen, num_blocks, prepared_segments));
    settings
}

/// When events are made durable.
fn sync(seen: &Measured) -> Vec<Setting> {
    // Slower than that, syncs back to back leave the disk no time for anything else.
    const SLOW: u64 = 5 * MS;
    let half = seen.sync.p50_ns;
    let interval = |times: u64| {
        let ns = (times * half).max(DEFAULT_SYNC_INTERVAL.as_nanos() as u64);
        (ns.div_ceil(MS) * MS).to_string()
    };
    let of = |field, value: &str, why| Setting { field, value: value.to_owned(), why };
    let field = "sync_interval_ns";
    match half < SLOW {
        true => {
            let durable = short_span(half * 3 / 2);
            let why = format!("an event is durable about {durable} after its append");
            let others = "for FS_WAL_SYNC_INTERVAL only: leaves others nine tenths of the disk";
            vec![
                of("sync_mode", "FS_WAL_SYNC_CONTINUOUS", why),
                of(field, &interval(10), others.to_owned()),
            ]
        }
        false => {
            let why = "syncs back to back would leave this disk no time to prepare segments";
            let others = "leaves the disk three quarters of its time";
            vec![
                of("sync_mode", "FS_WAL_SYNC_INTERVAL", why.to_owned()),
                of(field, &interval(4), others.to_owned()),
            ]
        }
    }
}

/// Whether the persister spins.
fn wake(seen: &Measured) -> Setting {
    // The engine, a persister that never sleeps, and two for the other threads and other programs.
    const ENOUGH: usize = 4;
    let (value, why) = match seen.processors >= ENOUGH {
        true => (
            "FS_WAL_FLAG_SPIN",
            "the persister sees an event after a rest at once, and there is a processor for it; \
             0 if that is wanted for something else"
                .to_owned(),
        ),
        false => (
            "0",
            format!(
                "no processor is left for FS_WAL_FLAG_SPIN; after a rest call fs_wal_wait_durable, \
                 which wakes the persister: an event was durable in {}",
                short_span(seen.woken.p50_ns)
            ),
        ),
    };
    Setting { field: "flags", value: value.to_owned(), why }
}

/// Where the engine's thread runs.
fn engine(seen: &Measured) -> Setting {
    let why = match (seen.served, seen.processors) {
        (_, 1) => "there is no other".to_owned(),
        (Served::On(processor), _) => {
            format!("before fs_wal_open; the disk interrupts processor {processor}")
        }
        (Served::ByWriter, _) => {
            "before fs_wal_open; the disk interrupts whichever processor writes to it".to_owned()
        }
        (Served::NotKnown, _) => {
            "before fs_wal_open; which processor the disk interrupts is not known".to_owned()
        }
    };
    Setting { field: "engine's thread", value: format!("pinned to processor {}", seen.engine), why }
}

/// Blocks of a segment, and segments that are prepared: enough to go on for twice the longest time
/// that the disk was seen to stop, and so large that one is prepared four times as fast as it is
/// filled.
fn segments(seen: &Measured) -> (u32, u32) {
    let Config { mut num_blocks, prepared_segments: least, .. } = Config::default();
    let seconds = |ns: u64| ns as f64 / 1e9;
    let events = |num_blocks: u32| f64::from(num_blocks) * EVENTS_PER_BLOCK as f64;
    let while_prepared = 4.0 * seconds(seen.prepare_ns) * seen.rate as f64;
    let while_stopped = 2.0 * seconds(seen.longest_stall_ns) * seen.rate as f64;
    let most = f64::from(MAX_PREPARED_SEGMENTS);
    while num_blocks <= MAX_BLOCKS / 2
        && (events(num_blocks) < while_prepared || events(num_blocks) * most < while_stopped)
    {
        num_blocks *= 2;
    }
    let needed = (while_stopped / events(num_blocks)).ceil() as u32;
    (num_blocks, needed.clamp(least, MAX_PREPARED_SEGMENTS))
}

fn memory(seen: &Measured, num_blocks: u32, prepared_segments: u32) -> [Setting; 2] {
    let config = Config { num_blocks, prepared_segments, ..Config::default() };
    let events = u64::from(num_blocks) * EVENTS_PER_BLOCK as u64;
    let lasts = |segments: u64| short_span(segments * events * 1_000_000_000 / seen.rate);
    let needed = config.memory_size();
    let room = match needed > seen.active_dir_free {
        true => format!(", and active_dir has only {}", bytes(seen.active_dir_free)),
        false => String::new(),
    };
    [
        Setting {
            field: "num_blocks",
            value: num_blocks.to_string(),
            why: format!(
                "a segment of {} is full after {}, and one is prepared in {}",
                count(events, "event"),
                lasts(1),
                short_span(seen.prepare_ns)
            ),
        },
        Setting {
            field: "prepared_segments",
            value: prepared_segments.to_string(),
            why: format!(
                "the engine can go on for {} while the disk stops, which it did for up to {}; \
                 takes {} of memory{room}",
                lasts(prepared_segments.into()),
                short_span(seen.longest_stall_ns),
                bytes(needed)
            ),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::times::Percentiles;
    use super::*;

    fn fast() -> Measured {
        let times = |p50_ns, p99_ns, p999_ns| Percentiles {
            count: 1000,
            p50_ns,
            p99_ns,
            p999_ns,
            p9999_ns: p999_ns,
            max_ns: p999_ns,
        };
        Measured {
            sync: times(100 * US, 400 * US, MS),
            woken: times(150 * US, 500 * US, MS),
            append: times(60, 100, 200),
            clock_ns: 25,
            rate: 100_000,
            sustained: 10e6,
            prepare_ns: 5 * MS,
            longest_stall_ns: 20 * MS,
            processors: 2,
            engine: 0,
            served: Served::On(1),
            active_dir_free: 1 << 30,
            ..Measured::default()
        }
    }

    fn value(seen: &Measured, field: &str) -> String {
        let settings = settings(seen);
        settings.into_iter().find(|setting| setting.field == field).unwrap().value
    }

    fn worst(seen: &Measured) -> (Grade, &'static str) {
        reasons(seen).into_iter().map(|reason| (reason.grade, reason.of)).max().unwrap()
    }

    #[test]
    fn a_fast_disk_wants_the_defaults() {
        let seen = fast();
        assert_eq!(worst(&seen).0, Grade::Good, "{:?}", reasons(&seen));
        let of = |field| value(&seen, field);
        assert_eq!(of("sync_mode"), "FS_WAL_SYNC_CONTINUOUS");
        assert_eq!(of("sync_interval_ns"), "10000000");
        assert_eq!([of("num_blocks"), of("prepared_segments")], ["256", "4"]);
        assert_eq!([of("persister_cpus"), of("worker_cpus"), of("flags")], ["0"; 3]);
        assert_eq!(of("engine's thread"), "pinned to processor 0");
    }

    #[test]
    fn a_slow_disk_is_given_time() {
        let mut seen = fast();
        (seen.sync.p50_ns, seen.sync.p99_ns) = (8_300_000, 30 * MS);
        assert_eq!(worst(&seen), (Grade::Poor, "disk"));
        assert_eq!(value(&seen, "sync_mode"), "FS_WAL_SYNC_INTERVAL");
        assert_eq!(value(&seen, "sync_interval_ns"), "34000000");
    }

    #[test]
    fn a_sync_that_does_nothing_is_no_good_disk() {
        let mut seen = fast();
        seen.sync.p50_ns = 2 * US;
        assert_eq!(worst(&seen), (Grade::Poor, "disk"));
        let seen = Measured { in_memory: true, ..fast() };
        assert_eq!(worst(&seen), (Grade::Poor, "disk"));
    }

    #[test]
    fn segments_bridge_what_the_disk_stops() {
        let stops = |rate, longest_stall_ns, prepare_ns| {
            segments(&Measured { rate, longest_stall_ns, prepare_ns, ..fast() })
        };
        assert_eq!(stops(1_000_000, 300 * MS, 5 * MS), (256, 10));
        // 64 of these would not be enough.
        assert_eq!(stops(1_000_000, 3000 * MS, 5 * MS), (512, 46));
        // One would be filled before the next is ready.
        assert_eq!(stops(1_000_000, 300 * MS, 60 * MS), (1024, 4));
        assert_eq!(stops(u64::MAX, 60_000 * MS, 60_000 * MS).1, MAX_PREPARED_SEGMENTS);
    }

    #[test]
    fn what_is_not_enough_is_named() {
        assert_eq!(worst(&Measured { sustained: 90_000.0, ..fast() }), (Grade::Poor, "rate"));
        assert_eq!(worst(&Measured { sustained: 200_000.0, ..fast() }), (Grade::Fair, "rate"));
        assert_eq!(worst(&Measured { processors: 1, ..fast() }), (Grade::Poor, "processors"));
        let mut seen = fast();
        seen.append.p999_ns = 50 * US;
        assert_eq!(worst(&seen), (Grade::Poor, "appends"));
        let mut seen = fast();
        seen.host.steal_percent = 5.0;
        assert_eq!(worst(&seen), (Grade::Poor, "host"));
        let seen = Measured { active_dir_free: 1 << 20, ..fast() };
        let why = memory(&seen, 256, 4)[1].why.clone();
        assert!(why.contains("active_dir has only 1.0 MB"), "{why}");
    }

    #[test]
    fn a_persister_spins_where_there_is_a_processor_for_it() {
        assert_eq!(value(&Measured { processors: 4, ..fast() }, "flags"), "FS_WAL_FLAG_SPIN");
        assert_eq!(value(&Measured { processors: 3, ..fast() }, "flags"), "0");
    }
}
