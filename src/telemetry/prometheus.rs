//! The counters as Prometheus text.

use std::fmt::Write;

use super::histogram::{HistogramSnapshot, BOUNDS};
use super::metrics::{MetricsSnapshot, RingSnapshot, TimingSnapshot, WorkerSnapshot};

/// What is told of a log.
#[derive(Debug, Clone, Default)]
pub struct LogMetrics {
    /// Its directory, which its samples are labelled with.
    pub log: String,
    /// Its counters.
    pub counters: MetricsSnapshot,
    /// The appends that were sampled took so long in all.
    pub sampled_ns: u64,
    /// How long those took, and rotations, appends that waited, syncs, closings, compressions.
    pub histograms: [HistogramSnapshot; 6],
}

/// The text exposition format, version 0.0.4, of some logs. A name is explained once, as the format
/// wants it.
pub fn prometheus_text(logs: &[LogMetrics]) -> String {
    let labelled = |of: &LogMetrics| LogMetrics { log: label_value(&of.log), ..of.clone() };
    let logs: Vec<_> = logs.iter().map(labelled).collect();
    let mut text = String::with_capacity(32 * 1024 * logs.len());
    let Some(LogMetrics { counters: any, .. }) = logs.first() else { return text };
    for (n, (name, kind, help, _)) in values(any).into_iter().enumerate() {
        write_names(&mut text, name, kind, help);
        for LogMetrics { log, counters, .. } in &logs {
            let _ = writeln!(text, "fs_wal_{name}{{log=\"{log}\"}} {}", values(counters)[n].3);
        }
    }
    write_lag(&mut text, &logs);
    for (n, (name, help, _, histogram)) in timings(any).into_iter().enumerate() {
        let of_log = |of: &LogMetrics| {
            let counted = histogram.map(|n| of.histograms[n]);
            (of.log.clone(), *timings(&of.counters)[n].2, counted)
        };
        write_timing(&mut text, name, help, &logs.iter().map(of_log).collect::<Vec<_>>());
    }
    write_samples(&mut text, &logs);
    write_rings(&mut text, &logs);
    write_integrity(&mut text, &logs);
    write_workers(&mut text, &logs);
    text
}

