//! Arrow types as people write them in a pipeline file.

use std::fmt;

use arrow_schema::{DataType, Field};

use super::reading::{AsJson, Reading, unit_name};

/// An Arrow type as a pipeline file writes it. Types that can't be written come out as Arrow prints them.
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
            DataType::Float32 => f.write_str("float32"),
            DataType::Float64 => f.write_str("float64"),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => f.write_str("text"),
            DataType::Binary => f.write_str("binary"),
            DataType::Date32 => f.write_str("date"),
            DataType::Timestamp(Microsecond, None) => f.write_str("timestamp"),
            DataType::Timestamp(of, None) => write!(f, "timestamp({})", unit_name(*of)),
            DataType::Timestamp(of, Some(zone)) => write!(f, "timestamp({}, {zone})", unit_name(*of)),
            DataType::Decimal128(precision, scale) => write!(f, "decimal({precision}, {scale})"),
            DataType::List(item) => write!(f, "list<{}>", FieldType(item)),
            DataType::Struct(fields) => {
                let fields: Vec<String> = fields.iter().map(|of| format!("{}: {}", of.name(), FieldType(of))).collect();
                write!(f, "struct<{}>", fields.join(", "))
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    write!(f, "map<{}, {}>", TypeName(fields[0].data_type()), FieldType(&fields[1]))
                }
                other => write!(f, "{other}"),
            },
            whole if whole.is_integer() => write!(f, "{}", whole.to_string().to_lowercase()),
            other => write!(f, "{other}"),
        }
    }
}
