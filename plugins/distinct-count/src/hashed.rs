//! The bytes of a value that its hash is of. They are part of the state: another form would count values twice that are there already.

use wasmill_plugin::arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use wasmill_plugin::arrow::array::{BinaryArray, PrimitiveArray};
use wasmill_plugin::arrow::schema::TimeUnit;
use wasmill_plugin::prelude::*;

/// A column whose values are hashed.
pub(crate) enum Hashed<'a> {
    /// Texts, as UTF-8.
    Texts(&'a StringArray),
    /// Bytes, as they are.
    Bytes(&'a BinaryArray),
    /// Numbers, as 16 bytes, the least first; floats by the bits of a double.
    Numbers(Vec<i128>),
}

impl<'a> Hashed<'a> {
    /// Of a column without NaN and -0.0.
    ///
    /// # Errors
    /// The type has no form here.
    pub fn of(column: &'a ArrayRef) -> Result<Self, Refusal> {
        let numbers = match column.data_type() {
            DataType::Utf8 => return found(column).map(Self::Texts),
            DataType::Binary => return found(column).map(Self::Bytes),
            DataType::Boolean => found::<BooleanArray>(column)?.iter().map(|value| i128::from(value == Some(true))).collect(),
            DataType::Int8 => numbers::<Int8Type>(column, i128::from)?,
            DataType::Int16 => numbers::<Int16Type>(column, i128::from)?,
            DataType::Int32 => numbers::<Int32Type>(column, i128::from)?,
            DataType::Int64 => numbers::<Int64Type>(column, i128::from)?,
            DataType::UInt8 => numbers::<UInt8Type>(column, i128::from)?,
            DataType::UInt16 => numbers::<UInt16Type>(column, i128::from)?,
            DataType::UInt32 => numbers::<UInt32Type>(column, i128::from)?,
            DataType::UInt64 => numbers::<UInt64Type>(column, i128::from)?,
            DataType::Float32 => numbers::<Float32Type>(column, |value| i128::from(f64::from(value).to_bits()))?,
            DataType::Float64 => numbers::<Float64Type>(column, |value| i128::from(value.to_bits()))?,
            DataType::Date32 => numbers::<Date32Type>(column, i128::from)?,
            DataType::Decimal128(..) => numbers::<Decimal128Type>(column, |value| value)?,
            DataType::Timestamp(TimeUnit::Second, _) => numbers::<TimestampSecondType>(column, i128::from)?,
            DataType::Timestamp(TimeUnit::Millisecond, _) => numbers::<TimestampMillisecondType>(column, i128::from)?,
            DataType::Timestamp(TimeUnit::Microsecond, _) => numbers::<TimestampMicrosecondType>(column, i128::from)?,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => numbers::<TimestampNanosecondType>(column, i128::from)?,
            other => return Err(Refusal::new(format!("values of type {other} can't be estimated"))),
        };
        Ok(Self::Numbers(numbers))
    }

    /// Calls a function with the bytes of a value.
    #[inline]
    pub fn with_bytes(&self, row: usize, mut each: impl FnMut(&[u8])) {
        match self {
            Self::Texts(texts) => each(texts.value(row).as_bytes()),
            Self::Bytes(bytes) => each(bytes.value(row)),
            Self::Numbers(numbers) => each(&numbers[row].to_le_bytes()),
        }
    }
}

fn found<A: Array + 'static>(column: &ArrayRef) -> Result<&A, Refusal> {
    column.as_any().downcast_ref().ok_or_else(|| Refusal::new(format!("a column of {} is not what its type says", column.data_type())))
}

fn numbers<T: ArrowPrimitiveType>(column: &ArrayRef, number: impl Fn(T::Native) -> i128) -> Result<Vec<i128>, Refusal> {
    Ok(found::<PrimitiveArray<T>>(column)?.values().iter().map(|value| number(*value)).collect())
}
