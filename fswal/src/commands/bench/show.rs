//! A bench's report for people.

use flashstrike_wal::format::{BLOCK_SIZE, EVENTS_PER_BLOCK};

use crate::clock::short_span;
use crate::failure::Outcome;
use crate::output::{Output, Tone};
use crate::table::{bytes, count, grouped};

use super::advice::{Grade, Reason, Setting};
use super::interrupts::Served;
use super::measure::Measured;
use super::times::Percentiles;

pub fn show(
    seen: &Measured,
    verdict: Grade,
    reasons: &[Reason],
    settings: &[Setting],
    output: &mut Output,
) -> Outcome<()> {
    let for_what = format!("for a log of {} a second", count(seen.rate, "event"));
    output.line(&format!("{}: {} {for_what}", seen.dir, word(verdict, output)))?;
    for reason in reasons {
        let grade = word(reason.grade, output);
        output.line(&format!("  {:<12}{grade}: {}", reason.of, reason.why))?;
    }
    if let Some(note) = &seen.note {
        output.line(&format!("  note: {note}"))?;
    }
    output.line("measured")?;
    figures(seen, output)?;
    output.line("settings")?;
    for setting in settings {
        output.line(&format!("  {} = {}", setting.field, setting.value))?;
        output.line(&format!("      {}", setting.why))?;
    }
    Ok(())
}

fn word(grade: Grade, output: &Output) -> String {
    match grade {
        Grade::Good => output.toned(Tone::Good, "good"),
        Grade::Fair => output.toned(Tone::Doubtful, "fair"),
        Grade::Poor => output.toned(Tone::Bad, "poor"),
    }
}

fn figures(seen: &Measured, output: &mut Output) -> Outcome<()> {
    const BYTES_PER_EVENT: f64 = BLOCK_SIZE as f64 / EVENTS_PER_BLOCK as f64;
    let mut field = |name: &str, value: String| output.line(&format!("  {name:<12}{value}"));
    let device = seen.device.as_deref().unwrap_or("no device that is known");
    field("disk", format!("{device}, {}", seen.filesystem))?;
    let served = match seen.served {
        Served::On(processor) => format!("processor {processor}"),
        Served::ByWriter => "the processor that the writer is on".to_owned(),
        Served::NotKnown => "not known".to_owned(),
    };
    field("interrupts", served)?;
    field("sync", format!("{} (4 KiB)", percentiles(&seen.sync)))?;
    field("wake", format!("{} (one event after a rest, until durable)", percentiles(&seen.woken)))?;
    field(
        "append",
        format!("{} (at {} a second)", percentiles(&seen.append), grouped(seen.paced as u64)),
    )?;
    field(
        "durable",
        format!(
            "{} events a second, {} a second",
            grouped(seen.sustained as u64),
            bytes((seen.sustained * BYTES_PER_EVENT) as u64)
        ),
    )?;
    let host = &seen.host;
    field(
        "host",
        format!(
            "steal {:.2} %; {:.1} pauses a second over 10 µs, {:.2} % of the time, the longest {}; \
             {:.2} % of memory taken back",
            host.steal_percent,
            host.pauses_per_second,
            host.paused_percent,
            short_span(host.longest_pause_ns),
            host.memory_taken_percent
        ),
    )
}

fn percentiles(times: &Percentiles) -> String {
    let Percentiles { p50_ns, p99_ns, p999_ns, p9999_ns, max_ns, .. } = *times;
    let of = [("p50", p50_ns), ("p99", p99_ns), ("p99.9", p999_ns), ("p99.99", p9999_ns)];
    let of = of.into_iter().chain([("most", max_ns)]);
    of.map(|(name, ns)| format!("{name} {}", short_span(ns))).collect::<Vec<_>>().join(", ")
}
