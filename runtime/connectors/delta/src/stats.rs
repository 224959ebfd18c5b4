//! The statistics of a data file as a table's log keeps them, drawn from what the Parquet writer has counted already.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Fields, Schema};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::properties::Indexed;
use super::text;

/// The longest text in statistics, in bytes. The Parquet writer truncates to less wherever a bound
/// stays a bound.
const MAX_TEXT_BYTES: usize = 256;

/// `{"numRecords":…,"minValues":{…},"maxValues":{…},"nullCount":{…}}`
pub(crate) fn stats_json(schema: &Schema, metadata: &ParquetMetaData, nans: &Nans, indexed: &Indexed) -> String {
    let mut walk = Walk { metadata, nans, indexed, leaf: 0, counted: 0, path: Vec::new() };
    let columns = walk.fields(schema.fields());
    let mut json = format!("{{\"numRecords\":{}", metadata.file_metadata().num_rows());
    let kinds: [(&str, Pick); 3] = [("minValues", Column::min), ("maxValues", Column::max), ("nullCount", Column::nulls)];
    for (name, pick) in kinds {
        json.push_str(&format!(",\"{name}\":"));
        write_object(&columns, pick, &mut json);
    }
    json.push('}');
    json
}

/// One kind of a column's statistics, as JSON.
type Pick = fn(&Column) -> Option<&String>;

/// A column with the JSON of its statistics, or a struct of such.
enum Column {
    Leaf { name: String, min: Option<String>, max: Option<String>, nulls: Option<String> },
    Struct { name: String, columns: Vec<Column> },
}

impl Column {
    fn min(&self) -> Option<&String> {
        if let Self::Leaf { min, .. } = self { min.as_ref() } else { None }
    }

    fn max(&self) -> Option<&String> {
        if let Self::Leaf { max, .. } = self { max.as_ref() } else { None }
    }

    fn nulls(&self) -> Option<&String> {
        if let Self::Leaf { nulls, .. } = self { nulls.as_ref() } else { None }
    }
}

