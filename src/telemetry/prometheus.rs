//! The counters as Prometheus text.

use std::fmt::Write;

use super::metrics::{MetricsSnapshot, RingSnapshot, TimingSnapshot};

/// The text exposition format, version 0.0.4, of the snapshots of some logs, each with the
/// directory that its samples are labelled with. A name is explained once, as the format wants it.
pub fn prometheus_text(logs: &[(String, MetricsSnapshot)]) -> String {
    let logs: Vec<_> = logs.iter().map(|(log, m)| (label_value(log), m)).collect();
    let mut text = String::with_capacity(12 * 1024 * logs.len());
    let Some((_, any)) = logs.first() else { return text };
    for (n, (name, kind, help, _)) in values(any).into_iter().enumerate() {
        write_names(&mut text, name, kind, help);
        for (log, m) in &logs {
            let _ = writeln!(text, "fs_wal_{name}{{log=\"{log}\"}} {}", values(m)[n].3);
        }
    }
    write_lag(&mut text, &logs);
    for (n, (name, help, _)) in timings(any).into_iter().enumerate() {
        let of_log = |(log, m): &(String, &MetricsSnapshot)| (log.clone(), *timings(m)[n].2);
        let timed: Vec<_> = logs.iter().map(of_log).collect();
        write_timing(&mut text, name, help, &timed);
    }
    write_rings(&mut text, &logs);
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

fn write_lag(text: &mut String, logs: &[(String, &MetricsSnapshot)]) {
    let help = "Age of the oldest appended event that is not durable";
    write_names(text, "durable_lag_seconds", "gauge", help);
    for (log, m) in logs {
        let lag = seconds(m.durable_lag_ns);
        let _ = writeln!(text, "fs_wal_durable_lag_seconds{{log=\"{log}\"}} {lag}");
    }
}

type Value = (&'static str, &'static str, &'static str, u64);

fn values(m: &MetricsSnapshot) -> [Value; 22] {
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
    ]
}

fn timings(m: &MetricsSnapshot) -> [(&'static str, &'static str, &TimingSnapshot); 9] {
    [
        ("open", "Opening the log, recovery included", &m.open),
        ("prepare", "Making a segment ready", &m.prepare),
        ("rotation", "Rotation on the append thread", &m.rotation),
        ("append_wait", "Appends waiting for a prepared segment", &m.append_wait),
        ("persist", "Sealing a batch in memory", &m.persist),
        ("sync", "Writing a batch and making it durable", &m.sync),
        ("close", "Closing a full segment", &m.close),
        ("meta_flush", "Replacing wal_meta.dat", &m.meta_flush),
        ("compression", "Compressing and verifying a segment", &m.compression),
    ]
}

fn write_timing(text: &mut String, name: &str, help: &str, logs: &[(String, TimingSnapshot)]) {
    write_names(text, &format!("{name}_seconds"), "summary", help);
    for (log, timing) in logs {
        let (sum, count) = (seconds(timing.total_ns), timing.count);
        let _ = writeln!(text, "fs_wal_{name}_seconds_sum{{log=\"{log}\"}} {sum}");
        let _ = writeln!(text, "fs_wal_{name}_seconds_count{{log=\"{log}\"}} {count}");
    }
    write_names(text, &format!("{name}_seconds_max"), "gauge", &format!("{help}: the longest"));
    for (log, timing) in logs {
        let longest = seconds(timing.max_ns);
        let _ = writeln!(text, "fs_wal_{name}_seconds_max{{log=\"{log}\"}} {longest}");
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

fn write_rings(text: &mut String, logs: &[(String, &MetricsSnapshot)]) {
    type Field = fn(&RingSnapshot) -> u64;
    let fields: [(&str, &str, &str, Field); 4] = [
        ("ring_fill", "gauge", "Entries in a ring", |r| r.fill),
        ("ring_capacity", "gauge", "Entries a ring has room for", |r| r.capacity),
        ("ring_full_total", "counter", "Pushes that found a ring full", |r| r.full),
        ("ring_empty_total", "counter", "Pops that found a ring empty", |r| r.empty),
    ];
    for (name, kind, help, field) in fields {
        write_names(text, name, kind, help);
        for (log, m) in logs {
            for (ring, snapshot) in rings(m) {
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
                assert!(["counter", "gauge", "summary"].contains(&kind), "{kind}");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(samples.insert(sample), "{sample} is there twice");
            let name = sample.split('{').next().unwrap();
            let parts = [name, &name.replace("_sum", ""), &name.replace("_count", "")];
            assert!(parts.contains(&family), "{name} among the samples of {family}");
            assert!(sample.contains("{log=\"") && sample.ends_with("\"}"), "{sample}");
        }
        assert_eq!(families.len(), 22 + 1 + 2 * 9 + 4);
    }

    #[test]
    fn f25_two_logs_are_one_scrape() {
        let mut m = MetricsSnapshot { appended_events: 41, poisoned: 1, ..Default::default() };
        m.sync = TimingSnapshot { count: 2, total_ns: 1_500_000_000, max_ns: 1_000_000_000 };
        m.segments_to_free.full = 3;
        m.durable_lag_ns = 2_250_000_000;
        let other = MetricsSnapshot { appended_events: 7, ..Default::default() };
        let text = prometheus_text(&[("/a".into(), m), ("/b\"\\\n".into(), other)]);
        check_format(&text);
        for line in [
            "fs_wal_appended_events_total{log=\"/a\"} 41",
            "fs_wal_appended_events_total{log=\"/b\\\"\\\\\\n\"} 7",
            "fs_wal_poisoned{log=\"/a\"} 1",
            "fs_wal_durable_lag_seconds{log=\"/a\"} 2.25",
            "fs_wal_sync_seconds_sum{log=\"/a\"} 1.5",
            "fs_wal_sync_seconds_count{log=\"/a\"} 2",
            "fs_wal_sync_seconds_max{log=\"/a\"} 1",
            "fs_wal_ring_full_total{log=\"/a\",ring=\"segments_to_free\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        }
        assert_eq!(prometheus_text(&[]), "");
    }
}
