//! Splits a batch by the values of its partition columns, and writes those values as Delta does.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take_record_batch;
use serde_json::Value;
use wasmill_engine::{Error, Result, RowReject};

use super::text;

/// How Hive, and Delta after it, name the folder of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of the partition columns, in their order; `None` is no value.
pub(crate) type Key = Vec<Option<String>>;

/// The rows of one partition.
pub(crate) struct Rows {
    /// The partition.
    pub key: Key,
    /// Its rows, without the partition columns.
    pub records: RecordBatch,
}

/// Splits batches of one schema.
pub(crate) struct Partitioner {
    columns: Vec<(String, usize, bool)>,
    data: Vec<usize>,
}

impl Partitioner {
    /// A partitioner of batches in the table's types.
    pub(crate) fn new(schema: &arrow_schema::Schema, partition_by: &[String]) -> Result<Self> {
        let find = |name: &String| {
            let (index, field) =
                schema.column_with_name(name).ok_or_else(|| Error::bug(format!("the partition column `{name}` is not in the schema")))?;
            Ok((name.clone(), index, field.is_nullable()))
        };
        let columns: Vec<(String, usize, bool)> = partition_by.iter().map(find).collect::<Result<_>>()?;
        let data = (0..schema.fields().len()).filter(|index| columns.iter().all(|(_, column, _)| column != index)).collect();
        Ok(Self { columns, data })
    }

