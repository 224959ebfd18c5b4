//! Splits a batch by the values of its partition columns, and writes those values as Delta does.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use delta_kernel::expressions::{DecimalData, Scalar};
use delta_kernel::partition::serialization::serialize_partition_value;
use delta_kernel::schema::{DataType as DeltaType, DecimalType, PrimitiveType};
use percent_encoding::percent_encode_byte;
use serde_json::Value;
use wasmill_engine::{Error, Result, RowReject};
use wasmill_types::TypeName;

use crate::codes::PARTITION_BY;

/// How Hive, and Delta after it, name the folder of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of the partition columns, in their order; `None` is no value.
pub type Key = Vec<Option<String>>;

/// The rows of a batch, those of each partition together.
pub struct Split {
    /// The rows without the partition columns, in the order of their partitions.
    pub records: RecordBatch,
    /// Each partition and where its rows are, in the order in which partitions first appear in the batch.
    pub partitions: Vec<(Key, Range<usize>)>,
    /// The rows that have no partition to go to, by their places in the batch.
    pub rejects: Vec<RowReject>,
}

/// How long the folders of partitions may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest name of one folder, in bytes.
    pub name: usize,
    /// The longest path of all folders of a partition together, in bytes.
    pub path: usize,
    /// Where they lie, for readers: `a file system`.
    pub place: &'static str,
}

impl Limits {
    /// None.
    pub const NONE: Self = Self { name: usize::MAX, path: usize::MAX, place: "anything" };
}

/// Fails with class configuration unless each of these columns can name folders, and something is left for the files.
pub fn check_partition_columns(schema: &Schema, partition_by: &[String]) -> Result<()> {
    for (index, name) in partition_by.iter().enumerate() {
        if partition_by[..index].contains(name) {
            return Err(Error::configuration(format!("`partition_by` names the column `{name}` twice"))
                .code(PARTITION_BY)
                .key(["partition_by"]));
        }
        match schema.field_with_name(name).map(|field| field.data_type()) {
            Ok(
                DataType::Utf8
                | DataType::Boolean
                | DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Date32,
            ) => {}
            Ok(other) => {
                return Err(Error::configuration(format!("`partition_by` names `{name}`, which is {other}"))
                    .code(PARTITION_BY)
                    .key(["partition_by"])
                    .hint("texts, booleans, whole numbers and dates can name folders"));
            }
            Err(_) => {
                return Err(Error::configuration(format!("`partition_by` names `{name}`, which is not among the columns"))
                    .code(PARTITION_BY)
                    .key(["partition_by"]));
            }
        }
    }
    if !partition_by.is_empty() && partition_by.len() == schema.fields().len() {
        return Err(Error::configuration("`partition_by` names every column: nothing is left for the files")
            .code(PARTITION_BY)
            .key(["partition_by"]));
    }
    Ok(())
}

/// The columns that are left for the files.
pub fn without_partition_columns(schema: &Schema, partition_by: &[String]) -> SchemaRef {
    let left = schema.fields().iter().filter(|field| !partition_by.contains(field.name()));
    Arc::new(Schema::new(left.cloned().collect::<Vec<_>>()))
}

/// Splits batches of one schema.
pub struct Partitioner {
    columns: Vec<PartitionColumn>,
    data: Vec<usize>,
    limits: Limits,
}

struct PartitionColumn {
    name: String,
    /// Where it is in a batch.
    index: usize,
    is_nullable: bool,
}

impl Partitioner {
    /// A partitioner of batches in the table's types.
    pub fn new(schema: &Schema, partition_by: &[String], limits: Limits) -> Result<Self> {
        let find = |name: &String| {
            let (index, field) =
                schema.column_with_name(name).ok_or_else(|| Error::bug(format!("the partition column `{name}` is not in the schema")))?;
            Ok(PartitionColumn { name: name.clone(), index, is_nullable: field.is_nullable() })
        };
        let columns: Vec<PartitionColumn> = partition_by.iter().map(find).collect::<Result<_>>()?;
        let data = (0..schema.fields().len()).filter(|index| columns.iter().all(|column| column.index != *index)).collect();
        Ok(Self { columns, data, limits })
    }

