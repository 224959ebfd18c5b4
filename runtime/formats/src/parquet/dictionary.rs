//! Which columns of a Parquet file get a dictionary, decided by its first rows.

use std::collections::HashSet;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, downcast_primitive_array};
use arrow_buffer::ToByteSlice;
use arrow_schema::DataType;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

/// A column is judged by at least this many values.
pub const LEAST_VALUES: usize = 1024;
/// The most rows that are examined.
const MAX_ROWS: usize = 4096;

/// The properties of a writer whose first rows are these: columns whose values hardly repeat get no dictionary. The writer would build one, and
/// give it up when it has grown to a mebibyte.
///
/// A column hardly repeats if nine tenths of the values are distinct. By the birthday problem it then has at least some 20,000 values, which
/// is about what a row group holds.
pub fn fit_dictionaries(properties: WriterProperties, first: &RecordBatch) -> WriterProperties {
    let sample = first.slice(0, first.num_rows().min(MAX_ROWS));
    let mut builder = properties.into_builder();
    for (field, column) in sample.schema_ref().fields().iter().zip(sample.columns()) {
        if hardly_repeats(column.as_ref()) {
            builder = builder.set_column_dictionary_enabled(ColumnPath::new(vec![field.name().clone()]), false);
        }
    }
    builder.build()
}

fn hardly_repeats(column: &dyn Array) -> bool {
    let values = column.len() - column.null_count();
    values >= LEAST_VALUES && distinct(column).is_some_and(|distinct| distinct * 10 >= values * 9)
}

/// How many values differ; `None` for types that are not judged.
fn distinct(column: &dyn Array) -> Option<usize> {
    fn count<T: Eq + Hash>(values: impl Iterator<Item = Option<T>>) -> Option<usize> {
        Some(values.flatten().collect::<HashSet<T>>().len())
    }
    downcast_primitive_array! {
        column => count(column.iter().map(|value| value.map(|value| value.to_byte_slice().to_vec()))),
        DataType::Utf8 => count(column.as_string::<i32>().iter().map(|value| value.map(str::as_bytes))),
        DataType::LargeUtf8 => count(column.as_string::<i64>().iter().map(|value| value.map(str::as_bytes))),
        DataType::Binary => count(column.as_binary::<i32>().iter()),
        DataType::LargeBinary => count(column.as_binary::<i64>().iter()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn has_dictionary(column: ArrayRef) -> bool {
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        fit_dictionaries(WriterProperties::default(), &batch).dictionary_enabled(&ColumnPath::new(vec!["a".to_owned()]))
    }

    fn texts(rows: usize, distinct: usize) -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("text {}", row % distinct))))
    }

    #[test]
    fn columns_whose_values_repeat_have_a_dictionary() {
        assert!(has_dictionary(texts(8192, 100)));
        assert!(has_dictionary(texts(4096, 3000)));
        assert!(has_dictionary(Arc::new(Int64Array::from_iter_values((0..4096).map(|row| row % 7)))));
    }

    #[test]
    fn columns_whose_values_hardly_repeat_have_none() {
        assert!(!has_dictionary(texts(4096, 4096)));
        assert!(!has_dictionary(texts(1024, 1000)));
        assert!(!has_dictionary(Arc::new(Int64Array::from_iter_values(0..4096))));
    }

    #[test]
    fn nulls_are_no_values_and_a_few_values_say_nothing() {
        let mostly_null = StringArray::from_iter((0..4096).map(|row| (row % 8 == 0).then(|| row.to_string())));
        assert!(has_dictionary(Arc::new(mostly_null)), "512 values are too few");
        assert!(has_dictionary(texts(1000, 1000)));
    }
}
