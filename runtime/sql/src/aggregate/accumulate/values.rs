//! What needs all values of a group at once: medians, percentiles, the most frequent value, sorted lists.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array, Float64Array, LargeListArray};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::DataType;
use wasmill_engine::{Error, Result};

use super::lists::{from_lists, list, offset};
use super::round::{nearest_decimal, nearest_float};
use super::store::{GroupedValues, Ranked, Ranks, ValueStore, canonical, store_of};
use super::{CallAccumulator, CallState, bug, one, typed, without_nulls};

/// What becomes of the sorted values of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::aggregate) enum Summary {
    /// All of them.
    Array,
    /// The middle; a decimal gets this many digits more.
    Median { digits: u32 },
    /// The float at a share, between two values if need be.
    Continuous(f64),
    /// The value at a share.
    Discrete(f64),
    /// The most frequent.
    Mode,
}

/// All values of all groups.
pub(in crate::aggregate) struct Values {
    store: Box<dyn ValueStore>,
    summary: Summary,
    output: DataType,
}

impl Values {
    /// # Errors
    /// The type is no [stored](super::stored_type) one.
    pub fn new(summary: Summary, data_type: &DataType, output: &DataType) -> Result<Self> {
        Ok(Self { store: store_of(data_type)?, summary, output: output.clone() })
    }
}

impl CallAccumulator for Values {
    fn resize(&mut self, count: usize) {
        self.store.resize(count);
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let (values, groups) = without_nulls(values, groups)?;
        self.store.add(&canonical(one(&values)?, self.summary == Summary::Mode), &groups)
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let (values, groups) = from_lists(one(states)?, groups)?;
        self.update(&[values], &groups)
    }

    fn take_state(&mut self) -> Result<CallState> {
        self.store.take_state()
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let mut groups = self.store.take_groups();
        match self.summary {
            Summary::Array => arrays(groups),
            Summary::Median { digits } => {
                medians(&groups.ranked(&|count| Ranks { low: (count - 1) / 2, high: count / 2 })?, digits, &self.output)
            }
            Summary::Continuous(share) => between(&mut *groups, share),
            Summary::Discrete(share) => {
                let rank = |count: usize| ((share * count as f64).ceil() as usize).saturating_sub(1).min(count - 1);
                Ok(groups.ranked(&|count| Ranks { low: rank(count), high: rank(count) })?.low)
            }
            Summary::Mode => groups.most_frequent(),
        }
    }

    fn memory_bytes(&self) -> usize {
        self.store.memory_bytes()
    }
}

fn arrays(groups: Box<dyn GroupedValues + '_>) -> Result<ArrayRef> {
    let offsets = groups.offsets().iter().map(|&end| offset(end)).collect::<Result<Vec<_>>>()?;
    let is_filled: NullBuffer = groups.offsets().windows(2).map(|group| group[0] < group[1]).collect();
    let lists = list(offsets, groups.sorted()?)?;
    let (field, offsets, values, _) = typed::<LargeListArray>(&lists)?.clone().into_parts();
    Ok(Arc::new(LargeListArray::try_new(field, offsets, values, Some(is_filled)).map_err(bug)?))
}

/// Two values of a group and what lies between them: nothing for one value twice.
fn between(groups: &mut dyn GroupedValues, share: f64) -> Result<ArrayRef> {
    let place = |count: usize| share * (count - 1) as f64;
    let ranks = |count: usize| Ranks { low: place(count).floor() as usize, high: (place(count).ceil() as usize).min(count - 1) };
    let Ranked { low, high } = groups.ranked(&ranks)?;
    let (low, high) = (typed::<Float64Array>(&low)?, typed::<Float64Array>(&high)?);
    let counts = groups.offsets().windows(2).map(|group| group[1] - group[0]);
    let values = low.iter().zip(high).zip(counts).map(|((low, high), count)| {
        let (low, high, upper) = (low?, high?, place(count).fract());
        Some(if upper == 0.0 || low == high { low } else { low * (1.0 - upper) + high * upper })
    });
    Ok(Arc::new(values.collect::<Float64Array>()))
}

fn medians(Ranked { low, high }: &Ranked, digits: u32, output: &DataType) -> Result<ArrayRef> {
    let whole = |low: i128, high: i128| nearest_float(low + high, 2);
    Ok(match low.data_type() {
        DataType::Int64 => {
            let pairs = low.as_primitive::<Int64Type>().iter().zip(high.as_primitive::<Int64Type>());
            Arc::new(pairs.map(|(low, high)| Some(whole(low?.into(), high?.into()))).collect::<Float64Array>())
        }
        DataType::UInt64 => {
            let pairs = low.as_primitive::<UInt64Type>().iter().zip(high.as_primitive::<UInt64Type>());
            Arc::new(pairs.map(|(low, high)| Some(whole(low?.into(), high?.into()))).collect::<Float64Array>())
        }
        DataType::Float64 => {
            let pairs = low.as_primitive::<Float64Type>().iter().zip(high.as_primitive::<Float64Type>());
            Arc::new(pairs.map(|(low, high)| Some(low?.midpoint(high?))).collect::<Float64Array>())
        }
        DataType::Decimal128(..) => {
            let pairs = low.as_primitive::<Decimal128Type>().iter().zip(high.as_primitive::<Decimal128Type>());
            let mean = |low, high| nearest_decimal(i256::from_i128(low).wrapping_add(i256::from_i128(high)), digits, 2);
            let means: Decimal128Array = pairs.map(|(low, high)| mean(low?, high?)).collect();
            Arc::new(means.with_data_type(output.clone()))
        }
        other => return Err(Error::bug(format!("there is no median of {other}"))),
    })
}
