//! Events as columns: their names and types, and what each has of an event.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, TimestampNanosecondArray, UInt32Array,
    UInt64Array, UInt8Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use flashstrike_wal::format::RequestEvent;

use crate::failure::{Failure, Outcome};

const PAYLOAD_SIZE: usize = 56;
const RESERVED_SIZE: usize = 21;

/// What the columns are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Timestamps are nanoseconds since 1970, in UTC, and not just numbers.
    pub utc: bool,
    /// The 56 bytes behind the id as one.
    pub payload: bool,
}

/// A column: its name, and how its values are taken out of events.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    U64(&'static str, Take<u64>),
    I64(&'static str, Take<i64>),
    U32(&'static str, Take<u32>),
    U8(&'static str, Take<u8>),
    /// The timestamps, as nanoseconds since 1970 in UTC.
    Time,
    /// So many bytes of each event, behind each other.
    Bytes(&'static str, usize, Take<u8>),
}

/// The values of a column of these events.
type Take<T> = fn(&[RequestEvent]) -> Vec<T>;

/// Takes a field.
macro_rules! take {
    ($field:ident) => {
        |events| events.iter().map(|event| event.$field).collect()
    };
}

impl Shape {
    pub fn columns(self) -> Vec<Column> {
        let event_id = Column::U64("event_id", take!(event_id));
        if self.payload {
            return vec![event_id, Column::Bytes("payload", PAYLOAD_SIZE, payload)];
        }
        vec![
            event_id,
            if self.utc { Column::Time } else { Column::U64("timestamp", take!(timestamp)) },
            Column::I64("price", take!(price)),
            Column::I64("quantity", take!(quantity)),
            Column::U32("user_id", take!(user_id)),
            Column::U32("order_id", take!(order_id)),
            Column::U8("type", take!(r#type)),
            Column::U8("order_type", take!(order_type)),
            Column::U8("side", take!(side)),
            Column::Bytes("reserved", RESERVED_SIZE, reserved),
        ]
    }

    pub fn schema(self, metadata: HashMap<String, String>) -> SchemaRef {
        let columns = self.columns();
        let field = |column: &Column| Field::new(column.name(), column.data_type(), false);
        let fields: Vec<Field> = columns.iter().map(field).collect();
        Arc::new(Schema::new_with_metadata(fields, metadata))
    }

    /// The events as a batch of this schema.
    pub fn batch(self, schema: &SchemaRef, events: &[RequestEvent]) -> Outcome<RecordBatch> {
        let columns = self.columns();
        let arrays = columns.iter().map(|column| column.array(events)).collect::<Outcome<_>>()?;
        RecordBatch::try_new(Arc::clone(schema), arrays).map_err(not_made)
    }
}

impl Column {
    pub fn name(&self) -> &'static str {
        match self {
            Column::U64(name, _) | Column::I64(name, _) => name,
            Column::U32(name, _) | Column::U8(name, _) | Column::Bytes(name, _, _) => name,
            Column::Time => "timestamp",
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Column::U64(..) => DataType::UInt64,
            Column::I64(..) => DataType::Int64,
            Column::U32(..) => DataType::UInt32,
            Column::U8(..) => DataType::UInt8,
            Column::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Column::Bytes(_, size, _) => DataType::FixedSizeBinary(*size as i32),
        }
    }

    fn array(&self, events: &[RequestEvent]) -> Outcome<ArrayRef> {
        Ok(match self {
            Column::U64(_, take) => Arc::new(UInt64Array::from(take(events))),
            Column::I64(_, take) => Arc::new(Int64Array::from(take(events))),
            Column::U32(_, take) => Arc::new(UInt32Array::from(take(events))),
            Column::U8(_, take) => Arc::new(UInt8Array::from(take(events))),
            Column::Time => {
                let times = times(events)?;
                Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"))
            }
            Column::Bytes(_, size, take) => {
                let bytes = take(events).into();
                let array = FixedSizeBinaryArray::try_new(*size as i32, bytes, None);
                Arc::new(array.map_err(not_made)?)
            }
        })
    }
}

/// The timestamps as times.
pub fn times(events: &[RequestEvent]) -> Outcome<Vec<i64>> {
    let time = |event: &RequestEvent| {
        i64::try_from(event.timestamp).map_err(|_| {
            let (id, timestamp) = (event.event_id, event.timestamp);
            let message = format!("event {id}: its timestamp {timestamp} is no time");
            Failure::usage(message).next("export without --timestamps utc, as numbers")
        })
    };
    events.iter().map(time).collect()
}

fn payload(events: &[RequestEvent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(events.len() * PAYLOAD_SIZE);
    events.iter().for_each(|event| bytes.extend_from_slice(&event.encode()[8..]));
    bytes
}

fn reserved(events: &[RequestEvent]) -> Vec<u8> {
    let reserved = |event: &RequestEvent| -> [u8; RESERVED_SIZE] { event.reserved };
    events.iter().map(reserved).collect::<Vec<_>>().into_flattened()
}

/// An error of a writer of columns: of the file below it, in nearly all cases.
pub fn not_made(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, error) => error.into(),
        error => Failure::unreadable(error.to_string()),
    }
}
