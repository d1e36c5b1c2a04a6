//! `export`: what others read out of the files is what was recorded.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type, UInt8Type};
use arrow_array::RecordBatch;
use flashstrike_wal::format::RequestEvent;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::page_index::index::Index;
use rustix::fs::{flock, FlockOperation};

use crate::damage::flip;
use crate::support::{command, event, fswal, state_of, text, Place, PER_SEGMENT};

fn read_parquet(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// The events in batches of all columns.
fn events(batches: &[RecordBatch]) -> Vec<RequestEvent> {
    let mut events = Vec::new();
    for batch in batches {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let u64s = |name: &str| column(name).as_primitive::<UInt64Type>().values();
        let i64s = |name: &str| column(name).as_primitive::<Int64Type>().values();
        let u32s = |name: &str| column(name).as_primitive::<UInt32Type>().values();
        let u8s = |name: &str| column(name).as_primitive::<UInt8Type>().values();
        let (ids, timestamps) = (u64s("event_id"), u64s("timestamp"));
        let (prices, quantities) = (i64s("price"), i64s("quantity"));
        let (users, orders) = (u32s("user_id"), u32s("order_id"));
        let (types, order_types, sides) = (u8s("type"), u8s("order_type"), u8s("side"));
        let reserved = column("reserved").as_fixed_size_binary();
        events.extend((0..batch.num_rows()).map(|n| RequestEvent {
            event_id: ids[n],
            timestamp: timestamps[n],
            price: prices[n],
            quantity: quantities[n],
            user_id: users[n],
            order_id: orders[n],
            r#type: types[n],
            order_type: order_types[n],
            side: sides[n],
            reserved: reserved.value(n).try_into().unwrap(),
        }));
    }
    events
}

fn all(ids: std::ops::RangeInclusive<u64>) -> Vec<RequestEvent> {
    ids.map(event).collect()
}

#[test]
fn parquet_has_every_field_and_says_whose_it_is() {
    let place = Place::new();
    place.record(1..=5000);
    let out = place.base().join("day.parquet");
    let scale = ["--scale", "price 0.01, quantity 1"];
    let arguments = ["export", "--json", text(&place.log()), text(&out)].map(String::from);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(scale).collect();
    let said = fswal(&arguments).ends_with(0).json();
    assert_eq!(said["events"], 5000);
    assert_eq!(events(&read_parquet(&out)), all(1..=5000));
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&out).unwrap()).unwrap();
    let metadata = builder.metadata().file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| {
        let found = metadata.iter().find(|it| it.key == format!("flashstrike_wal.{key}"));
        found.and_then(|it| it.value.clone()).unwrap_or_default()
    };
    let status = fswal(&["status", "--json", text(&place.log())]).json();
    assert_eq!(value("log_id"), status["log_id"].as_str().unwrap());
    assert_eq!([value("first_event_id"), value("last_event_id")], ["1", "5000"]);
    assert_eq!(value("scale"), "price 0.01, quantity 1");
    // As large as the log's events it is not.
    assert!(out.metadata().unwrap().len() < 5000 * 64 / 4);
}

/// Two row groups; the second ends with a page, a batch and a piece that are not full.
#[test]
fn parquet_of_several_row_groups_says_what_is_where() {
    const EVENTS: u64 = 600_123;
    let place = Place::new();
    place.record(1..=EVENTS);
    let out = place.base().join("day.parquet");
    fswal(&["export", text(&place.log()), text(&out)]).ends_with(0);
    assert!(events(&read_parquet(&out)) == all(1..=EVENTS));
    let options = ArrowReaderOptions::new().with_page_index(true);
    let file = File::open(&out).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let groups = builder.metadata().row_groups();
    assert_eq!(groups.len(), 2);
    for pages in builder.metadata().column_index().unwrap() {
        let ids = &pages[0];
        assert!(ids.is_sorted() && matches!(ids, Index::INT64(ids) if ids.indexes.len() > 1));
    }
    let mut first = 1;
    for group in groups {
        let last = first + group.num_rows() as u64 - 1;
        let range = |column: usize| {
            let statistics = group.column(column).statistics().unwrap();
            [statistics.min_bytes_opt(), statistics.max_bytes_opt()]
                .map(|value| u64::from_le_bytes(value.unwrap().try_into().unwrap()))
        };
        assert_eq!(range(0), [first, last]);
        let times = (first..=last).map(|id| event(id).timestamp);
        assert_eq!(range(1), [times.clone().min().unwrap(), times.max().unwrap()]);
        first = last + 1;
    }
    assert_eq!(first, EVENTS + 1);
}

