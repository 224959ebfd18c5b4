//! Encoded keys to columns. Keys come from files: every byte is checked.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder, LargeBinaryBuilder, LargeStringBuilder, StringBuilder,
    StringViewBuilder,
};
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::i256;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, TimeUnit};

use super::codec::Form;
use super::words::SIGN;
use super::{ESCAPED, NULL, VALUE};

/// Takes one column from the front of every key. The error continues "column `x` ...".
pub(super) fn column(form: Form, data_type: &DataType, keys: &mut [&[u8]]) -> Result<ArrayRef, String> {
    match form {
        Form::Bool => {
            let mut values = BooleanBuilder::with_capacity(keys.len());
            for key in keys {
                values.append_option(match fixed::<1>(key)? {
                    None => None,
                    Some([0]) => Some(false),
                    Some([1]) => Some(true),
                    Some([other]) => return Err(format!("holds {other} where a bool is due")),
                });
            }
            Ok(Arc::new(values.finish()))
        }
        Form::Word => {
            let values = keys.iter_mut().map(|key| Ok(fixed::<8>(key)?.map(u64::from_be_bytes))).collect::<Result<Vec<_>, String>>()?;
            of_words(data_type, &values)
        }
        Form::Wide => {
            let values = keys.iter_mut().map(|key| Ok(fixed::<16>(key)?.map(|bytes| (u128::from_be_bytes(bytes) ^ 1 << 127) as i128)));
            let values = values.collect::<Result<Vec<Option<i128>>, String>>()?;
            match data_type {
                DataType::Decimal32(..) => narrow::<Decimal32Type, _>(data_type, &values, |value| value.try_into().ok()),
                DataType::Decimal64(..) => narrow::<Decimal64Type, _>(data_type, &values, |value| value.try_into().ok()),
                _ => narrow::<Decimal128Type, _>(data_type, &values, Some),
            }
        }
        Form::Widest => {
            let value = |mut bytes: [u8; 32]| {
                bytes[0] ^= 0x80;
                i256::from_be_bytes(bytes)
            };
            let values = keys.iter_mut().map(|key| Ok(fixed::<32>(key)?.map(value))).collect::<Result<Vec<_>, String>>()?;
            narrow::<Decimal256Type, _>(data_type, &values, Some)
        }
        Form::Bytes => bytes(data_type, keys),
    }
}

fn begin(key: &mut &[u8]) -> Result<bool, String> {
    let (&tag, rest) = key.split_first().ok_or("is missing")?;
    *key = rest;
    match tag {
        NULL => Ok(false),
        VALUE => Ok(true),
        other => Err(format!("begins with {other}")),
    }
}

fn fixed<const N: usize>(key: &mut &[u8]) -> Result<Option<[u8; N]>, String> {
    if !begin(key)? {
        return Ok(None);
    }
    let (value, rest) = key.split_first_chunk::<N>().ok_or("ends too soon")?;
    *key = rest;
    Ok(Some(*value))
}

fn narrow<T: ArrowPrimitiveType, V: Copy + fmt::Display>(
    data_type: &DataType,
    values: &[Option<V>],
    value: impl Fn(V) -> Option<T::Native>,
) -> Result<ArrayRef, String> {
    let checked = |of: &Option<V>| match *of {
        None => Ok(None),
        Some(of) => value(of).map(Some).ok_or_else(|| format!("holds {of}, which its type does not")),
    };
    let values = values.iter().map(checked).collect::<Result<PrimitiveArray<T>, String>>()?;
    Ok(Arc::new(values.with_data_type(data_type.clone())))
}

