//! Column types as pipeline files write them: `int64`, `text`, `decimal(10, 2)`, `list<struct<a:
//! int64>>`, `int64 not null`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use schemars::{JsonSchema, Schema as JsonSchemaDocument, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use wasmill_formats::reading::{AsJson, Reading, parse_unit};

/// What may be written, for messages.
pub(crate) const ALLOWED: &str = "bool, int8 … int64, uint8 … uint64, float32, float64, decimal(precision, scale), text, json, binary, date,\n\
     timestamp, timestamp(s|ms|us|ns), timestamp(us, UTC), timestamp(us, UTC, epoch: s|ms|us|ns), timestamp(us, UTC, cut),\n\
     list<type>, struct<name: type, …>, map<text, type>; each may be followed by `not null`";

const SIMPLE: [(&str, DataType); 22] = [
    ("bool", DataType::Boolean),
    ("boolean", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("int", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("double", DataType::Float64),
    ("float", DataType::Float64),
    ("text", DataType::Utf8),
    ("string", DataType::Utf8),
    ("utf8", DataType::Utf8),
    ("binary", DataType::Binary),
    ("date", DataType::Date32),
    ("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("null", DataType::Null),
];
const COMPOUND: [&str; 5] = ["decimal", "list", "struct", "map", "json"];
const MAX_DEPTH: usize = 16;

/// A column's type, and whether it may hold nulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// The type.
    pub data_type: DataType,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// How its values are read, where the type does not decide it.
    pub reading: Reading,
}

impl ColumnType {
    /// As a field of this name.
    pub fn to_field(&self, name: &str) -> Field {
        self.reading.on(Field::new(name, self.data_type.clone(), self.nullable))
    }
}

/// A column with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
}

/// Columns in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(pub Vec<Column>);

impl Columns {
    /// As an Arrow schema.
    pub fn to_arrow(&self) -> SchemaRef {
        let field = |column: &Column| column.column_type.to_field(&column.name);
        Arc::new(Schema::new(self.0.iter().map(field).collect::<Vec<_>>()))
    }
}

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text };
        let column_type = parser.column_type(0)?;
        parser.skip();
        if parser.rest.is_empty() {
            Ok(column_type)
        } else {
            Err(format!("`{}` does not belong to a type", crate::diagnostics::shorten(parser.rest, 40)))
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, sign: char, after: &str) -> Result<(), String> {
        if self.take(sign) {
            return Ok(());
        }
        let found = if self.rest.is_empty() { "the end".into() } else { format!("`{}`", crate::diagnostics::shorten(self.rest, 20)) };
        Err(format!("expected `{sign}` after {after}, found {found}"))
    }

    fn word(&mut self) -> &'a str {
        self.skip();
        let end = self
            .rest
            .find(|char: char| !(char.is_alphanumeric() || matches!(char, '_' | '/' | '+' | '-' | '.')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn column_type(&mut self, depth: usize) -> Result<ColumnType, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        let (data_type, reading) = self.read_type(depth)?;
        self.skip();
        let not_null = self.rest.strip_prefix("not").map(str::trim_start).and_then(|rest| rest.strip_prefix("null"));
        if let Some(rest) = not_null {
            self.rest = rest;
        }
        Ok(ColumnType { data_type, nullable: not_null.is_none(), reading })
    }

    /// A type, and how its values are read.
    fn read_type(&mut self, depth: usize) -> Result<(DataType, Reading), String> {
        let before = self.rest;
        let name = self.word().to_ascii_lowercase();
        if name == "json" {
            return Ok((DataType::Utf8, Reading { json: AsJson::Value, ..Reading::default() }));
        }
        if name == "timestamp" && self.take('(') {
            return self.timestamp();
        }
        self.rest = before;
        Ok((self.data_type(depth)?, Reading::default()))
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        let name = self.word();
        match name.to_ascii_lowercase().as_str() {
            "decimal" => self.decimal(),
            "list" => {
                self.need('<', "`list`")?;
                let item = self.column_type(depth + 1)?;
                self.need('>', "the type of a list's items")?;
                Ok(DataType::List(Arc::new(item.to_field("item"))))
            }
            "struct" => self.structure(depth),
            "map" => self.map(depth),
            lower => {
                let simple = SIMPLE.iter().find(|(known, _)| *known == lower);
                simple.map(|(_, data_type)| data_type.clone()).ok_or_else(|| {
                    let near = crate::diagnostics::nearest(name, SIMPLE.iter().map(|(known, _)| *known).chain(COMPOUND));
                    let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                    format!("`{}` is not a type{hint}", crate::diagnostics::shorten(name, 40))
                })
            }
        }
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        self.need('(', "`decimal`")?;
        let precision = self.word().parse::<u8>().ok().filter(|precision| (1..=38).contains(precision));
        let precision = precision.ok_or("the precision of a decimal is a number from 1 to 38")?;
        let scale = if self.take(',') { self.word().parse::<i8>().ok() } else { Some(0) };
        let scale = scale
            .filter(|scale| (0..=precision as i8).contains(scale))
            .ok_or("the scale of a decimal is a number from 0 to its precision")?;
        self.need(')', "a decimal's scale")?;
        Ok(DataType::Decimal128(precision, scale))
    }

    /// The contents of a timestamp's brackets: its unit, optionally a zone, optionally how it is
    /// read.
    fn timestamp(&mut self) -> Result<(DataType, Reading), String> {
        let unit = self.unit()?;
        let (mut zone, mut reading) = (None, Reading::default());
        while self.take(',') {
            match self.word() {
                "epoch" => {
                    // With a colon, as keys are written, or without.
                    self.take(':');
                    reading.epoch = Some(self.unit()?);
                }
                "cut" => reading.cut = true,
                word if zone.is_none() && is_zone(word) => {
                    // An offset is written with a colon, which no word holds.
                    let offset = word.starts_with(['+', '-']) && self.take(':');
                    zone = Some(if offset { format!("{word}:{}", self.word()) } else { word.to_owned() });
                }
                other => {
                    return Err(format!(
                        "`{}` is not a time zone (`UTC`, `+02:00`, `Europe/Berlin`), nor `epoch: ms`, nor `cut`",
                        crate::diagnostics::shorten(other, 40)
                    ));
                }
            }
        }
        self.need(')', "a timestamp's unit and zone")?;
        Ok((DataType::Timestamp(unit, zone.map(Into::into)), reading))
    }

    fn unit(&mut self) -> Result<TimeUnit, String> {
        let unit = self.word();
        parse_unit(unit).ok_or_else(|| format!("`{}` is not a unit of a timestamp: s, ms, us or ns", crate::diagnostics::shorten(unit, 20)))
    }

    fn structure(&mut self, depth: usize) -> Result<DataType, String> {
        self.need('<', "`struct`")?;
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.word().to_owned();
            if name.is_empty() {
                return Err("a field of a struct without a name: write struct<name: type, …>".into());
            }
            if fields.iter().any(|field| *field.name() == name) {
                return Err(format!("the field `{name}` is in the struct twice"));
            }
            self.need(':', "the name of a struct's field")?;
            let field = self.column_type(depth + 1)?;
            fields.push(field.to_field(&name));
            if !self.take(',') {
                break;
            }
        }
        self.need('>', "the fields of a struct")?;
        Ok(DataType::Struct(fields.into()))
    }

    fn map(&mut self, depth: usize) -> Result<DataType, String> {
        self.need('<', "`map`")?;
        let key = self.column_type(depth + 1)?;
        if key.data_type != DataType::Utf8 {
            return Err("the keys of a map have to be text".into());
        }
        self.need(',', "the type of a map's keys")?;
        let value = self.column_type(depth + 1)?;
        self.need('>', "the type of a map's values")?;
        let entries = vec![Field::new("key", key.data_type, false), value.to_field("value")];
        Ok(DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false))
    }
}

