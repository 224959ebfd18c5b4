//! Columns from records of the log: those decoded from their values, and what is known of each record.

use std::sync::Arc;

use arrow_array::builder::Int64Builder;
use arrow_array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use wasmill_connect::codes::{RESERVED_COLUMN, SOURCE_TYPE};
use wasmill_connect::record_columns::{OFFSET_COLUMN, RESERVED, TOPIC_COLUMN};
use wasmill_engine::{Error, Result};
use wasmill_formats::reading::without_reading;
use wasmill_formats::{BadRecord, Step, TypeName, VALUE_COLUMN, Values, plain_schema};

use crate::config::HttpFormat;

/// The reserved column that holds a record's key: binary or text, may be null.
pub(crate) const KEY_COLUMN: &str = "_source.key";
/// The reserved column that holds a record's time, by its sender or else when it was accepted: timestamp(ms, UTC) or timestamp(us, UTC).
pub(crate) const TIMESTAMP_COLUMN: &str = "_source.timestamp";

/// A record that became a row, and what is known of it.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its number in the log.
    pub number: u64,
    /// The name that it was posted to.
    pub name: Bytes,
    pub key: Option<Bytes>,
    /// Milliseconds since 1970.
    pub time: i64,
    pub value: Bytes,
}

/// Builds batches of a source's schema.
pub(crate) struct Columns {
    schema: SchemaRef,
    columns: Vec<From>,
    values: Values,
    /// The key has to be text.
    text_key: bool,
}

enum From {
    /// Column `i` of the decoded ones.
    Value(usize),
    Name,
    Number,
    Time(TimeUnit),
    Key,
}

/// The columns that can be requested besides those of values.
pub(crate) fn reserved_columns() -> Vec<Field> {
    let columns = [
        (TOPIC_COLUMN, DataType::Utf8),
        (OFFSET_COLUMN, DataType::Int64),
        (TIMESTAMP_COLUMN, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        (KEY_COLUMN, DataType::Binary),
    ];
    columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect()
}

/// The columns that are certain: those of raw values.
pub(crate) fn known_schema(format: HttpFormat) -> Option<SchemaRef> {
    let raw = || Arc::new(Schema::new(vec![Field::new(VALUE_COLUMN, DataType::Binary, true)]));
    (format == HttpFormat::Raw).then(raw)
}

impl Columns {
    /// For batches of `schema`.
    pub(crate) fn new(format: HttpFormat, schema: &SchemaRef) -> Result<Self> {
        if plain_schema(schema)?.fields() != schema.fields() {
            return Err(Error::configuration("the requested schema has types that posted records do not give")
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
        let values = match format {
            HttpFormat::Json => Values::json(values)?,
            HttpFormat::Raw => Values::raw(&values)?,
        };
        let text_key = schema.field_with_name(KEY_COLUMN).is_ok_and(|field| *field.data_type() == DataType::Utf8);
        Ok(Self { schema: without_reading(schema), columns, values, text_key })
    }

    /// Decodes a record as the next row.
    ///
    /// # Errors
    /// Why it can't be; nothing of it stays.
    pub(crate) fn push(&mut self, key: Option<&Bytes>, value: &[u8]) -> Step {
        if self.text_key && key.is_some_and(|key| std::str::from_utf8(key).is_err()) {
            return Err(BadRecord::new("invalid-utf8", "the key is not UTF-8").within(KEY_COLUMN));
        }
        self.values.push(value)
    }

    /// The values that the columns hold so far.
    pub(crate) fn cells(&self) -> usize {
        self.values.cells()
    }

    /// The batch of the rows so far.
    pub(crate) fn finish(&mut self, rows: &[Row]) -> Result<RecordBatch> {
        let (values, count) = self.values.finish()?;
        if count != rows.len() {
            return Err(Error::bug(format!("{count} rows were decoded from {} records", rows.len())));
        }
        let columns = self.columns.iter().map(|from| -> ArrayRef {
            match from {
                From::Value(index) => Arc::clone(&values[*index]),
                From::Name => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| String::from_utf8_lossy(&row.name)))),
                From::Number => {
                    Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::try_from(row.number).unwrap_or(i64::MAX))))
                }
                From::Time(unit) => times(rows, *unit),
                From::Key if self.text_key => {
                    Arc::new(rows.iter().map(|row| std::str::from_utf8(row.key.as_ref()?).ok()).collect::<StringArray>())
                }
                From::Key => Arc::new(rows.iter().map(|row| row.key.as_ref()).collect::<BinaryArray>()),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.collect(), &options)
            .map_err(|error| Error::bug(format!("columns of records do not fit into a batch: {error}")).caused_by(error))
    }
}

fn reserved(field: &Field) -> Result<From> {
    let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let (from, expected) = match (field.name().as_str(), field.data_type()) {
        (TOPIC_COLUMN, _) => (From::Name, DataType::Utf8),
        (OFFSET_COLUMN, _) => (From::Number, DataType::Int64),
        (TIMESTAMP_COLUMN, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            (From::Time(TimeUnit::Microsecond), utc(TimeUnit::Microsecond))
        }
        (TIMESTAMP_COLUMN, _) => (From::Time(TimeUnit::Millisecond), utc(TimeUnit::Millisecond)),
        (KEY_COLUMN, DataType::Utf8) => (From::Key, DataType::Utf8),
        (KEY_COLUMN, _) => (From::Key, DataType::Binary),
        (other, _) => {
            return Err(Error::configuration(format!("posted records have no column {other}"))
                .code(RESERVED_COLUMN)
                .hint(format!("they have {TOPIC_COLUMN}, {OFFSET_COLUMN}, {TIMESTAMP_COLUMN} and {KEY_COLUMN}")));
        }
    };
    if expected != *field.data_type() {
        let (name, wanted, given) = (field.name(), TypeName(&expected), TypeName(field.data_type()));
        return Err(Error::configuration(format!("the column {name} is of type {wanted}, not {given}")).code(RESERVED_COLUMN));
    }
    if matches!(from, From::Key) && !field.is_nullable() {
        let message = format!("the column {} must allow nulls: not every record has one", field.name());
        return Err(Error::configuration(message).code(RESERVED_COLUMN));
    }
    Ok(from)
}

fn times(rows: &[Row], unit: TimeUnit) -> ArrayRef {
    let factor = if unit == TimeUnit::Microsecond { 1000 } else { 1 };
    let mut times = Int64Builder::with_capacity(rows.len());
    rows.iter().for_each(|row| times.append_value(row.time.saturating_mul(factor)));
    let (_, values, nulls) = times.finish().into_parts();
    match unit {
        TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone("UTC")),
        _ => Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone("UTC")),
    }
}
