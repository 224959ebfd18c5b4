//! JSON lines, beside serde_json: what it takes for JSON is JSON, what it reads is what we read.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use wasmill_formats::Format;

use crate::campaign::Target;
use crate::files::{read, written};
use crate::random::Random;

pub struct Json;

pub fn schema() -> SchemaRef {
    let of = |name: &str, data_type| Field::new(name, data_type, true);
    let inner = Fields::from(vec![of("x", DataType::Int64), of("y", DataType::Utf8)]);
    Arc::new(Schema::new(vec![
        of("a", DataType::Int64),
        of("b", DataType::Utf8),
        of("c", DataType::Float64),
        of("d", DataType::Boolean),
        of("e", DataType::new_list(DataType::Int64, true)),
        of("f", DataType::Struct(inner)),
    ]))
}

impl Target for Json {
    const NAME: &'static str = "json";
    const DICTIONARY: &'static [&'static str] = &[
        "null",
        "true",
        "false",
        "\"a\":",
        "\"b\":",
        "\"c\":",
        "\"d\":",
        "\"e\":",
        "\"f\":",
        "\"x\":",
        "{}",
        "[]",
        "[1,2]",
        "\\u0000",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\n",
        "\\\"",
        "\"",
        "\u{feff}",
        "\u{2028}",
        "é",
        "😀",
        " ",
        "\t",
        "\r\n",
        "\n",
        "1.0",
        "-0.0",
        "1e5",
        "\"5\"",
        "NaN",
        "Infinity",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        let outcome = read(Format::Jsonl, &schema(), input);
        if let Some(error) = &outcome.error {
            return Err(format!("bytes alone can't end the run: {error}"));
        }
        let lines = lines(input);
        if outcome.rows() + outcome.rejects.len() != lines.len() {
            return Err(format!("{} lines gave {} rows and {} rejects", lines.len(), outcome.rows(), outcome.rejects.len()));
        }
        for (records, positions) in &outcome.batches {
            for (row, position) in positions.iter().enumerate() {
                let line = lines.iter().find(|(at, _)| at == position).ok_or("a row from no line")?.1;
                row_agrees(records, row, line).map_err(|what| format!("{what}: {}", String::from_utf8_lossy(line)))?;
            }
        }
        for (position, code) in &outcome.rejects {
            let line = lines.iter().find(|(at, _)| at == position).ok_or("a reject of no line")?.1;
            reject_agrees(code, line).map_err(|what| format!("{what}: {}", String::from_utf8_lossy(line)))?;
        }
        Ok(outcome.summary())
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        written(Format::Jsonl, &some_rows(random))
    }

    fn memory(bytes: usize) -> usize {
        (8 << 20) + 200 * bytes
    }
}

/// The lines that are records, each with where it begins.
fn lines(input: &[u8]) -> Vec<(u64, &[u8])> {
    // A mark of the byte order begins a text, and is no part of it.
    let (mut at, input) = input.strip_prefix("\u{feff}".as_bytes()).map_or((0, input), |rest| (3, rest));
    let split = input.split(|byte| *byte == b'\n').map(|line| {
        let start = at;
        at += line.len() as u64 + 1;
        (start, line.strip_suffix(b"\r").unwrap_or(line))
    });
    split.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace)).collect()
}

/// The keys and values of an object, in order; `None` where serde_json does not take it for an object, or names stand twice in it.
fn object(line: &[u8]) -> Option<Vec<(String, Value)>> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, Value)>;
        fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            text.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let pairs = deserializer.deserialize_map(Pairs).ok()?;
    deserializer.end().ok()?;
    serde_json::from_slice::<NoNameTwice>(line).is_ok().then_some(pairs)
}

/// Any value in which no object has a name twice: which of the two values counts is everybody's own choice.
struct NoNameTwice;

impl<'de> Deserialize<'de> for NoNameTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoNameTwice {
    type Value = Self;

    fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.write_str("names that stand once")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, Self)) = map.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(self)
    }
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// Whether a value is of the very type of its column: then nothing is to be converted, and it may neither be rejected nor changed.
fn is_natural(name: &str, value: &Value) -> bool {
    match (name, value) {
        (_, Value::Null) => true,
        ("a" | "x", Value::Number(number)) => number.is_i64(),
        ("b" | "y", Value::String(_)) | ("d", Value::Bool(_)) => true,
        ("c", Value::Number(number)) => number.is_f64(),
        ("e", Value::Array(items)) => items.iter().all(|item| item.is_null() || item.is_i64()),
        ("f", Value::Object(fields)) => fields.iter().all(|(name, value)| matches!(name.as_str(), "x" | "y") && is_natural(name, value)),
        ("a" | "b" | "c" | "d" | "e" | "f" | "x" | "y", _) => false,
        // Nobody needs it.
        _ => true,
    }
}

/// Whether a float may be written as a whole number of so many digits that no float is equal to it: such a one is rejected.
fn may_be_whole(name: &str, value: &Value) -> bool {
    name == "c" && value.as_f64().is_some_and(|value| value.abs() >= 2_f64.powi(53))
}

