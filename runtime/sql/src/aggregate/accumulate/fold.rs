//! The least and the greatest, and bits: what two values of a type combine to.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};
use wasmill_engine::Result;

use super::store::canonical;
use super::{CallAccumulator, CallState, one, typed};

/// How two values become one: commutative, associative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) enum Combine {
    Least,
    Greatest,
    BitAnd,
    BitOr,
    BitXor,
}

/// An accumulator for values of a type; `None` for types that have none here.
pub(in crate::aggregate) fn fold(combine: Combine, data_type: &DataType) -> Option<Box<dyn CallAccumulator>> {
    match data_type {
        DataType::Int64 => Some(integers::<Int64Type>(combine, data_type)),
        DataType::UInt64 => Some(integers::<UInt64Type>(combine, data_type)),
        DataType::Float64 => ordered::<Float64Type, _>(combine, data_type, |a, b| a.total_cmp(b).is_lt()),
        DataType::Decimal128(..) => ordered::<Decimal128Type, _>(combine, data_type, |a, b| a < b),
        DataType::Date32 => ordered::<Date32Type, _>(combine, data_type, |a, b| a < b),
        DataType::Timestamp(TimeUnit::Second, _) => ordered::<TimestampSecondType, _>(combine, data_type, |a, b| a < b),
        DataType::Timestamp(TimeUnit::Millisecond, _) => ordered::<TimestampMillisecondType, _>(combine, data_type, |a, b| a < b),
        DataType::Timestamp(TimeUnit::Microsecond, _) => ordered::<TimestampMicrosecondType, _>(combine, data_type, |a, b| a < b),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => ordered::<TimestampNanosecondType, _>(combine, data_type, |a, b| a < b),
        _ => None,
    }
}

fn integers<T: ArrowPrimitiveType>(combine: Combine, data_type: &DataType) -> Box<dyn CallAccumulator>
where
    T::Native: Ord + std::ops::BitAnd<Output = T::Native> + std::ops::BitOr<Output = T::Native> + std::ops::BitXor<Output = T::Native>,
{
    match combine {
        Combine::Least => Fold::<T, _>::boxed(data_type, |a, b| a.min(b)),
        Combine::Greatest => Fold::<T, _>::boxed(data_type, |a, b| a.max(b)),
        Combine::BitAnd => Fold::<T, _>::boxed(data_type, |a, b| a & b),
        Combine::BitOr => Fold::<T, _>::boxed(data_type, |a, b| a | b),
        Combine::BitXor => Fold::<T, _>::boxed(data_type, |a, b| a ^ b),
    }
}

fn ordered<T: ArrowPrimitiveType, L: Fn(&T::Native, &T::Native) -> bool + Send + 'static>(
    combine: Combine,
    data_type: &DataType,
    is_less: L,
) -> Option<Box<dyn CallAccumulator>> {
    match combine {
        Combine::Least => Some(Fold::<T, _>::boxed(data_type, move |a, b| if is_less(&b, &a) { b } else { a })),
        Combine::Greatest => Some(Fold::<T, _>::boxed(data_type, move |a, b| if is_less(&a, &b) { b } else { a })),
        Combine::BitAnd | Combine::BitOr | Combine::BitXor => None,
    }
}

struct Fold<T: ArrowPrimitiveType, F> {
    data_type: DataType,
    values: Vec<T::Native>,
    is_set: Vec<bool>,
    combine: F,
}

impl<T: ArrowPrimitiveType, F: Fn(T::Native, T::Native) -> T::Native + Send + 'static> Fold<T, F> {
    fn boxed(data_type: &DataType, combine: F) -> Box<dyn CallAccumulator> {
        Box::new(Self { data_type: data_type.clone(), values: Vec::new(), is_set: Vec::new(), combine })
    }

    fn add(&mut self, value: T::Native, group: u32) {
        let group = group as usize;
        let held = &mut self.values[group];
        *held = if self.is_set[group] { (self.combine)(*held, value) } else { value };
        self.is_set[group] = true;
    }

    fn take(&mut self) -> ArrayRef {
        let (values, is_set) = (std::mem::take(&mut self.values), std::mem::take(&mut self.is_set));
        let mut valid = BooleanBufferBuilder::new(is_set.len());
        valid.append_slice(&is_set);
        let nulls = NullBuffer::new(valid.finish());
        Arc::new(PrimitiveArray::<T>::new(values.into(), Some(nulls)).with_data_type(self.data_type.clone()))
    }
}

impl<T: ArrowPrimitiveType, F: Fn(T::Native, T::Native) -> T::Native + Send + 'static> CallAccumulator for Fold<T, F> {
    fn resize(&mut self, count: usize) {
        self.values.resize(count, T::Native::default());
        self.is_set.resize(count, false);
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let values = canonical(one(values)?, false);
        let values = typed::<PrimitiveArray<T>>(&values)?;
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => values.values().iter().zip(groups).for_each(|(&value, &group)| self.add(value, group)),
            Some(nulls) => {
                for row in nulls.valid_indices() {
                    self.add(values.value(row), groups[row]);
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        self.update(states, groups)
    }

    fn take_state(&mut self) -> Result<CallState> {
        Ok(CallState::per_group(vec![self.take()]))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(self.take())
    }

    fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.is_set.capacity()
    }
}
