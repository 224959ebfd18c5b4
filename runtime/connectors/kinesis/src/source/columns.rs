//! Columns from records: those decoded from their data, and each record's metadata.

use std::sync::Arc;

use arrow_array::builder::Int64Builder;
use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use wasmill_engine::{Error, Result};

use super::config::{KinesisConfig, KinesisFormat};
use super::records::Record;
use wasmill_connect::codes::{RESERVED_COLUMN, SOURCE_TYPE};
use wasmill_formats::TypeName;
use wasmill_formats::reading::without_reading;
use wasmill_formats::{BadRecord, Step, Values, plain_schema};

/// The reserved column that holds a record's stream: text.
pub const STREAM_COLUMN: &str = "_source.stream";
/// The reserved column that holds a record's shard: text.
pub const SHARD_COLUMN: &str = "_source.shard";
/// The reserved column that holds a record's sequence number: text, for it has 56 digits.
pub const SEQUENCE_NUMBER_COLUMN: &str = "_source.sequence_number";
/// The reserved column that holds the number of a record within its aggregate: int64; 0 for plain records.
pub const SUB_SEQUENCE_COLUMN: &str = "_source.sub_sequence";
/// The reserved column that holds the time at which a record arrived, about: timestamp(ms, UTC) or timestamp(us, UTC), may be null.
pub const ARRIVAL_COLUMN: &str = "_source.arrival";
/// The reserved column that holds a record's partition key: text.
pub const PARTITION_KEY_COLUMN: &str = "_source.partition_key";

/// Builds batches of a source's schema.
pub(super) struct Columns {
    schema: SchemaRef,
    columns: Vec<From>,
    values: Values,
    max_record: usize,
}

enum From {
    /// Column `i` of the decoded ones.
    Value(usize),
    Stream,
    Shard,
    SequenceNumber,
    SubSequence,
    Arrival(TimeUnit),
    PartitionKey,
}

impl Columns {
    /// For batches of `schema`.
    pub(super) fn new(config: &KinesisConfig, schema: &SchemaRef) -> Result<Self> {
        if plain_schema(schema)?.fields() != schema.fields() {
            return Err(Error::configuration("the requested schema has types that Kinesis does not give")
                .code(SOURCE_TYPE)
                .hint("use plain types: text instead of views and dictionaries"));
        }
        let mut values = Vec::new();
        let mut columns = Vec::new();
        for field in schema.fields() {
            columns.push(match field.name().strip_prefix("_source.") {
                Some(_) => reserved(field)?,
                None => {
                    values.push(Arc::clone(field));
                    From::Value(values.len() - 1)
                }
            });
        }
        let values = match config.format {
            KinesisFormat::Json => Values::json(values)?,
            KinesisFormat::Raw => Values::raw(&values)?,
        };
        Ok(Self { schema: without_reading(schema), columns, values, max_record: config.max_record_bytes() })
    }

    /// Decodes a record as the next row.
    ///
    /// # Errors
    /// Why it can't be; nothing of it stays.
    #[inline]
    pub(super) fn push(&mut self, record: &Record) -> Step {
        if record.data.len() > self.max_record {
            let message = format!("the record has {} bytes, and max_record allows {}", record.data.len(), self.max_record);
            return Err(BadRecord::new("too-long", message));
        }
        self.values.push(&record.data)
    }

    /// The values that the columns hold so far.
    pub(super) fn cells(&self) -> usize {
        self.values.cells()
    }

    /// The batch of the rows so far, which came from these records, one for one.
    pub(super) fn finish(&mut self, stream: &str, shard: &str, records: &[Record]) -> Result<RecordBatch> {
        let (values, rows) = self.values.finish()?;
        if rows != records.len() {
            return Err(Error::bug(format!("{rows} rows were decoded from {} records", records.len())));
        }
        let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) };
        let columns = self.columns.iter().map(|from| -> ArrayRef {
            match from {
                From::Value(index) => Arc::clone(&values[*index]),
                From::Stream => same(stream),
                From::Shard => same(shard),
                From::SequenceNumber => {
                    Arc::new(StringArray::from_iter_values(records.iter().map(|record| &record.envelope.sequence_number)))
                }
                From::SubSequence => {
                    let numbers = records.iter().map(|record| i64::try_from(record.sub_sequence()).unwrap_or(i64::MAX));
                    Arc::new(Int64Array::from_iter_values(numbers))
                }
                From::Arrival(unit) => arrivals(records, *unit),
                From::PartitionKey => Arc::new(StringArray::from_iter_values(records.iter().map(Record::partition_key))),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.collect(), &options)
            .map_err(|error| Error::bug(format!("columns of records do not fit into a batch: {error}")).caused_by(error))
    }
}

fn reserved(field: &Field) -> Result<From> {
    let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let (from, expected) = match (field.name().as_str(), field.data_type()) {
        (STREAM_COLUMN, _) => (From::Stream, DataType::Utf8),
        (SHARD_COLUMN, _) => (From::Shard, DataType::Utf8),
        (SEQUENCE_NUMBER_COLUMN, _) => (From::SequenceNumber, DataType::Utf8),
        (SUB_SEQUENCE_COLUMN, _) => (From::SubSequence, DataType::Int64),
        (ARRIVAL_COLUMN, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            (From::Arrival(TimeUnit::Microsecond), utc(TimeUnit::Microsecond))
        }
        (ARRIVAL_COLUMN, _) => (From::Arrival(TimeUnit::Millisecond), utc(TimeUnit::Millisecond)),
        (PARTITION_KEY_COLUMN, _) => (From::PartitionKey, DataType::Utf8),
        (other, _) => {
            return Err(Error::configuration(format!("Kinesis has no column {other}")).code(RESERVED_COLUMN).hint(format!(
                "it has {STREAM_COLUMN}, {SHARD_COLUMN}, {SEQUENCE_NUMBER_COLUMN}, {SUB_SEQUENCE_COLUMN}, {ARRIVAL_COLUMN} and {PARTITION_KEY_COLUMN}"
            )));
        }
    };
    if expected != *field.data_type() {
        return Err(Error::configuration(format!(
            "the column {} is of type {}, not {}",
            field.name(),
            TypeName(&expected),
            TypeName(field.data_type())
        ))
        .code(RESERVED_COLUMN));
    }
    if matches!(from, From::Arrival(_)) && !field.is_nullable() {
        return Err(
            Error::configuration(format!("the column {} must allow nulls: not every record has one", field.name())).code(RESERVED_COLUMN)
        );
    }
    Ok(from)
}

fn arrivals(records: &[Record], unit: TimeUnit) -> ArrayRef {
    let factor = if unit == TimeUnit::Microsecond { 1000 } else { 1 };
    let mut times = Int64Builder::with_capacity(records.len());
    for record in records {
        times.append_option(record.envelope.arrival.and_then(|time| time.checked_mul(factor)));
    }
    let (_, values, nulls) = times.finish().into_parts();
    match unit {
        TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone("UTC")),
        _ => Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone("UTC")),
    }
}
