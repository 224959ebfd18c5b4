//! Reads JSON lines into a table of a known schema. Nothing is converted: a value has the form that the contract's table gives its
//! type, or the answer is refused with its line and column.

use std::borrow::Cow;
use std::cell::Cell;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::timezone::Tz;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, MapArray, NullArray, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::parse::{Parser, parse_decimal, string_to_datetime};
use arrow_schema::{DataType, Field, FieldRef, Fields, SchemaRef, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;
use crate::text::shown;

/// A value's text, or `None` for null.
type Token<'a> = Option<&'a str>;

/// How many values may still be set aside. A short text can stand for very many nulls; this keeps memory in proportion to the text.
struct Budget(Cell<usize>);

impl Budget {
    fn take(&self, rows: usize, fields: usize) -> Result<(), DecodeError> {
        let left = rows.checked_mul(fields).and_then(|values| self.0.get().checked_sub(values));
        self.0.set(left.ok_or_else(|| DecodeError::new("the JSON lines leave out too many values; write nulls as `null`"))?);
        Ok(())
    }
}

pub(super) fn table(bytes: &[u8], schema: &SchemaRef, rows: usize) -> Result<RecordBatch, DecodeError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| DecodeError(format!("the JSON lines are no UTF-8 at byte {}", error.valid_up_to())))?;
    let lines = text.lines().count();
    if lines != rows {
        return Err(DecodeError(format!("the table has {lines} rows where {rows} are due")));
    }
    let budget = Budget(Cell::new(bytes.len().saturating_mul(2).saturating_add(4096)));
    budget.take(rows, schema.fields().len())?;
    let mut columns: Vec<Vec<Token<'_>>> = schema.fields().iter().map(|_| Vec::with_capacity(rows)).collect();
    for (line, text) in text.lines().enumerate() {
        let row = object(text, schema.fields()).map_err(|error| DecodeError(format!("line {}: {error}", line + 1)))?;
        for (column, token) in columns.iter_mut().zip(row) {
            column.push(token);
        }
    }
    let arrays =
        schema.fields().iter().zip(columns).map(|(field, tokens)| column(field, &tokens, &budget)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| DecodeError(shown(&error.to_string())))
}

fn column(field: &Field, tokens: &[Token<'_>], budget: &Budget) -> Result<ArrayRef, DecodeError> {
    let named = |DecodeError(message): DecodeError| DecodeError(format!("column `{}`: {message}", shown(field.name())));
    let array = array(field.data_type(), tokens, budget).map_err(named)?;
    if !field.is_nullable() && array.logical_null_count() > 0 {
        return Err(named(DecodeError::new("it has nulls where its field allows none")));
    }
    Ok(array)
}

fn array(data_type: &DataType, tokens: &[Token<'_>], budget: &Budget) -> Result<ArrayRef, DecodeError> {
    Ok(match data_type {
        DataType::Null => match tokens.iter().flatten().next() {
            Some(token) => return Err(unfit(token, "null")),
            None => Arc::new(NullArray::new(tokens.len())),
        },
        DataType::Boolean => Arc::new(tokens.iter().map(|token| each(*token, boolean)).collect::<Result<BooleanArray, _>>()?),
        DataType::Int8 => number::<Int8Type>(tokens)?,
        DataType::Int16 => number::<Int16Type>(tokens)?,
        DataType::Int32 => number::<Int32Type>(tokens)?,
        DataType::Int64 => number::<Int64Type>(tokens)?,
        DataType::UInt8 => number::<UInt8Type>(tokens)?,
        DataType::UInt16 => number::<UInt16Type>(tokens)?,
        DataType::UInt32 => number::<UInt32Type>(tokens)?,
        DataType::UInt64 => number::<UInt64Type>(tokens)?,
        DataType::Float32 => primitive::<Float32Type>(data_type, tokens, float)?,
        DataType::Float64 => primitive::<Float64Type>(data_type, tokens, float)?,
        DataType::Decimal128(precision, scale) => {
            primitive::<Decimal128Type>(data_type, tokens, |token| decimal(token, *precision, *scale))?
        }
        DataType::Utf8 => Arc::new(tokens.iter().map(|token| each(*token, string)).collect::<Result<StringArray, _>>()?),
        DataType::Binary => Arc::new(tokens.iter().map(|token| each(*token, binary)).collect::<Result<BinaryArray, _>>()?),
        DataType::Date32 => primitive::<Date32Type>(data_type, tokens, |token| {
            Date32Type::parse(&string(token)?).ok_or_else(|| unfit(token, "a date such as \"2022-07-07\""))
        })?,
        DataType::Timestamp(unit, zone) => timestamps(data_type, *unit, zone.is_some(), tokens)?,
        DataType::List(item) => list(item, tokens, budget)?,
        DataType::Struct(fields) => structs(fields, tokens, budget)?,
        DataType::Map(entries, sorted) => map(entries, *sorted, tokens, budget)?,
        other => return Err(DecodeError(format!("{other} does not cross the boundary"))),
    })
}

fn each<'a, T>(token: Token<'a>, parse: impl Fn(&'a str) -> Result<T, DecodeError>) -> Result<Option<T>, DecodeError> {
    token.map(parse).transpose()
}

fn unfit(token: &str, wanted: &str) -> DecodeError {
    DecodeError(format!("{} is not {wanted}", shown(token)))
}

fn boolean(token: &str) -> Result<bool, DecodeError> {
    match token {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unfit(token, "true or false")),
    }
}

fn string(token: &str) -> Result<Cow<'_, str>, DecodeError> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(token).map(|text| text.0).map_err(|_| unfit(token, "a string"))
}

