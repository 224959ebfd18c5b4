//! Columns from messages: those decoded from values, and each message's metadata.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use wasmill_engine::{Error, Result};

use crate::config::{KafkaConfig, KafkaFormat, Tombstones};
use crate::queue::{Message, Messages};
use wasmill_connect::codes::{RESERVED_COLUMN, SOURCE_TYPE};
pub use wasmill_connect::record_columns::{OFFSET_COLUMN, PARTITION_COLUMN, RESERVED, TOPIC_COLUMN};
use wasmill_formats::TypeName;
pub use wasmill_formats::VALUE_COLUMN;
use wasmill_formats::reading::without_reading;
use wasmill_formats::{BadRecord, Step, Values, plain_schema};

/// The reserved column that holds a record's time, by its producer or by the broker: timestamp(ms, UTC) or timestamp(us, UTC), may be null.
pub const TIMESTAMP_COLUMN: &str = "_source.timestamp";
/// The reserved column that holds a record's key: binary or text, may be null.
pub const KEY_COLUMN: &str = "_source.key";
/// The reserved column that holds a record's headers, in order: `list<struct<key: text, value: binary>>`.
pub const HEADERS_COLUMN: &str = "_source.headers";

/// What a message became.
pub(super) enum Decoded {
    /// The next row.
    Row,
    /// Nothing, as configured.
    Skipped,
}

/// Builds batches of a source's schema.
pub(super) struct Columns {
    schema: SchemaRef,
    columns: Vec<From>,
    values: Values,
    tombstones: Tombstones,
    max_record: usize,
    /// The key has to be text.
    text_key: bool,
}

enum From {
    /// Column `i` of the decoded ones.
    Value(usize),
    Topic,
    Partition,
    Offset,
    Timestamp(TimeUnit),
    Key,
    Headers,
}

impl Columns {
    /// For batches of `schema`.
    pub(super) fn new(config: &KafkaConfig, schema: &SchemaRef) -> Result<Self> {
        if plain_schema(schema)?.fields() != schema.fields() {
            return Err(Error::configuration("the requested schema has types that Kafka does not give")
                .code(SOURCE_TYPE)
                .hint("use plain types: text instead of views and dictionaries"));
        }
        let mut values = Vec::new();
        let mut columns = Vec::new();
        for field in schema.fields() {
            columns.push(match field.name().strip_prefix(RESERVED) {
                Some(_) => reserved(field)?,
                None => {
                    values.push(Arc::clone(field));
                    From::Value(values.len() - 1)
                }
            });
        }
        let values = match config.format {
            KafkaFormat::Json => Values::json(values)?,
            KafkaFormat::Raw => Values::raw(&values)?,
        };
        let text_key = schema.field_with_name(KEY_COLUMN).is_ok_and(|field| *field.data_type() == DataType::Utf8);
        let (tombstones, max_record) = (config.tombstones, config.max_record_bytes());
        Ok(Self { schema: without_reading(schema), columns, values, tombstones, max_record, text_key })
    }

    /// Decodes a message as the next row.
    ///
    /// # Errors
    /// Why it can't be; nothing of it stays.
    #[inline]
    pub(super) fn push(&mut self, message: &Message<'_>) -> Step<Decoded> {
        if self.text_key
            && let Some(key) = message.key()
            && simdutf8::basic::from_utf8(key).is_err()
        {
            return Err(BadRecord::new("invalid-utf8", "the key is not UTF-8").within(KEY_COLUMN));
        }
        let Some(value) = message.value() else {
            return match self.tombstones {
                Tombstones::Skip => Ok(Decoded::Skipped),
                Tombstones::Reject => Err(BadRecord::new("tombstone", "the record has no value")),
                Tombstones::Row => self.values.push_nothing().map(|()| Decoded::Row),
            };
        };
        if value.len() > self.max_record {
            let message = format!("the value has {} bytes, and max_record allows {}", value.len(), self.max_record);
            return Err(BadRecord::new("too-long", message));
        }
        self.values.push(value).map(|()| Decoded::Row)
    }

    /// The values that the columns hold so far.
    pub(super) fn cells(&self) -> usize {
        self.values.cells()
    }

