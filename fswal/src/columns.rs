//! Events as Arrow columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, TimestampNanosecondArray, UInt32Array,
    UInt64Array, UInt8Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use flashstrike_wal::format::RequestEvent;

use crate::failure::{Failure, Outcome};

const PAYLOAD_SIZE: i32 = 56;
const RESERVED_SIZE: i32 = 21;

/// What the columns are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Timestamps are nanoseconds since 1970, in UTC, and not just numbers.
    pub utc: bool,
    /// The 56 bytes behind the id as one.
    pub payload: bool,
}

impl Shape {
    pub fn schema(self, metadata: HashMap<String, String>) -> SchemaRef {
        let field = |name: &str, of: DataType| Field::new(name, of, false);
        let time = match self.utc {
            true => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            false => DataType::UInt64,
        };
        let fields = match self.payload {
            true => vec![
                field("event_id", DataType::UInt64),
                field("payload", DataType::FixedSizeBinary(PAYLOAD_SIZE)),
            ],
            false => vec![
                field("event_id", DataType::UInt64),
                field("timestamp", time),
                field("price", DataType::Int64),
                field("quantity", DataType::Int64),
                field("user_id", DataType::UInt32),
                field("order_id", DataType::UInt32),
                field("type", DataType::UInt8),
                field("order_type", DataType::UInt8),
                field("side", DataType::UInt8),
                field("reserved", DataType::FixedSizeBinary(RESERVED_SIZE)),
            ],
        };
        Arc::new(Schema::new_with_metadata(fields, metadata))
    }

    /// The events as a batch of this schema.
    pub fn batch(self, schema: &SchemaRef, events: &[RequestEvent]) -> Outcome<RecordBatch> {
        let columns = match self.payload {
            true => payload(events)?,
            false => self.columns(events)?,
        };
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(not_made)
    }

    fn columns(self, events: &[RequestEvent]) -> Outcome<Vec<ArrayRef>> {
        let u64s = |of: fn(&RequestEvent) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(events.iter().map(of)))
        };
        let i64s = |of: fn(&RequestEvent) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(events.iter().map(of)))
        };
        let u32s = |of: fn(&RequestEvent) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(events.iter().map(of)))
        };
        let u8s = |of: fn(&RequestEvent) -> u8| -> ArrayRef {
            Arc::new(UInt8Array::from_iter_values(events.iter().map(of)))
        };
        Ok(vec![
            u64s(|event| event.event_id),
            if self.utc { times(events)? } else { u64s(|event| event.timestamp) },
            i64s(|event| event.price),
            i64s(|event| event.quantity),
            u32s(|event| event.user_id),
            u32s(|event| event.order_id),
            u8s(|event| event.r#type),
            u8s(|event| event.order_type),
            u8s(|event| event.side),
            bytes(RESERVED_SIZE, events, |event, to| to.extend_from_slice(&event.reserved))?,
        ])
    }
}

fn times(events: &[RequestEvent]) -> Outcome<ArrayRef> {
    let time = |event: &RequestEvent| {
        i64::try_from(event.timestamp).map_err(|_| {
            let (id, timestamp) = (event.event_id, event.timestamp);
            let message = format!("event {id}: its timestamp {timestamp} is no time");
            Failure::usage(message).next("export without --timestamps utc, as numbers")
        })
    };
    let times = events.iter().map(time).collect::<Outcome<Vec<i64>>>()?;
    Ok(Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC")))
}

fn payload(events: &[RequestEvent]) -> Outcome<Vec<ArrayRef>> {
    let ids = events.iter().map(|event| event.event_id);
    Ok(vec![
        Arc::new(UInt64Array::from_iter_values(ids)),
        bytes(PAYLOAD_SIZE, events, |event, to| to.extend_from_slice(&event.encode()[8..]))?,
    ])
}

/// So many bytes of each event, behind each other.
fn bytes(
    size: i32,
    events: &[RequestEvent],
    add: impl Fn(&RequestEvent, &mut Vec<u8>),
) -> Outcome<ArrayRef> {
    let mut values = Vec::with_capacity(events.len() * size as usize);
    events.iter().for_each(|event| add(event, &mut values));
    Ok(Arc::new(FixedSizeBinaryArray::try_new(size, values.into(), None).map_err(not_made)?))
}

/// An error of a writer of columns: of the file below it, in nearly all cases.
pub fn not_made(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, error) => error.into(),
        error => Failure::unreadable(error.to_string()),
    }
}
