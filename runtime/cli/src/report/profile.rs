//! What a table holds, column by column, in memory that is bounded.

use std::cmp::Ordering;
use std::collections::HashMap;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_ord::ord::make_comparator;
use arrow_ord::sort::{SortOptions, sort_to_indices};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use arrow_select::take::take;
use wasmill_engine::{Error, Result};

use super::table::Gathering;
use crate::spec::Written;

/// The rows of tables of at most so many are shown one by one.
pub const KEPT_ROWS: usize = 200;
/// Values of a column are counted one by one up to so many different ones,
const COUNTED_VALUES: usize = 100_000;
/// and up to so many bytes of them.
const COUNTED_BYTES: usize = 32 << 20;

/// What a table holds.
#[derive(Debug, Clone)]
pub struct TableProfile {
    /// How many rows.
    pub rows: u64,
    /// Its columns, in order.
    pub columns: Vec<ColumnProfile>,
    /// Its rows, where they are few.
    pub kept: Option<Kept>,
}

/// The rows of a small table, as texts; nulls are `None`.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// In increasing order, column by column.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What a column holds.
#[derive(Debug, Clone)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// Its type, as pipeline files name it.
    pub kind: String,
    /// Whether it holds numbers.
    pub is_number: bool,
    /// How many nulls.
    pub nulls: u64,
    /// How often each value occurs; `None`: there are too many different ones.
    values: Option<HashMap<String, u64>>,
    value_bytes: usize,
    least: Option<ArrayRef>,
    greatest: Option<ArrayRef>,
}

impl TableProfile {
    /// One of no rows.
    pub fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| ColumnProfile::new(field)).collect();
        Self { rows: 0, columns, kept: Some(Kept::default()) }
    }
}

impl Gathering for TableProfile {
    fn take(&mut self, records: &RecordBatch) -> Result<()> {
        let failed = |error: ArrowError| Error::bug(format!("rows can't be profiled: {error}"));
        self.rows += records.num_rows() as u64;
        let options = FormatOptions::default();
        let texts = records.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let texts = texts.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        for ((profile, column), text) in self.columns.iter_mut().zip(records.columns()).zip(&texts) {
            profile.take(column, text).map_err(failed)?;
        }
        if let Some(kept) = &mut self.kept {
            let row = |row| {
                let cell = |(column, text): (&ArrayRef, &ArrayFormatter<'_>)| column.is_valid(row).then(|| text.value(row).to_string());
                records.columns().iter().zip(&texts).map(cell).collect()
            };
            kept.rows.extend((0..records.num_rows().min(KEPT_ROWS + 1)).map(row));
        }
        self.settle();
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.rows += other.rows;
        for (profile, other) in self.columns.iter_mut().zip(other.columns) {
            profile.merge(other).map_err(|error| Error::bug(format!("profiles can't be merged: {error}")))?;
        }
        match (&mut self.kept, other.kept) {
            (Some(kept), Some(other)) => kept.rows.extend(other.rows),
            (kept, _) => *kept = None,
        }
        self.settle();
        Ok(())
    }
}

impl TableProfile {
    /// Keeps rows only of small tables, in their order.
    fn settle(&mut self) {
        if self.rows > KEPT_ROWS as u64 {
            self.kept = None;
        }
        let numbers: Vec<bool> = self.columns.iter().map(|column| column.is_number).collect();
        if let Some(kept) = &mut self.kept {
            kept.rows.sort_by(|one, next| {
                let cells = one.iter().zip(next).zip(&numbers);
                cells
                    .map(|((one, next), is_number)| compare(one.as_deref(), next.as_deref(), *is_number))
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            });
        }
    }
}

fn compare(one: Option<&str>, next: Option<&str>, are_numbers: bool) -> Ordering {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    match (are_numbers, number(one), number(next)) {
        (true, Some(one), Some(next)) => one.total_cmp(&next),
        _ => one.cmp(&next),
    }
}

impl ColumnProfile {
    fn new(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            kind: Written(field.data_type()).to_string(),
            is_number: field.data_type().is_numeric(),
            nulls: 0,
            values: Some(HashMap::new()),
            value_bytes: 0,
            least: None,
            greatest: None,
        }
    }

    fn take(&mut self, column: &ArrayRef, text: &ArrayFormatter<'_>) -> std::result::Result<(), ArrowError> {
        self.nulls += column.logical_null_count() as u64;
        for row in (0..column.len()).filter(|&row| column.is_valid(row)) {
            if self.values.is_none() {
                break;
            }
            self.count(text.value(row).to_string(), 1);
        }
        if is_ordered(column.data_type()) {
            let first = |descending| {
                let order = SortOptions { descending, nulls_first: false };
                let found: UInt32Array = sort_to_indices(column, Some(order), Some(1))?;
                take(column, &found, None)
            };
            self.bound(first(false)?, first(true)?)?;
        }
        Ok(())
    }