fn write_object(columns: &[Column], pick: Pick, json: &mut String) {
    json.push('{');
    let start = json.len();
    for column in columns {
        let before = json.len();
        if before > start {
            json.push(',');
        }
        let (Column::Leaf { name, .. } | Column::Struct { name, .. }) = column;
        json.push_str(&json_text(name));
        json.push(':');
        match column {
            Column::Leaf { .. } => match pick(column) {
                Some(value) => json.push_str(value),
                None => json.truncate(before),
            },
            Column::Struct { columns, .. } => write_object(columns, pick, json),
        }
    }
    json.push('}');
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The columns of a file that hold a NaN somewhere, fields of structs one by one.
///
/// Parquet's statistics skip NaN, while engines order it after (some also before) all numbers:
/// bounds of the numbers alone would hide its rows from a filter.
#[derive(Debug, Default)]
pub(crate) struct Nans(BTreeSet<usize>);

impl Nans {
    /// Adds the rows of a batch.
    pub(crate) fn watch(&mut self, records: &RecordBatch) {
        let mut leaf = 0;
        records.columns().iter().for_each(|column| self.column(column, &mut leaf));
    }

    fn column(&mut self, column: &ArrayRef, leaf: &mut usize) {
        let found = match column.data_type() {
            DataType::Struct(_) => return column.as_struct().columns().iter().for_each(|column| self.column(column, leaf)),
            DataType::Float32 => column.as_primitive::<Float32Type>().values().iter().any(|value| value.is_nan()),
            DataType::Float64 => column.as_primitive::<Float64Type>().values().iter().any(|value| value.is_nan()),
            _ => false,
        };
        if found {
            self.0.insert(*leaf);
        }
        *leaf += leaves(column.data_type());
    }
}

/// Walks Arrow fields and Parquet's flat columns together: a leaf of the one is a column of the other.
struct Walk<'a> {
    metadata: &'a ParquetMetaData,
    nans: &'a Nans,
    indexed: &'a Indexed,
    /// The column of Parquet that comes next.
    leaf: usize,
    /// The columns before it, as a table counts them: lists and maps are one.
    counted: u64,
    path: Vec<String>,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &Fields) -> Vec<Column> {
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.name().clone();
            self.path.push(name.clone());
            match field.data_type() {
                DataType::Struct(inner) => columns.push(Column::Struct { name, columns: self.fields(inner) }),
                other => {
                    // Parquet counts the elements of lists and maps; Delta's statistics are of rows.
                    if !other.is_nested() && self.is_indexed() {
                        columns.push(self.leaf(name, other));
                    }
                    self.leaf += leaves(other);
                    self.counted += 1;
                }
            }
            self.path.pop();
        }
        columns
    }

    fn is_indexed(&self) -> bool {
        match self.indexed {
            Indexed::First(columns) => self.counted < *columns,
            Indexed::Named(names) => names.iter().any(|name| self.path.starts_with(name)),
        }
    }

    fn leaf(&self, name: String, data_type: &DataType) -> Column {
        let mut nulls = Some(0);
        let mut bounds: Option<(Bound, Bound)> = None;
        let mut bounded = !self.nans.0.contains(&self.leaf);
        for group in self.metadata.row_groups() {
            let statistics = group.columns().get(self.leaf).and_then(|column| column.statistics());
            let group_nulls = statistics.and_then(Statistics::null_count_opt);
            nulls = nulls.zip(group_nulls).map(|(sum, more)| sum + more);
            let all_null = group_nulls.is_some_and(|nulls| nulls == group.num_rows() as u64);
            match statistics.and_then(bounds_of) {
                Some(next) => bounds = Some(bounds.map_or(next.clone(), |so_far| so_far.widen(next))),
                None => bounded &= all_null,
            }
        }
        let (min, max) =
            bounds.filter(|_| bounded).map_or((None, None), |(min, max)| (min.json(data_type, false), max.json(data_type, true)));
        Column::Leaf { name, min, max, nulls: nulls.map(|nulls| nulls.to_string()) }
    }
}

fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(item) | DataType::Map(item, _) => leaves(item.data_type()),
        _ => 1,
    }
}

/// The smallest or largest value of a column in a row group, as Parquet keeps it.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Integer(i128),
    Float(f64),
    Bytes(Vec<u8>),
}

trait Widen {
    fn widen(self, other: Self) -> Self;
}

impl Widen for (Bound, Bound) {
    fn widen(self, other: Self) -> Self {
        let min = if other.0.order(&self.0) == Ordering::Less { other.0 } else { self.0 };
        let max = if other.1.order(&self.1) == Ordering::Greater { other.1 } else { self.1 };
        (min, max)
    }
}

