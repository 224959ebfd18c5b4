//! Which data files can't hold any key of an epoch, by what a table's log records of them.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::PrimitiveType;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most intervals that are kept of a column's values.
const MOST_INTERVALS: usize = 1024;
/// Values that wait before they are merged into intervals.
const MOST_WAITING: usize = 65_536;
/// The characters that writers keep of a long text in statistics. Some of them cut an upper bound off without rounding it up.
const KEPT_CHARACTERS: usize = 32;
/// Some writers cut the times in statistics to milliseconds, also upper bounds.
const CUT_OFF_MICROS: i128 = 999;

/// A value that has an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    /// Whole numbers, booleans, days, microseconds and the digits of decimals.
    Number(i128),
    Text(Box<str>),
}

impl Point {
    fn of(scalar: Scalar) -> Option<Self> {
        Some(Self::Number(match scalar {
            Scalar::Boolean(value) => i128::from(value),
            Scalar::Byte(value) => i128::from(value),
            Scalar::Short(value) => i128::from(value),
            Scalar::Integer(value) | Scalar::Date(value) => i128::from(value),
            Scalar::Long(value) | Scalar::Timestamp(value) => i128::from(value),
            Scalar::Decimal(value) => value.bits(),
            Scalar::String(value) => return Some(Self::Text(value.into())),
            _ => return None,
        }))
    }

    /// A value as a partition or statistics write it.
    fn parse(text: &str, kind: &PrimitiveType) -> Option<Self> {
        match kind {
            PrimitiveType::String => Some(Self::Text(text.into())),
            kind => Self::of(kind.parse_scalar(text).ok()?),
        }
    }
}

/// The values of a column, as intervals with both ends.
#[derive(Debug, Default)]
struct Intervals {
    /// Sorted and apart from each other, but for those that wait.
    intervals: Vec<(Point, Point)>,
    waiting: usize,
}

impl Intervals {
    fn add(&mut self, point: Point) {
        self.intervals.push((point.clone(), point));
        self.waiting += 1;
        if self.waiting == MOST_WAITING {
            self.merge();
        }
    }

    /// Merges what waits. Intervals grow where there are too many of them: they may hold more than the values, never less.
    fn merge(&mut self) {
        self.waiting = 0;
        self.intervals.sort_unstable();
        self.intervals.dedup_by(|next, so_far| {
            let overlap = next.0 <= so_far.1;
            if overlap && next.1 > so_far.1 {
                so_far.1 = next.1.clone();
            }
            overlap
        });
        if self.intervals.len() > MOST_INTERVALS {
            let together = self.intervals.len().div_ceil(MOST_INTERVALS);
            let merged = self.intervals.chunks(together).filter_map(|chunk| {
                let [first, .., last] = chunk else { return chunk.first().cloned() };
                Some((first.0.clone(), last.1.clone()))
            });
            self.intervals = merged.collect();
        }
    }

    /// Whether a value may lie within these bounds, of which a missing one is none.
    fn meet(&self, min: Option<&Point>, max: Option<&Point>) -> bool {
        let first = min.map_or(0, |min| self.intervals.partition_point(|(_, last)| last < min));
        let Some((lowest, _)) = self.intervals.get(first) else { return false };
        match (lowest, max) {
            (_, None) => true,
            (Point::Text(lowest), Some(Point::Text(max))) => lowest <= max || cut_off(max).is_some_and(|prefix| lowest.starts_with(prefix)),
            (lowest, Some(max)) => lowest <= max,
        }
    }
}

/// What an upper bound may have been cut off to: texts that begin so may lie above the bound.
fn cut_off(max: &str) -> Option<&str> {
    match max.char_indices().nth(KEPT_CHARACTERS) {
        Some((end, _)) => max.get(..end),
        None => (max.chars().count() == KEPT_CHARACTERS).then_some(max),
    }
}

/// The values of an epoch's keys, column by column.
#[derive(Debug)]
pub(super) struct KeyRanges(Vec<KeyRange>);

#[derive(Debug)]
struct KeyRange {
    column: String,
    kind: PrimitiveType,
    is_partition: bool,
    /// None where the column's values have no known order.
    values: Option<Intervals>,
}