/// A label's value: backslashes, quotes and line breaks are escaped.
fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write_names(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP fs_wal_{name} {help}\n# TYPE fs_wal_{name} {kind}");
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn write_lag(text: &mut String, logs: &[LogMetrics]) {
    let help = "Age of the oldest appended event that is not durable";
    write_names(text, "durable_lag_seconds", "gauge", help);
    for LogMetrics { log, counters, .. } in logs {
        let lag = seconds(counters.durable_lag_ns);
        let _ = writeln!(text, "fs_wal_durable_lag_seconds{{log=\"{log}\"}} {lag}");
    }
    write_names(text, "heartbeat_age_seconds", "gauge", "How long ago a worker was at work");
    for LogMetrics { log, counters, .. } in logs {
        let age = seconds(counters.heartbeat_age_ns);
        let _ = writeln!(text, "fs_wal_heartbeat_age_seconds{{log=\"{log}\"}} {age}");
    }
}

type Value = (&'static str, &'static str, &'static str, u64);

fn values(m: &MetricsSnapshot) -> [Value; 31] {
    const C: &str = "counter";
    const G: &str = "gauge";
    [
        ("memory_locked", G, "1 when all mapped segments are locked", m.memory_locked.into()),
        ("appended_event_id", G, "Highest appended event id", m.appended_event_id),
        ("durable_event_id", G, "Highest durable event id", m.durable_event_id),
        ("appended_events_total", C, "Events appended", m.appended_events),
        ("durable_events_total", C, "Events made durable", m.durable_events),
        ("written_bytes_total", C, "Bytes written to segment files", m.bytes_written),
        ("segments_created_total", C, "Disk files newly made", m.segments_created),
        ("segments_recycled_total", C, "Disk files used again", m.segments_recycled),
        ("segments_deleted_total", C, "Segments removed by retention", m.segments_deleted),
        ("hot_segments", G, "Hot segments, the active one included", m.hot_segments),
        ("cold_segments", G, "Cold segments", m.cold_segments),
        ("missing_segments_total", C, "Segments removed by somebody else", m.missing_segments),
        ("damaged_segments_total", C, "Segments found damaged", m.damaged_segments),
        ("compression_failures_total", C, "Freezes that failed", m.compression_failures),
        ("compression_in_bytes_total", C, "Bytes before compression", m.compression_bytes_in),
        ("compression_out_bytes_total", C, "Bytes after compression", m.compression_bytes_out),
        ("would_block_total", C, "Appends turned away: disk slow", m.would_block),
        ("no_space_total", C, "Appends turned away: disk or memory full", m.no_space),
        ("poisoned", G, "1 when the log has failed and takes no more events", m.poisoned),
        ("oldest_event_id", G, "Oldest event that is kept", m.oldest_event_id),
        ("hot_bytes", G, "Bytes of hot segments, the active one included", m.hot_bytes),
        ("cold_bytes", G, "Bytes of cold segments", m.cold_bytes),
        ("held_bytes", G, "Bytes that holds and snapshots keep beyond the limits", m.held_bytes),
        ("broken_holds_total", C, "Holds and snapshots given up for space", m.broken_holds),
        ("generation", G, "Generation of the log", m.generation),
        ("max_segments", G, "Limit: hot segments to keep", m.max_segments),
        ("max_compressed_segments", G, "Limit: cold segments to keep", m.max_compressed_segments),
        ("active_set_bytes", G, "Limit: bytes of active segments", m.active_set_bytes),
        ("retention_floor", G, "Limit: no event from this one on is deleted", m.retention_floor),
        ("sample_appends", G, "One in so many appends is timed", m.sample_appends),
        ("opened_seconds", G, "When the log was opened, since 1970", m.opened_ns / 1_000_000_000),
    ]
}

/// Name, help, times, and which histogram there is of them.
type Timed<'a> = (&'static str, &'static str, &'a TimingSnapshot, Option<usize>);

fn timings(m: &MetricsSnapshot) -> [Timed<'_>; 10] {
    [
        ("open", "Opening the log, recovery included", &m.open, None),
        ("prepare", "Making a segment ready", &m.prepare, None),
        ("rotation", "Rotation on the append thread", &m.rotation, Some(1)),
        ("append_wait", "Appends waiting for a prepared segment", &m.append_wait, Some(2)),
        ("persist", "Sealing a batch in memory", &m.persist, None),
        ("sync", "Writing a batch and making it durable", &m.sync, Some(3)),
        ("close", "Closing a full segment", &m.close, Some(4)),
        ("meta_flush", "Replacing wal_meta.dat", &m.meta_flush, None),
        ("compression", "Compressing and verifying a segment", &m.compression, Some(5)),
        ("deletion", "Deleting a segment", &m.deletion, None),
    ]
}

type TimedLog = (String, TimingSnapshot, Option<HistogramSnapshot>);

fn write_timing(text: &mut String, name: &str, help: &str, logs: &[TimedLog]) {
    let has_buckets = logs.iter().any(|(_, _, histogram)| histogram.is_some());
    let kind = if has_buckets { "histogram" } else { "summary" };
    write_names(text, &format!("{name}_seconds"), kind, help);
    for (log, timing, histogram) in logs {
        let mut count = timing.count;
        if let Some(histogram) = histogram {
            write_buckets(text, name, log, histogram);
            // A histogram's own count, or the two could differ for a moment.
            count = histogram.count;
        }
        let sum = seconds(timing.total_ns);
        let _ = writeln!(text, "fs_wal_{name}_seconds_sum{{log=\"{log}\"}} {sum}");
        let _ = writeln!(text, "fs_wal_{name}_seconds_count{{log=\"{log}\"}} {count}");
    }
    write_names(text, &format!("{name}_seconds_max"), "gauge", &format!("{help}: the longest"));
    for (log, timing, _) in logs {
        let longest = seconds(timing.max_ns);
        let _ = writeln!(text, "fs_wal_{name}_seconds_max{{log=\"{log}\"}} {longest}");
    }
}

fn write_buckets(text: &mut String, name: &str, log: &str, histogram: &HistogramSnapshot) {
    for (bound, count) in (0..BOUNDS).zip(histogram.up_to) {
        let le = seconds(HistogramSnapshot::bound_ns(bound));
        let _ = writeln!(text, "fs_wal_{name}_seconds_bucket{{log=\"{log}\",le=\"{le}\"}} {count}");
    }
    let count = histogram.count;
    let _ = writeln!(text, "fs_wal_{name}_seconds_bucket{{log=\"{log}\",le=\"+Inf\"}} {count}");
}

fn write_samples(text: &mut String, logs: &[LogMetrics]) {
    write_names(text, "append_seconds", "histogram", "Appends that were sampled");
    for LogMetrics { log, sampled_ns, histograms, .. } in logs {
        write_buckets(text, "append", log, &histograms[0]);
        let (sum, count) = (seconds(*sampled_ns), histograms[0].count);
        let _ = writeln!(text, "fs_wal_append_seconds_sum{{log=\"{log}\"}} {sum}");
        let _ = writeln!(text, "fs_wal_append_seconds_count{{log=\"{log}\"}} {count}");
    }
}

/// The kinds of damage, in the order of `segment::DamageKind`.
const DAMAGES: [&str; 16] = [
    "unreadable",
    "frame",
    "trailing",
    "segment_header",
    "misnamed",
    "block_header",
    "block",
    "chain",
    "order",
    "truncated",
    "twins",
    "missing_segment",
    "durable_lost",
    "meta",
    "identity",
    "active",
];

fn write_integrity(text: &mut String, logs: &[LogMetrics]) {
    let help = "Damage found while the log was open";
    write_names(text, "integrity_failures_total", "counter", help);
    for LogMetrics { log, counters, .. } in logs {
        for (kind, count) in DAMAGES.iter().zip(counters.integrity_failures) {
            let labels = format!("log=\"{log}\",kind=\"{kind}\"");
            let _ = writeln!(text, "fs_wal_integrity_failures_total{{{labels}}} {count}");
        }
    }
}

fn workers(m: &MetricsSnapshot) -> [(&'static str, &WorkerSnapshot); 6] {
    [
        ("persister", &m.persister),
        ("preparer", &m.preparer),
        ("maintainer", &m.maintainer),
        ("freezers", &m.freezers),
        ("coordinator", &m.coordinator),
        ("watcher", &m.watcher),
    ]
}

fn write_workers(text: &mut String, logs: &[LogMetrics]) {
    type Field = fn(&WorkerSnapshot) -> f64;
    let fields: [(&str, &str, Field); 3] = [
        ("worker_steps_total", "How often a worker was at work", |worker| worker.steps as f64),
        ("worker_work_seconds_total", "How long it was", |worker| seconds(worker.work_ns)),
        ("worker_idle_seconds_total", "How long it was not", |worker| seconds(worker.idle_ns)),
    ];
    for (name, help, field) in fields {
        write_names(text, name, "counter", help);
        for LogMetrics { log, counters, .. } in logs {
            for (worker, counts) in workers(counters) {
                let labels = format!("log=\"{log}\",worker=\"{worker}\"");
                let _ = writeln!(text, "fs_wal_{name}{{{labels}}} {}", field(counts));
            }
        }
    }
}

fn rings(m: &MetricsSnapshot) -> [(&'static str, &RingSnapshot); 5] {
    [
        ("prepared_segments", &m.prepared_segments),
        ("segments_to_persist", &m.segments_to_persist),
        ("segments_to_close", &m.segments_to_close),
        ("segments_to_freeze", &m.segments_to_freeze),
        ("segments_to_free", &m.segments_to_free),
    ]
}

fn write_rings(text: &mut String, logs: &[LogMetrics]) {
    type Field = fn(&RingSnapshot) -> u64;
    let fields: [(&str, &str, &str, Field); 4] = [
        ("ring_fill", "gauge", "Entries in a ring", |r| r.fill),
        ("ring_capacity", "gauge", "Entries a ring has room for", |r| r.capacity),
        ("ring_full_total", "counter", "Pushes that found a ring full", |r| r.full),
        ("ring_empty_total", "counter", "Pops that found a ring empty", |r| r.empty),
    ];
    for (name, kind, help, field) in fields {
        write_names(text, name, kind, help);
        for LogMetrics { log, counters, .. } in logs {
            for (ring, snapshot) in rings(counters) {
                let value = field(snapshot);
                let _ = writeln!(text, "fs_wal_{name}{{log=\"{log}\",ring=\"{ring}\"}} {value}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What a scrape is refused for: a name that is explained twice or not at all, whose samples
    /// are not together, or a sample that is there twice.
    fn check_format(text: &str) {
        let (mut families, mut samples) = (BTreeSet::new(), BTreeSet::new());
        let mut family = "";
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split(' ').next().unwrap();
                assert!(families.insert(family), "{family} is explained twice");
                let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family);
                assert!(["counter", "gauge", "summary", "histogram"].contains(&kind), "{kind}");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(samples.insert(sample), "{sample} is there twice");
            let name = sample.split('{').next().unwrap();
            let parts = ["", "_sum", "_count", "_bucket"].map(|end| name.replace(end, ""));
            let parts = parts.each_ref().map(|part| if part.is_empty() { name } else { part });
            assert!(parts.contains(&family), "{name} among the samples of {family}");
            assert!(sample.contains("{log=\"") && sample.ends_with("\"}"), "{sample}");
        }
        assert_eq!(families.len(), 31 + 2 + 2 * 10 + 1 + 4 + 1 + 3);
    }

    #[test]
    fn f25_two_logs_are_one_scrape() {
        let mut m = MetricsSnapshot { appended_events: 41, poisoned: 1, ..Default::default() };
        m.sync = TimingSnapshot { count: 2, total_ns: 1_500_000_000, max_ns: 1_000_000_000 };
        m.segments_to_free.full = 3;
        m.durable_lag_ns = 2_250_000_000;
        m.integrity_failures[6] = 5;
        m.freezers.work_ns = 500_000_000;
        let mut first = LogMetrics { log: "/a".into(), counters: m, ..Default::default() };
        first.histograms[3].up_to[27] = 1;
        first.histograms[3].count = 2;
        let other = MetricsSnapshot { appended_events: 7, ..Default::default() };
        let second = LogMetrics { log: "/b\"\\\n".into(), counters: other, ..Default::default() };
        let text = prometheus_text(&[first, second]);
        check_format(&text);
        for line in [
            "fs_wal_appended_events_total{log=\"/a\"} 41",
            "fs_wal_appended_events_total{log=\"/b\\\"\\\\\\n\"} 7",
            "fs_wal_poisoned{log=\"/a\"} 1",
            "fs_wal_durable_lag_seconds{log=\"/a\"} 2.25",
            "fs_wal_sync_seconds_sum{log=\"/a\"} 1.5",
            "fs_wal_sync_seconds_count{log=\"/a\"} 2",
            "fs_wal_sync_seconds_bucket{log=\"/a\",le=\"17.179869184\"} 1",
            "fs_wal_sync_seconds_bucket{log=\"/a\",le=\"+Inf\"} 2",
            "fs_wal_append_seconds_bucket{log=\"/a\",le=\"0.000000128\"} 0",
            "fs_wal_integrity_failures_total{log=\"/a\",kind=\"block\"} 5",
            "fs_wal_worker_work_seconds_total{log=\"/a\",worker=\"freezers\"} 0.5",
            "fs_wal_sync_seconds_max{log=\"/a\"} 1",
            "fs_wal_ring_full_total{log=\"/a\",ring=\"segments_to_free\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        }
        assert_eq!(prometheus_text(&[]), "");
    }
}