    /// Takes a value as the least and one as the greatest, if they are; nulls are neither.
    fn bound(&mut self, least: ArrayRef, greatest: ArrayRef) -> std::result::Result<(), ArrowError> {
        for (mine, other, wanted) in [(&mut self.least, least, Ordering::Less), (&mut self.greatest, greatest, Ordering::Greater)] {
            if other.is_empty() || other.is_null(0) {
                continue;
            }
            let is_further = match mine {
                None => true,
                Some(mine) => make_comparator(&other, mine, SortOptions::default())?(0, 0) == wanted,
            };
            if is_further {
                *mine = Some(other);
            }
        }
        Ok(())
    }

    fn count(&mut self, value: String, times: u64) {
        let Some(values) = &mut self.values else { return };
        let length = value.len();
        let count = values.entry(value).or_insert_with(|| {
            self.value_bytes += length;
            0
        });
        *count += times;
        if values.len() > COUNTED_VALUES || self.value_bytes > COUNTED_BYTES {
            self.values = None;
        }
    }

    fn merge(&mut self, other: Self) -> std::result::Result<(), ArrowError> {
        self.nulls += other.nulls;
        match other.values {
            Some(values) => values.into_iter().for_each(|(value, times)| self.count(value, times)),
            None => self.values = None,
        }
        if let (Some(least), Some(greatest)) = (other.least, other.greatest) {
            self.bound(least, greatest)?;
        }
        Ok(())
    }

    /// How many different values there are, nulls left out; `None`: more than were counted.
    pub fn distinct(&self) -> Option<usize> {
        self.values.as_ref().map(HashMap::len)
    }

    /// The commonest values with their counts, the commonest first.
    pub fn commonest(&self, count: usize) -> Vec<(&str, u64)> {
        let mut values: Vec<(&str, u64)> = self.values.iter().flatten().map(|(value, times)| (value.as_str(), *times)).collect();
        values.sort_unstable_by(|one, next| next.1.cmp(&one.1).then_with(|| one.0.cmp(next.0)));
        values.truncate(count);
        values
    }

    /// The least and the greatest value, as texts; `None`: there are none, or they have no order.
    pub fn bounds(&self) -> Option<(String, String)> {
        let text = |value: &ArrayRef| {
            let options = FormatOptions::default();
            ArrayFormatter::try_new(value.as_ref(), &options).map(|text| text.value(0).to_string()).ok()
        };
        Some((text(self.least.as_ref()?)?, text(self.greatest.as_ref()?)?))
    }
}

/// Whether values of a type have a least and a greatest one that says something.
fn is_ordered(kind: &DataType) -> bool {
    kind.is_numeric() || kind.is_temporal() || matches!(kind, DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    fn batch(numbers: Vec<Option<i64>>, texts: Vec<Option<&str>>) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> =
            vec![("number", Arc::new(Int64Array::from(numbers))), ("text", Arc::new(StringArray::from(texts)))];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn lanes_together_know_what_one_would() {
        let first = batch(vec![Some(10), None, Some(9)], vec![Some("b"), Some("a"), Some("b")]);
        let second = batch(vec![None, Some(-3)], vec![None, Some("c")]);
        let mut one = TableProfile::new(first.schema_ref());
        let mut other = one.clone();
        one.take(&first).unwrap();
        other.take(&second).unwrap();
        one.merge(other).unwrap();
        assert_eq!(one.rows, 5);
        let [number, text] = &one.columns[..] else { panic!("two columns") };
        assert_eq!((number.nulls, number.distinct(), number.bounds()), (2, Some(3), Some(("-3".into(), "10".into()))));
        assert_eq!((text.nulls, text.distinct(), text.bounds()), (1, Some(3), Some(("a".into(), "c".into()))));
        assert_eq!(text.commonest(2), [("b", 2), ("a", 1)]);
        let kept: Vec<_> = one.kept.unwrap().rows.into_iter().map(|mut row| row.swap_remove(0)).collect();
        let numbers = [None, None, Some("-3"), Some("9"), Some("10")];
        assert_eq!(kept.iter().map(Option::as_deref).collect::<Vec<_>>(), numbers, "numbers are in the order of numbers");
    }

    #[test]
    fn what_is_too_much_to_count_is_not_counted_and_still_bounded() {
        let many: Vec<Option<i64>> = (0..COUNTED_VALUES as i64 + 1).map(Some).collect();
        let records = batch(many.clone(), vec![None; many.len()]);
        let mut profile = TableProfile::new(records.schema_ref());
        profile.take(&records).unwrap();
        assert_eq!(profile.columns[0].distinct(), None);
        assert!(profile.columns[0].commonest(3).is_empty() && profile.kept.is_none());
        assert_eq!(profile.columns[0].bounds(), Some(("0".into(), "100000".into())));
        assert_eq!((profile.columns[1].bounds(), profile.columns[1].distinct()), (None, Some(0)), "all are null");
    }
}
