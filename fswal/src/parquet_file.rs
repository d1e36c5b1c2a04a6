//! A Parquet file of events, in bounded memory: the values of a row group are collected, and then
//! its columns are encoded one after the other.
//!
//! The Parquet crate's writer of Arrow batches allocates every value of a column of fixed-size
//! bytes, and gathers every column by a list of indexes. Without that, and without the ranges of
//! most columns, an export takes a quarter less processor time.

use std::io::{self, BufWriter};
use std::mem;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use flashstrike_wal::format::RequestEvent;
use parquet::arrow::{add_encoded_arrow_schema_to_metadata, ArrowSchemaConverter};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{
    ByteArray, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::ColumnPath;

use crate::columns::{times, Column};
use crate::failure::{Failure, Outcome};
use crate::output::NamedFile;

/// A row group is written when at least so many events are collected.
const ROW_GROUP: usize = 512 * 1024;
/// Events of a page, at most: the crate ends one at 1 MiB, too.
const PAGE: usize = 64 * 1024;
/// Values that are encoded at a time: they fit into the processor's cache.
const PIECE: usize = 8 * 1024;

pub struct ParquetFile {
    writer: SerializedFileWriter<BufWriter<NamedFile>>,
    columns: Vec<Collected>,
    /// The events that are collected.
    events: usize,
}

/// A column's values in the row group that is being collected. One of the vectors is used: that of
/// the type in which Parquet stores the column.
struct Collected {
    column: Column,
    longs: Vec<i64>,
    ints: Vec<i32>,
    bytes: Vec<u8>,
}

impl ParquetFile {
    pub fn new(
        to: BufWriter<NamedFile>,
        columns: Vec<Column>,
        schema: &SchemaRef,
    ) -> Outcome<Self> {
        let of_file = ArrowSchemaConverter::new().convert(schema).map_err(not_written)?;
        let properties = Arc::new(properties(&columns, schema));
        let writer = SerializedFileWriter::new(to, of_file.root_schema_ptr(), properties);
        let writer = writer.map_err(not_written)?;
        let collected = |column| Collected { column, longs: vec![], ints: vec![], bytes: vec![] };
        Ok(ParquetFile { writer, columns: columns.into_iter().map(collected).collect(), events: 0 })
    }

    pub fn write(&mut self, events: &[RequestEvent]) -> Outcome<()> {
        self.columns.iter_mut().try_for_each(|column| column.add(events))?;
        self.events += events.len();
        match self.events >= ROW_GROUP {
            true => self.write_group().map_err(not_written),
            false => Ok(()),
        }
    }

    /// Writes what is left, and the metadata, with these pairs in it.
    pub fn finish(mut self, metadata: impl IntoIterator<Item = (String, String)>) -> Outcome<()> {
        if self.events > 0 {
            self.write_group().map_err(not_written)?;
        }
        for (key, value) in metadata {
            self.writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        self.writer.close().map_err(not_written)?;
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let mut to = group.next_column()?.expect("as many columns as the schema has");
            column.write(&mut to)?;
            to.close()?;
        }
        group.close()?;
        self.events = 0;
        Ok(())
    }
}

impl Collected {
    /// Parquet has signed numbers of 32 and 64 bits only: unsigned ones keep their bits, bytes are
    /// widened. The schema says what they are.
    fn add(&mut self, events: &[RequestEvent]) -> Outcome<()> {
        match self.column {
            Column::U64(_, take) => self.longs.extend(take(events).into_iter().map(|n| n as i64)),
            Column::I64(_, take) => self.longs.extend(take(events)),
            Column::Time => self.longs.extend(times(events)?),
            Column::U32(_, take) => self.ints.extend(take(events).into_iter().map(|n| n as i32)),
            Column::U8(_, take) => self.ints.extend(take(events).into_iter().map(i32::from)),
            Column::Bytes(_, _, take) => self.bytes.extend(take(events)),
        }
        Ok(())
    }

    /// Writes the values and forgets them.
    fn write(&mut self, to: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match self.column {
            Column::U64(..) | Column::I64(..) | Column::Time => {
                to.typed::<Int64Type>().write_batch(&self.longs, None, None)?;
                self.longs.clear();
            }
            Column::U32(..) | Column::U8(..) => {
                to.typed::<Int32Type>().write_batch(&self.ints, None, None)?;
                self.ints.clear();
            }
            Column::Bytes(_, size, _) => {
                let end = self.bytes.len();
                // The values are parts of this one allocation.
                let all = ByteArray::from(mem::take(&mut self.bytes));
                let mut values = (0..end).step_by(size).map(|at| all.slice(at, size).into());
                loop {
                    let piece: Vec<FixedLenByteArray> = values.by_ref().take(PIECE).collect();
                    if piece.is_empty() {
                        break;
                    }
                    to.typed::<FixedLenByteArrayType>().write_batch(&piece, None, None)?;
                }
            }
        }
        Ok(())
    }
}

/// Delta encoding for numbers, none for bytes, and zstd behind both.
fn properties(columns: &[Column], schema: &SchemaRef) -> WriterProperties {
    let metadata = schema.metadata().iter();
    let metadata = metadata.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(PAGE)
        .set_write_batch_size(PIECE)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(metadata.collect()));
    for column in columns {
        let path = ColumnPath::from(column.name());
        // Ranges help a reader that looks for some ids or times. Each more takes 4 to 8 % longer;
        // in most of the other columns most values are on every page.
        if !["event_id", "timestamp"].contains(&column.name()) {
            let none = EnabledStatistics::None;
            properties = properties.set_column_statistics_enabled(path.clone(), none);
        }
        if !matches!(column, Column::Bytes(..)) {
            properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    let mut properties = properties.build();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    properties
}

fn not_written(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => (*error).into(),
            Err(error) => Failure::unreadable(error.to_string()),
        },
        error => Failure::unreadable(error.to_string()),
    }
}