impl KeyRanges {
    /// No values yet of these columns, in the order of the key.
    pub(super) fn new(columns: impl IntoIterator<Item = (String, PrimitiveType)>, partition_by: &[String]) -> Self {
        let range = |(column, kind): (String, PrimitiveType)| KeyRange {
            is_partition: partition_by.contains(&column),
            values: Some(Intervals::default()),
            column,
            kind,
        };
        Self(columns.into_iter().map(range).collect())
    }

    /// Adds the values of rows.
    pub(super) fn add(&mut self, columns: &[ArrayRef]) {
        for (range, column) in self.0.iter_mut().zip(columns) {
            if let Some(values) = &mut range.values
                && !add_points(column, values)
            {
                range.values = None;
            }
        }
    }

    /// Ends the adding.
    pub(super) fn finish(&mut self) {
        self.0.iter_mut().filter_map(|range| range.values.as_mut()).for_each(Intervals::merge);
    }

    /// Whether a file with these partition values and statistics may hold one of the keys.
    pub(super) fn may_hold(&self, partition_values: &HashMap<String, String>, stats: Option<&str>) -> bool {
        let stats: Option<Stats<'_>> = stats.and_then(|stats| serde_json::from_str(stats).ok());
        self.0.iter().all(|range| match range.is_partition {
            true => range.may_be(partition_values.get(&range.column)),
            false => stats.as_ref().is_none_or(|stats| range.may_lie_within(stats)),
        })
    }
}

impl KeyRange {
    fn may_be(&self, partition: Option<&String>) -> bool {
        // An empty text is null to a Delta table, and no key is null.
        let Some(text) = partition.filter(|text| !text.is_empty()) else { return false };
        let point = Point::parse(text, &self.kind);
        match (&self.values, point) {
            (Some(values), Some(point)) => values.meet(Some(&point), Some(&point)),
            _ => true,
        }
    }

    fn may_lie_within(&self, stats: &Stats<'_>) -> bool {
        let count = |counts: &Option<HashMap<Cow<'_, str>, &RawValue>>| -> Option<u64> {
            counts.as_ref()?.get(self.column.as_str())?.get().parse().ok()
        };
        if stats.num_records.is_some() && count(&stats.null_count) == stats.num_records {
            return false;
        }
        let bound = |bounds: &Option<HashMap<Cow<'_, str>, &RawValue>>| {
            let raw = bounds.as_ref()?.get(self.column.as_str())?.get();
            match raw.starts_with('"') {
                true => Point::parse(&serde_json::from_str::<String>(raw).ok()?, &self.kind),
                false => Point::parse(raw, &self.kind).filter(|_| self.kind != PrimitiveType::String),
            }
        };
        let is_time = self.kind == PrimitiveType::Timestamp;
        let widen = |point: Point, by: i128| match point {
            Point::Number(number) if is_time => Point::Number(number.saturating_add(by)),
            point => point,
        };
        let min = bound(&stats.min_values).map(|min| widen(min, -CUT_OFF_MICROS));
        let max = bound(&stats.max_values).map(|max| widen(max, CUT_OFF_MICROS));
        self.values.as_ref().is_none_or(|values| values.meet(min.as_ref(), max.as_ref()))
    }
}

/// A file's statistics as far as they matter. Fields of structs are no key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats<'a> {
    num_records: Option<u64>,
    #[serde(borrow)]
    min_values: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow)]
    max_values: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow)]
    null_count: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
}

/// Adds the values of a column that are not null. `false`: they have no known order.
fn add_points(column: &ArrayRef, values: &mut Intervals) -> bool {
    fn add<T: ArrowPrimitiveType<Native: Into<i128>>>(column: &ArrayRef, values: &mut Intervals) {
        column.as_primitive::<T>().iter().flatten().for_each(|value| values.add(Point::Number(value.into())));
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().iter().flatten().for_each(|value| values.add(Point::Number(i128::from(value)))),
        DataType::Int8 => add::<Int8Type>(column, values),
        DataType::Int16 => add::<Int16Type>(column, values),
        DataType::Int32 => add::<Int32Type>(column, values),
        DataType::Int64 => add::<Int64Type>(column, values),
        DataType::Date32 => add::<Date32Type>(column, values),
        DataType::Timestamp(TimeUnit::Microsecond, _) => add::<TimestampMicrosecondType>(column, values),
        DataType::Decimal128(..) => add::<Decimal128Type>(column, values),
        DataType::Utf8 => column.as_string::<i32>().iter().flatten().for_each(|value| values.add(Point::Text(value.into()))),
        _ => return false,
    }
    true
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;