fn is_zone(zone: &str) -> bool {
    let named = zone.starts_with(|char: char| char.is_ascii_uppercase());
    let offset = zone.strip_prefix(['+', '-']).is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    named || offset
}

/// An Arrow type in the notation of pipeline files.
pub(crate) use wasmill_formats::TypeName as Written;

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> de::Visitor<'de> for InOrder {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("columns with their types")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some((name, column_type)) = map.next_entry()? {
                    columns.push(Column { name, column_type });
                }
                Ok(Columns(columns))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl JsonSchema for ColumnType {
    fn schema_name() -> Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> JsonSchemaDocument {
        json_schema!({
            "type": "string",
            "format": "column-type",
            "description": format!("The type of a column: {ALLOWED}."),
            "examples": ["int64", "text", "timestamp(us, UTC)", "timestamp(us, UTC, epoch: ms)", "list<float64>", "json"],
        })
    }
}

impl JsonSchema for Columns {
    fn schema_name() -> Cow<'static, str> {
        "Columns".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> JsonSchemaDocument {
        let column_type = generator.subschema_for::<ColumnType>();
        json_schema!({
            "type": "object",
            "description": "Columns with their types, in order.",
            "additionalProperties": column_type,
            "minProperties": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use wasmill_formats::FieldType;

    use super::*;

    #[test]
    fn types_are_written_as_they_are_read() {
        let types = [
            "bool",
            "int8",
            "uint64",
            "float64",
            "text",
            "binary",
            "date",
            "timestamp",
            "timestamp(ms)",
            "timestamp(us, UTC)",
            "timestamp(ns, +02:00)",
            "timestamp(s, Europe/Berlin)",
            "decimal(10, 2)",
            "list<int64 not null>",
            "struct<a: int64, b: list<text>>",
            "map<text, float64>",
            "json",
            "timestamp(us, epoch: ms)",
            "timestamp(us, UTC, epoch: ns, cut)",
            "timestamp(ms, +02:00, cut)",
            "struct<at: timestamp(us, UTC, epoch: s), payload: json not null>",
            "map<text, json>",
        ];
        for text in types {
            let parsed: ColumnType = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(FieldType(&parsed.to_field("x")).to_string(), text);
        }
        let short: ColumnType = "timestamp(us, epoch ms)".parse().unwrap();
        assert_eq!(FieldType(&short.to_field("x")).to_string(), "timestamp(us, epoch: ms)", "the colon may be left out");
        assert!(!"int64 not null".parse::<ColumnType>().unwrap().nullable);
    }

    #[test]
    fn wrong_types_are_explained() {
        let cases = [
            ("integer", "`integer` is not a type"),
            ("in64", "`in64` is not a type; did you mean `int64`?"),
            ("decimal", "expected `(` after `decimal`, found the end"),
            ("decimal(50, 2)", "the precision of a decimal is a number from 1 to 38"),
            ("list<int64", "expected `>` after the type of a list's items, found the end"),
            ("timestamp(minutes)", "`minutes` is not a unit of a timestamp: s, ms, us or ns"),
            ("timestamp(us, utc)", "`utc` is not a time zone (`UTC`, `+02:00`, `Europe/Berlin`), nor `epoch: ms`, nor `cut`"),
            ("timestamp(us, epoch: days)", "`days` is not a unit of a timestamp: s, ms, us or ns"),
            ("map<int64, text>", "the keys of a map have to be text"),
            ("struct<a: int64, a: text>", "the field `a` is in the struct twice"),
            ("int64 null", "`null` does not belong to a type"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<ColumnType>().unwrap_err(), message, "{text}");
        }
    }
}