    /// The batch of the rows so far, which came from these messages, one for one.
    pub(super) fn finish(&mut self, topic: &str, partition: i32, messages: &mut Messages) -> Result<RecordBatch> {
        let (values, rows) = self.values.finish()?;
        if rows != messages.len() {
            return Err(Error::bug(format!("{rows} rows were decoded from {} messages", messages.len())));
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (from, field) in self.columns.iter().zip(self.schema.fields()) {
            columns.push(match from {
                From::Value(index) => Arc::clone(&values[*index]),
                From::Topic => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(topic, rows))),
                From::Partition => Arc::new(Int32Array::from_value(partition, rows)),
                From::Offset => Arc::new(Int64Array::from_iter_values((0..rows).map(|row| messages.get(row).offset()))),
                From::Timestamp(unit) => timestamps(messages, *unit),
                From::Key => keys(messages, self.text_key),
                From::Headers => headers(messages, field)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::bug(format!("columns of messages do not fit into a batch: {error}")).caused_by(error))
    }
}

fn reserved(field: &Field) -> Result<From> {
    let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let (from, expected) = match (field.name().as_str(), field.data_type()) {
        (TOPIC_COLUMN, _) => (From::Topic, vec![DataType::Utf8]),
        (PARTITION_COLUMN, _) => (From::Partition, vec![DataType::Int32]),
        (OFFSET_COLUMN, _) => (From::Offset, vec![DataType::Int64]),
        (TIMESTAMP_COLUMN, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            (From::Timestamp(TimeUnit::Microsecond), vec![utc(TimeUnit::Microsecond)])
        }
        (TIMESTAMP_COLUMN, _) => (From::Timestamp(TimeUnit::Millisecond), vec![utc(TimeUnit::Millisecond)]),
        (KEY_COLUMN, _) => (From::Key, vec![DataType::Binary, DataType::Utf8]),
        (HEADERS_COLUMN, kind) => match header_fields(kind) {
            Some(_) => return Ok(From::Headers),
            None => {
                return Err(Error::configuration(format!("the column {HEADERS_COLUMN} is of type list<struct<key: text, value: binary>>"))
                    .code(RESERVED_COLUMN));
            }
        },
        (other, _) => {
            return Err(Error::configuration(format!("Kafka has no column {other}")).code(RESERVED_COLUMN).hint(format!(
                "it has {TOPIC_COLUMN}, {PARTITION_COLUMN}, {OFFSET_COLUMN}, {TIMESTAMP_COLUMN}, {KEY_COLUMN} and {HEADERS_COLUMN}"
            )));
        }
    };
    if !expected.contains(field.data_type()) {
        let names: Vec<String> = expected.iter().map(|kind| TypeName(kind).to_string()).collect();
        return Err(Error::configuration(format!(
            "the column {} is of type {}, not {}",
            field.name(),
            names.join(" or "),
            TypeName(field.data_type())
        ))
        .code(RESERVED_COLUMN));
    }
    if matches!(from, From::Timestamp(_) | From::Key) && !field.is_nullable() {
        return Err(
            Error::configuration(format!("the column {} must allow nulls: not every record has one", field.name())).code(RESERVED_COLUMN)
        );
    }
    Ok(from)
}

/// The item and the two fields of the type of headers.
fn header_fields(kind: &DataType) -> Option<(&Arc<Field>, &arrow_schema::Fields)> {
    let DataType::List(item) = kind else { return None };
    let DataType::Struct(fields) = item.data_type() else { return None };
    let types: Vec<_> = fields.iter().map(|field| (field.name().as_str(), field.data_type())).collect();
    let fits = types == [("key", &DataType::Utf8), ("value", &DataType::Binary)] && fields[1].is_nullable();
    fits.then_some((item, fields))
}

fn timestamps(messages: &Messages, unit: TimeUnit) -> ArrayRef {
    let factor = if unit == TimeUnit::Microsecond { 1000 } else { 1 };
    let mut times = Int64Builder::with_capacity(messages.len());
    for row in 0..messages.len() {
        times.append_option(messages.get(row).timestamp().and_then(|time| time.checked_mul(factor)));
    }
    let (_, values, nulls) = times.finish().into_parts();
    match unit {
        TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone("UTC")),
        _ => Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone("UTC")),
    }
}

fn keys(messages: &Messages, as_text: bool) -> ArrayRef {
    let keys = (0..messages.len()).map(|row| messages.get(row).key());
    match as_text {
        // Checked before the value was decoded.
        true => Arc::new(keys.map(|key| key.and_then(|key| std::str::from_utf8(key).ok())).collect::<StringArray>()),
        false => Arc::new(keys.collect::<BinaryArray>()),
    }
}

fn headers(messages: &mut Messages, field: &Field) -> Result<ArrayRef> {
    let Some((item, fields)) = header_fields(field.data_type()) else {
        return Err(Error::bug(format!("{} is not of the type of headers", field.name())));
    };
    let (mut names, mut values, mut lengths) = (StringBuilder::new(), BinaryBuilder::new(), Vec::with_capacity(messages.len()));
    for row in 0..messages.len() {
        let headers = messages.headers(row);
        lengths.push(headers.len());
        for (name, value) in headers {
            names.append_value(name);
            values.append_option(value);
        }
    }
    let unfit = |error| Error::bug(format!("headers do not fit into a column: {error}"));
    let entries = StructArray::try_new(fields.clone(), vec![Arc::new(names.finish()), Arc::new(values.finish())], None).map_err(unfit)?;
    let list = ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), Arc::new(entries), None);
    Ok(Arc::new(list.map_err(unfit)?))
}
