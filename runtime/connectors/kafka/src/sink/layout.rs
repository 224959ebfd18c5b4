//! Which column of a row becomes which part of a record.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Schema, TimeUnit};
use wasmill_engine::{Error, Result};

use super::config::KafkaSinkConfig;
use crate::codes::COLUMN;
use crate::config::KafkaFormat;
use crate::source::{RESERVED, VALUE_COLUMN};
use wasmill_formats::TypeName;
use wasmill_formats::json::Cells;
use wasmill_formats::plain_schema;

/// Columns by what they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) key: Option<usize>,
    pub(super) partition: Option<usize>,
    pub(super) timestamp: Option<usize>,
    pub(super) tombstone: Option<usize>,
    /// Names with their columns.
    pub(super) headers: Vec<(String, usize)>,
    pub(super) value: Value,
}

/// What a record's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// An object of these columns.
    Json(Vec<usize>),
    /// This column as it is.
    Raw(usize),
}

impl Layout {
    /// The layout of rows of these columns.
    ///
    /// # Errors
    /// Configuration: a column that is not there, or can't be what it should be.
    pub(super) fn new(config: &KafkaSinkConfig, schema: &Schema) -> Result<Self> {
        let schema = plain_schema(schema)?;
        let find = |role: &str, name: &Option<String>, fits: fn(&DataType) -> bool, wanted: &str| {
            name.as_ref().map(|name| column(&schema, role, name, fits, wanted)).transpose()
        };
        let key = find("key", &config.key, is_text, TEXTS)?;
        let partition = find("partition", &config.partition, DataType::is_integer, "a whole number")?;
        let timestamp = find("timestamp", &config.timestamp, is_time, "a timestamp or a whole number of milliseconds")?;
        let tombstone = find("tombstone", &config.tombstone, |kind| *kind == DataType::Boolean, "a boolean")?;
        let header = |(name, of): (&String, &String)| Ok((name.clone(), column(&schema, "headers", of, is_text, TEXTS)?));
        let headers = config.headers.iter().map(header).collect::<Result<Vec<_>>>()?;
        let value = match config.format {
            KafkaFormat::Json => {
                let is_left_out = |index: usize| Some(index) == tombstone || schema.field(index).name().starts_with(RESERVED);
                let columns: Vec<usize> = (0..schema.fields().len()).filter(|index| !is_left_out(*index)).collect();
                Value::Json(columns)
            }
            KafkaFormat::Raw => {
                let value =
                    column(&schema, "format", VALUE_COLUMN, |kind| matches!(kind, DataType::Binary | DataType::Utf8), "text or binary")
                        .map_err(|error| {
                            error.hint("`format: raw` writes the column `value`, as the source `kafka` reads it with `format: raw`")
                        })?;
                let taken = [Some(value), key, partition, timestamp, tombstone];
                let is_lost = |index: &usize| {
                    !taken.contains(&Some(*index))
                        && headers.iter().all(|(_, header)| header != index)
                        && !schema.field(*index).name().starts_with(RESERVED)
                };
                if let Some(lost) = (0..schema.fields().len()).find(is_lost) {
                    return Err(Error::configuration(format!(
                        "`format: raw` writes the column `{VALUE_COLUMN}` and nothing else: `{}` would be lost",
                        schema.field(lost).name()
                    ))
                    .code(COLUMN)
                    .key(["format", "raw"])
                    .hint("write it with `format: json`, or name it as `key` or in `headers`"));
                }
                Value::Raw(value)
            }
        };
        Ok(Self { key, partition, timestamp, tombstone, headers, value })
    }
}

const TEXTS: &str = "text, binary or a whole number";

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::Binary) || kind.is_integer()
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Int64)
}

fn column(schema: &Schema, role: &str, name: &str, fits: fn(&DataType) -> bool, wanted: &str) -> Result<usize> {
    let Ok(index) = schema.index_of(name) else {
        let all: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::configuration(format!("`{role}`: there is no column `{name}`"))
            .code(COLUMN)
            .key([role])
            .hint(format!("the sink gets: {}", if all.is_empty() { "no columns".to_owned() } else { all.join(", ") })));
    };
    match schema.field(index).data_type() {
        kind if fits(kind) => Ok(index),
        kind => Err(Error::configuration(format!("`{role}`: the column `{name}` is {}, and should be {wanted}", TypeName(kind)))
            .code(COLUMN)
            .key([role])),
    }
}

/// Cells that become bytes: texts and binary as they are, whole numbers as their decimal text.
pub(super) enum Texts<'a> {
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Number(Cells<'a>),
}

impl<'a> Texts<'a> {
    /// The cells of a column whose type was found to fit.
    pub(super) fn of(records: &'a RecordBatch, column: usize) -> Result<Self> {
        let array = records.column(column);
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Binary(array.as_binary()),
            _ => Self::Number(Cells::of(array.as_ref())?),
        })
    }

    /// A cell; numbers are written into `scratch`.
    pub(super) fn get<'b>(&'b self, row: usize, scratch: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        match self {
            Self::Text(array) => array.is_valid(row).then(|| array.value(row).as_bytes()),
            Self::Binary(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Number(cells) if cells.is_null(row) => None,
            Self::Number(cells) => {
                scratch.clear();
                cells.put_bare(row, scratch);
                Some(scratch)
            }
        }
    }
}

/// A whole number of any width; `None` where it is null.
pub(super) fn integer(array: &dyn Array, row: usize) -> Option<i128> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        _ => return None,
    })
}

/// A time in milliseconds since 1970; `None` where it is null.
pub(super) fn millis(array: &dyn Array, row: usize) -> Option<i64> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => array.as_primitive::<TimestampMillisecondType>().value(row),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000),
        _ => array.as_primitive::<Int64Type>().value(row),
    })
}

/// Whether a row is marked as a tombstone.
pub(super) fn is_set(array: Option<&BooleanArray>, row: usize) -> bool {
    array.is_some_and(|array| array.is_valid(row) && array.value(row))
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;

    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn columns_have_one_place_each() {
        let columns = schema(&[
            ("id", DataType::Int64),
            ("gone", DataType::Boolean),
            ("_source.partition", DataType::Int32),
            ("origin", DataType::Utf8),
        ]);
        let config = KafkaSinkConfig {
            key: Some("id".into()),
            tombstone: Some("gone".into()),
            partition: Some("_source.partition".into()),
            headers: [("from".to_owned(), "origin".to_owned())].into(),
            ..KafkaSinkConfig::of_topic("b:1", "t")
        };
        let layout = Layout::new(&config, &columns).unwrap();
        assert_eq!(layout.value, Value::Json(vec![0, 3]), "neither what is reserved nor the tombstone is part of the value");
        assert_eq!((layout.key, layout.partition, layout.tombstone, layout.headers[0].1), (Some(0), Some(2), Some(1), 3));
    }

    #[test]
    fn columns_that_do_not_fit_are_named() {
        let columns = schema(&[("value", DataType::Utf8), ("x", DataType::Float64)]);
        let refused = |change: fn(&mut KafkaSinkConfig)| {
            let mut config = KafkaSinkConfig::of_topic("b:1", "t");
            change(&mut config);
            Layout::new(&config, &columns).unwrap_err().to_string()
        };
        assert!(refused(|config| config.key = Some("x".into())).contains("`key`: the column `x` is float64"));
        assert!(refused(|config| config.partition = Some("value".into())).contains("`partition`"));
        assert!(refused(|config| config.timestamp = Some("y".into())).contains("`timestamp`: there is no column `y`"));
        assert!(refused(|config| config.format = KafkaFormat::Raw).contains("`x` would be lost"));
    }
}
