//! The cells of one column of a batch in the binary form of the server's type, or why one of them has none.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray,
    UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use wasmill_engine::{Error, Result};

use super::json_text;
use super::numeric::Decimal;
use super::types::PgType;
use wasmill_formats::TypeName;
use wasmill_formats::json::Cells;
use wasmill_formats::plain_type;

/// Days from 1970 to the server's day 0, and the range of its dates, counted from there.
const DAYS_TO_2000: i64 = 10_957;
const DATES: std::ops::Range<i64> = -2_451_545..2_145_031_949;
/// The same for its timestamps, in microseconds.
const SECONDS_TO_2000: i64 = DAYS_TO_2000 * 86_400;
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// Why a cell can't be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For programs.
    pub code: &'static str,
    /// The message, for readers.
    pub message: String,
}

fn refuse<T>(code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, message: message.into() })
}

/// A column that is written into a column of the server.
pub(super) struct Column {
    nulls: Option<NullBuffer>,
    values: Values,
    target: PgType,
}

/// The values of a column: few shapes, so that a cell costs one match.
enum Values {
    Boolean(BooleanArray),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Single(Float32Array),
    Double(Float64Array),
    Decimal(Decimal128Array, i32),
    /// Whether some value holds U+0000 is known for the whole column.
    Text(StringArray, bool),
    Binary(BinaryArray),
    Date(Date32Array),
    /// Microseconds of a day.
    Time(Int64Array),
    Timestamp(Int64Array, TimeUnit),
    List(OffsetBuffer<i32>, Box<Column>),
    /// JSON of all cells, and where each ends.
    Json(Vec<u8>, Vec<usize>),
}

impl Column {
    /// A column whose type the target takes.
    pub(super) fn of(array: &ArrayRef, target: &PgType) -> Result<Self> {
        let plain = match array.data_type() {
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
            data_type => {
                plain_type(data_type).ok_or_else(|| Error::bug(format!("the type {} reached the encoder", TypeName(data_type))))?
            }
        };
        Self::of_plain(cast(array, &plain)?, target)
    }

    fn of_plain(array: ArrayRef, target: &PgType) -> Result<Self> {
        let nulls = array.logical_nulls();
        let values = if matches!(target, PgType::Json | PgType::Jsonb) && !matches!(array.data_type(), DataType::Utf8) {
            json(&array)?
        } else {
            values(array, target)?
        };
        Ok(Self { nulls, values, target: target.clone() })
    }

