//! The column types that a run can hold, and their words in a file.

use std::fmt::Write;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use wasmill_types::TypeName;

use crate::codes::STATE_TYPE;
use crate::{Error, Result};

/// How deep lists, maps and structs may nest.
const MAX_DEPTH: usize = 16;

/// Whether runs can hold columns of a state.
///
/// # Errors
/// Configuration: one has a type that can't be written. The error names it.
pub fn check_state_schema(schema: &Schema) -> Result<()> {
    words(schema).map(|_| ())
}

/// The columns in words: equal for two schemas exactly if they hold the same columns in the same order.
pub(super) fn words(schema: &Schema) -> Result<String> {
    let mut text = String::new();
    for field in schema.fields() {
        write_field(field, MAX_DEPTH, &mut text).ok_or_else(|| {
            Error::configuration(format!("a state can't hold the column `{}` of type {}", field.name(), TypeName(field.data_type())))
                .code(STATE_TYPE)
                .hint("keep it as integers, decimals, floats, texts, binaries, times, or as lists, maps and structs of them")
        })?;
        text.push('\n');
    }
    Ok(text)
}

/// Names are quoted, so that no name can look like another column.
fn write_field(field: &Field, depth: usize, text: &mut String) -> Option<()> {
    write!(text, "{:?}: ", field.name()).ok()?;
    write_type(field.data_type(), depth, text)?;
    text.push_str(if field.is_nullable() { "" } else { " not null" });
    Some(())
}

fn write_type(data_type: &DataType, depth: usize, text: &mut String) -> Option<()> {
    use DataType::*;
    let depth = depth.checked_sub(1)?;
    let mut nested = |name: &str, fields: &[&Field]| {
        text.push_str(name);
        text.push('<');
        for field in fields {
            write_field(field, depth, text)?;
            text.push(',');
        }
        text.push('>');
        Some(())
    };
    let word = match data_type {
        Struct(fields) => return nested("struct", &fields.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
        List(item) => return nested("list", &[item]),
        LargeList(item) => return nested("large_list", &[item]),
        Map(entries, sorted) => return nested(if *sorted { "sorted_map" } else { "map" }, &[entries]),
        FixedSizeBinary(width) => format!("binary({width})"),
        Decimal32(precision, scale) => format!("decimal32({precision}, {scale})"),
        Decimal64(precision, scale) => format!("decimal64({precision}, {scale})"),
        Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        Decimal256(precision, scale) => format!("decimal256({precision}, {scale})"),
        Timestamp(of, None) => format!("timestamp({})", unit(of)),
        Timestamp(of, Some(zone)) => format!("timestamp({}, {zone:?})", unit(of)),
        Time32(of) => format!("time32({})", unit(of)),
        Time64(of) => format!("time64({})", unit(of)),
        Duration(of) => format!("duration({})", unit(of)),
        plain => plain_word(plain)?.to_owned(),
    };
    text.push_str(&word);
    Some(())
}

fn plain_word(data_type: &DataType) -> Option<&'static str> {
    use DataType::*;
    Some(match data_type {
        Null => "null",
        Boolean => "bool",
        Int8 => "int8",
        Int16 => "int16",
        Int32 => "int32",
        Int64 => "int64",
        UInt8 => "uint8",
        UInt16 => "uint16",
        UInt32 => "uint32",
        UInt64 => "uint64",
        Float16 => "float16",
        Float32 => "float32",
        Float64 => "float64",
        Date32 => "date32",
        Date64 => "date64",
        Utf8 => "text",
        LargeUtf8 => "large_text",
        Binary => "binary",
        LargeBinary => "large_binary",
        _ => return None,
    })
}

fn unit(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}