    /// The batch's rows by partition. Rows of one partition keep their order.
    pub fn split(&self, records: &RecordBatch) -> Result<Split> {
        let written: Vec<Written> = self.columns.iter().map(|column| Written::of(records.column(column.index))).collect::<Result<_>>()?;
        let texts: Vec<_> = written.iter().map(|column| column.texts.as_string::<i32>()).collect();
        let mut found: HashMap<Vec<Option<&str>>, Result<usize, RowReject>> = HashMap::new();
        let mut groups: Vec<(Key, Vec<u32>)> = Vec::new();
        let mut rejects = Vec::new();
        let mut key: Vec<Option<&str>> = Vec::with_capacity(texts.len());
        for row in 0..records.num_rows() {
            if let Some(column) = written.iter().position(|column| column.unwritable.binary_search(&row).is_ok()) {
                rejects.push(unwritable(row, &self.columns[column].name));
                continue;
            }
            key.clear();
            // An empty text is null to a Delta table, whatever the column's type.
            key.extend(texts.iter().map(|column| (!column.is_null(row)).then(|| column.value(row)).filter(|value| !value.is_empty())));
            match found.get(&key) {
                Some(Ok(group)) => groups[*group].1.push(row as u32),
                Some(Err(reject)) => rejects.push(RowReject { row: row as u32, ..reject.clone() }),
                None => {
                    let reject = self.reject(&key);
                    match &reject {
                        Some(reject) => rejects.push(RowReject { row: row as u32, ..reject.clone() }),
                        None => groups.push((key.iter().map(|value| value.map(str::to_owned)).collect(), vec![row as u32])),
                    }
                    found.insert(key.clone(), reject.map_or(Ok(groups.len().saturating_sub(1)), Err));
                }
            }
        }
        self.take(records, groups, rejects)
    }

    fn take(&self, records: &RecordBatch, groups: Vec<(Key, Vec<u32>)>, rejects: Vec<RowReject>) -> Result<Split> {
        let data = records.project(&self.data).map_err(|error| Error::bug(format!("columns can't be projected: {error}")))?;
        let mut partitions = Vec::with_capacity(groups.len());
        let mut order: Vec<u32> = Vec::with_capacity(data.num_rows());
        for (key, rows) in groups {
            let first = order.len();
            order.extend(rows);
            partitions.push((key, first..order.len()));
        }
        // All rows of a batch often lie in one partition: nothing needs to be copied then.
        let records = if partitions.len() == 1 && rejects.is_empty() {
            data
        } else {
            take_record_batch(&data, &UInt32Array::from(order)).map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?
        };
        Ok(Split { records, partitions, rejects })
    }

    /// Why rows of a partition can't be held, if they can't.
    fn reject(&self, key: &[Option<&str>]) -> Option<RowReject> {
        self.lacking(key).map(no_value).or_else(|| self.too_long(key))
    }

    fn too_long(&self, key: &[Option<&str>]) -> Option<RowReject> {
        let lengths = self.columns.iter().zip(key).map(|(column, value)| {
            let value = value.map_or(NO_VALUE.len(), |value| escape_path(value).len());
            (column.name.as_str(), escape_path(&column.name).len() + 1 + value)
        });
        let lengths: Vec<(&str, usize)> = lengths.collect();
        let (column, longest) = lengths.iter().max_by_key(|(_, length)| *length).copied()?;
        let path: usize = lengths.iter().map(|(_, length)| length + 1).sum();
        let Limits { name: most_name, path: most_path, place } = self.limits;
        let message = if longest > most_name {
            format!("the value names a folder, whose name would have {longest} bytes; {place} allows {most_name} bytes per name")
        } else if path > most_path {
            format!("the values name folders, whose path would have {path} bytes; {place} allows {most_path} bytes here")
        } else {
            return None;
        };
        Some(RowReject { row: 0, code: "partition-value-too-long".to_owned(), column: Some(column.to_owned()), message })
    }

    fn lacking(&self, key: &[Option<&str>]) -> Option<&str> {
        let lacking = self.columns.iter().zip(key).find(|(column, value)| value.is_none() && !column.is_nullable);
        lacking.map(|(column, _)| column.name.as_str())
    }

    /// The folder of a partition, relative to the table: `category=art/year=2022/`; empty without partition columns.
    pub fn folder(&self, key: &Key) -> String {
        let mut folder = String::new();
        for (column, value) in self.columns.iter().zip(key) {
            folder.push_str(&escape_path(&column.name));
            folder.push('=');
            folder.push_str(&value.as_deref().map_or_else(|| NO_VALUE.to_owned(), escape_path));
            folder.push('/');
        }
        folder
    }

    /// A partition as the table's log writes it.
    pub fn values(&self, key: &Key) -> serde_json::Map<String, Value> {
        let json = |value: &Option<String>| value.as_ref().map_or(Value::Null, |value| Value::String(value.clone()));
        self.columns.iter().zip(key).map(|(column, value)| (column.name.clone(), json(value))).collect()
    }
}