    /// Whether a cell is null.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the length and the bytes of a cell that is not null. After a rejection, the caller
    /// must truncate what was appended.
    pub(super) fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match &self.values {
            Values::Boolean(values) => fixed(out, [u8::from(values.value(row))]),
            Values::Integer(values) => return self.integer(i128::from(values.value(row)), out),
            Values::Unsigned(values) => return self.integer(i128::from(values.value(row)), out),
            Values::Single(values) => match self.target {
                PgType::Double => fixed(out, f64::from(values.value(row)).to_be_bytes()),
                _ => fixed(out, values.value(row).to_be_bytes()),
            },
            Values::Double(values) => fixed(out, values.value(row).to_be_bytes()),
            Values::Decimal(values, scale) => return self.numeric(values.value(row), *scale, out),
            Values::Text(values, nulls) => return self.text(values.value(row), *nulls, out),
            Values::Binary(values) => sized(out, values.value(row)),
            Values::Date(values) => {
                let day = i64::from(values.value(row)) - DAYS_TO_2000;
                if !DATES.contains(&day) {
                    return refuse("out-of-range", "the date is outside of what PostgreSQL can hold (4714 BC to 5874897 AD)");
                }
                fixed(out, (day as i32).to_be_bytes());
            }
            Values::Time(values) => return self.time(values.value(row), out),
            Values::Timestamp(values, unit) => return self.timestamp(values.value(row), *unit, out),
            Values::List(offsets, items) => return self.array(offsets[row] as usize..offsets[row + 1] as usize, items, out),
            Values::Json(text, ends) => {
                let start = row.checked_sub(1).map_or(0, |before| ends[before]);
                return self.json(&text[start..ends[row]], out);
            }
        }
        Ok(())
    }

    fn integer(&self, value: i128, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let fits = match self.target {
            PgType::SmallInt => i16::try_from(value).map(|value| fixed(out, value.to_be_bytes())).is_ok(),
            PgType::Integer => i32::try_from(value).map(|value| fixed(out, value.to_be_bytes())).is_ok(),
            PgType::BigInt => i64::try_from(value).map(|value| fixed(out, value.to_be_bytes())).is_ok(),
            PgType::Double => {
                // Only numbers of 32 bits come here.
                fixed(out, (value as f64).to_be_bytes());
                true
            }
            _ => return self.numeric(value, 0, out),
        };
        if fits { Ok(()) } else { refuse("out-of-range", format!("{value} does not fit into {}", self.target)) }
    }

    fn numeric(&self, value: i128, scale: i32, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let decimal = Decimal::new(value, scale);
        if let PgType::Numeric(Some((precision, target_scale))) = self.target
            && !decimal.fits(precision, target_scale)
        {
            return refuse("out-of-range", format!("the number does not fit into {} without rounding", self.target));
        }
        with_length(out, |out| decimal.put(out));
        Ok(())
    }

    fn text(&self, text: &str, nulls: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if nulls && memchr::memchr(0, text.as_bytes()).is_some() {
            return refuse("null-character", "the text holds U+0000, which PostgreSQL can't keep");
        }
        match &self.target {
            PgType::Varchar(Some(most)) | PgType::Char(most) if text.len() > *most && text.chars().count() > *most => {
                return refuse("too-long", format!("the text has {} characters, and {} takes {most}", text.chars().count(), self.target));
            }
            PgType::Json | PgType::Jsonb => {
                if let Some(problem) = json_text::problem(text) {
                    return refuse("malformed-json", format!("the text is not JSON for a column of type {}: {problem}", self.target));
                }
                if self.target == PgType::Jsonb {
                    put_jsonb(out, text.as_bytes());
                    return Ok(());
                }
            }
            PgType::Uuid => {
                let Ok(uuid) = uuid::Uuid::try_parse(text) else { return refuse("malformed-uuid", "the text is not a UUID") };
                fixed(out, *uuid.as_bytes());
                return Ok(());
            }
            _ => {}
        }
        sized(out, text.as_bytes());
        Ok(())
    }

    fn time(&self, value: i64, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let PgType::Time(digits) = self.target else { return refuse("out-of-range", "a time of day has no place here") };
        if !(0..=86_400_000_000).contains(&value) {
            return refuse("out-of-range", "the time of day is not within a day");
        }
        self.whole(value, digits)?;
        fixed(out, value.to_be_bytes());
        Ok(())
    }

    fn timestamp(&self, value: i64, unit: TimeUnit, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (PgType::Timestamp(digits) | PgType::TimestampTz(digits)) = self.target else {
            return refuse("out-of-range", "a timestamp has no place here");
        };
        let Some(moment) = moment(value, unit).filter(|moment| TIMESTAMPS.contains(moment)) else {
            return refuse("out-of-range", "the timestamp is outside of what PostgreSQL can hold (4714 BC to 294276 AD)");
        };
        self.whole(moment, digits)?;
        fixed(out, moment.to_be_bytes());
        Ok(())
    }

    /// The server would round silently.
    fn whole(&self, micros: i64, digits: u32) -> Result<(), Refusal> {
        if digits < 6 && micros % 10_i64.pow(6 - digits) != 0 {
            return refuse("out-of-range", format!("the time has more digits behind the second than {} keeps", self.target));
        }
        Ok(())
    }

    fn array(&self, range: std::ops::Range<usize>, items: &Self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let at = begin_length(out);
        if range.is_empty() {
            out.extend_from_slice(&[0; 8]);
            out.extend_from_slice(&items.target.oid().to_be_bytes());
            end_length(out, at);
            return Ok(());
        }
        let nulls = items.nulls.is_some() && range.clone().any(|item| items.is_null(item));
        out.extend_from_slice(&1_i32.to_be_bytes());
        out.extend_from_slice(&i32::from(nulls).to_be_bytes());
        out.extend_from_slice(&items.target.oid().to_be_bytes());
        out.extend_from_slice(&(range.len() as i32).to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
        for item in range {
            if items.is_null(item) {
                out.extend_from_slice(&(-1_i32).to_be_bytes());
            } else {
                items.put(item, out)?;
            }
        }
        end_length(out, at);
        Ok(())
    }

    fn json(&self, json: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if json_text::holds_null(json) {
            return refuse("null-character", "a text inside holds U+0000, which PostgreSQL can't keep");
        }
        match self.target {
            PgType::Jsonb => put_jsonb(out, json),
            _ => sized(out, json),
        }
        Ok(())
    }
}

