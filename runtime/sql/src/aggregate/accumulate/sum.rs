//! Sums and means. Integers and decimals are summed in more bits than they can fill, so that no order of rows overflows.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Decimal256Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, Decimal128Array, Float64Array, Int64Array, PrimitiveArray, UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::DataType;
use wasmill_engine::{Error, Result};
use wasmill_types::TypeName;

use super::round::{nearest_decimal, nearest_float};
use super::{CallAccumulator, CallState, typed};
use crate::codes::NO_RESULT;

/// Decimals of more digits are summed in 256 bits: 128 hold the sums of 10^20 shorter ones.
const NARROW_DIGITS: u8 = 18;

/// What becomes of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) enum Outcome {
    /// It is the result, of this type.
    Sum,
    /// It is divided by the count. A decimal gets this many digits more.
    Mean { digits: u32 },
}

/// An accumulator for values of a type, and the type of its sums; `None` for types that have none.
pub(in crate::aggregate) fn sums(outcome: Outcome, values: &DataType, output: &DataType) -> Option<(Box<dyn CallAccumulator>, DataType)> {
    let whole = DataType::Decimal128(38, 0);
    Some(match values {
        DataType::Int64 => (Sums::<Int64Type, Decimal128Type, _>::boxed(i128::from, outcome, &whole, output), whole),
        DataType::UInt64 => (Sums::<UInt64Type, Decimal128Type, _>::boxed(i128::from, outcome, &whole, output), whole),
        DataType::Decimal128(..=NARROW_DIGITS, scale) => {
            let state = DataType::Decimal128(38, *scale);
            (Sums::<Decimal128Type, Decimal128Type, _>::boxed(|value| value, outcome, &state, output), state)
        }
        DataType::Decimal128(_, scale) => {
            let state = DataType::Decimal256(76, *scale);
            (Sums::<Decimal128Type, Decimal256Type, _>::boxed(i256::from_i128, outcome, &state, output), state)
        }
        DataType::Float64 => {
            let state = DataType::Float64;
            (Sums::<Float64Type, Float64Type, _>::boxed(|value| value, outcome, &state, output), state)
        }
        _ => return None,
    })
}

/// A sum as it is finished.
enum Total {
    Exact(i256),
    Float(f64),
}

trait Finished: Copy {
    fn total(self) -> Total;
}

impl Finished for i128 {
    fn total(self) -> Total {
        Total::Exact(i256::from_i128(self))
    }
}

impl Finished for i256 {
    fn total(self) -> Total {
        Total::Exact(self)
    }
}

impl Finished for f64 {
    fn total(self) -> Total {
        Total::Float(self)
    }
}

#[derive(Clone, Copy, Default)]
struct Sum<N> {
    total: N,
    count: i64,
}

/// Sums of `V` in `T`.
struct Sums<V: ArrowPrimitiveType, T: ArrowPrimitiveType, W> {
    groups: Vec<Sum<T::Native>>,
    widen: W,
    outcome: Outcome,
    state: DataType,
    output: DataType,
    values: PhantomData<fn(V)>,
}

impl<V: ArrowPrimitiveType, T: ArrowPrimitiveType, W: Fn(V::Native) -> T::Native + Send + 'static> Sums<V, T, W>
where
    T::Native: Finished,
{
    fn boxed(widen: W, outcome: Outcome, state: &DataType, output: &DataType) -> Box<dyn CallAccumulator> {
        Box::new(Self { groups: Vec::new(), widen, outcome, state: state.clone(), output: output.clone(), values: PhantomData })
    }

    fn take(&mut self) -> Vec<Sum<T::Native>> {
        std::mem::take(&mut self.groups)
    }

    /// The sums of the groups that have any, as integers within the output type.
    fn exact<N>(&mut self, fits: impl Fn(i256) -> Option<N>) -> Result<Vec<Option<N>>> {
        let output = self.output.clone();
        let outcome = self.outcome;
        let one = |sum: Sum<T::Native>| {
            let Total::Exact(total) = sum.total.total() else { return Err(Error::bug("a sum of floats is no integer")) };
            if sum.count == 0 {
                return Ok(None);
            }
            let value = match outcome {
                Outcome::Sum => fits(total),
                Outcome::Mean { digits } => nearest_decimal(total, digits, sum.count).and_then(|mean| fits(i256::from_i128(mean))),
            };
            value.map(Some).ok_or_else(|| too_large(total, &output))
        };
        self.take().into_iter().map(one).collect()
    }
}

