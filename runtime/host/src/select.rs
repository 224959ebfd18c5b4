//! Drops the rows that a mask leaves out from one column after another.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow_array::{Array, ArrayRef, BooleanArray, GenericByteArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use wasmill_boundary::budget::{Budget, OverBudget};
use wasmill_boundary::sizes::range_bytes;

/// Runs of rows are copied whole while they are at least this long on average.
const LONG_RUN_ROWS: usize = 16;

/// The rows that a mask holds.
pub(crate) struct Selected {
    mask: BooleanBuffer,
    prepared: OnceCell<Prepared>,
}

/// What all columns share.
struct Prepared {
    predicate: FilterPredicate,
    /// The rows as runs, where these are long.
    runs: Option<Vec<(usize, usize)>>,
}

/// Why a column could not be filtered.
#[derive(Debug)]
pub(crate) enum NotSelected {
    OverBudget(OverBudget),
    Arrow(ArrowError),
}

impl Selected {
    pub fn new(mask: BooleanBuffer) -> Self {
        Self { mask, prepared: OnceCell::new() }
    }

    /// A selection of rows out of `of` rows.
    pub fn of(origins: &[u32], rows: usize) -> Self {
        let mut mask = BooleanBufferBuilder::new(rows);
        mask.append_n(rows, false);
        origins.iter().for_each(|&row| mask.set_bit(row as usize, true));
        Self::new(mask.finish())
    }

    /// The selected values. At first the whole column is charged, which takes no time to know; only where that is too much are the
    /// values counted.
    pub fn filter(&self, array: &ArrayRef, budget: &Budget) -> Result<ArrayRef, NotSelected> {
        let whole = range_bytes(array.as_ref(), 0, array.len());
        let charged = if whole <= budget.left() {
            whole
        } else {
            self.mask.set_slices().map(|(start, end)| range_bytes(array.as_ref(), start, end)).sum()
        };
        budget.charge(charged).map_err(NotSelected::OverBudget)?;
        let prepared = self.prepared.get_or_init(|| self.prepare());
        let filtered = match (array.data_type(), &prepared.runs) {
            (DataType::Utf8, Some(runs)) => Arc::new(copy_runs::<Utf8Type>(array.as_string(), runs, &prepared.predicate)) as ArrayRef,
            (DataType::Binary, Some(runs)) => Arc::new(copy_runs::<BinaryType>(array.as_binary(), runs, &prepared.predicate)),
            _ => prepared.predicate.filter(array.as_ref()).map_err(NotSelected::Arrow)?,
        };
        budget.refund(charged.saturating_sub(range_bytes(filtered.as_ref(), 0, filtered.len())));
        Ok(filtered)
    }

    fn prepare(&self) -> Prepared {
        let predicate = FilterBuilder::new(&BooleanArray::new(self.mask.clone(), None)).optimize().build();
        // No more runs are searched for than may be useful.
        let most = predicate.count() / LONG_RUN_ROWS + 1;
        let runs: Vec<_> = self.mask.set_slices().take(most + 1).collect();
        Prepared { predicate, runs: (runs.len() <= most).then_some(runs) }
    }
}

/// The values of some runs of rows. Offsets move by the same distance within a run, which takes a fraction of the time of asking for
/// every length.
fn copy_runs<T: ByteArrayType<Offset = i32>>(
    array: &GenericByteArray<T>,
    runs: &[(usize, usize)],
    predicate: &FilterPredicate,
) -> GenericByteArray<T> {
    let (source, data) = (array.value_offsets(), array.value_data());
    let bytes: usize = runs.iter().map(|&(start, end)| (source[end] - source[start]) as usize).sum();
    let mut offsets = Vec::with_capacity(predicate.count() + 1);
    let mut values = Vec::with_capacity(bytes);
    let mut filled = 0;
    offsets.push(filled);
    for &(start, end) in runs {
        let shift = source[start] - filled;
        offsets.extend(source[start + 1..=end].iter().map(|offset| offset - shift));
        values.extend_from_slice(&data[source[start] as usize..source[end] as usize]);
        filled = source[end] - shift;
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let nulls = predicate.filter_nulls(array.nulls());
    // SAFETY: the offsets begin at 0, never decrease (`OffsetBuffer::new` checks both) and end at
    // the length of the values. Each value is one of the array's, whole, and so is still UTF-8
    // where it must be. The null mask has a bit for each of them.
    #[allow(unsafe_code)]
    unsafe {
        GenericByteArray::new_unchecked(offsets, Buffer::from_vec(values), nulls)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filtered_values_are_charged_for_what_they_are() {
        let strings: ArrayRef = Arc::new(StringArray::from(vec!["0123456789"; 8]));
        let half = Selected::of(&[0, 1, 4, 5], 8);
        // Whole, the column would not fit a second time.
        let budget = Budget::new(8 * 14);
        for _ in 0..2 {
            assert_eq!(half.filter(&strings, &budget).unwrap().len(), 4);
        }
        assert_eq!((budget.left(), budget.is_spent()), (0, false));
        assert!(matches!(half.filter(&strings, &budget), Err(NotSelected::OverBudget(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Long runs and short ones, slices of larger arrays, nulls with bytes under them: the
        /// result is Arrow's.
        #[test]
        fn the_answer_is_that_of_arrow(
            texts in prop::collection::vec(prop::option::weighted(0.8, "[a-zé🦀]{0,6}"), 1..300),
            left_out in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            every in 1..40_usize,
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(texts.len());
            let rows = texts.len() - cut;
            let mut mask: Vec<bool> = (0..rows).map(|row| row % 40 < every).collect();
            for row in left_out {
                mask[row.index(rows)] = false;
            }
            let mask = BooleanArray::from(mask);
            let strings = StringArray::from(texts.clone());
            let bytes: BinaryArray = texts.iter().map(|text| text.as_ref().map(String::as_bytes)).collect();
            let numbers: Int64Array = texts.iter().map(|text| text.as_ref().map(|text| text.len() as i64)).collect();
            let selected = Selected::new(mask.values().clone());
            let arrays: [ArrayRef; 3] = [Arc::new(strings), Arc::new(bytes), Arc::new(numbers)];
            for array in arrays {
                let array = array.slice(cut, rows);
                let ours = selected.filter(&array, &Budget::new(1 << 20)).unwrap();
                prop_assert_eq!(&ours, &arrow_select::filter::filter(&array, &mask).unwrap());
                prop_assert!(ours.to_data().validate_full().is_ok());
            }
        }
    }
}