#[test]
fn parquet_of_no_events_is_a_file_of_none() {
    let place = Place::new();
    place.record(1..=100);
    let out = place.base().join("none.parquet");
    let said = fswal(&["export", "--user", "4000000000", text(&place.log()), text(&out)]);
    assert!(said.ends_with(0).out.contains("0 events"));
    assert_eq!(events(&read_parquet(&out)), []);
}

#[test]
fn arrow_as_a_file_and_on_standard_output() {
    let place = Place::new();
    place.record(1..=3000);
    let out = place.base().join("day.arrow");
    fswal(&["export", text(&place.log()), text(&out)]).ends_with(0);
    let reader = arrow_ipc::reader::FileReader::try_new(File::open(&out).unwrap(), None).unwrap();
    assert_eq!(reader.custom_metadata()["flashstrike_wal.last_event_id"], "3000");
    assert_eq!(events(&reader.map(Result::unwrap).collect::<Vec<_>>()), all(1..=3000));
    let piped = command(&["export", "--format", "arrow", "--from-id", "10", "--to-id", "2000"])
        .arg(place.log())
        .arg("-")
        .output()
        .unwrap();
    assert!(piped.status.success());
    let reader = arrow_ipc::reader::StreamReader::try_new(Cursor::new(piped.stdout), None).unwrap();
    assert_eq!(events(&reader.map(Result::unwrap).collect::<Vec<_>>()), all(10..=2000));
}

#[test]
fn csv_is_what_cat_gives() {
    let place = Place::new();
    place.record(1..=500);
    let out = place.base().join("day.csv");
    fswal(&["export", text(&place.log()), text(&out), "--user", "3"]).ends_with(0);
    let cat = fswal(&["cat", text(&place.log()), "--user", "3"]).ends_with(0).out;
    assert_eq!(std::fs::read_to_string(&out).unwrap(), cat);
}

#[test]
fn timestamps_as_times_or_refused() {
    let place = Place::new();
    let (manager, mut writer) = place.open();
    (1..=10).for_each(|id| writer.append(&event(id)).unwrap());
    writer.append(&RequestEvent { timestamp: u64::MAX, ..event(11) }).unwrap();
    manager.shutdown(writer).unwrap();
    let out = place.base().join("day.parquet");
    let path = place.log();
    let export = ["export", text(&path), text(&out), "--timestamps", "utc"];
    let said = fswal(&export).ends_with(2);
    assert!(said.err.contains("event 11: its timestamp 18446744073709551615"), "{}", said.err);
    assert!(!out.exists() && !place.base().join("day.parquet.partial").exists());
    fswal(&[&export[..], &["--to-id", "10"]].concat()).ends_with(0);
    let batches = read_parquet(&out);
    let times = batches[0].column_by_name("timestamp").unwrap();
    let times = times.as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.value(9) as u64, event(10).timestamp);
}

#[test]
fn the_payload_as_one() {
    let place = Place::new();
    place.record(1..=300);
    let out = place.base().join("day.parquet");
    fswal(&["export", text(&place.log()), text(&out), "--payload"]).ends_with(0);
    let batches = read_parquet(&out);
    assert_eq!(batches[0].num_columns(), 2);
    let payload = batches[0].column_by_name("payload").unwrap().as_fixed_size_binary();
    for n in 0..300 {
        assert_eq!(payload.value(n), &event(n as u64 + 1).encode()[8..]);
    }
}

#[test]
fn what_is_not_whole_gets_no_name_and_nothing_is_written_over() {
    let place = Place::new();
    place.record(1..=2 * PER_SEGMENT);
    let out = place.base().join("day.parquet");
    std::fs::write(&out, "mine").unwrap();
    fswal(&["export", text(&place.log()), text(&out)]).ends_with(2);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    std::fs::remove_file(&out).unwrap();
    flip(&place.log().join("FS.00000001.wal"), 64 + 64 + 100);
    let said = fswal(&["export", text(&place.log()), text(&out)]).ends_with(1);
    assert!(said.err.contains("FS.00000001.wal"), "{}", said.err);
    assert!(!out.exists() && !place.base().join("day.parquet.partial").exists());
    for wrong in [&["-"][..], &["-", "--format", "parquet"], &["day"], &["x.csv", "--payload"]] {
        fswal(&[&["export", text(&place.log())], wrong].concat()).ends_with(2);
    }
}

#[test]
fn one_run_at_a_time_writes_a_file_and_none_into_the_log() {
    let place = Place::new();
    place.record(1..=100);
    let out = place.base().join("day.csv");
    let path = place.log();
    let export = ["export", text(&path), text(&out)];
    let partial = File::create(place.base().join("day.csv.partial")).unwrap();
    flock(&partial, FlockOperation::LockExclusive).unwrap();
    let said = fswal(&export).ends_with(2);
    assert!(said.err.contains("day.csv.partial: another run is writing it"), "{}", said.err);
    drop(partial);
    fswal(&export).ends_with(0);
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 101);

    let before = state_of(&path);
    let said = fswal(&["export", text(&path), text(&path.join("day.csv"))]).ends_with(2);
    assert!(said.err.contains("the log's own directory"), "{}", said.err);
    assert_eq!(state_of(&path), before);
}

