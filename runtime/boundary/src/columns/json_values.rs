//! Scalar columns from JSON: one value after another is parsed, charged and appended.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::timezone::Tz;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType, NullArray};
use arrow_cast::parse::{Parser, parse_decimal, string_to_datetime};
use arrow_schema::{DataType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::DecodeError;
use crate::budget::Budget;
use crate::text::shown;
use wasmill_types::TypeName;

/// A column that takes values as written in the text.
pub(super) trait Scalars {
    /// Appends a value, or null.
    fn append(&mut self, token: Option<&str>, budget: &Budget) -> Result<(), DecodeError>;

    /// The column.
    fn finish(&mut self) -> ArrayRef;
}

/// An empty column of a type that is neither list nor struct nor map.
pub(super) fn scalars(data_type: &DataType) -> Result<Box<dyn Scalars>, DecodeError> {
    Ok(match data_type {
        DataType::Null => Box::new(Nulls(0)),
        DataType::Boolean => Box::new(Booleans(BooleanBuilder::with_capacity(0))),
        DataType::Utf8 => Box::new(Texts(StringBuilder::with_capacity(0, 0))),
        DataType::Binary => Box::new(Bytes(BinaryBuilder::with_capacity(0, 0))),
        DataType::Int8 => integers::<Int8Type>(),
        DataType::Int16 => integers::<Int16Type>(),
        DataType::Int32 => integers::<Int32Type>(),
        DataType::Int64 => integers::<Int64Type>(),
        DataType::UInt8 => integers::<UInt8Type>(),
        DataType::UInt16 => integers::<UInt16Type>(),
        DataType::UInt32 => integers::<UInt32Type>(),
        DataType::UInt64 => integers::<UInt64Type>(),
        DataType::Float32 => numbers::<Float32Type>(data_type, float::<f32>),
        DataType::Float64 => numbers::<Float64Type>(data_type, float::<f64>),
        DataType::Date32 => numbers::<Date32Type>(data_type, date),
        &DataType::Decimal128(precision, scale) => numbers::<Decimal128Type>(data_type, move |token| decimal(token, precision, scale)),
        DataType::Timestamp(unit, zone) => timestamps(data_type, *unit, zone.is_some())?,
        other => return Err(DecodeError(format!("{} does not cross the boundary", TypeName(other)))),
    })
}

fn unfit(token: &str, wanted: &str) -> DecodeError {
    DecodeError(format!("{} is not {wanted}", shown(token)))
}

struct Nulls(usize);

impl Scalars for Nulls {
    fn append(&mut self, token: Option<&str>, _: &Budget) -> Result<(), DecodeError> {
        self.0 += 1;
        token.map_or(Ok(()), |token| Err(unfit(token, "null")))
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(NullArray::new(self.0))
    }
}

struct Booleans(BooleanBuilder);

impl Scalars for Booleans {
    fn append(&mut self, token: Option<&str>, budget: &Budget) -> Result<(), DecodeError> {
        budget.charge(1)?;
        let value = match token {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(token) => return Err(unfit(token, "true or false")),
        };
        self.0.append_option(value);
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        ArrayBuilder::finish(&mut self.0)
    }
}

/// What a text takes besides its bytes: an offset, and its share of the null mask.
const TEXT_BYTES: u64 = 5;

struct Texts(StringBuilder);

impl Scalars for Texts {
    fn append(&mut self, token: Option<&str>, budget: &Budget) -> Result<(), DecodeError> {
        let text = token.map(string).transpose()?;
        budget.charge(TEXT_BYTES + text.as_ref().map_or(0, |text| text.len() as u64))?;
        self.0.append_option(text);
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        ArrayBuilder::finish(&mut self.0)
    }
}

struct Bytes(BinaryBuilder);

impl Scalars for Bytes {
    fn append(&mut self, token: Option<&str>, budget: &Budget) -> Result<(), DecodeError> {
        let text = token.map(string).transpose()?;
        budget.charge(TEXT_BYTES + text.as_ref().map_or(0, |text| text.len() as u64))?;
        let decode =
            |text: Cow<'_, str>| STANDARD.decode(text.as_bytes()).map_err(|_| unfit(token.unwrap_or_default(), "base64 with padding"));
        self.0.append_option(text.map(decode).transpose()?);
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        ArrayBuilder::finish(&mut self.0)
    }
}

struct Numbers<T: ArrowPrimitiveType, F> {
    values: PrimitiveBuilder<T>,
    parse: F,
}

impl<T: ArrowPrimitiveType, F: Fn(&str) -> Result<T::Native, DecodeError>> Scalars for Numbers<T, F> {
    fn append(&mut self, token: Option<&str>, budget: &Budget) -> Result<(), DecodeError> {
        budget.charge(size_of::<T::Native>() as u64 + 1)?;
        self.values.append_option(token.map(&self.parse).transpose()?);
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        ArrayBuilder::finish(&mut self.values)
    }
}

fn numbers<T: ArrowPrimitiveType>(
    data_type: &DataType,
    parse: impl Fn(&str) -> Result<T::Native, DecodeError> + 'static,
) -> Box<dyn Scalars> {
    Box::new(Numbers { values: PrimitiveBuilder::<T>::with_capacity(0).with_data_type(data_type.clone()), parse })
}

fn integers<T: ArrowPrimitiveType>() -> Box<dyn Scalars>
where
    T::Native: FromStr,
{
    // A token is valid JSON, so what parses as an integer is a number and not a string.
    numbers::<T>(&T::DATA_TYPE, |token| token.parse().map_err(|_| unfit(token, &format!("a value of {}", TypeName(&T::DATA_TYPE)))))
}

fn string(token: &str) -> Result<Cow<'_, str>, DecodeError> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(token).map(|text| text.0).map_err(|_| unfit(token, "a string"))
}

fn float<T: FromStr + From<f32> + Into<f64> + Copy>(token: &str) -> Result<T, DecodeError> {
    match token {
        "\"NaN\"" => Ok(T::from(f32::NAN)),
        "\"Infinity\"" => Ok(T::from(f32::INFINITY)),
        "\"-Infinity\"" => Ok(T::from(f32::NEG_INFINITY)),
        // A number beyond the type would become infinite.
        _ => token
            .parse()
            .ok()
            .filter(|&value: &T| value.into().is_finite())
            .ok_or_else(|| unfit(token, "a number, \"NaN\" or \"Infinity\"")),
    }
}

fn date(token: &str) -> Result<i32, DecodeError> {
    Date32Type::parse(&string(token)?).ok_or_else(|| unfit(token, "a date such as \"2022-07-07\""))
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

fn timestamps(data_type: &DataType, unit: TimeUnit, zoned: bool) -> Result<Box<dyn Scalars>, DecodeError> {
    let utc = Tz::from_str("+00:00").map_err(|error| DecodeError(error.to_string()))?;
    let wanted = if zoned { "a timestamp such as \"2022-07-07T00:18:41Z\"" } else { "a timestamp such as \"2022-07-07T00:18:41\"" };
    let name = TypeName(data_type).to_string();
    let ticks = move |token: &str| {
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
        exact.ok_or_else(|| unfit(token, &format!("a value of {name}")))
    };
    Ok(match unit {
        TimeUnit::Second => numbers::<TimestampSecondType>(data_type, ticks),
        TimeUnit::Millisecond => numbers::<TimestampMillisecondType>(data_type, ticks),
        TimeUnit::Microsecond => numbers::<TimestampMicrosecondType>(data_type, ticks),
        TimeUnit::Nanosecond => numbers::<TimestampNanosecondType>(data_type, ticks),
    })
}
