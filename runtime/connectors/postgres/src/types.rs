//! The server's types that this sink writes: the meaning of their names, and which Arrow types go
//! into them.

use std::fmt;

use arrow_schema::DataType;

use wasmill_formats::plain_type;

/// A type of the server. Its text is the result of `format_type`, except for a default precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PgType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    /// Precision and scale; `None`: any number.
    Numeric(Option<(i32, i32)>),
    Text,
    /// At most this many characters.
    Varchar(Option<usize>),
    /// Exactly this many characters, filled up with blanks.
    Char(usize),
    Bytea,
    Date,
    /// Digits behind the second.
    Time(u32),
    Timestamp(u32),
    TimestampTz(u32),
    Json,
    Jsonb,
    Uuid,
    Array(Box<PgType>),
}

/// The digits after the second of a time whose type does not set them.
const MICROSECONDS: u32 = 6;

impl PgType {
    /// Parses the result of `format_type`; none for types that this sink does not write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(item) = text.strip_suffix("[]") {
            return Some(Self::Array(Box::new(Self::parse(item)?)));
        }
        let (name, arguments, rest) = match text.split_once('(') {
            None => (text, None, ""),
            Some((name, rest)) => {
                let (arguments, rest) = rest.split_once(')')?;
                (name, Some(arguments), rest.trim_start())
            }
        };
        let digits = || arguments.map_or(Some(MICROSECONDS), |digits| digits.parse().ok());
        Some(match (name, rest) {
            ("boolean", "") => Self::Boolean,
            ("smallint", "") => Self::SmallInt,
            ("integer", "") => Self::Integer,
            ("bigint", "") => Self::BigInt,
            ("real", "") => Self::Real,
            ("double precision", "") => Self::Double,
            ("numeric", "") => match arguments {
                None => Self::Numeric(None),
                Some(arguments) => {
                    let (precision, scale) = arguments.split_once(',')?;
                    Self::Numeric(Some((precision.parse().ok()?, scale.parse().ok()?)))
                }
            },
            ("text", "") => Self::Text,
            ("character varying", "") => match arguments {
                None => Self::Varchar(None),
                Some(length) => Self::Varchar(Some(length.parse().ok()?)),
            },
            ("character", "") => Self::Char(arguments?.parse().ok()?),
            ("bytea", "") => Self::Bytea,
            ("date", "") => Self::Date,
            ("time without time zone", "") | ("time", "without time zone") => Self::Time(digits()?),
            ("timestamp without time zone", "") | ("timestamp", "without time zone") => Self::Timestamp(digits()?),
            ("timestamp with time zone", "") | ("timestamp", "with time zone") => Self::TimestampTz(digits()?),
            ("json", "") => Self::Json,
            ("jsonb", "") => Self::Jsonb,
            ("uuid", "") => Self::Uuid,
            _ => return None,
        })
    }

    /// The number by which the binary form of an array names the type of its elements.
    pub(super) fn oid(&self) -> u32 {
        match self {
            Self::Boolean => 16,
            Self::Bytea => 17,
            Self::BigInt => 20,
            Self::SmallInt => 21,
            Self::Integer => 23,
            Self::Text => 25,
            Self::Json => 114,
            Self::Real => 700,
            Self::Double => 701,
            Self::Char(_) => 1042,
            Self::Varchar(_) => 1043,
            Self::Date => 1082,
            Self::Time(_) => 1083,
            Self::Timestamp(_) => 1114,
            Self::TimestampTz(_) => 1184,
            Self::Numeric(_) => 1700,
            Self::Uuid => 2950,
            Self::Jsonb => 3802,
            // Elements are never arrays: a list of lists is JSON.
            Self::Array(item) => item.oid(),
        }
    }

    /// The type of a column that this sink creates.
    ///
    /// | Arrow | PostgreSQL |
    /// |---|---|
    /// | `Boolean` | `boolean` |
    /// | integers of 8 and 16 bits, `UInt8` | `smallint` |
    /// | `Int32`, `UInt16` | `integer` |
    /// | `Int64`, `UInt32` | `bigint` |
    /// | `UInt64` | `numeric(20,0)` |
    /// | floats of 16 and 32 bits; of 64 bits | `real`; `double precision` |
    /// | decimals of up to 38 digits | `numeric` of the same precision and scale |
    /// | text of any layout, dictionaries of it | `text` |
    /// | binary of any layout | `bytea` |
    /// | `Date32` | `date` |
    /// | timestamps with a zone; without | `timestamp with time zone`; `timestamp without time zone` |
    /// | times of day | `time without time zone` |
    /// | lists of the above | arrays |
    /// | structs, maps, lists of lists, of structs or of maps | `jsonb` |
    /// | `Date64` | `timestamp without time zone` |
    /// | durations, intervals, unions, decimals of 256 bits, columns that are always null | refused |
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        if matches!(data_type, DataType::Time32(_) | DataType::Time64(_)) {
            return Some(Self::Time(MICROSECONDS));
        }
        Self::of_plain(&plain_type(data_type)?)
    }

    fn of_plain(data_type: &DataType) -> Option<Self> {
        use DataType as T;
        Some(match data_type {
            T::Boolean => Self::Boolean,
            T::Int8 | T::Int16 | T::UInt8 => Self::SmallInt,
            T::Int32 | T::UInt16 => Self::Integer,
            T::Int64 | T::UInt32 => Self::BigInt,
            T::UInt64 => Self::Numeric(Some((20, 0))),
            T::Float32 => Self::Real,
            T::Float64 => Self::Double,
            T::Decimal128(precision, scale) => Self::Numeric(Some(numeric_of(i32::from(*precision), i32::from(*scale)))),
            T::Utf8 => Self::Text,
            T::Binary => Self::Bytea,
            T::Date32 => Self::Date,
            T::Timestamp(_, Some(_)) => Self::TimestampTz(MICROSECONDS),
            T::Timestamp(_, None) => Self::Timestamp(MICROSECONDS),
            T::List(item) => match Self::of_plain(item.data_type())? {
                Self::Array(_) | Self::Jsonb => Self::Jsonb,
                item => Self::Array(Box::new(item)),
            },
            // JSON needs a form for everything inside.
            T::Struct(_) | T::Map(..) => Self::Jsonb,
            _ => return None,
        })
    }

    /// Whether a column of an Arrow type may go into a column of this type; values that do not fit
    /// are rejected one by one.
    pub(super) fn takes(&self, data_type: &DataType) -> bool {
        if matches!(data_type, DataType::Time32(_) | DataType::Time64(_)) {
            return matches!(self, Self::Time(_));
        }
        plain_type(data_type).is_some_and(|plain| self.takes_plain(&plain))
    }

    fn takes_plain(&self, data_type: &DataType) -> bool {
        use DataType as T;
        match data_type {
            T::Boolean => matches!(self, Self::Boolean),
            T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 => self.is_whole() || matches!(self, Self::Double),
            T::Int64 | T::UInt32 | T::UInt64 => self.is_whole(),
            T::Float32 => matches!(self, Self::Real | Self::Double),
            T::Float64 => matches!(self, Self::Double),
            T::Decimal128(..) => matches!(self, Self::Numeric(_)),
            T::Utf8 => matches!(self, Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Json | Self::Jsonb | Self::Uuid),
            T::Binary => matches!(self, Self::Bytea),
            T::Date32 => matches!(self, Self::Date),
            // A time without a zone is taken as UTC where a zone is wanted.
            T::Timestamp(_, None) => matches!(self, Self::Timestamp(_) | Self::TimestampTz(_)),
            T::Timestamp(_, Some(_)) => matches!(self, Self::TimestampTz(_)),
            T::List(item) => match self {
                Self::Array(target) => !matches!(**target, Self::Array(_)) && target.takes_plain(item.data_type()),
                Self::Json | Self::Jsonb => true,
                _ => false,
            },
            T::Struct(_) | T::Map(..) => matches!(self, Self::Json | Self::Jsonb),
            _ => false,
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self, Self::SmallInt | Self::Integer | Self::BigInt | Self::Numeric(_))
    }
}