impl Bound {
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// The JSON of this bound, if it can stay a bound of a column of this type.
    fn json(&self, data_type: &DataType, upper: bool) -> Option<String> {
        match (self, data_type) {
            (Self::Integer(value), DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => Some(value.to_string()),
            (Self::Integer(value), DataType::Date32) => text::date_for_stats(i32::try_from(*value).ok()?).map(|date| json_text(&date)),
            (Self::Integer(value), DataType::Timestamp(_, _)) => {
                // Statistics know milliseconds, rows microseconds: round outwards.
                let millis = if upper { -(-value).div_euclid(1000) } else { value.div_euclid(1000) };
                text::timestamp_for_stats(i64::try_from(millis).ok()?).map(|time| json_text(&time))
            }
            (Self::Integer(value), DataType::Decimal128(_, scale)) => Some(text::decimal(*value, *scale)),
            (Self::Bytes(bytes), DataType::Decimal128(_, scale)) => Some(text::decimal(big_endian(bytes)?, *scale)),
            (Self::Float(value), _) if value.is_finite() => serde_json::Number::from_f64(*value).map(|number| number.to_string()),
            (Self::Bytes(bytes), DataType::Utf8) if bytes.len() <= MAX_TEXT_BYTES => std::str::from_utf8(bytes).ok().map(json_text),
            // A prefix is a lower bound; nothing short is an upper one.
            (Self::Bytes(bytes), DataType::Utf8) if !upper => Some(json_text(std::str::from_utf8(bytes).ok()?.get(..MAX_TEXT_BYTES / 2)?)),
            _ => None,
        }
    }
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let mut wide = if first & 0x80 == 0 { [0; 16] } else { [0xff; 16] };
    wide.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

fn bounds_of(statistics: &Statistics) -> Option<(Bound, Bound)> {
    let integer = |value: i64| Bound::Integer(i128::from(value));
    let bytes = |value: &[u8]| Bound::Bytes(value.to_vec());
    Some(match statistics {
        Statistics::Int32(s) => (integer(i64::from(*s.min_opt()?)), integer(i64::from(*s.max_opt()?))),
        Statistics::Int64(s) => (integer(*s.min_opt()?), integer(*s.max_opt()?)),
        Statistics::Float(s) => (Bound::Float(f64::from(*s.min_opt()?)), Bound::Float(f64::from(*s.max_opt()?))),
        Statistics::Double(s) => (Bound::Float(*s.min_opt()?), Bound::Float(*s.max_opt()?)),
        Statistics::ByteArray(s) => (bytes(s.min_opt()?.data()), bytes(s.max_opt()?.data())),
        Statistics::FixedLenByteArray(s) => (bytes(s.min_opt()?.data()), bytes(s.max_opt()?.data())),
        Statistics::Boolean(_) | Statistics::Int96(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, ListArray, StringArray, StructArray,
        TimestampMicrosecondArray,
    };
    use arrow_schema::Field;
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::data_file::writer_properties;

    const ALL: Indexed = Indexed::First(u64::MAX);

    fn stats(batches: &[RecordBatch]) -> serde_json::Value {
        stats_of(batches, &ALL)
    }

    fn stats_of(batches: &[RecordBatch], indexed: &Indexed) -> serde_json::Value {
        let schema = batches[0].schema();
        let properties = writer_properties(crate::DeltaCompression::Zstd);
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).unwrap();
        let mut nans = Nans::default();
        for batch in batches {
            nans.watch(batch);
            writer.write(batch).unwrap();
            writer.flush().unwrap();
        }
        serde_json::from_str(&stats_json(&schema, &writer.finish().unwrap(), &nans, indexed)).unwrap()
    }

    fn one(column: impl Into<ArrayRef>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("c", column.into(), true)]).unwrap()
    }

    fn array(array: impl arrow_array::Array + 'static) -> ArrayRef {
        Arc::new(array)
    }

    #[test]
    fn row_groups_are_taken_together() {
        let stats = stats(&[
            one(array(Int32Array::from(vec![Some(5), None]))),
            one(array(Int32Array::from(vec![None, None]))),
            one(array(Int32Array::from(vec![-3]))),
        ]);
        assert_eq!(stats, serde_json::json!({"numRecords": 5, "minValues": {"c": -3}, "maxValues": {"c": 5}, "nullCount": {"c": 3}}));
    }

    #[test]
    fn times_round_outwards_to_milliseconds() {
        let stats = stats(&[one(array(TimestampMicrosecondArray::from(vec![-1, 1]).with_timezone("UTC")))]);
        assert_eq!(stats["minValues"]["c"], "1969-12-31T23:59:59.999Z");
        assert_eq!(stats["maxValues"]["c"], "1970-01-01T00:00:00.001Z");
        let stats = super::tests::stats(&[one(array(Date32Array::from(vec![0, 19_000])))]);
        assert_eq!((&stats["minValues"]["c"], &stats["maxValues"]["c"]), (&"1970-01-01".into(), &"2022-01-08".into()));
    }

    #[test]
    fn decimals_keep_all_their_digits() {
        let column = Decimal128Array::from(vec![-12_345_678_901_234_567_890_123_456_789_i128, 7]).with_precision_and_scale(38, 2).unwrap();
        let batch = one(array(column));
        let properties = writer_properties(crate::DeltaCompression::None);
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let json = stats_json(&batch.schema(), &writer.finish().unwrap(), &Nans::default(), &ALL);
        assert!(json.contains(r#""minValues":{"c":-123456789012345678901234567.89}"#), "{json}");
        assert!(json.contains(r#""maxValues":{"c":0.07}"#), "{json}");
    }

    #[test]
    fn long_texts_become_short_bounds() {
        let (low, high) = ("a".repeat(1000), "z".repeat(1000));
        let stats = stats(&[one(array(StringArray::from(vec![low.as_str(), high.as_str(), "é"])))]);
        let (min, max) = (stats["minValues"]["c"].as_str().unwrap(), stats["maxValues"]["c"].as_str().unwrap());
        assert!(min.len() < 100 && min <= low.as_str(), "{min}");
        assert!(max.len() < 100 && max >= high.as_str() && max >= "é", "{max}");
    }

    #[test]
    fn structs_nest_and_what_has_no_bounds_has_none() {
        let inner: ArrayRef = array(Float64Array::from(vec![f64::NAN, f64::INFINITY]));
        let nested = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Float64, true)), inner)]);
        let stats = stats(&[one(array(nested))]);
        assert_eq!(stats["nullCount"], serde_json::json!({"c": {"x": 0}}));
        assert_eq!(stats["maxValues"], serde_json::json!({"c": {}}));
    }