fn of_words(data_type: &DataType, values: &[Option<u64>]) -> Result<ArrayRef, String> {
    let signed: Vec<Option<i64>> = values.iter().map(|value| value.map(|value| (value ^ SIGN) as i64)).collect();
    macro_rules! signed {
        ($of:ty) => {
            narrow::<$of, _>(data_type, &signed, |value| value.try_into().ok())
        };
    }
    macro_rules! unsigned {
        ($of:ty) => {
            narrow::<$of, _>(data_type, values, |value| value.try_into().ok())
        };
    }
    match data_type {
        DataType::Int8 => signed!(Int8Type),
        DataType::Int16 => signed!(Int16Type),
        DataType::Int32 => signed!(Int32Type),
        DataType::UInt8 => unsigned!(UInt8Type),
        DataType::UInt16 => unsigned!(UInt16Type),
        DataType::UInt32 => unsigned!(UInt32Type),
        DataType::UInt64 => unsigned!(UInt64Type),
        DataType::Date32 => signed!(Date32Type),
        DataType::Date64 => signed!(Date64Type),
        DataType::Time32(TimeUnit::Second) => signed!(Time32SecondType),
        DataType::Time32(_) => signed!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => signed!(Time64MicrosecondType),
        DataType::Time64(_) => signed!(Time64NanosecondType),
        DataType::Timestamp(TimeUnit::Second, _) => signed!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => signed!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => signed!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => signed!(TimestampNanosecondType),
        DataType::Duration(TimeUnit::Second) => signed!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => signed!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => signed!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => signed!(DurationNanosecondType),
        _ => signed!(Int64Type),
    }
}

/// Removes the escapes of one value into `value`; `false` for null.
fn unescape(key: &mut &[u8], value: &mut Vec<u8>) -> Result<bool, String> {
    value.clear();
    if !begin(key)? {
        return Ok(false);
    }
    loop {
        let zero = memchr::memchr(0, key).ok_or("has no end")?;
        let (before, rest) = key.split_at(zero);
        value.extend_from_slice(before);
        let (&next, behind) = rest[1..].split_first().ok_or("has no end")?;
        *key = behind;
        match next {
            0 => return Ok(true),
            ESCAPED => value.push(0),
            other => return Err(format!("holds {other} behind a zero")),
        }
    }
}

fn bytes(data_type: &DataType, keys: &mut [&[u8]]) -> Result<ArrayRef, String> {
    let mut value = Vec::new();
    let text = |value: &[u8]| std::str::from_utf8(value).map(str::to_owned).map_err(|_| "is not UTF-8".to_owned());
    // `$build` gets an option of the value.
    macro_rules! build {
        ($builder:expr, $of:ident => $value:expr) => {{
            let mut builder = $builder;
            for key in keys {
                match unescape(key, &mut value)? {
                    true => {
                        let $of = value.as_slice();
                        builder.append_value($value);
                    }
                    false => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()))
        }};
    }
    match data_type {
        DataType::Utf8 => build!(StringBuilder::with_capacity(keys.len(), 0), of => text(of)?),
        DataType::LargeUtf8 => build!(LargeStringBuilder::with_capacity(keys.len(), 0), of => text(of)?),
        DataType::Utf8View => build!(StringViewBuilder::with_capacity(keys.len()), of => text(of)?),
        DataType::Binary => build!(BinaryBuilder::with_capacity(keys.len(), 0), of => of),
        DataType::LargeBinary => build!(LargeBinaryBuilder::with_capacity(keys.len(), 0), of => of),
        DataType::BinaryView => build!(BinaryViewBuilder::with_capacity(keys.len()), of => of),
        DataType::FixedSizeBinary(width) => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(keys.len(), *width);
            for key in keys {
                match unescape(key, &mut value)? {
                    true => builder.append_value(&value).map_err(|_| format!("has {} bytes where {width} are due", value.len()))?,
                    false => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        other => Err(format!("has the type {}", wasmill_types::TypeName(other))),
    }
}

/// The only value of a column, for people.
pub(super) fn shown(column: &ArrayRef) -> String {
    if column.is_null(0) {
        return "null".to_owned();
    }
    let text = array_value_to_string(column, 0).unwrap_or_else(|error| error.to_string());
    text.escape_debug().to_string()
}
