//! Event times out of a column.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};
use wasmill_types::TypeName;

use crate::codes::EVENT_TIME_TYPE;
use crate::{Error, Result};

/// The times of a column of timestamps or dates in microseconds, written over what `into` held, and which of them are there; a time without a zone is
/// one in UTC. Nanoseconds are rounded towards the past, so that they stay in their window. Times outside what 64 bits of microseconds hold become
/// the least or the greatest value, which no window holds.
///
/// # Errors
/// Configuration: the column has another type.
pub fn event_times(column: &ArrayRef, into: &mut Vec<i64>) -> Result<Option<NullBuffer>> {
    fn fill<T: ArrowPrimitiveType>(column: &ArrayRef, into: &mut Vec<i64>, time: impl Fn(T::Native) -> i64) {
        into.clear();
        into.extend(column.as_primitive::<T>().values().iter().map(|&value| time(value)));
    }
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => fill::<TimestampSecondType>(column, into, |value| value.saturating_mul(1_000_000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            fill::<TimestampMillisecondType>(column, into, |value| value.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => fill::<TimestampMicrosecondType>(column, into, |value| value),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fill::<TimestampNanosecondType>(column, into, |value| value.div_euclid(1_000)),
        DataType::Date32 => fill::<Date32Type>(column, into, |value| i64::from(value) * 86_400_000_000),
        DataType::Date64 => fill::<Date64Type>(column, into, |value| value.saturating_mul(1_000)),
        other => {
            return Err(Error::configuration(format!("event time can't come from a column of type {}", TypeName(other)))
                .code(EVENT_TIME_TYPE)
                .hint("name a column of type timestamp or date"));
        }
    }
    Ok(column.nulls().cloned())
}