pub fn row_agrees(records: &RecordBatch, row: usize, line: &[u8]) -> Result<(), String> {
    if !is_json(line) {
        return Err("serde_json does not take it for JSON".to_owned());
    }
    let Some(pairs) = object(line) else { return Ok(()) };
    for (index, field) in records.schema().fields().iter().enumerate() {
        let value = pairs.iter().find(|(name, _)| name == field.name()).map_or(&Value::Null, |(_, value)| value);
        if is_natural(field.name(), value) && !equal(records.column(index), row, value) {
            return Err(format!("`{}` is {value}, and read as {:?}", field.name(), records.column(index).slice(row, 1)));
        }
    }
    Ok(())
}

fn equal(column: &ArrayRef, row: usize, value: &Value) -> bool {
    if column.is_null(row) || value.is_null() {
        return column.is_null(row) && value.is_null();
    }
    match column.data_type() {
        DataType::Int64 => value.as_i64() == Some(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => {
            value.as_f64().is_some_and(|value| value.to_bits() == column.as_primitive::<Float64Type>().value(row).to_bits())
        }
        DataType::Boolean => value.as_bool() == Some(column.as_boolean().value(row)),
        DataType::Utf8 => value.as_str() == Some(column.as_string::<i32>().value(row)),
        DataType::List(_) => {
            let (items, values) = (column.as_list::<i32>().value(row), value.as_array().unwrap());
            items.len() == values.len() && values.iter().enumerate().all(|(at, value)| equal(&items, at, value))
        }
        _ => {
            let (fields, values) = (column.as_struct(), value.as_object().unwrap());
            ["x", "y"].iter().all(|name| equal(fields.column_by_name(name).unwrap(), row, values.get(*name).unwrap_or(&Value::Null)))
        }
    }
}

pub fn reject_agrees(code: &str, line: &[u8]) -> Result<(), String> {
    match code {
        "invalid-utf8" if std::str::from_utf8(line).is_ok() => return Err("it is UTF-8".to_owned()),
        // serde_json does not judge the numbers and escapes that it skips.
        "malformed-json" if serde_json::from_slice::<Value>(line).is_ok() => return Err("serde_json takes it for JSON".to_owned()),
        _ => {}
    }
    match object(line) {
        Some(pairs) if pairs.iter().all(|(name, value)| is_natural(name, value) && !may_be_whole(name, value)) => {
            Err(format!("it is rejected ({code}), and nothing is wrong with it"))
        }
        _ => Ok(()),
    }
}

/// Some rows of any values.
pub fn some_rows(random: &mut Random) -> RecordBatch {
    let rows = random.below(12) as usize;
    let (mut a, mut b, mut c, mut d, mut e) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        a.push((random.below(4) > 0).then(|| integer(random)));
        b.push((random.below(4) > 0).then(|| text(random)));
        c.push((random.below(4) > 0).then(|| float(random)));
        d.push((random.below(4) > 0).then(|| random.below(2) == 0));
        e.push(
            (random.below(4) > 0).then(|| (0..random.below(4)).map(|_| (random.below(3) > 0).then(|| integer(random))).collect::<Vec<_>>()),
        );
    }
    let valid: Vec<bool> = (0..rows).map(|_| random.below(4) > 0).collect();
    let x: Int64Array = valid.iter().map(|valid| valid.then(|| integer(random))).collect();
    let y: StringArray = valid.iter().map(|valid| valid.then(|| text(random))).collect();
    let DataType::Struct(inner) = schema().field(5).data_type().clone() else { unreachable!() };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(a)),
        Arc::new(StringArray::from(b)),
        Arc::new(Float64Array::from(c)),
        Arc::new(BooleanArray::from(d)),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(e)),
        Arc::new(StructArray::new(inner, vec![Arc::new(x), Arc::new(y)], Some(valid.into()))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub fn integer(random: &mut Random) -> i64 {
    (random.below(u64::MAX) as i64) >> random.below(64)
}

/// Any float but NaN, of which there are many.
fn float(random: &mut Random) -> f64 {
    let value = match random.below(3) {
        0 => f64::from_bits(random.below(u64::MAX)),
        1 => integer(random) as f64,
        _ => integer(random) as f64 / 1_000.0,
    };
    if value.is_nan() { f64::INFINITY } else { value }
}

/// A text of any letters, also those that have to be escaped.
pub fn text(random: &mut Random) -> String {
    let letter = |random: &mut Random| match random.below(6) {
        0 => char::from(random.below(128) as u8),
        1 => ['"', '\\', ',', '\n', '\r', '\t', '\u{7f}', '\u{2028}', '\u{feff}'][random.below(9) as usize],
        2 => char::from_u32(random.below(0x11_0000) as u32).unwrap_or('😀'),
        _ => char::from(b'a' + random.below(26) as u8),
    };
    (0..random.below(12)).map(|_| letter(random)).collect()
}
