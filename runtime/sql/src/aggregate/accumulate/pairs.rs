//! Covariances and correlations, merged as variances are.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use wasmill_engine::{Error, Result};

use super::{CallAccumulator, CallState, typed};

/// What is computed of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) enum Statistic {
    Covariance { is_sample: bool },
    Correlation,
}

#[derive(Clone, Copy, Default)]
struct Moments {
    count: i64,
    means: [f64; 2],
    /// The sums of the squared distances from the means.
    squares: [f64; 2],
    /// The sum of the products of both distances.
    products: f64,
}

impl Moments {
    fn add(&mut self, values: [f64; 2]) {
        self.count += 1;
        let count = self.count as f64;
        let before = [values[0] - self.means[0], values[1] - self.means[1]];
        self.means = [self.means[0] + before[0] / count, self.means[1] + before[1] / count];
        let after = [values[0] - self.means[0], values[1] - self.means[1]];
        self.squares = [self.squares[0] + before[0] * after[0], self.squares[1] + before[1] * after[1]];
        self.products += before[0] * after[1];
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            let count = self.count + other.count;
            let share = other.count as f64 / count as f64;
            let weight = self.count as f64 * share;
            let apart = [other.means[0] - self.means[0], other.means[1] - self.means[1]];
            self.means = [self.means[0] + apart[0] * share, self.means[1] + apart[1] * share];
            self.squares = [
                self.squares[0] + other.squares[0] + apart[0] * apart[0] * weight,
                self.squares[1] + other.squares[1] + apart[1] * apart[1] * weight,
            ];
            self.products += other.products + apart[0] * apart[1] * weight;
            self.count = count;
        }
    }

    fn finish(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Covariance { is_sample } => {
                let of = self.count - i64::from(is_sample);
                (of > 0).then(|| self.products / of as f64)
            }
            Statistic::Correlation => {
                let varies = self.count > 0 && self.squares.iter().all(|squares| *squares != 0.0);
                // A rounding is no correlation above 1. NaN stays NaN.
                varies.then(|| (self.products / self.squares[0].sqrt() / self.squares[1].sqrt()).clamp(-1.0, 1.0))
            }
        }
    }
}

/// A statistic of pairs of floats.
pub(in crate::aggregate) struct Pairs {
    groups: Vec<Moments>,
    statistic: Statistic,
}

impl Pairs {
    pub fn new(statistic: Statistic) -> Self {
        Self { groups: Vec::new(), statistic }
    }
}

impl CallAccumulator for Pairs {
    fn resize(&mut self, count: usize) {
        self.groups.resize(count, Moments::default());
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let [first, second] = values else { return Err(Error::bug("a pair has two values")) };
        let (first, second) = (typed::<Float64Array>(first)?, typed::<Float64Array>(second)?);
        for ((first, second), &group) in first.iter().zip(second).zip(groups) {
            if let (Some(first), Some(second)) = (first, second) {
                self.groups[group as usize].add([first, second]);
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let [counts, floats @ ..] = states else { return Err(Error::bug("pairs have six columns of state")) };
        let counts = typed::<Int64Array>(counts)?;
        let floats = floats.iter().map(typed::<Float64Array>).collect::<Result<Vec<_>>>()?;
        let [first, second, first_squares, second_squares, products] = floats.as_slice() else {
            return Err(Error::bug("pairs have six columns of state"));
        };
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| counts.is_valid(*row)) {
            self.groups[group as usize].merge(&Moments {
                count: counts.value(row),
                means: [first.value(row), second.value(row)],
                squares: [first_squares.value(row), second_squares.value(row)],
                products: products.value(row),
            });
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        let groups = std::mem::take(&mut self.groups);
        let floats: [fn(&Moments) -> f64; 5] =
            [|group| group.means[0], |group| group.means[1], |group| group.squares[0], |group| group.squares[1], |group| group.products];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(groups.iter().map(|group| group.count)))];
        columns.extend(floats.map(|of| Arc::new(Float64Array::from_iter_values(groups.iter().map(of))) as ArrayRef));
        Ok(CallState::per_group(columns))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let groups = std::mem::take(&mut self.groups);
        Ok(Arc::new(groups.iter().map(|group| group.finish(self.statistic)).collect::<Float64Array>()))
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Moments>()
    }
}
