//! Columns of up to 64 bits as unsigned integers in the same order.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};

/// What makes a signed integer an unsigned one in the same order.
pub(super) const SIGN: u64 = 1 << 63;

/// The values of a column of an integer, date or time type, over what `into` held; those of nulls mean nothing.
pub(crate) fn words(column: &ArrayRef, into: &mut Vec<u64>) {
    fn fill<T: ArrowPrimitiveType>(column: &ArrayRef, into: &mut Vec<u64>, word: impl Fn(T::Native) -> u64) {
        into.clear();
        into.extend(column.as_primitive::<T>().values().iter().map(|&value| word(value)));
    }
    let short = |value: i32| i64::from(value) as u64 ^ SIGN;
    let long = |value: i64| value as u64 ^ SIGN;
    match column.data_type() {
        DataType::Int8 => fill::<Int8Type>(column, into, |value| short(value.into())),
        DataType::Int16 => fill::<Int16Type>(column, into, |value| short(value.into())),
        DataType::Int32 => fill::<Int32Type>(column, into, short),
        DataType::Date32 => fill::<Date32Type>(column, into, short),
        DataType::Time32(TimeUnit::Second) => fill::<Time32SecondType>(column, into, short),
        DataType::Time32(_) => fill::<Time32MillisecondType>(column, into, short),
        DataType::UInt8 => fill::<UInt8Type>(column, into, u64::from),
        DataType::UInt16 => fill::<UInt16Type>(column, into, u64::from),
        DataType::UInt32 => fill::<UInt32Type>(column, into, u64::from),
        DataType::UInt64 => fill::<UInt64Type>(column, into, |value| value),
        DataType::Date64 => fill::<Date64Type>(column, into, long),
        DataType::Time64(TimeUnit::Microsecond) => fill::<Time64MicrosecondType>(column, into, long),
        DataType::Time64(_) => fill::<Time64NanosecondType>(column, into, long),
        DataType::Timestamp(TimeUnit::Second, _) => fill::<TimestampSecondType>(column, into, long),
        DataType::Timestamp(TimeUnit::Millisecond, _) => fill::<TimestampMillisecondType>(column, into, long),
        DataType::Timestamp(TimeUnit::Microsecond, _) => fill::<TimestampMicrosecondType>(column, into, long),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fill::<TimestampNanosecondType>(column, into, long),
        DataType::Duration(TimeUnit::Second) => fill::<DurationSecondType>(column, into, long),
        DataType::Duration(TimeUnit::Millisecond) => fill::<DurationMillisecondType>(column, into, long),
        DataType::Duration(TimeUnit::Microsecond) => fill::<DurationMicrosecondType>(column, into, long),
        DataType::Duration(TimeUnit::Nanosecond) => fill::<DurationNanosecondType>(column, into, long),
        _ => fill::<Int64Type>(column, into, long),
    }
}