/// A file may not grow beyond 1 kB here, as on a disk that is full.
#[test]
fn a_file_that_cannot_be_written_is_named() {
    let place = Place::new();
    place.record(1..=5000);
    for name in ["day.csv", "day.arrow", "day.parquet"] {
        let out = place.base().join(name);
        let said = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$0\" export \"$1\" \"$2\""])
            .arg(env!("CARGO_BIN_EXE_fswal"))
            .args([&place.log(), &out])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(3), "{name}: {words}");
        assert!(words.contains(&format!("{name}.partial: ")), "{words}");
        assert!(words.contains("next: "), "{words}");
        assert!(!out.exists() && !place.base().join(format!("{name}.partial")).exists());
    }
}

/// Usual events, and some whose fields are at their bounds, one field at a time and all at once.
fn edges() -> Vec<RequestEvent> {
    let least = RequestEvent { price: i64::MIN, quantity: i64::MIN, ..RequestEvent::default() };
    let greatest = RequestEvent {
        timestamp: u64::MAX,
        price: i64::MAX,
        quantity: i64::MAX,
        user_id: u32::MAX,
        order_id: u32::MAX,
        r#type: u8::MAX,
        order_type: u8::MAX,
        side: u8::MAX,
        reserved: [u8::MAX; 21],
        ..RequestEvent::default()
    };
    let reserved: [u8; 21] = std::array::from_fn(|n| n as u8);
    let mut events: Vec<_> = (1..=5000).map(event).collect();
    events.extend([
        RequestEvent { event_id: 1 << 53 | 1, ..least },
        RequestEvent { event_id: 1 << 63, ..greatest },
        RequestEvent { event_id: (1 << 63) + 1, timestamp: i64::MAX as u64, ..greatest },
        RequestEvent { event_id: (1 << 63) + 2, timestamp: 1 << 63, reserved, ..least },
        RequestEvent { event_id: u64::MAX - 2, timestamp: 1, reserved, ..least },
        // The greatest id that there is.
        RequestEvent { event_id: u64::MAX - 1, ..greatest },
    ]);
    events
}

/// The Python in which `make test` runs the tests of the package, or the one that is named.
fn python() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    std::env::var_os("FSWAL_TEST_PYTHON").map_or(venv, PathBuf::from)
}

#[test]
fn others_read_what_was_recorded_bit_for_bit() {
    let python = python();
    if !python.exists() {
        return eprintln!("skipped: no {}: `make test-python` makes it", python.display());
    }
    let place = Place::new();
    let events = edges();
    let (manager, mut writer) = place.open();
    events.iter().for_each(|event| writer.append(event).unwrap());
    manager.shutdown(writer).unwrap();
    let raw = place.base().join("events");
    std::fs::write(&raw, events.iter().flat_map(RequestEvent::encode).collect::<Vec<_>>()).unwrap();
    let export = |log: &Path, name: &str, more: &[&str]| {
        let out = place.base().join(name);
        fswal(&[&["export", text(log), text(&out)], more].concat()).ends_with(0);
    };
    export(&place.log(), "day.parquet", &[]);
    export(&place.log(), "day.arrow", &[]);
    export(&place.log(), "payload.parquet", &["--payload"]);
    let stream = std::fs::File::create(place.base().join("day.stream")).unwrap();
    let mut piped = command(&["export", "--format", "arrow", text(&place.log()), "-"]);
    assert!(piped.stdout(stream).status().unwrap().success());
    // What is no time is refused, each time, and said; the others go out as times.
    let utc = place.base().join("utc.parquet");
    let said = fswal(&["export", text(&place.log()), text(&utc), "--timestamps", "utc"]);
    let refused = said.ends_with(2).err;
    assert!(refused.contains("event 9223372036854775808: its timestamp"), "{refused}");
    let last = i64::MAX.to_string();
    export(&place.log(), "utc.parquet", &["--timestamps", "utc", "--to-time", &last]);
    for reader in ["pyarrow", "polars", "duckdb"] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers.py");
        let mut asked = Command::new(&python);
        asked.arg(script).arg(reader).arg(&raw).arg(place.base());
        let said = asked.output().unwrap();
        if said.status.code() == Some(77) {
            eprintln!("skipped: {reader} is not installed for {}", python.display());
            continue;
        }
        assert!(said.status.success(), "{reader}: {}", String::from_utf8_lossy(&said.stderr));
    }
}
