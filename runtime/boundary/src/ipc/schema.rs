//! Reads a schema message. arrow's own conversion panics on schemas that a valid flatbuffer can hold, so this one checks first.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc as ipc;
use arrow_ipc::MessageHeader;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use super::message;
use crate::DecodeError;
use crate::text::shown;
use crate::types::MAX_TYPE_DEPTH;

pub(super) fn read(bytes: &[u8]) -> Result<Schema, DecodeError> {
    let (message, _) = message::open(bytes)?;
    if message.header_type() != MessageHeader::Schema {
        return Err(DecodeError(format!("an Arrow schema message is expected, not {}", name_of(message.header_type()))));
    }
    let schema = message.header_as_schema().ok_or_else(|| DecodeError::new("the Arrow schema message holds no schema"))?;
    if schema.endianness() != ipc::Endianness::Little {
        return Err(DecodeError::new("the Arrow schema is big-endian"));
    }
    let fields = schema.fields().into_iter().flatten().map(|child| {
        let named = |error| DecodeError(format!("column `{}`: {error}", shown(child.name().unwrap_or_default())));
        field(child, MAX_TYPE_DEPTH).map_err(named)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Schema::new_with_metadata(fields, metadata(schema.custom_metadata().into_iter().flatten())))
}

pub(super) fn name_of(header: MessageHeader) -> &'static str {
    header.variant_name().unwrap_or("an unknown message")
}

fn metadata<'a>(pairs: impl Iterator<Item = ipc::KeyValue<'a>>) -> HashMap<String, String> {
    pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value()?.to_owned()))).collect()
}

fn field(source: ipc::Field<'_>, depth: usize) -> Result<Field, DecodeError> {
    let name = source.name().unwrap_or_default();
    let data_type = data_type(source, depth)?;
    Ok(Field::new(name, data_type, source.nullable()).with_metadata(metadata(source.custom_metadata().into_iter().flatten())))
}

fn data_type(field: ipc::Field<'_>, depth: usize) -> Result<DataType, DecodeError> {
    let depth = depth.checked_sub(1).ok_or_else(|| DecodeError(format!("types nest more than {MAX_TYPE_DEPTH} deep")))?;
    if field.dictionary().is_some() {
        return Err(DecodeError::new("dictionaries don't cross the boundary"));
    }
    let kind = field.type_type();
    let missing = || DecodeError(format!("the type {} comes without its parameters", kind.variant_name().unwrap_or("?")));
    match kind {
        ipc::Type::Null => Ok(DataType::Null),
        ipc::Type::Bool => Ok(DataType::Boolean),
        ipc::Type::Utf8 => Ok(DataType::Utf8),
        ipc::Type::Binary => Ok(DataType::Binary),
        ipc::Type::Int => integer(field.type_as_int().ok_or_else(missing)?),
        ipc::Type::FloatingPoint => match field.type_as_floating_point().ok_or_else(missing)?.precision() {
            ipc::Precision::SINGLE => Ok(DataType::Float32),
            ipc::Precision::DOUBLE => Ok(DataType::Float64),
            _ => Err(DecodeError::new("only 32-bit and 64-bit floats cross the boundary")),
        },
        ipc::Type::Date => match field.type_as_date().ok_or_else(missing)?.unit() {
            ipc::DateUnit::DAY => Ok(DataType::Date32),
            _ => Err(DecodeError::new("only dates in days cross the boundary")),
        },
        ipc::Type::Timestamp => {
            let timestamp = field.type_as_timestamp().ok_or_else(missing)?;
            Ok(DataType::Timestamp(time_unit(timestamp.unit())?, timestamp.timezone().map(Arc::from)))
        }
        ipc::Type::Decimal => decimal(field.type_as_decimal().ok_or_else(missing)?),
        ipc::Type::List => Ok(DataType::List(Arc::new(only_child(field, depth)?))),
        ipc::Type::Map => {
            let map = field.type_as_map().ok_or_else(missing)?;
            Ok(DataType::Map(Arc::new(only_child(field, depth)?), map.keysSorted()))
        }
        ipc::Type::Struct_ => {
            let children = field.children().into_iter().flatten().map(|child| self::field(child, depth));
            Ok(DataType::Struct(children.collect::<Result<Fields, _>>()?))
        }
        other => Err(DecodeError(format!("Arrow's type {} does not cross the boundary", other.variant_name().unwrap_or("?")))),
    }
}

fn only_child(field: ipc::Field<'_>, depth: usize) -> Result<Field, DecodeError> {
    let mut children = field.children().into_iter().flatten();
    match (children.next(), children.next()) {
        (Some(child), None) => self::field(child, depth),
        _ => Err(DecodeError::new("a list or map has to have one child")),
    }
}

fn integer(int: ipc::Int<'_>) -> Result<DataType, DecodeError> {
    Ok(match (int.bitWidth(), int.is_signed()) {
        (8, true) => DataType::Int8,
        (16, true) => DataType::Int16,
        (32, true) => DataType::Int32,
        (64, true) => DataType::Int64,
        (8, false) => DataType::UInt8,
        (16, false) => DataType::UInt16,
        (32, false) => DataType::UInt32,
        (64, false) => DataType::UInt64,
        (bits, _) => return Err(DecodeError(format!("there is no integer of {bits} bits"))),
    })
}

fn decimal(decimal: ipc::Decimal<'_>) -> Result<DataType, DecodeError> {
    let (precision, scale) = (decimal.precision(), decimal.scale());
    match (decimal.bitWidth(), u8::try_from(precision), i8::try_from(scale)) {
        (128, Ok(precision), Ok(scale)) => Ok(DataType::Decimal128(precision, scale)),
        (bits, ..) => {
            Err(DecodeError(format!("a decimal of {bits} bits, precision {precision} and scale {scale} does not cross the boundary")))
        }
    }
}

fn time_unit(unit: ipc::TimeUnit) -> Result<TimeUnit, DecodeError> {
    Ok(match unit {
        ipc::TimeUnit::SECOND => TimeUnit::Second,
        ipc::TimeUnit::MILLISECOND => TimeUnit::Millisecond,
        ipc::TimeUnit::MICROSECOND => TimeUnit::Microsecond,
        ipc::TimeUnit::NANOSECOND => TimeUnit::Nanosecond,
        _ => return Err(DecodeError::new("a timestamp has an unknown unit")),
    })
}
