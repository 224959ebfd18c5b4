//! Arrow types as pipeline files write them.

use std::borrow::Cow;
use std::fmt;

use arrow_schema::{DataType, Field};

use crate::reading::{AsJson, Reading, unit_name};

/// An Arrow type as a pipeline file writes it; a type that can't be written there, in words of the same kind.
pub struct TypeName<'a>(pub &'a DataType);

/// The type of a field as a pipeline file writes it, with the choices of how it is read.
pub struct FieldType<'a>(pub &'a Field);

impl fmt::Display for FieldType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = Reading::of(self.0);
        match self.0.data_type() {
            DataType::Timestamp(unit, zone) if reading.epoch.is_some() || reading.cut => {
                write!(f, "timestamp({}", unit_name(*unit))?;
                zone.iter().try_for_each(|zone| write!(f, ", {zone}"))?;
                reading.epoch.iter().try_for_each(|unit| write!(f, ", epoch: {}", unit_name(*unit)))?;
                f.write_str(if reading.cut { ", cut)" } else { ")" })?;
            }
            DataType::Utf8 if reading.json == AsJson::Value => f.write_str("json")?,
            data_type => write!(f, "{}", TypeName(data_type))?,
        }
        f.write_str(if self.0.is_nullable() { "" } else { " not null" })
    }
}

impl fmt::Display for TypeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use arrow_schema::TimeUnit::Microsecond;
        match self.0 {
            DataType::Null => f.write_str("null"),
            DataType::Boolean => f.write_str("bool"),
            DataType::Float16 => f.write_str("float16"),
            DataType::Float32 => f.write_str("float32"),
            DataType::Float64 => f.write_str("float64"),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => f.write_str("text"),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => f.write_str("binary"),
            DataType::FixedSizeBinary(bytes) => write!(f, "binary({bytes})"),
            DataType::Date32 => f.write_str("date"),
            DataType::Date64 => f.write_str("date64"),
            DataType::Timestamp(Microsecond, None) => f.write_str("timestamp"),
            DataType::Timestamp(of, None) => write!(f, "timestamp({})", unit_name(*of)),
            DataType::Timestamp(of, Some(zone)) => write!(f, "timestamp({}, {zone})", unit_name(*of)),
            DataType::Time32(of) | DataType::Time64(of) => write!(f, "time({})", unit_name(*of)),
            DataType::Duration(of) => write!(f, "duration({})", unit_name(*of)),
            DataType::Interval(_) => f.write_str("interval"),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => write!(f, "decimal({precision}, {scale})"),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => write!(f, "list<{}>", FieldType(item)),
            DataType::Struct(fields) => {
                let fields: Vec<String> = fields.iter().map(|of| format!("{}: {}", shown(of.name()), FieldType(of))).collect();
                write!(f, "struct<{}>", fields.join(", "))
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    write!(f, "map<{}, {}>", TypeName(fields[0].data_type()), FieldType(&fields[1]))
                }
                other => write!(f, "map of {}", TypeName(other)),
            },
            DataType::Dictionary(_, values) => write!(f, "{}", TypeName(values)),
            DataType::RunEndEncoded(_, values) => write!(f, "{}", TypeName(values.data_type())),
            DataType::Union(..) => f.write_str("union"),
            DataType::Int8 => f.write_str("int8"),
            DataType::Int16 => f.write_str("int16"),
            DataType::Int32 => f.write_str("int32"),
            DataType::Int64 => f.write_str("int64"),
            DataType::UInt8 => f.write_str("uint8"),
            DataType::UInt16 => f.write_str("uint16"),
            DataType::UInt32 => f.write_str("uint32"),
            DataType::UInt64 => f.write_str("uint64"),
        }
    }
}

/// The name of a field, without control characters.
fn shown(name: &str) -> Cow<'_, str> {
    match name.contains(char::is_control) {
        true => name.chars().map(|char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() }).collect(),
        false => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::TimeUnit;

    use super::*;

    fn named(data_type: DataType) -> String {
        TypeName(&data_type).to_string()
    }

    #[test]
    fn no_type_is_named_as_arrow_names_it() {
        let item = Arc::new(Field::new("item", DataType::LargeUtf8, false));
        assert_eq!(named(DataType::LargeList(Arc::clone(&item))), "list<text not null>");
        assert_eq!(named(DataType::FixedSizeList(item, 3)), "list<text not null>");
        assert_eq!(named(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))), "text");
        let fields = vec![Field::new("a", DataType::BinaryView, true), Field::new("t", DataType::Timestamp(TimeUnit::Second, None), true)];
        assert_eq!(named(DataType::Struct(fields.into())), "struct<a: binary, t: timestamp(s)>");
        assert_eq!(named(DataType::Decimal256(50, 2)), "decimal(50, 2)");
        assert_eq!(named(DataType::Duration(TimeUnit::Nanosecond)), "duration(ns)");
        let odd = vec![Field::new("a\u{1b}[2J", DataType::Null, true)];
        assert_eq!(named(DataType::Struct(odd.into())), "struct<a\\u{1b}[2J: null>");
        assert_eq!(named(DataType::Time64(TimeUnit::Microsecond)), "time(us)");
    }
}
