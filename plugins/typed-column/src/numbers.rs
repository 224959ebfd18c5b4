//! Floats as keys: NaN is found, and -0.0 is 0.0.

use std::sync::Arc;

use wasmill_plugin::arrow::array::types::{Float32Type, Float64Type};
use wasmill_plugin::arrow::array::{Float32Array, PrimitiveArray};
use wasmill_plugin::prelude::*;

/// The values of a column in which numbers that are equal have the same bits.
#[derive(Debug, Clone)]
pub struct Numbers {
    values: ArrayRef,
    nan: Vec<usize>,
}

impl Numbers {
    /// Of a column of any type; those that are not floats stay as they are.
    pub fn of(column: &ArrayRef) -> Self {
        if let Some(floats) = column.as_any().downcast_ref::<Float64Array>() {
            let values: PrimitiveArray<Float64Type> = floats.unary(|value| value + 0.0);
            Self { nan: nan_rows(floats.iter().map(|value| value.is_some_and(f64::is_nan))), values: Arc::new(values) }
        } else if let Some(floats) = column.as_any().downcast_ref::<Float32Array>() {
            let values: PrimitiveArray<Float32Type> = floats.unary(|value| value + 0.0);
            Self { nan: nan_rows(floats.iter().map(|value| value.is_some_and(f32::is_nan))), values: Arc::new(values) }
        } else {
            Self { values: ArrayRef::clone(column), nan: Vec::new() }
        }
    }

    /// The values.
    pub fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// Whether the value of a row counts: it is neither null nor NaN.
    pub fn counts(&self, row: usize) -> bool {
        self.values.is_valid(row) && self.nan.binary_search(&row).is_err()
    }

    /// The rows whose value is NaN, in increasing order.
    pub fn nan(&self) -> &[usize] {
        &self.nan
    }
}

fn nan_rows(is_nan: impl Iterator<Item = bool>) -> Vec<usize> {
    is_nan.enumerate().filter(|(_, nan)| *nan).map(|(row, _)| row).collect()
}

/// Rejects the rows whose value in `column` is NaN, as `not-a-number`.
pub fn reject_nan(numbers: &Numbers, column: &str, rejects: &mut Rejects) {
    for &row in numbers.nan() {
        rejects.reject(
            row,
            Reject::new("not-a-number", format!("{column} is NaN, which is equal to nothing and in no order")).at_column(column),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_one_number_and_nan_is_found() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN), Some(f64::NEG_INFINITY)]));
        let numbers = Numbers::of(&column);
        let values = numbers.values().as_any().downcast_ref::<Float64Array>().unwrap();
        assert!(values.value(0).is_sign_positive());
        assert_eq!(values.value(3), f64::NEG_INFINITY);
        assert_eq!(numbers.nan(), [2]);
        assert_eq!((0..4).map(|row| numbers.counts(row)).collect::<Vec<_>>(), [true, false, false, true]);
    }
}