fn no_value(column: &str) -> RowReject {
    RowReject {
        row: 0,
        code: "no-partition-value".to_owned(),
        column: Some(column.to_owned()),
        message: "an empty text is null in a partition column, and this column must not be null".to_owned(),
    }
}

fn unwritable(row: usize, column: &str) -> RowReject {
    RowReject {
        row: row as u32,
        code: "value-out-of-range".to_owned(),
        column: Some(column.to_owned()),
        message: "the value lies outside of the calendar in which partition values are written".to_owned(),
    }
}

/// The values of a column as texts, in the form that Delta's protocol requires of partition values.
struct Written {
    texts: ArrayRef,
    /// The rows whose values can't be written, in order.
    unwritable: Vec<usize>,
}

impl Written {
    fn of(column: &ArrayRef) -> Result<Self> {
        Ok(match column.data_type() {
            DataType::Utf8 => Self { texts: Arc::clone(column), unwritable: Vec::new() },
            DataType::Boolean => Self::write(column.as_boolean().iter(), Scalar::Boolean),
            DataType::Int8 => Self::write(column.as_primitive::<Int8Type>().iter(), Scalar::Byte),
            DataType::Int16 => Self::write(column.as_primitive::<Int16Type>().iter(), Scalar::Short),
            DataType::Int32 => Self::write(column.as_primitive::<Int32Type>().iter(), Scalar::Integer),
            DataType::Int64 => Self::write(column.as_primitive::<Int64Type>().iter(), Scalar::Long),
            DataType::Float32 => Self::write(column.as_primitive::<Float32Type>().iter(), Scalar::Float),
            DataType::Float64 => Self::write(column.as_primitive::<Float64Type>().iter(), Scalar::Double),
            DataType::Date32 => Self::write(column.as_primitive::<Date32Type>().iter(), Scalar::Date),
            DataType::Timestamp(_, _) => Self::write(column.as_primitive::<TimestampMicrosecondType>().iter(), Scalar::Timestamp),
            DataType::Decimal128(precision, scale) => {
                let kind = u8::try_from(*scale).ok().and_then(|scale| DecimalType::try_new(*precision, scale).ok());
                let kind =
                    kind.ok_or_else(|| Error::bug(format!("{} is not a decimal that a table can hold", TypeName(column.data_type()))))?;
                let null = || Scalar::Null(DeltaType::Primitive(PrimitiveType::Decimal(kind)));
                let scalar = |bits: i128| DecimalData::try_new(bits, kind).map_or_else(|_| null(), Scalar::Decimal);
                Self::write(column.as_primitive::<Decimal128Type>().iter(), scalar)
            }
            other => return Err(Error::bug(format!("a column of type {} can't partition a table", TypeName(other)))),
        })
    }

    fn write<T: Copy + PartialEq>(values: impl Iterator<Item = Option<T>>, scalar: impl Fn(T) -> Scalar) -> Self {
        let (mut texts, mut unwritable) = (StringBuilder::new(), Vec::new());
        // Equal values often follow each other.
        let mut last: Option<(T, Option<String>)> = None;
        for (row, value) in values.enumerate() {
            let Some(value) = value else {
                texts.append_null();
                continue;
            };
            if last.as_ref().is_none_or(|(known, _)| *known != value) {
                last = Some((value, serialize_partition_value(&scalar(value)).ok().flatten()));
            }
            let text = last.as_ref().and_then(|(_, text)| text.as_deref());
            if text.is_none() {
                unwritable.push(row);
            }
            texts.append_option(text);
        }
        Self { texts: Arc::new(texts.finish()), unwritable }
    }
}

