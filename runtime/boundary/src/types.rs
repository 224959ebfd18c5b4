//! The column types that cross the boundary, and how the host's other types are cast to them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};

/// How deeply types may nest. Deeper schemas are rejected, because every walk over a type is
/// recursive.
pub const MAX_TYPE_DEPTH: usize = 32;

/// The boundary type of a column, or `None` if the type can't cross. The documentation of
/// `wasmill-host` has the table.
pub fn boundary_type(data_type: &DataType) -> Option<DataType> {
    boundary_type_within(data_type, MAX_TYPE_DEPTH)
}

fn boundary_type_within(data_type: &DataType, depth: usize) -> Option<DataType> {
    let depth = depth.checked_sub(1)?;
    let field = |field: &FieldRef| boundary_field(field, depth);
    Some(match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32
        | DataType::Timestamp(..) => data_type.clone(),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Time32(_) | DataType::Time64(_) | DataType::Duration(_) => DataType::Int64,
        DataType::Dictionary(_, values) => boundary_type_within(values, depth)?,
        DataType::RunEndEncoded(_, values) => boundary_type_within(values.data_type(), depth)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(field(item)?),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Option<Fields>>()?),
        DataType::Map(entries, sorted) => DataType::Map(field(entries)?, *sorted),
        DataType::Decimal256(..) | DataType::Interval(_) | DataType::Union(..) => return None,
    })
}

fn boundary_field(field: &FieldRef, depth: usize) -> Option<FieldRef> {
    let data_type = boundary_type_within(field.data_type(), depth)?;
    if data_type == *field.data_type() {
        return Some(Arc::clone(field));
    }
    Some(Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone())))
}

/// Whether a type is one of those that cross as they are.
pub fn is_boundary_type(data_type: &DataType) -> bool {
    boundary_type(data_type).is_some_and(|boundary| boundary == *data_type) && is_well_formed(data_type)
}

/// What arrow assumes of types: decimals within their precision, maps of two-field structs.
fn is_well_formed(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, scale) => {
            (1..=38).contains(precision) && *scale <= 38 && i16::from(*scale) <= i16::from(*precision) && *scale >= -38
        }
        DataType::List(item) => is_well_formed(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_well_formed(field.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                !entries.is_nullable()
                    && fields.len() == 2
                    && !fields[0].is_nullable()
                    && fields.iter().all(|field| is_well_formed(field.data_type()))
            }
            _ => false,
        },
        _ => true,
    }
}

/// Whether values of the boundary type `from` become `to` without loss: the widenings that a plugin's needs are served with.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    if same_layout(from, to) {
        return true;
    }
    match (from, to) {
        (Int8, Int16 | Int32 | Int64 | Float32 | Float64)
        | (Int16, Int32 | Int64 | Float32 | Float64)
        | (Int32, Int64 | Float64)
        | (UInt8, Int16 | Int32 | Int64 | UInt16 | UInt32 | UInt64 | Float32 | Float64)
        | (UInt16, Int32 | Int64 | UInt32 | UInt64 | Float32 | Float64)
        | (UInt32, Int64 | UInt64 | Float64)
        | (Float32, Float64) => true,
        (DataType::Null, _) => true,
        (DataType::Utf8, DataType::Binary) => true,
        (DataType::Date32, DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None)) => true,
        // A time without a zone is taken as UTC.
        (DataType::Timestamp(from_unit, None), DataType::Timestamp(to_unit, Some(zone))) => from_unit == to_unit && is_utc(zone),
        (DataType::Timestamp(from_unit, Some(_)), DataType::Timestamp(to_unit, Some(_))) => from_unit == to_unit,
        (DataType::Decimal128(from_precision, from_scale), DataType::Decimal128(to_precision, to_scale)) => {
            let digits = |precision: &u8, scale: &i8| i16::from(*precision) - i16::from(*scale);
            to_scale >= from_scale && digits(to_precision, to_scale) >= digits(from_precision, from_scale)
        }
        (DataType::List(from), DataType::List(to)) => widens(from.data_type(), to.data_type()) && (to.is_nullable() || !from.is_nullable()),
        _ => false,
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Z" | "+00:00" | "+0000")
}

/// Whether two types have the same layout. Names of list items and map entries don't matter, nor
/// does a nullability that only becomes wider.
pub fn same_layout(from: &DataType, to: &DataType) -> bool {
    let field = |from: &FieldRef, to: &FieldRef| (to.is_nullable() || !from.is_nullable()) && same_layout(from.data_type(), to.data_type());
    match (from, to) {
        (DataType::List(from), DataType::List(to)) => field(from, to),
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| from.name() == to.name() && field(from, to))
        }
        (DataType::Map(from, _), DataType::Map(to, _)) => match (from.data_type(), to.data_type()) {
            (DataType::Struct(from), DataType::Struct(to)) => {
                from.len() == 2 && to.len() == 2 && from.iter().zip(to).all(|(from, to)| field(from, to))
            }
            _ => false,
        },
        _ => from == to,
    }
}
