//! Variances and standard deviations, by the updates of Welford and the merges of Chan et al.: no sum of squares that cancels.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use wasmill_engine::{Error, Result};

use super::{CallAccumulator, CallState, one, typed};

#[derive(Clone, Copy, Default)]
struct Moments {
    count: i64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            let count = self.count + other.count;
            let (share, distance) = (other.count as f64 / count as f64, other.mean - self.mean);
            self.mean += distance * share;
            self.squares += other.squares + distance * distance * (self.count as f64 * share);
            self.count = count;
        }
    }
}

/// The variance of floats.
pub(in crate::aggregate) struct Variance {
    groups: Vec<Moments>,
    is_sample: bool,
    is_root: bool,
}

impl Variance {
    pub fn new(is_sample: bool, is_root: bool) -> Self {
        Self { groups: Vec::new(), is_sample, is_root }
    }
}

impl CallAccumulator for Variance {
    fn resize(&mut self, count: usize) {
        self.groups.resize(count, Moments::default());
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        for (value, &group) in typed::<Float64Array>(one(values)?)?.iter().zip(groups) {
            if let Some(value) = value {
                self.groups[group as usize].add(value);
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let [counts, means, squares] = states else { return Err(Error::bug("a variance has three columns of state")) };
        let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(|| Error::bug("a state has no counts"))?;
        let (means, squares) = (typed::<Float64Array>(means)?, typed::<Float64Array>(squares)?);
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| counts.is_valid(*row)) {
            let other = Moments { count: counts.value(row), mean: means.value(row), squares: squares.value(row) };
            self.groups[group as usize].merge(&other);
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        let groups = std::mem::take(&mut self.groups);
        let counts = Int64Array::from_iter_values(groups.iter().map(|group| group.count));
        let float = |of: fn(&Moments) -> f64| Arc::new(Float64Array::from_iter_values(groups.iter().map(of))) as ArrayRef;
        Ok(CallState::per_group(vec![Arc::new(counts), float(|group| group.mean), float(|group| group.squares)]))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (is_sample, is_root) = (self.is_sample, self.is_root);
        let one = |group: Moments| {
            let of = group.count - i64::from(is_sample);
            let variance = (of > 0).then(|| group.squares / of as f64)?;
            Some(if is_root { variance.sqrt() } else { variance })
        };
        Ok(Arc::new(arrow_array::PrimitiveArray::<Float64Type>::from_iter(std::mem::take(&mut self.groups).into_iter().map(one))))
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Moments>()
    }
}