    /// The batch's rows by partition, in the order in which partitions first appear, and the rows that have no partition to go to.
    pub(crate) fn split(&self, records: &RecordBatch) -> Result<(Vec<Rows>, Vec<RowReject>)> {
        let texts: Vec<ArrayRef> = self.columns.iter().map(|(_, index, _)| texts_of(records.column(*index))).collect::<Result<_>>()?;
        let texts: Vec<_> = texts.iter().map(|column| column.as_string::<i32>()).collect();
        let mut found: HashMap<Vec<Option<&str>>, usize> = HashMap::new();
        let mut groups: Vec<(Key, Vec<u32>)> = Vec::new();
        let mut rejects = Vec::new();
        let mut key: Vec<Option<&str>> = Vec::with_capacity(texts.len());
        for row in 0..records.num_rows() {
            key.clear();
            // An empty text is no value to a Delta table, whatever the column's type.
            key.extend(texts.iter().map(|column| (!column.is_null(row)).then(|| column.value(row)).filter(|value| !value.is_empty())));
            if let Some(column) = self.lacking(&key) {
                rejects.push(no_value(row, column));
                continue;
            }
            let group = match found.get(&key) {
                Some(&group) => group,
                None => {
                    groups.push((key.iter().map(|value| value.map(str::to_owned)).collect(), Vec::new()));
                    found.insert(key.clone(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            groups[group].1.push(row as u32);
        }
        let data = records.project(&self.data).map_err(|error| Error::bug(format!("columns can't be projected: {error}")))?;
        let rows = groups.into_iter().map(|(key, rows)| take(&data, key, rows)).collect::<Result<_>>()?;
        Ok((rows, rejects))
    }

    fn lacking(&self, key: &[Option<&str>]) -> Option<&str> {
        let lacking = self.columns.iter().zip(key).find(|((_, _, nullable), value)| value.is_none() && !nullable);
        lacking.map(|((name, ..), _)| name.as_str())
    }

    /// The folder of a partition, relative to the table: `category=art/year=2022/`; empty without partition columns.
    pub(crate) fn folder(&self, key: &Key) -> String {
        let mut folder = String::new();
        for ((name, ..), value) in self.columns.iter().zip(key) {
            folder.push_str(&escape_path(name));
            folder.push('=');
            folder.push_str(&value.as_deref().map_or_else(|| NO_VALUE.to_owned(), escape_path));
            folder.push('/');
        }
        folder
    }

    /// A partition as the table's log writes it.
    pub(crate) fn values(&self, key: &Key) -> serde_json::Map<String, Value> {
        let json = |value: &Option<String>| value.as_ref().map_or(Value::Null, |value| Value::String(value.clone()));
        self.columns.iter().zip(key).map(|((name, ..), value)| (name.clone(), json(value))).collect()
    }
}

fn take(data: &RecordBatch, key: Key, rows: Vec<u32>) -> Result<Rows> {
    // All rows of a batch often lie in one partition: nothing needs to be copied then.
    let records = if rows.len() == data.num_rows() {
        data.clone()
    } else {
        take_record_batch(data, &UInt32Array::from(rows)).map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?
    };
    Ok(Rows { key, records })
}

fn no_value(row: usize, column: &str) -> RowReject {
    RowReject {
        row: row as u32,
        code: "no-partition-value".to_owned(),
        column: Some(column.to_owned()),
        message: "an empty text is no value to a partition column, and this column must have one".to_owned(),
    }
}

/// The values of a column as texts, in the form that Delta's protocol asks of partition values.
fn texts_of(column: &ArrayRef) -> Result<ArrayRef> {
    macro_rules! with {
        ($type:ty, $write:expr) => {{
            let values = column.as_primitive::<$type>();
            std::sync::Arc::new(values.iter().map(|value| value.map($write)).collect::<arrow_array::StringArray>()) as ArrayRef
        }};
    }
    Ok(match column.data_type() {
        DataType::Utf8 => std::sync::Arc::clone(column),
        DataType::Boolean => {
            std::sync::Arc::new(column.as_boolean().iter().map(|value| value.map(|v| v.to_string())).collect::<arrow_array::StringArray>())
        }
        DataType::Int8 => with!(Int8Type, |v| v.to_string()),
        DataType::Int16 => with!(Int16Type, |v| v.to_string()),
        DataType::Int32 => with!(Int32Type, |v| v.to_string()),
        DataType::Int64 => with!(Int64Type, |v| v.to_string()),
        DataType::Float32 => with!(Float32Type, |v| text::float(f64::from(v), || v.to_string())),
        DataType::Float64 => with!(Float64Type, |v| text::float(v, || v.to_string())),
        DataType::Date32 => with!(Date32Type, text::date),
        DataType::Timestamp(_, _) => with!(TimestampMicrosecondType, text::timestamp_for_partition),
        DataType::Decimal128(_, scale) => with!(Decimal128Type, |v| text::decimal(v, *scale)),
        other => return Err(Error::bug(format!("a column of type {other} can't partition a table"))),
    })
}

/// Escapes what a folder's name can't hold, as Hive does.
fn escape_path(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^<>|".contains(c) || c == '\u{7f}' {
            escaped.push_str(&format!("%{:02X}", c as u32));
        } else {
            escaped.push(c);
        }
    }
    // `.` and `..` are folders of another kind.
    if escaped.chars().all(|c| c == '.') { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, Int32Array, StringArray};
    use arrow_schema::{Field, Schema};

    use super::*;

    fn batch(category_nullable: bool, categories: Vec<Option<&str>>) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int32, false),
            Field::new("category", DataType::Utf8, category_nullable),
            Field::new("day", DataType::Date32, true),
        ]);
        let rows = categories.len() as i32;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(0..rows)),
            Arc::new(StringArray::from(categories)),
            Arc::new(Date32Array::from_iter_values((0..rows).map(|_| 19_000))),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    #[test]
    fn rows_go_to_their_partition_in_order() {
        let batch = batch(true, vec![Some("art"), None, Some("a/b=c"), Some("art"), Some("")]);
        let partitioner = Partitioner::new(&batch.schema(), &["category".into(), "day".into()]).unwrap();
        let (parts, rejects) = partitioner.split(&batch).unwrap();
        assert!(rejects.is_empty());
        let folders: Vec<String> = parts.iter().map(|part| partitioner.folder(&part.key)).collect();
        assert_eq!(
            folders,
            ["category=art/day=2022-01-08/", "category=__HIVE_DEFAULT_PARTITION__/day=2022-01-08/", "category=a%2Fb%3Dc/day=2022-01-08/"]
        );
        let numbers: Vec<Vec<i32>> =
            parts.iter().map(|part| part.records.column(0).as_primitive::<Int32Type>().values().to_vec()).collect();
        assert_eq!(numbers, [vec![0, 3], vec![1, 4], vec![2]]);
        assert_eq!(parts[0].records.num_columns(), 1, "partition columns stand in the log, not in the file");
        assert_eq!(serde_json::to_string(&partitioner.values(&parts[1].key)).unwrap(), r#"{"category":null,"day":"2022-01-08"}"#);
    }

    #[test]
    fn a_row_without_a_value_that_must_be_there_is_rejected() {
        let batch = batch(false, vec![Some("art"), Some("")]);
        let partitioner = Partitioner::new(&batch.schema(), &["category".into()]).unwrap();
        let (parts, rejects) = partitioner.split(&batch).unwrap();
        assert_eq!((parts.len(), parts[0].records.num_rows()), (1, 1));
        assert_eq!((rejects.len(), rejects[0].row, rejects[0].code.as_str()), (1, 1, "no-partition-value"));
    }

    #[test]
    fn no_value_escapes_the_table() {
        for name in ["..", ".", "../../etc", "/", "a\0b"] {
            let escaped = escape_path(name);
            assert!(!escaped.contains('/') && escaped != ".." && escaped != "." && !escaped.contains('\0'), "{escaped}");
        }
    }
}