    #[test]
    fn a_column_with_a_nan_has_no_bounds_in_any_of_its_row_groups() {
        let number = || one(array(Float64Array::from(vec![1.0, 5.0])));
        let stats = stats(&[number(), one(array(Float64Array::from(vec![f64::NAN, 2.0]))), number()]);
        assert_eq!(stats, serde_json::json!({"numRecords": 6, "minValues": {}, "maxValues": {}, "nullCount": {"c": 0}}));
        // Behind a list, whose elements are a column of Parquet, and within a struct.
        let list: ArrayRef = array(ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(f64::NAN)]), None]));
        let inner: Vec<(Arc<Field>, ArrayRef)> = vec![
            (Arc::new(Field::new("clean", DataType::Float32, true)), array(Float32Array::from(vec![1.0, 2.0]))),
            (Arc::new(Field::new("nan", DataType::Float32, true)), array(Float32Array::from(vec![f32::NAN, 2.0]))),
        ];
        let columns = [("list", list), ("s", array(StructArray::from(inner))), ("last", array(Float64Array::from(vec![3.0, 4.0])))];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let stats = super::tests::stats(&[batch]);
        assert_eq!(stats["minValues"], serde_json::json!({"s": {"clean": 1.0}, "last": 3.0}));
        assert_eq!(stats["maxValues"], serde_json::json!({"s": {"clean": 2.0}, "last": 4.0}));
    }

    #[test]
    fn a_table_says_which_columns_have_statistics() {
        let list: ArrayRef = array(ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1.0)])]));
        let number = || array(Int32Array::from(vec![1]));
        let inner = vec![("x", number()), ("y", number())];
        let inner: Vec<(Arc<Field>, ArrayRef)> =
            inner.into_iter().map(|(name, column)| (Arc::new(Field::new(name, DataType::Int32, true)), column)).collect();
        let columns = [("a", number()), ("list", list), ("s", array(StructArray::from(inner))), ("z", number())];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let counted = |indexed: &Indexed| stats_of(std::slice::from_ref(&batch), indexed)["nullCount"].clone();
        assert_eq!(counted(&Indexed::First(0)), serde_json::json!({"s": {}}));
        assert_eq!(counted(&Indexed::First(3)), serde_json::json!({"a": 0, "s": {"x": 0}}), "a list is one column");
        assert_eq!(counted(&ALL), serde_json::json!({"a": 0, "s": {"x": 0, "y": 0}, "z": 0}));
        let named = Indexed::Named(vec![vec!["s".into(), "y".into()], vec!["z".into()]]);
        assert_eq!(counted(&named), serde_json::json!({"s": {"y": 0}, "z": 0}));
    }
}