/// A precision and a scale of 0 to the precision, as every version of the server has them, that hold the same numbers.
fn numeric_of(precision: i32, scale: i32) -> (i32, i32) {
    match scale {
        _ if scale < 0 => (precision - scale, 0),
        _ if scale > precision => (scale, scale),
        _ => (precision, scale),
    }
}

impl fmt::Display for PgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |f: &mut fmt::Formatter<'_>, name: &str, digits: u32, zone: &str| match digits {
            MICROSECONDS => write!(f, "{name} {zone} time zone"),
            digits => write!(f, "{name}({digits}) {zone} time zone"),
        };
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Numeric(None) => f.write_str("numeric"),
            Self::Numeric(Some((precision, scale))) => write!(f, "numeric({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Varchar(None) => f.write_str("character varying"),
            Self::Varchar(Some(length)) => write!(f, "character varying({length})"),
            Self::Char(length) => write!(f, "character({length})"),
            Self::Bytea => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time(digits) => time(f, "time", *digits, "without"),
            Self::Timestamp(digits) => time(f, "timestamp", *digits, "without"),
            Self::TimestampTz(digits) => time(f, "timestamp", *digits, "with"),
            Self::Json => f.write_str("json"),
            Self::Jsonb => f.write_str("jsonb"),
            Self::Uuid => f.write_str("uuid"),
            Self::Array(item) => write!(f, "{item}[]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{Field, TimeUnit};

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in [
            "boolean",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric",
            "numeric(10,2)",
            "text",
            "character varying",
            "character varying(7)",
            "character(3)",
            "bytea",
            "date",
            "time without time zone",
            "time(3) without time zone",
            "timestamp without time zone",
            "timestamp(0) with time zone",
            "json",
            "jsonb",
            "uuid",
            "numeric(4,1)[]",
            "text[]",
        ] {
            assert_eq!(PgType::parse(text).map(|parsed| parsed.to_string()).as_deref(), Some(text));
        }
        assert_eq!(PgType::parse("timestamp(6) with time zone"), Some(PgType::TimestampTz(6)));
        for text in ["money", "mood", "time with time zone", "bit(3)", "numeric(x,2)", "integer(3", "\"char\"", "public.text"] {
            assert_eq!(PgType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_type_takes_what_it_is_made_for() {
        use DataType as T;
        let list = |item: T| T::List(Arc::new(Field::new("item", item, true)));
        for data_type in [
            T::Boolean,
            T::Int8,
            T::UInt32,
            T::UInt64,
            T::Float16,
            T::Float64,
            T::Decimal128(38, -3),
            T::Decimal128(3, 9),
            T::LargeUtf8,
            T::FixedSizeBinary(4),
            T::Date32,
            T::Date64,
            T::Time32(TimeUnit::Second),
            T::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            T::Timestamp(TimeUnit::Second, None),
            list(T::Utf8),
            list(list(T::Int8)),
            T::Struct(vec![Field::new("a", T::Utf8, true)].into()),
        ] {
            let target = PgType::of(&data_type).unwrap_or_else(|| panic!("{data_type}"));
            assert!(target.takes(&data_type), "{target} does not take {data_type}");
        }
        assert_eq!(PgType::of(&T::Decimal128(38, -3)), Some(PgType::Numeric(Some((41, 0)))));
        assert_eq!(PgType::of(&T::Decimal128(3, 9)), Some(PgType::Numeric(Some((9, 9)))));
        for refused in [T::Null, T::Duration(TimeUnit::Second), T::Decimal256(50, 0), list(T::Null)] {
            assert_eq!(PgType::of(&refused), None, "{refused}");
        }
    }

    #[test]
    fn what_would_lose_something_unseen_is_not_taken() {
        use DataType as T;
        assert!(!PgType::Real.takes(&T::Float64));
        assert!(!PgType::Double.takes(&T::Int64));
        assert!(!PgType::Timestamp(6).takes(&T::Timestamp(TimeUnit::Second, Some("UTC".into()))));
        assert!(!PgType::Text.takes(&T::Int64));
    }
}