/// Microseconds since 2000. The year is moved first: the server's last years lie beyond what 64 bits count from 1970 in microseconds.
fn moment(value: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => value.checked_sub(SECONDS_TO_2000)?.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_sub(SECONDS_TO_2000 * 1_000)?.checked_mul(1_000),
        TimeUnit::Microsecond => value.checked_sub(SECONDS_TO_2000 * 1_000_000),
        TimeUnit::Nanosecond => Some(value.div_euclid(1_000) - SECONDS_TO_2000 * 1_000_000),
    }
}

fn values(array: ArrayRef, target: &PgType) -> Result<Values> {
    use DataType as T;
    Ok(match array.data_type() {
        T::Boolean => Values::Boolean(array.as_boolean().clone()),
        T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32 | T::Int64 => {
            Values::Integer(cast(&array, &T::Int64)?.as_primitive::<Int64Type>().clone())
        }
        T::UInt64 => Values::Unsigned(array.as_primitive::<UInt64Type>().clone()),
        T::Float32 => Values::Single(array.as_primitive::<Float32Type>().clone()),
        T::Float64 => Values::Double(array.as_primitive::<Float64Type>().clone()),
        T::Decimal128(_, scale) => Values::Decimal(array.as_primitive::<Decimal128Type>().clone(), i32::from(*scale)),
        T::Utf8 => {
            let texts = array.as_string::<i32>();
            let offsets = texts.value_offsets();
            let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
            Values::Text(texts.clone(), memchr::memchr(0, &texts.value_data()[start..end]).is_some())
        }
        T::Binary => Values::Binary(array.as_binary::<i32>().clone()),
        T::Date32 => Values::Date(array.as_primitive::<Date32Type>().clone()),
        T::Time64(TimeUnit::Microsecond) => Values::Time(array.as_primitive::<Time64MicrosecondType>().reinterpret_cast::<Int64Type>()),
        T::Timestamp(unit, _) => Values::Timestamp(counts(&array, *unit), *unit),
        T::List(_) => {
            let (lists, PgType::Array(item)) = (array.as_list::<i32>(), target) else {
                return Err(Error::bug(format!("a list came to a column of type {target}")));
            };
            Values::List(lists.offsets().clone(), Box::new(Column::of_plain(lists.values().clone(), item)?))
        }
        other => return Err(Error::bug(format!("a column of type {} came to a column of type {target}", TypeName(other)))),
    })
}

fn counts(array: &ArrayRef, unit: TimeUnit) -> Int64Array {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().reinterpret_cast(),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().reinterpret_cast(),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast(),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().reinterpret_cast(),
    }
}

fn json(array: &ArrayRef) -> Result<Values> {
    let cells = Cells::of(array.as_ref())?;
    let (mut text, mut ends) = (Vec::new(), Vec::with_capacity(array.len()));
    for row in 0..array.len() {
        if !cells.is_null(row) {
            cells.put(row, &mut text);
        }
        ends.push(text.len());
    }
    Ok(Values::Json(text, ends))
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    // Every value has a place in the plain type; one without a place must not silently become null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options)
        .map_err(|error| Error::bug(format!("{} does not convert to {}: {error}", TypeName(array.data_type()), TypeName(to))))
}

fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The version of the binary form, then the text.
fn put_jsonb(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(&(json.len() as i32 + 1).to_be_bytes());
    out.push(1);
    out.extend_from_slice(json);
}

fn with_length(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = begin_length(out);
    put(out);
    end_length(out, at);
}

fn begin_length(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len()
}

fn end_length(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as i32;
    out[at - 4..at].copy_from_slice(&length.to_be_bytes());
}
