//! Values of a fixed width.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use wasmill_engine::{Error, Result};

use super::super::lists::list_state;
use super::{CallState, GroupedValues, Placed, Ranked, Ranks, ValueStore};

/// Numbers or times, each of a group.
pub(super) struct NumberStore<T: ArrowPrimitiveType> {
    data_type: DataType,
    values: Vec<T::Native>,
    groups: Vec<u32>,
    count: usize,
}

impl<T: ArrowPrimitiveType> NumberStore<T> {
    /// An empty one. The type is one of `T`.
    pub fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), values: Vec::new(), groups: Vec::new(), count: 0 }
    }

    fn take(&mut self) -> NumberGroups<T> {
        let (values, groups) = (std::mem::take(&mut self.values), std::mem::take(&mut self.groups));
        let mut by_group = vec![T::Native::default(); values.len()];
        let placed = Placed::new(&groups, std::mem::take(&mut self.count), |index, place| by_group[place] = values[index]);
        NumberGroups { data_type: self.data_type.clone(), values: by_group, offsets: placed.offsets }
    }
}

impl<T: ArrowPrimitiveType> ValueStore for NumberStore<T> {
    fn resize(&mut self, count: usize) {
        self.count = count.max(self.count);
    }

    fn add(&mut self, values: &ArrayRef, groups: &[u32]) -> Result<()> {
        let values = values.as_primitive_opt::<T>().ok_or_else(|| Error::bug("an aggregate got values of another type"))?;
        self.values.extend_from_slice(values.values());
        self.groups.extend_from_slice(groups);
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        let NumberGroups { data_type, values, offsets } = self.take();
        list_state(&offsets, array::<T>(values, None, &data_type))
    }

    fn take_groups(&mut self) -> Box<dyn GroupedValues + '_> {
        Box::new(self.take())
    }

    fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.groups.capacity() * size_of::<u32>()
    }
}

/// Numbers or times by group.
struct NumberGroups<T: ArrowPrimitiveType> {
    data_type: DataType,
    values: Vec<T::Native>,
    offsets: Vec<usize>,
}

impl<T: ArrowPrimitiveType> NumberGroups<T> {
    fn groups(&mut self) -> impl Iterator<Item = &mut [T::Native]> {
        let mut rest = self.values.as_mut_slice();
        self.offsets.windows(2).map(move |group| {
            let (values, others) = std::mem::take(&mut rest).split_at_mut(group[1] - group[0]);
            rest = others;
            values
        })
    }

    fn is_filled(&self) -> NullBuffer {
        self.offsets.windows(2).map(|group| group[0] < group[1]).collect()
    }
}

impl<T: ArrowPrimitiveType> GroupedValues for NumberGroups<T> {
    fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    fn ranked(&mut self, choose: &dyn Fn(usize) -> Ranks) -> Result<Ranked> {
        let (is_filled, data_type) = (self.is_filled(), self.data_type.clone());
        let (mut lows, mut highs) = (Vec::with_capacity(is_filled.len()), Vec::with_capacity(is_filled.len()));
        for values in self.groups() {
            let (low, high) = match values {
                [] => (T::Native::default(), T::Native::default()),
                values => at_ranks(values, choose(values.len())),
            };
            lows.push(low);
            highs.push(high);
        }
        let array = |values| array::<T>(values, Some(is_filled.clone()), &data_type);
        Ok(Ranked { low: array(lows), high: array(highs) })
    }

    fn most_frequent(&mut self) -> Result<ArrayRef> {
        let (is_filled, data_type) = (self.is_filled(), self.data_type.clone());
        let modes = self.groups().map(|values| {
            values.sort_unstable_by(|a, b| a.compare(*b));
            let runs = values.chunk_by(|a, b| a.is_eq(*b));
            // Of equally long runs the first: `max_by_key` would take the last.
            let longest = runs.reduce(|best, run| if run.len() > best.len() { run } else { best });
            longest.and_then(|run| run.first().copied()).unwrap_or_default()
        });
        Ok(array::<T>(modes.collect(), Some(is_filled), &data_type))
    }

    fn sorted(mut self: Box<Self>) -> Result<ArrayRef> {
        self.groups().for_each(|values| values.sort_unstable_by(|a, b| a.compare(*b)));
        Ok(array::<T>(self.values, None, &self.data_type))
    }
}

/// The values at two ranks, which are below the number of values.
fn at_ranks<N: ArrowNativeTypeOp>(values: &mut [N], Ranks { low, high }: Ranks) -> (N, N) {
    let (_, at_low, above) = values.select_nth_unstable_by(low, |a, b| a.compare(*b));
    let at_low = *at_low;
    if high == low {
        return (at_low, at_low);
    }
    // Of the values above, which are in no order, the next one is the least.
    let next = above.iter().copied().reduce(|least, value| if value.is_lt(least) { value } else { least });
    (at_low, next.unwrap_or(at_low))
}

fn array<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>, data_type: &DataType) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls).with_data_type(data_type.clone()))
}
