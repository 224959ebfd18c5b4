//! The server's types: what a column's description means, and which Arrow type holds its values.

use arrow_schema::{DataType, TimeUnit};
use mysql_async::Column as Described;
use mysql_async::consts::{ColumnFlags, ColumnType};

/// The largest precision of a decimal.
const MAX_PRECISION: u32 = 38;
/// The number of the character set of columns that hold bytes.
const BINARY: u16 = 63;

/// What the values of a column are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `BIT(1)`.
    Flag,
    /// `BIT` of this many digits.
    Bits(u32),
    /// Whole numbers of this type.
    Whole(DataType),
    /// 0 and 1901 to 2155.
    Year,
    Float,
    Double,
    /// Precision and scale.
    Decimal(u32, u32),
    Text,
    /// MySQL's own JSON. MariaDB's is text.
    Json,
    Bytes,
    Date,
    /// Without a zone.
    DateTime,
    /// A moment, which the session shows in UTC.
    Timestamp,
    /// A span of up to 838 hours, with this many digits of a second.
    Time(u8),
}

impl Kind {
    /// The kind of a column by the server's description of it. `None`: its type is not read.
    pub(super) fn of(column: &Described) -> Option<Self> {
        use ColumnType as T;
        let flags = column.flags();
        let whole = |signed: DataType, unsigned: DataType| {
            Some(Self::Whole(if flags.contains(ColumnFlags::UNSIGNED_FLAG) { unsigned } else { signed }))
        };
        match column.column_type() {
            T::MYSQL_TYPE_TINY => whole(DataType::Int8, DataType::UInt8),
            T::MYSQL_TYPE_SHORT => whole(DataType::Int16, DataType::UInt16),
            T::MYSQL_TYPE_INT24 | T::MYSQL_TYPE_LONG => whole(DataType::Int32, DataType::UInt32),
            T::MYSQL_TYPE_LONGLONG => whole(DataType::Int64, DataType::UInt64),
            T::MYSQL_TYPE_YEAR => Some(Self::Year),
            T::MYSQL_TYPE_BIT if column.column_length() == 1 => Some(Self::Flag),
            T::MYSQL_TYPE_BIT => Some(Self::Bits(column.column_length())),
            T::MYSQL_TYPE_FLOAT => Some(Self::Float),
            T::MYSQL_TYPE_DOUBLE => Some(Self::Double),
            T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => Some(decimal(column)),
            T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => Some(Self::Date),
            T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => Some(Self::DateTime),
            T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => Some(Self::Timestamp),
            T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => Some(Self::Time(column.decimals().min(6))),
            T::MYSQL_TYPE_JSON => Some(Self::Json),
            T::MYSQL_TYPE_GEOMETRY | T::MYSQL_TYPE_VECTOR => Some(Self::Bytes),
            T::MYSQL_TYPE_ENUM | T::MYSQL_TYPE_SET | T::MYSQL_TYPE_NULL => Some(Self::Text),
            T::MYSQL_TYPE_VARCHAR
            | T::MYSQL_TYPE_VAR_STRING
            | T::MYSQL_TYPE_STRING
            | T::MYSQL_TYPE_TINY_BLOB
            | T::MYSQL_TYPE_BLOB
            | T::MYSQL_TYPE_MEDIUM_BLOB
            | T::MYSQL_TYPE_LONG_BLOB => {
                let is_list = flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
                Some(if column.character_set() == BINARY && !is_list { Self::Bytes } else { Self::Text })
            }
            _ => None,
        }
    }

    /// The Arrow type that holds its values.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Flag => DataType::Boolean,
            Self::Bits(_) => DataType::UInt64,
            Self::Whole(data_type) => data_type.clone(),
            Self::Year => DataType::Int16,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) if *precision <= MAX_PRECISION => DataType::Decimal128(*precision as u8, *scale as i8),
            Self::Decimal(..) | Self::Text | Self::Json | Self::Time(_) => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// The length counts a sign and a point.
fn decimal(column: &Described) -> Kind {
    let scale = u32::from(column.decimals());
    let sign = u32::from(!column.flags().contains(ColumnFlags::UNSIGNED_FLAG));
    let precision = column.column_length().saturating_sub(sign + u32::from(scale > 0));
    Kind::Decimal(precision.max(scale).max(1), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(column_type: ColumnType) -> Described {
        Described::new(column_type)
    }

    #[test]
    fn signs_and_lengths_decide() {
        let unsigned = |column_type| column(column_type).with_flags(ColumnFlags::UNSIGNED_FLAG);
        assert_eq!(Kind::of(&column(ColumnType::MYSQL_TYPE_LONGLONG)).unwrap().arrow(), DataType::Int64);
        assert_eq!(Kind::of(&unsigned(ColumnType::MYSQL_TYPE_LONGLONG)).unwrap().arrow(), DataType::UInt64);
        assert_eq!(Kind::of(&unsigned(ColumnType::MYSQL_TYPE_INT24)).unwrap().arrow(), DataType::UInt32);
        assert_eq!(Kind::of(&column(ColumnType::MYSQL_TYPE_BIT).with_column_length(1)), Some(Kind::Flag));
        assert_eq!(Kind::of(&column(ColumnType::MYSQL_TYPE_BIT).with_column_length(64)), Some(Kind::Bits(64)));
        let decimal = |length, scale, flags| {
            Kind::of(&column(ColumnType::MYSQL_TYPE_NEWDECIMAL).with_column_length(length).with_decimals(scale).with_flags(flags))
        };
        assert_eq!(decimal(12, 2, ColumnFlags::empty()), Some(Kind::Decimal(10, 2)));
        assert_eq!(decimal(11, 2, ColumnFlags::UNSIGNED_FLAG), Some(Kind::Decimal(10, 2)));
        assert_eq!(decimal(11, 0, ColumnFlags::empty()), Some(Kind::Decimal(10, 0)));
        assert_eq!(decimal(67, 30, ColumnFlags::empty()).unwrap().arrow(), DataType::Utf8, "wider than a decimal may be");
    }

    #[test]
    fn bytes_are_told_from_texts_by_their_character_set() {
        let of = |character_set, flags| {
            Kind::of(&column(ColumnType::MYSQL_TYPE_STRING).with_character_set(character_set).with_flags(flags)).unwrap()
        };
        assert_eq!(of(BINARY, ColumnFlags::empty()), Kind::Bytes);
        assert_eq!(of(45, ColumnFlags::empty()), Kind::Text);
        assert_eq!(of(BINARY, ColumnFlags::ENUM_FLAG), Kind::Text);
        let json = column(ColumnType::MYSQL_TYPE_JSON).with_character_set(BINARY);
        assert_eq!(Kind::of(&json).unwrap().arrow(), DataType::Utf8);
    }
}