fn binary(token: &str) -> Result<Vec<u8>, DecodeError> {
    STANDARD.decode(string(token)?.as_bytes()).map_err(|_| unfit(token, "base64 with padding"))
}

fn number<T: ArrowPrimitiveType>(tokens: &[Token<'_>]) -> Result<ArrayRef, DecodeError>
where
    T::Native: FromStr,
{
    // A token is valid JSON, so what parses as an integer is a number and not a string.
    primitive::<T>(&T::DATA_TYPE, tokens, |token| token.parse().map_err(|_| unfit(token, &format!("an {}", T::DATA_TYPE))))
}

fn primitive<T: ArrowPrimitiveType>(
    data_type: &DataType,
    tokens: &[Token<'_>],
    parse: impl Fn(&str) -> Result<T::Native, DecodeError>,
) -> Result<ArrayRef, DecodeError> {
    let values = tokens.iter().map(|token| each(*token, &parse)).collect::<Result<PrimitiveArray<T>, _>>()?;
    Ok(Arc::new(values.with_data_type(data_type.clone())))
}

fn float<T: FromStr + From<f32>>(token: &str) -> Result<T, DecodeError> {
    match token {
        "\"NaN\"" => Ok(T::from(f32::NAN)),
        "\"Infinity\"" => Ok(T::from(f32::INFINITY)),
        "\"-Infinity\"" => Ok(T::from(f32::NEG_INFINITY)),
        _ => token.parse().map_err(|_| unfit(token, "a number, \"NaN\" or \"Infinity\"")),
    }
}

fn decimal(token: &str, precision: u8, scale: i8) -> Result<i128, DecodeError> {
    let text = string(token)?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || digits.len() > 80 || i64::from(scale.max(0)) < fraction as i64 {
        return Err(unfit(token, &format!("a decimal string with at most {} digits after the point", scale.max(0))));
    }
    parse_decimal::<Decimal128Type>(&text, precision, scale)
        .map_err(|_| unfit(token, &format!("a decimal string of at most {precision} digits")))
}

fn timestamps(data_type: &DataType, unit: TimeUnit, zoned: bool, tokens: &[Token<'_>]) -> Result<ArrayRef, DecodeError> {
    let utc = Tz::from_str("+00:00").map_err(|error| DecodeError(error.to_string()))?;
    let wanted = if zoned { "a timestamp such as \"2022-07-07T00:18:41Z\"" } else { "a timestamp such as \"2022-07-07T00:18:41\"" };
    let ticks = |token: &str| {
        let text = string(token)?;
        // A form without a zone is one that can take a `Z`.
        let with_zone = if zoned { text.to_string() } else { format!("{text}Z") };
        if zoned && !text.ends_with('Z') {
            return Err(unfit(token, wanted));
        }
        let time = string_to_datetime(&utc, &with_zone).map_err(|_| unfit(token, wanted))?;
        let exact = match unit {
            TimeUnit::Second => (time.timestamp_subsec_nanos() == 0).then(|| time.timestamp()),
            TimeUnit::Millisecond => (time.timestamp_subsec_nanos() % 1_000_000 == 0).then(|| time.timestamp_millis()),
            TimeUnit::Microsecond => (time.timestamp_subsec_nanos() % 1_000 == 0).then(|| time.timestamp_micros()),
            TimeUnit::Nanosecond => time.timestamp_nanos_opt(),
        };
        exact.ok_or_else(|| unfit(token, &format!("a value of {data_type}")))
    };
    match unit {
        TimeUnit::Second => primitive::<TimestampSecondType>(data_type, tokens, ticks),
        TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(data_type, tokens, ticks),
        TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(data_type, tokens, ticks),
        TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(data_type, tokens, ticks),
    }
}

fn nulls(tokens: &[Token<'_>]) -> Option<NullBuffer> {
    let nulls = NullBuffer::from_iter(tokens.iter().map(Option::is_some));
    (nulls.null_count() > 0).then_some(nulls)
}

/// `Option` makes null of `null`, which a bare raw value would keep as text.
fn raw(value: Option<&RawValue>) -> Token<'_> {
    value.map(RawValue::get)
}

fn list(item: &FieldRef, tokens: &[Token<'_>], budget: &Budget) -> Result<ArrayRef, DecodeError> {
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(tokens.len());
    for token in tokens {
        let before = items.len();
        if let Some(token) = token {
            let values: Vec<Option<&RawValue>> = serde_json::from_str(token).map_err(|_| unfit(token, "an array"))?;
            items.extend(values.into_iter().map(raw));
        }
        lengths.push(items.len() - before);
    }
    let values = column(item, &items, budget)?;
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let list =
        ListArray::try_new(Arc::clone(item), offsets, values, nulls(tokens)).map_err(|error| DecodeError(shown(&error.to_string())))?;
    Ok(Arc::new(list))
}

fn structs(fields: &Fields, tokens: &[Token<'_>], budget: &Budget) -> Result<ArrayRef, DecodeError> {
    budget.take(tokens.len(), fields.len())?;
    let mut columns: Vec<Vec<Token<'_>>> = fields.iter().map(|_| Vec::with_capacity(tokens.len())).collect();
    for token in tokens {
        let row = match token {
            Some(token) => object(token, fields)?,
            None => vec![None; fields.len()],
        };
        for (column, token) in columns.iter_mut().zip(row) {
            column.push(token);
        }
    }
    let nulls = nulls(tokens);
    let mut children = Vec::with_capacity(fields.len());
    for (field, tokens) in fields.iter().zip(&columns) {
        children
            .push(array(field.data_type(), tokens, budget).map_err(|error| DecodeError(format!("`{}`: {error}", shown(field.name()))))?);
    }
    let built = StructArray::try_new_with_length(fields.clone(), children, nulls, tokens.len());
    Ok(Arc::new(built.map_err(|error| DecodeError(shown(&error.to_string())))?))
}

fn map(entries: &FieldRef, sorted: bool, tokens: &[Token<'_>], budget: &Budget) -> Result<ArrayRef, DecodeError> {
    let DataType::Struct(fields) = entries.data_type() else { return Err(DecodeError::new("a map holds no entries")) };
    let [_, value_field] = fields.as_ref() else { return Err(DecodeError::new("a map has to have keys and values")) };
    let (mut keys, mut values, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(tokens.len()));
    for token in tokens {
        let before = keys.len();
        if let Some(token) = token {
            let Pairs(pairs) = serde_json::from_str(token).map_err(|_| unfit(token, "an object"))?;
            for (key, value) in pairs {
                keys.push(key);
                values.push(raw(value));
            }
        }
        lengths.push(keys.len() - before);
    }
    let children = vec![Arc::new(StringArray::from_iter_values(&keys)) as ArrayRef, column(value_field, &values, budget)?];
    let entries_array = StructArray::try_new(fields.clone(), children, None).map_err(|error| DecodeError(shown(&error.to_string())))?;
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let map = MapArray::try_new(Arc::clone(entries), offsets, entries_array, nulls(tokens), sorted);
    Ok(Arc::new(map.map_err(|error| DecodeError(shown(&error.to_string())))?))
}

/// The values of an object in the order of the fields; what is absent is null.
fn object<'a>(text: &'a str, fields: &Fields) -> Result<Vec<Token<'a>>, DecodeError> {
    let Pairs(pairs) =
        serde_json::from_str(text).map_err(|error| DecodeError(format!("it is no JSON object: {}", shown(&error.to_string()))))?;
    let mut row: Vec<Option<Token<'a>>> = vec![None; fields.len()];
    for (place, (key, value)) in pairs.into_iter().enumerate() {
        // Keys come in the order of the schema, so the search seldom takes place.
        let index =
            if fields.get(place).is_some_and(|field| *field.name() == key) { Some(place) } else { fields.find(&key).map(|found| found.0) };
        let slot =
            index.and_then(|index| row.get_mut(index)).ok_or_else(|| DecodeError(format!("the schema has no column `{}`", shown(&key))))?;
        if slot.replace(raw(value)).is_some() {
            return Err(DecodeError(format!("`{}` stands there twice", shown(&key))));
        }
    }
    Ok(row.into_iter().map(Option::flatten).collect())
}

/// The members of an object as they stand in the text.
struct Pairs<'a>(Vec<(Cow<'a, str>, Option<&'a RawValue>)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, Option<&'de RawValue>>()? {
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
