//! Types of columns as pipelines write them, of those that are neither nested nor `json`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wasmill_plugin::arrow::schema::TimeUnit;
use wasmill_plugin::prelude::*;

const SIMPLE: [(&str, DataType); 14] = [
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("text", DataType::Utf8),
    ("binary", DataType::Binary),
    ("date", DataType::Date32),
];
/// As ECMA-262 writes it, for the JSON Schema; [`parse`] reads the same texts.
const PATTERN: &str = "^(bool|u?int(8|16|32|64)|float(32|64)|text|binary|date|decimal\\([0-9]+, ?[0-9]+\\)\
     |timestamp(\\((s|ms|us|ns)(, ?UTC)?\\))?)$";
const ALLOWED: &str = "bool, int8 … int64, uint8 … uint64, float32, float64, decimal(precision, scale), text, binary, date, timestamp, \
     timestamp(s|ms|us|ns), timestamp(us, UTC)";
/// The most digits that 128 bits hold.
const MAX_PRECISION: u8 = 38;

/// The type of a column: `int64`, `text`, `decimal(10, 2)`, `timestamp(us, UTC)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    text: String,
    data_type: DataType,
}

impl ColumnType {
    /// As Arrow has it.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }
}

fn parse(text: &str) -> Option<DataType> {
    if let Some((_, data_type)) = SIMPLE.iter().find(|(name, _)| *name == text) {
        return Some(data_type.clone());
    }
    if text == "timestamp" {
        return Some(DataType::Timestamp(TimeUnit::Microsecond, None));
    }
    let (name, arguments) = text.strip_suffix(')')?.split_once('(')?;
    let mut arguments = arguments.split(',').map(str::trim);
    let (first, second) = (arguments.next()?, arguments.next());
    let parsed = match (name, first, second) {
        ("decimal", precision, Some(scale)) => {
            let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
            let fits = (1..=MAX_PRECISION).contains(&precision) && (0..=precision as i8).contains(&scale);
            fits.then_some(DataType::Decimal128(precision, scale))?
        }
        ("timestamp", unit, None) => DataType::Timestamp(time_unit(unit)?, None),
        ("timestamp", unit, Some("UTC")) => DataType::Timestamp(time_unit(unit)?, Some("UTC".into())),
        _ => return None,
    };
    arguments.next().is_none().then_some(parsed)
}

fn time_unit(text: &str) -> Option<TimeUnit> {
    Some(match text {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let data_type = parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no type of these: {ALLOWED}")))?;
        Ok(Self { text, data_type })
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl JsonSchema for ColumnType {
    fn schema_name() -> Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "description": format!("A type of column: {ALLOWED}."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_pipelines() {
        for (text, expected) in [
            ("int64", "Int64"),
            ("decimal(10, 2)", "Decimal128(10, 2)"),
            ("decimal(38,38)", "Decimal128(38, 38)"),
            ("timestamp", "Timestamp(µs)"),
            ("timestamp(ns)", "Timestamp(ns)"),
            ("timestamp(us, UTC)", "Timestamp(µs, \"UTC\")"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_type_is_not_read() {
        for text in [
            "",
            "number",
            "decimal",
            "decimal(39, 2)",
            "decimal(0, 0)",
            "decimal(3, 4)",
            "decimal(3, -1)",
            "timestamp(us, CET)",
            "list<text>",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("timestamp(us, UTC, cut)"), None);
    }
}