/// Escapes what a folder's name can't hold, as Hive does.
fn escape_path(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^<>|".contains(c) || c == '\u{7f}' {
            escaped.push_str(percent_encode_byte(c as u8));
        } else {
            escaped.push(c);
        }
    }
    // `.` and `..` are folders of another kind.
    if escaped.chars().all(|c| c == '.') { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Date32Array, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use arrow_schema::Field;

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
        let partitioner = Partitioner::new(&batch.schema(), &["category".into(), "day".into()], Limits::NONE).unwrap();
        let Split { records, partitions, rejects } = partitioner.split(&batch).unwrap();
        assert!(rejects.is_empty());
        let folders: Vec<String> = partitions.iter().map(|(key, _)| partitioner.folder(key)).collect();
        assert_eq!(
            folders,
            ["category=art/day=2022-01-08/", "category=__HIVE_DEFAULT_PARTITION__/day=2022-01-08/", "category=a%2Fb%3Dc/day=2022-01-08/"]
        );
        let numbers = records.column(0).as_primitive::<Int32Type>().values();
        let numbers: Vec<Vec<i32>> = partitions.iter().map(|(_, rows)| numbers[rows.clone()].to_vec()).collect();
        assert_eq!(numbers, [vec![0, 3], vec![1, 4], vec![2]]);
        assert_eq!(records.num_columns(), 1, "partition columns are in the log, not in the file");
        assert_eq!(serde_json::to_string(&partitioner.values(&partitions[1].0)).unwrap(), r#"{"category":null,"day":"2022-01-08"}"#);
    }

    #[test]
    fn a_row_without_a_value_that_must_be_there_is_rejected() {
        let batch = batch(false, vec![Some("art"), Some("")]);
        let partitioner = Partitioner::new(&batch.schema(), &["category".into()], Limits::NONE).unwrap();
        let Split { records, partitions, rejects } = partitioner.split(&batch).unwrap();
        assert_eq!((partitions.len(), records.num_rows()), (1, 1));
        assert_eq!((rejects.len(), rejects[0].row, rejects[0].code.as_str()), (1, 1, "no-partition-value"));
    }

    #[test]
    fn a_value_that_is_too_long_for_its_folder_costs_its_rows_only() {
        let (fits, long, both) = ("x".repeat(255 - "category=".len()), "x".repeat(256 - "category=".len()), "é/".repeat(40));
        let batch = batch(true, vec![Some("a"), Some(&long), Some(&fits), Some(&long), Some(&both)]);
        let split = |name: usize, path: usize| {
            let limits = Limits { name, path, place: "a test" };
            Partitioner::new(&batch.schema(), &["category".into(), "day".into()], limits).unwrap().split(&batch).unwrap()
        };
        let reported = |split: &Split| split.rejects.iter().map(|r| (r.row, r.code.clone(), r.column.clone().unwrap())).collect::<Vec<_>>();
        let too_long = |row: u32| (row, "partition-value-too-long".to_owned(), "category".to_owned());
        let by_name = split(255, usize::MAX);
        assert_eq!(reported(&by_name), [too_long(1), too_long(3)]);
        assert_eq!(by_name.records.column(0).as_primitive::<Int32Type>().values(), &[0, 2, 4]);
        assert!(by_name.rejects[0].message.contains("256 bytes"), "{:?}", by_name.rejects[0]);
        // `é/` takes two bytes and three; the folders of both columns count together.
        let longest = "category=".len() + 40 * 5 + 1 + "day=2022-01-08/".len();
        assert_eq!(reported(&split(usize::MAX, longest)), [too_long(1), too_long(2), too_long(3)]);
        assert_eq!(reported(&split(usize::MAX, longest - 1)), [too_long(1), too_long(2), too_long(3), too_long(4)]);
    }

    #[test]
    fn values_are_written_as_the_protocol_says() {
        let times = TimestampMicrosecondArray::from(vec![Some(1_657_153_121_000_001), Some(i64::MAX), None]).with_timezone("UTC");
        let floats = Float64Array::from(vec![1.0, f64::NEG_INFINITY, 1e10]);
        let days = Date32Array::from(vec![19_000, 0, i32::MAX]);
        let columns: [(&str, ArrayRef); 4] =
            [("n", Arc::new(Int32Array::from(vec![0, 1, 2]))), ("t", Arc::new(times)), ("f", Arc::new(floats)), ("d", Arc::new(days))];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let split = Partitioner::new(&batch.schema(), &["t".into(), "f".into(), "d".into()], Limits::NONE).unwrap().split(&batch).unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(split.partitions, [(vec![text("2022-07-07T00:18:41.000001Z"), text("1.0"), text("2022-01-08")], 0..1)]);
        let reported: Vec<_> = split.rejects.iter().map(|r| (r.row, r.code.as_str(), r.column.as_deref())).collect();
        assert_eq!(reported, [(1, "value-out-of-range", Some("t")), (2, "value-out-of-range", Some("d"))]);
    }

    #[test]
    fn no_value_escapes_the_table() {
        for name in ["..", ".", "../../etc", "/", "a\0b"] {
            let escaped = escape_path(name);
            assert!(!escaped.contains('/') && escaped != ".." && escaped != "." && !escaped.contains('\0'), "{escaped}");
        }
    }
}
