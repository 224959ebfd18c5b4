//! Writes a column as a JSON array, value by value as the contract's table says.

use std::io::Write as _;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::{
    date32_to_datetime, timestamp_ms_to_datetime, timestamp_ns_to_datetime, timestamp_s_to_datetime, timestamp_us_to_datetime,
};
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wasmill_types::TypeName;

/// The values of a column as a JSON array.
///
/// # Errors
/// The value that has no JSON form.
pub fn json_array(column: &dyn Array) -> Result<String, String> {
    let mut out = Vec::with_capacity(column.len().saturating_mul(16));
    out.push(b'[');
    for row in 0..column.len() {
        if row > 0 {
            out.push(b',');
        }
        value(&mut out, column, row)?;
    }
    out.push(b']');
    String::from_utf8(out).map_err(|error| format!("JSON was written that is no UTF-8: {error}"))
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing into memory can't fail.
    let _ = serde_json::to_writer(out, text);
}

macro_rules! write_number {
    ($out:expr, $array:expr, $row:expr, $type:ty) => {{
        // Writing into memory can't fail.
        let _ = write!($out, "{}", $array.as_primitive::<$type>().value($row));
    }};
}

macro_rules! write_float {
    ($out:expr, $array:expr, $row:expr, $type:ty) => {{
        let value = $array.as_primitive::<$type>().value($row);
        if value.is_nan() {
            $out.extend_from_slice(b"\"NaN\"");
        } else if value.is_infinite() {
            $out.extend_from_slice(if value > 0.0 { b"\"Infinity\"".as_slice() } else { b"\"-Infinity\"" });
        } else {
            // `{:?}` is the shortest text that reads back to the same float. Writing into memory can't fail.
            let _ = write!($out, "{value:?}");
        }
    }};
}

fn value(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), String> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.extend_from_slice(b"null"),
        DataType::Boolean => out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" }),
        DataType::Int8 => write_number!(out, array, row, Int8Type),
        DataType::Int16 => write_number!(out, array, row, Int16Type),
        DataType::Int32 => write_number!(out, array, row, Int32Type),
        DataType::Int64 => write_number!(out, array, row, Int64Type),
        DataType::UInt8 => write_number!(out, array, row, UInt8Type),
        DataType::UInt16 => write_number!(out, array, row, UInt16Type),
        DataType::UInt32 => write_number!(out, array, row, UInt32Type),
        DataType::UInt64 => write_number!(out, array, row, UInt64Type),
        DataType::Float32 => write_float!(out, array, row, Float32Type),
        DataType::Float64 => write_float!(out, array, row, Float64Type),
        DataType::Decimal128(..) => string(out, &array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Utf8 => string(out, array.as_string::<i32>().value(row)),
        DataType::Binary => string(out, &STANDARD.encode(array.as_binary::<i32>().value(row))),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            let date = date32_to_datetime(days).ok_or_else(|| format!("the date {days} days from 1970 has no text"))?;
            string(out, &date.format("%Y-%m-%d").to_string());
        }
        DataType::Timestamp(unit, zone) => timestamp(out, array, row, *unit, zone.is_some())?,
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push(b'[');
            for index in 0..items.len() {
                if index > 0 {
                    out.push(b',');
                }
                value(out, items.as_ref(), index)?;
            }
            out.push(b']');
        }
        DataType::Struct(fields) => {
            out.push(b'{');
            for (index, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(out, field.name());
                out.push(b':');
                value(out, column.as_ref(), row)?;
            }
            out.push(b'}');
        }
        DataType::Map(..) => map(out, array, row)?,
        other => return Err(format!("{} came as far as the boundary", TypeName(other))),
    }
    Ok(())
}

fn map(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), String> {
    let entries = array.as_map().value(row);
    let [keys, values] = entries.columns() else { return Err("a map without keys and values came as far as the boundary".to_owned()) };
    let Some(keys) = keys.as_string_opt::<i32>() else {
        return Err("a map whose keys are no strings reached the boundary".to_owned());
    };
    out.push(b'{');
    for index in 0..entries.len() {
        if index > 0 {
            out.push(b',');
        }
        string(out, keys.value(index));
        out.push(b':');
        value(out, values.as_ref(), index)?;
    }
    out.push(b'}');
    Ok(())
}

fn timestamp(out: &mut Vec<u8>, array: &dyn Array, row: usize, unit: TimeUnit, zoned: bool) -> Result<(), String> {
    let (ticks, time) = match unit {
        TimeUnit::Second => {
            let ticks = array.as_primitive::<TimestampSecondType>().value(row);
            (ticks, timestamp_s_to_datetime(ticks))
        }
        TimeUnit::Millisecond => {
            let ticks = array.as_primitive::<TimestampMillisecondType>().value(row);
            (ticks, timestamp_ms_to_datetime(ticks))
        }
        TimeUnit::Microsecond => {
            let ticks = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (ticks, timestamp_us_to_datetime(ticks))
        }
        TimeUnit::Nanosecond => {
            let ticks = array.as_primitive::<TimestampNanosecondType>().value(row);
            (ticks, timestamp_ns_to_datetime(ticks))
        }
    };
    let time = time.ok_or_else(|| format!("the timestamp {ticks} has no text"))?;
    let format = if zoned { "%Y-%m-%dT%H:%M:%S%.fZ" } else { "%Y-%m-%dT%H:%M:%S%.f" };
    string(out, &time.format(format).to_string());
    Ok(())
}
