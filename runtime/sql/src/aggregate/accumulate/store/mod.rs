//! Values of groups, held until their group is finished.
//!
//! Numbers and times are held as they are; other values as bytes that sort as the values do.

mod numbers;
mod rows;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};
use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::{DataType, TimeUnit};
use wasmill_engine::Result;

use self::numbers::NumberStore;
pub(super) use self::rows::{RowStore, converter};
use super::CallState;

/// Values of one stored type, each of a group.
pub(super) trait ValueStore: Send {
    /// There are at least as many groups.
    fn resize(&mut self, count: usize);

    /// Adds values, of which none is null.
    fn add(&mut self, values: &ArrayRef, groups: &[u32]) -> Result<()>;

    /// All values as lists, each group's in the order in which they were added, and empties the store.
    fn take_state(&mut self) -> Result<CallState>;

    /// All values by group, and empties the store.
    fn take_groups(&mut self) -> Box<dyn GroupedValues + '_>;

    /// The bytes that it holds.
    fn memory_bytes(&self) -> usize;
}

/// Values by group. Groups may be empty.
pub(super) trait GroupedValues {
    /// The values of group `g` are those from `offsets[g]` to `offsets[g + 1]`.
    fn offsets(&self) -> &[usize];

    /// Of each group the values at the ranks that are chosen by the number of its values, which is not 0; null for empty groups.
    fn ranked(&mut self, choose: &dyn Fn(usize) -> Ranks) -> Result<Ranked>;

    /// The most frequent value of each group, the least of several; null for empty groups.
    fn most_frequent(&mut self) -> Result<ArrayRef>;

    /// All values, each group's sorted.
    fn sorted(self: Box<Self>) -> Result<ArrayRef>;
}

/// Places among the sorted values of a group, beginning with 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranks {
    pub low: usize,
    /// As low, or the next one.
    pub high: usize,
}

/// The values at two ranks: one of each per group.
pub(super) struct Ranked {
    pub low: ArrayRef,
    pub high: ArrayRef,
}

/// The type in which values of a type are held; `None` for those that can't be compared. Texts and binaries have offsets of 64 bits: a lane
/// may hold more than 2 GiB of them.
pub(in crate::aggregate) fn stored_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::Utf8 | DataType::Utf8View => DataType::LargeUtf8,
        DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::LargeBinary,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Decimal256(..) | DataType::Null | DataType::Interval(_) => return None,
        other if other.is_nested() => return None,
        other => other.clone(),
    })
}

/// An empty store.
///
/// # Errors
/// The type is no [stored](stored_type) one.
pub(super) fn store_of(data_type: &DataType) -> Result<Box<dyn ValueStore>> {
    Ok(match data_type {
        DataType::Int64 => Box::new(NumberStore::<Int64Type>::new(data_type)),
        DataType::UInt64 => Box::new(NumberStore::<UInt64Type>::new(data_type)),
        DataType::Float64 => Box::new(NumberStore::<Float64Type>::new(data_type)),
        DataType::Decimal128(..) => Box::new(NumberStore::<Decimal128Type>::new(data_type)),
        DataType::Date32 => Box::new(NumberStore::<Date32Type>::new(data_type)),
        DataType::Timestamp(TimeUnit::Second, _) => Box::new(NumberStore::<TimestampSecondType>::new(data_type)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Box::new(NumberStore::<TimestampMillisecondType>::new(data_type)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Box::new(NumberStore::<TimestampMicrosecondType>::new(data_type)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Box::new(NumberStore::<TimestampNanosecondType>::new(data_type)),
        _ => Box::new(RowStore::new(data_type)?),
    })
}

/// NaN has many bit patterns, of which some would sort below all numbers: one for all. Zero has a sign, which `=` does not see.
pub(super) fn canonical(values: &ArrayRef, one_zero: bool) -> ArrayRef {
    let Some(floats) = values.as_primitive_opt::<Float64Type>() else { return Arc::clone(values) };
    let is_other = |value: f64| value.is_nan() || one_zero && value == 0.0 && value.is_sign_negative();
    if !floats.values().iter().any(|&value| is_other(value)) {
        return Arc::clone(values);
    }
    let canonical: Float64Array = floats.unary(|value| match value {
        value if value.is_nan() => f64::NAN,
        value if one_zero && value == 0.0 => 0.0,
        value => value,
    });
    Arc::new(canonical)
}

/// The places of values by group.
struct Placed {
    /// The values of group `g` are those from `offsets[g]` to `offsets[g + 1]`.
    offsets: Vec<usize>,
}

impl Placed {
    /// Of values whose groups are these, and calls `place` with the index of each value and its place.
    fn new(groups: &[u32], count: usize, mut place: impl FnMut(usize, usize)) -> Self {
        let mut offsets = vec![0; count + 1];
        groups.iter().for_each(|&group| offsets[group as usize + 1] += 1);
        (0..count).for_each(|group| offsets[group + 1] += offsets[group]);
        let mut next = offsets.clone();
        for (index, &group) in groups.iter().enumerate() {
            let at = &mut next[group as usize];
            place(index, *at);
            *at += 1;
        }
        Self { offsets }
    }
}

#[cfg(test)]
mod tests;
