//! Types: as SQL writes them, and which a column may have.

use arrow_schema::{DataType, TimeUnit};
use sqlparser::ast::{DataType as SqlType, ExactNumberInfo, TimezoneInfo};
use wasmill_types::TypeName;

/// The zone of `TIMESTAMP WITH TIME ZONE`.
const UTC: &str = "UTC";

/// What may be written as a type.
pub(crate) const WRITTEN: &str = "BOOLEAN, TINYINT, SMALLINT, INT, BIGINT (each also UNSIGNED), INT16 … INT64, UINT8 … UINT64, REAL, DOUBLE, DECIMAL(precision, scale), \
     TEXT, BYTEA, DATE, TIMESTAMP, TIMESTAMP(0|3|6|9), TIMESTAMPTZ";

/// The Arrow type of a type in SQL; why there is none otherwise.
pub(crate) fn arrow_type(written: &SqlType) -> Result<DataType, String> {
    Ok(match written {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(None) => DataType::Int8,
        SqlType::SmallInt(None) | SqlType::Int2(None) | SqlType::Int16 => DataType::Int16,
        SqlType::Int(None) | SqlType::Integer(None) | SqlType::Int4(None) | SqlType::Int32 => DataType::Int32,
        SqlType::BigInt(None) | SqlType::Int64 => DataType::Int64,
        SqlType::TinyIntUnsigned(None) | SqlType::UTinyInt | SqlType::UInt8 => DataType::UInt8,
        SqlType::SmallIntUnsigned(None) | SqlType::USmallInt | SqlType::Int2Unsigned(None) | SqlType::UInt16 => DataType::UInt16,
        SqlType::IntUnsigned(None) | SqlType::IntegerUnsigned(None) | SqlType::Int4Unsigned(None) | SqlType::UInt32 => DataType::UInt32,
        SqlType::BigIntUnsigned(None) | SqlType::UBigInt | SqlType::UInt64 => DataType::UInt64,
        SqlType::Int8(_) | SqlType::Int8Unsigned(_) => {
            return Err("`INT8` has 8 bits here and 64 bits in Postgres: write `TINYINT` or `BIGINT`".into());
        }
        SqlType::Real | SqlType::Float4 | SqlType::Float32 => DataType::Float32,
        SqlType::Float(ExactNumberInfo::None)
        | SqlType::Double(ExactNumberInfo::None)
        | SqlType::DoublePrecision
        | SqlType::Float8
        | SqlType::Float64 => DataType::Float64,
        SqlType::Decimal(exact) | SqlType::Numeric(exact) | SqlType::Dec(exact) => decimal(exact)?,
        SqlType::Text | SqlType::Varchar(None) | SqlType::CharacterVarying(None) | SqlType::String(None) => DataType::Utf8,
        SqlType::Varchar(_) | SqlType::CharacterVarying(_) | SqlType::Char(_) | SqlType::Character(_) | SqlType::String(_) => {
            return Err("texts have no length: write `TEXT`, and `left(text, n)` to cut".into());
        }
        SqlType::Bytea | SqlType::Binary(None) | SqlType::Varbinary(None) | SqlType::Blob(None) | SqlType::Bytes(None) => DataType::Binary,
        SqlType::Date | SqlType::Date32 => DataType::Date32,
        SqlType::Timestamp(precision, zone) => timestamp(*precision, zone)?,
        SqlType::Datetime(precision) => timestamp(*precision, &TimezoneInfo::None)?,
        _ => return Err(format!("there is no type `{written}`")),
    })
}

fn decimal(exact: &ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match *exact {
        ExactNumberInfo::None => return Err("a decimal has a precision and a scale: `DECIMAL(10, 2)`".into()),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(digits @ 1..=38), Ok(places)) if scale >= 0 && scale.unsigned_abs() <= precision => Ok(DataType::Decimal128(digits, places)),
        _ => Err("a decimal has a precision of 1 to 38 digits, and a scale of 0 to as many".into()),
    }
}

fn timestamp(precision: Option<u64>, zone: &TimezoneInfo) -> Result<DataType, String> {
    let unit = match precision {
        None | Some(6) => TimeUnit::Microsecond,
        Some(0) => TimeUnit::Second,
        Some(3) => TimeUnit::Millisecond,
        Some(9) => TimeUnit::Nanosecond,
        Some(digits) => return Err(format!("a timestamp has 0, 3, 6 or 9 digits of a second, not {digits}")),
    };
    let has_zone = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
    Ok(DataType::Timestamp(unit, has_zone.then(|| UTC.into())))
}

/// The type of the column that holds results of a type; what to do where no column can.
pub(crate) fn column_type(result: &DataType) -> Result<DataType, &'static str> {
    match result {
        DataType::Utf8View | DataType::LargeUtf8 => Ok(DataType::Utf8),
        DataType::BinaryView | DataType::LargeBinary => Ok(DataType::Binary),
        DataType::Dictionary(_, values) => column_type(values),
        DataType::RunEndEncoded(_, values) => column_type(values.data_type()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => Ok(DataType::Decimal128(*precision, *scale)),
        DataType::Float16 => Ok(DataType::Float32),
        DataType::Date64 => Ok(DataType::Date32),
        DataType::Null => Err("name its type: `CAST(NULL AS TEXT)`"),
        DataType::Duration(_) | DataType::Interval(_) => Err("its seconds are a number: `extract(epoch FROM …)`"),
        DataType::Time32(_) | DataType::Time64(_) => Err("write it as text: `CAST(… AS TEXT)`"),
        DataType::Decimal256(..) => Err("a column holds 38 digits: `CAST(… AS DECIMAL(38, 2))`"),
        DataType::Union(..) => Err("choose one of its values"),
        other => Ok(other.clone()),
    }
}

/// A type as messages name it.
pub(crate) fn named(data_type: &DataType) -> String {
    TypeName(data_type).to_string()
}

/// Whether it is a text of some encoding.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether it counts time from an origin, so that a number alone is none.
pub(crate) fn is_time(data_type: &DataType) -> bool {
    use DataType::{Date32, Date64, Duration, Interval, Time32, Time64, Timestamp};
    matches!(data_type, Date32 | Date64 | Timestamp(..) | Time32(_) | Time64(_) | Duration(_) | Interval(_))
}