fn too_large(total: i256, output: &DataType) -> Error {
    let error = Error::environment(format!("a sum is too large for {}", TypeName(output))).code(NO_RESULT);
    let error = error.detail(format!("the sum of the values, without their point, is {total}"));
    match output {
        DataType::Decimal128(..) => error.hint("sum values with fewer digits behind the point, or floats: `sum(CAST(x AS DOUBLE))`"),
        _ => error.hint("sum decimals: `sum(CAST(x AS DECIMAL(38, 0)))`"),
    }
}

/// A decimal of 38 digits.
fn as_decimal(total: i256) -> Option<i128> {
    let most = 10_i128.pow(38);
    total.to_i128().filter(|total| -most < *total && *total < most)
}

impl<V: ArrowPrimitiveType, T: ArrowPrimitiveType, W: Fn(V::Native) -> T::Native + Send + 'static> CallAccumulator for Sums<V, T, W>
where
    T::Native: Finished,
{
    fn resize(&mut self, count: usize) {
        self.groups.resize(count, Sum { total: T::Native::default(), count: 0 });
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let values = typed::<PrimitiveArray<V>>(super::one(values)?)?;
        let Self { groups: sums, widen, .. } = self;
        let mut add = |value: V::Native, group: u32| {
            let sum = &mut sums[group as usize];
            sum.total = sum.total.add_wrapping(widen(value));
            sum.count += 1;
        };
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => values.values().iter().zip(groups).for_each(|(&value, &group)| add(value, group)),
            Some(nulls) => nulls.valid_indices().for_each(|row| add(values.value(row), groups[row])),
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let [totals, counts] = states else { return Err(Error::bug("a sum has two columns of state")) };
        let (totals, counts) = (typed::<PrimitiveArray<T>>(totals)?, typed::<Int64Array>(counts)?);
        for (row, &group) in groups.iter().enumerate() {
            if totals.is_valid(row) && counts.is_valid(row) {
                let sum = &mut self.groups[group as usize];
                sum.total = sum.total.add_wrapping(totals.value(row));
                sum.count += counts.value(row);
            }
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        let groups = self.take();
        let totals = PrimitiveArray::<T>::from_iter_values(groups.iter().map(|sum| sum.total)).with_data_type(self.state.clone());
        let counts = Int64Array::from_iter_values(groups.iter().map(|sum| sum.count));
        Ok(CallState::per_group(vec![Arc::new(totals), Arc::new(counts)]))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let output = self.output.clone();
        Ok(match &output {
            DataType::Int64 => Arc::new(Int64Array::from(self.exact(|total| i64::try_from(total.to_i128()?).ok())?)),
            DataType::UInt64 => Arc::new(UInt64Array::from(self.exact(|total| u64::try_from(total.to_i128()?).ok())?)),
            DataType::Decimal128(..) => Arc::new(Decimal128Array::from(self.exact(as_decimal)?).with_data_type(output)),
            _ => {
                let mean = self.outcome != Outcome::Sum;
                let float = |sum: Sum<T::Native>| match sum.total.total() {
                    Total::Float(total) => Some(if mean { total / sum.count as f64 } else { total }),
                    Total::Exact(total) => total.to_i128().map(|total| nearest_float(total, sum.count)),
                };
                Arc::new(self.take().into_iter().map(|sum| float(sum).filter(|_| sum.count > 0)).collect::<Float64Array>())
            }
        })
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Sum<T::Native>>()
    }
}
