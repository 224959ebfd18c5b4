//! What needs all values of a group at once: medians, percentiles, the most frequent value, sorted lists.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array, Float64Array, LargeListArray};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::DataType;
use wasmill_engine::{Error, Result};

use super::lists::{from_lists, list, offset, to_lists};
use super::round::{nearest_decimal, nearest_float};
use super::store::{ByGroup, ValueStore, canonical};
use super::{CallAccumulator, CallState, bug, indices, one, typed, without_nulls};

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
    store: ValueStore,
    summary: Summary,
    output: DataType,
}

impl Values {
    /// # Errors
    /// The type is no [stored](super::stored_type) one.
    pub fn new(summary: Summary, data_type: &DataType, output: &DataType) -> Result<Self> {
        Ok(Self { store: ValueStore::new(data_type)?, summary, output: output.clone() })
    }

    /// One value of each group that has some: that at the index which is chosen of `0..length`.
    fn chosen(&self, by_group: &ByGroup, choose: impl Fn(&[usize]) -> usize) -> Result<ArrayRef> {
        let (mut chosen, mut places) = (Vec::new(), Vec::with_capacity(by_group.offsets.len()));
        for group in by_group.offsets.windows(2) {
            let of_group = &by_group.order[group[0]..group[1]];
            places.push((!of_group.is_empty()).then_some(chosen.len() as u32));
            if !of_group.is_empty() {
                chosen.push(of_group[choose(of_group).min(of_group.len() - 1)]);
            }
        }
        let values = self.store.values(chosen)?;
        arrow_select::take::take(&values, &indices(places), None).map_err(bug)
    }

    fn arrays(&self, by_group: ByGroup) -> Result<ArrayRef> {
        let offsets = by_group.offsets.iter().map(|&end| offset(end)).collect::<Result<Vec<_>>>()?;
        let is_valid: NullBuffer = by_group.offsets.windows(2).map(|group| group[0] < group[1]).collect();
        let lists = list(offsets, self.store.values(by_group.order)?)?;
        let (field, offsets, values, _) = typed::<LargeListArray>(&lists)?.clone().into_parts();
        Ok(Arc::new(LargeListArray::try_new(field, offsets, values, Some(is_valid)).map_err(bug)?))
    }

    /// Two values of a group and what lies between them: nothing for one value twice.
    fn between(&self, by_group: &ByGroup, share: f64) -> Result<ArrayRef> {
        let place = |length: usize| share * (length - 1) as f64;
        let low = self.chosen(by_group, |of_group| place(of_group.len()).floor() as usize)?;
        let high = self.chosen(by_group, |of_group| place(of_group.len()).ceil() as usize)?;
        let (low, high) = (typed::<Float64Array>(&low)?, typed::<Float64Array>(&high)?);
        let lengths = by_group.offsets.windows(2).map(|group| group[1] - group[0]);
        let values = low.iter().zip(high).zip(lengths).map(|((low, high), length)| {
            let (low, high, upper) = (low?, high?, place(length).fract());
            Some(if upper == 0.0 || low == high { low } else { low * (1.0 - upper) + high * upper })
        });
        Ok(Arc::new(values.collect::<Float64Array>()))
    }

    fn medians(&self, by_group: &ByGroup, digits: u32) -> Result<ArrayRef> {
        let low = self.chosen(by_group, |of_group| (of_group.len() - 1) / 2)?;
        let high = self.chosen(by_group, |of_group| of_group.len() / 2)?;
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
                Arc::new(means.with_data_type(self.output.clone()))
            }
            other => return Err(Error::bug(format!("there is no median of {other}"))),
        })
    }

    /// Where the longest run of equal values begins; the first of several.
    fn most_frequent(&self, of_group: &[usize]) -> usize {
        let (mut best, mut longest, mut begin) = (0, 0, 0);
        for index in 0..of_group.len() {
            if self.store.get(of_group[index]).1 != self.store.get(of_group[begin]).1 {
                begin = index;
            }
            if index - begin + 1 > longest {
                (best, longest) = (begin, index - begin + 1);
            }
        }
        best
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
        let state = to_lists(&self.store);
        self.store.clear();
        state
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let by_group = self.store.sorted();
        let result = match self.summary {
            Summary::Array => self.arrays(by_group),
            Summary::Median { digits } => self.medians(&by_group, digits),
            Summary::Continuous(share) => self.between(&by_group, share),
            Summary::Discrete(share) => {
                self.chosen(&by_group, |of_group| ((share * of_group.len() as f64).ceil() as usize).saturating_sub(1))
            }
            Summary::Mode => self.chosen(&by_group, |of_group| self.most_frequent(of_group)),
        };
        self.store.clear();
        result
    }

    fn memory_bytes(&self) -> usize {
        self.store.memory_bytes()
    }
}
