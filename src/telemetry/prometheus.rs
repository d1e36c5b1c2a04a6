//! The counters as Prometheus text.

use std::fmt::Write;

use super::metrics::{MetricsSnapshot, RingSnapshot, TimingSnapshot};

/// The text exposition format, version 0.0.4, of a snapshot.
pub fn prometheus_text(m: &MetricsSnapshot) -> String {
    let mut text = String::with_capacity(8 * 1024);
    for (name, kind, help, value) in values(m) {
        let _ = writeln!(text, "# HELP fs_wal_{name} {help}\n# TYPE fs_wal_{name} {kind}");
        let _ = writeln!(text, "fs_wal_{name} {value}");
    }
    for (name, help, timing) in timings(m) {
        write_timing(&mut text, name, help, timing);
    }
    write_rings(&mut text, m);
    text
}

type Value = (&'static str, &'static str, &'static str, u64);

fn values(m: &MetricsSnapshot) -> [Value; 16] {
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
        ("compression_failures_total", C, "Freezes that failed", m.compression_failures),
        ("compression_in_bytes_total", C, "Bytes before compression", m.compression_bytes_in),
        ("compression_out_bytes_total", C, "Bytes after compression", m.compression_bytes_out),
        ("would_block_total", C, "Appends turned away: disk slow", m.would_block),
        ("no_space_total", C, "Appends turned away: disk or memory full", m.no_space),
    ]
}

fn timings(m: &MetricsSnapshot) -> [(&'static str, &'static str, &TimingSnapshot); 9] {
    [
        ("open", "Opening the log, recovery included", &m.open),
        ("prepare", "Making a segment ready", &m.prepare),
        ("rotation", "Rotation on the append thread", &m.rotation),
        ("append_wait", "Appends waiting for a prepared segment", &m.append_wait),
        ("persist", "Sealing and writing a batch", &m.persist),
        ("sync", "fdatasync of a batch", &m.sync),
        ("close", "Closing a full segment", &m.close),
        ("meta_flush", "Replacing wal_meta.dat", &m.meta_flush),
        ("compression", "Compressing and verifying a segment", &m.compression),
    ]
}

fn write_timing(text: &mut String, name: &str, help: &str, timing: &TimingSnapshot) {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let _ = writeln!(text, "# HELP fs_wal_{name}_seconds {help}");
    let _ = writeln!(text, "# TYPE fs_wal_{name}_seconds summary");
    let _ = writeln!(text, "fs_wal_{name}_seconds_sum {}", seconds(timing.total_ns));
    let _ = writeln!(text, "fs_wal_{name}_seconds_count {}", timing.count);
    let _ = writeln!(text, "# HELP fs_wal_{name}_seconds_max {help}: the longest");
    let _ = writeln!(text, "# TYPE fs_wal_{name}_seconds_max gauge");
    let _ = writeln!(text, "fs_wal_{name}_seconds_max {}", seconds(timing.max_ns));
}

fn write_rings(text: &mut String, m: &MetricsSnapshot) {
    type Field = fn(&RingSnapshot) -> u64;
    let rings = [
        ("prepared_segments", &m.prepared_segments),
        ("segments_to_persist", &m.segments_to_persist),
        ("segments_to_close", &m.segments_to_close),
        ("segments_to_freeze", &m.segments_to_freeze),
        ("segments_to_free", &m.segments_to_free),
    ];
    let fields: [(&str, &str, &str, Field); 4] = [
        ("ring_fill", "gauge", "Entries in a ring", |r| r.fill),
        ("ring_capacity", "gauge", "Entries a ring has room for", |r| r.capacity),
        ("ring_full_total", "counter", "Pushes that found a ring full", |r| r.full),
        ("ring_empty_total", "counter", "Pops that found a ring empty", |r| r.empty),
    ];
    for (name, kind, help, field) in fields {
        let _ = writeln!(text, "# HELP fs_wal_{name} {help}\n# TYPE fs_wal_{name} {kind}");
        for (ring, snapshot) in rings {
            let _ = writeln!(text, "fs_wal_{name}{{ring=\"{ring}\"}} {}", field(snapshot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_a_type_and_rings_are_labelled() {
        let mut m = MetricsSnapshot { appended_events: 41, ..Default::default() };
        m.sync = TimingSnapshot { count: 2, total_ns: 1_500_000_000, max_ns: 1_000_000_000 };
        m.segments_to_free.full = 3;
        let text = prometheus_text(&m);
        for line in [
            "fs_wal_appended_events_total 41",
            "fs_wal_sync_seconds_sum 1.5",
            "fs_wal_sync_seconds_count 2",
            "fs_wal_sync_seconds_max 1",
            "fs_wal_ring_full_total{ring=\"segments_to_free\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        }
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = name.strip_suffix("_sum").or(name.strip_suffix("_count")).unwrap_or(name);
            let typed = |n: &str| text.contains(&format!("# TYPE {n} "));
            assert!(typed(name) || typed(base), "no type for {name}");
        }
    }
}
