//! The columns by which an upsert replaces rows: which may be a key, and the rows that lack one.

use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::filter::filter_record_batch;
use wasmill_engine::{Error, Result, RowReject};
use wasmill_formats::TypeName;

use super::config::WriteMode;
use super::schema::TableSchema;
use crate::codes::KEY;

/// What is wrong with a key, apart from any schema.
pub(crate) fn check(write: WriteMode, key: &[String]) -> Result<()> {
    if write == WriteMode::Upsert && key.is_empty() {
        return Err(Error::configuration("`write: upsert` needs a `key`")
            .code(KEY)
            .key(["write"])
            .hint("name the columns that identify a row: `key: [id]`"));
    }
    if let (Some(column), false) = (key.first(), write == WriteMode::Upsert) {
        return Err(Error::configuration(format!("`key: [{column}]` is only for `write: upsert`"))
            .code(KEY)
            .key(["key"])
            .hint("replace rows by it with `write: upsert`, or remove `key`"));
    }
    match key.iter().enumerate().find(|(index, column)| key[..*index].contains(column)) {
        Some((_, column)) => Err(Error::configuration(format!("`key` names the column `{column}` twice")).code(KEY).key(["key"])),
        None => Ok(()),
    }
}

/// The columns of a table that a pipeline writes with this key: those of the key are never null.
///
/// # Errors
/// Configuration: no Delta table can hold the columns, or they can't be the key.
pub(crate) fn table_schema(schema: &Schema, partition_by: &[String], key: &[String]) -> Result<TableSchema> {
    if let Some(missing) = key.iter().find(|column| schema.field_with_name(column).is_err()) {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::configuration(format!("`key: {missing}`: there is no such column"))
            .code(KEY)
            .key(["key"])
            .hint(format!("the sink gets: {}", names.join(", "))));
    }
    let required = |field: &Arc<Field>| match key.contains(field.name()) {
        true => Arc::new(field.as_ref().clone().with_nullable(false)),
        false => Arc::clone(field),
    };
    let required = Schema::new(schema.fields().iter().map(required).collect::<Vec<_>>());
    let table = TableSchema::new(&required, partition_by)?;
    for field in table.arrow.fields().iter().filter(|field| key.contains(field.name())) {
        let data_type = field.data_type();
        if data_type.is_nested() || matches!(data_type, DataType::Float32 | DataType::Float64) {
            let (name, why) =
                (field.name(), if data_type.is_nested() { "it has parts" } else { "equal numbers may differ in their last digits" });
            return Err(Error::configuration(format!("`key: {name}`: the column is {} and unsuitable as a key", TypeName(data_type)))
                .code(KEY)
                .key(["key"])
                .hint(format!("{why}; name columns of text, whole numbers, decimals, booleans, dates, timestamps or binary")));
        }
    }
    Ok(table)
}

/// A batch without the rows that have a null in a column of the key, and these.
pub(crate) struct Keyed {
    pub(crate) records: RecordBatch,
    pub(crate) rejects: Vec<RowReject>,
}

/// Takes out the rows with a null in one of these columns of a batch.
pub(crate) fn without_nulls(records: &RecordBatch, columns: &[usize]) -> Result<Keyed> {
    let nulls: Vec<(usize, NullBuffer)> = columns
        .iter()
        .filter_map(|&index| Some((index, records.column(index).logical_nulls()?)))
        .filter(|(_, nulls)| nulls.null_count() > 0)
        .collect();
    if nulls.is_empty() {
        return Ok(Keyed { records: records.clone(), rejects: Vec::new() });
    }
    let (mut keep, mut rejects) = (vec![true; records.num_rows()], Vec::new());
    for (row, keep) in keep.iter_mut().enumerate() {
        if let Some((index, _)) = nulls.iter().find(|(_, nulls)| nulls.is_null(row)) {
            *keep = false;
            rejects.push(RowReject {
                row: row as u32,
                code: "null-value".to_owned(),
                column: Some(records.schema_ref().field(*index).name().clone()),
                message: "the value is null, and the column is part of the key".to_owned(),
            });
        }
    }
    let records =
        filter_record_batch(records, &BooleanArray::from(keep)).map_err(|error| Error::bug(format!("rows can't be filtered: {error}")))?;
    Ok(Keyed { records, rejects })
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_key_is_never_null_in_the_table() {
        let columns = schema(&[("id", DataType::UInt64), ("day", DataType::Date32), ("text", DataType::Utf8)]);
        let table = table_schema(&columns, &["day".into()], &["day".into(), "id".into()]).unwrap();
        let nullable: Vec<bool> = table.arrow.fields().iter().map(|field| field.is_nullable()).collect();
        assert_eq!(nullable, [false, false, true]);
    }

    #[test]
    fn what_can_be_no_key_is_refused_with_its_name() {
        let list = DataType::new_list(DataType::Int64, true);
        let inner = DataType::Struct(vec![Field::new("x", DataType::Int64, true)].into());
        let columns = schema(&[("f", DataType::Float64), ("h", DataType::Float16), ("l", list), ("s", inner), ("id", DataType::Int64)]);
        for (column, why) in [("f", "float64"), ("h", "float32"), ("l", "list"), ("s", "struct"), ("other", "no such column")] {
            let error = table_schema(&columns, &[], &["id".into(), column.into()]).unwrap_err();
            assert!(error.message().contains(&format!("`key: {column}`")) && error.message().contains(why), "{error}");
            assert_eq!(error.class(), wasmill_engine::Class::Configuration);
        }
    }

    #[test]
    fn rows_without_a_key_are_rejected_one_by_one() {
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(Int64Array::from(vec![Some(1), None, Some(3), None]))),
            ("n", Arc::new(Int64Array::from(vec![None, Some(1), None, None]))),
            ("part", Arc::new(StringArray::from(vec![Some("a"), None, None, Some("d")]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let Keyed { records, rejects } = without_nulls(&batch, &[0, 2]).unwrap();
        let reported: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref())).collect();
        assert_eq!(reported, [(1, "null-value", Some("id")), (2, "null-value", Some("part")), (3, "null-value", Some("id"))]);
        assert_eq!(records.num_rows(), 1);
        assert_eq!(without_nulls(&batch, &[]).unwrap().records.num_rows(), 4);
    }
}
