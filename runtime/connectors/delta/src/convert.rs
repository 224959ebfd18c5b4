//! Turns batches into the table's own types, and finds the rows whose values the table can't hold.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, SchemaRef};
use arrow_select::filter::filter_record_batch;
use wasmill_engine::{Error, Result, RowReject};

/// A batch in the table's types, and the rows that do not fit, in order.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) records: RecordBatch,
    pub(crate) rejects: Vec<RowReject>,
}

/// Casts a batch into the table's types, without the rows that do not fit.
pub(crate) fn convert(records: &RecordBatch, target: &SchemaRef) -> Result<Converted> {
    if records.num_columns() != target.fields().len() {
        return Err(Error::bug(format!("a batch of {} columns came to a table of {}", records.num_columns(), target.fields().len())));
    }
    let columns: Option<Vec<ArrayRef>> =
        records.columns().iter().zip(target.fields()).map(|(column, field)| cast(column, field.data_type()).ok()).collect();
    if let Some(columns) = columns {
        return Ok(Converted { records: assemble(target, columns)?, rejects: Vec::new() });
    }
    let rejects = find_rejects(records, target);
    let keep: BooleanArray = kept_rows(records.num_rows(), &rejects);
    let kept = filter_record_batch(records, &keep).map_err(|error| Error::bug(format!("rows can't be filtered: {error}")))?;
    let columns: Result<Vec<ArrayRef>> = kept
        .columns()
        .iter()
        .zip(target.fields())
        .map(|(column, field)| {
            cast(column, field.data_type())
                .map_err(|error| Error::bug(format!("`{}` does not convert without its bad rows: {error}", field.name())))
        })
        .collect();
    Ok(Converted { records: assemble(target, columns?)?, rejects })
}

/// The batch under the table's schema. Only names and nullability inside of nested types can still differ.
fn assemble(target: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(target), columns)
        .map_err(|error| Error::bug(format!("a converted batch does not fit its table: {error}")))
}

fn cast(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, arrow_schema::ArrowError> {
    if column.data_type() == target {
        return Ok(Arc::clone(column));
    }
    // Never null what does not fit: that would silently lose a value.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, target, &options)
}

fn kept_rows(rows: usize, rejects: &[RowReject]) -> BooleanArray {
    let mut keep = vec![true; rows];
    for reject in rejects {
        keep[reject.row as usize] = false;
    }
    BooleanArray::from(keep)
}

/// The rows that the table can't represent, each with the first column to blame.
fn find_rejects(records: &RecordBatch, target: &SchemaRef) -> Vec<RowReject> {
    let mut rejects: Vec<Option<RowReject>> = vec![None; records.num_rows()];
    for (column, field) in records.columns().iter().zip(target.fields()) {
        blame(column, field, 0, &mut rejects);
    }
    rejects.into_iter().flatten().collect()
}

/// Halves a column until the rows that do not convert are isolated: each of them takes a
/// logarithmic number of steps.
fn blame(column: &ArrayRef, field: &Field, offset: usize, rejects: &mut [Option<RowReject>]) {
    let Err(error) = cast(column, field.data_type()) else { return };
    let rows = column.len();
    if rows > 1 {
        let half = rows / 2;
        blame(&column.slice(0, half), field, offset, rejects);
        blame(&column.slice(half, rows - half), field, offset + half, rejects);
    } else if let Some(slot @ None) = rejects.get_mut(offset) {
        *slot = Some(RowReject {
            row: offset as u32,
            code: "value-out-of-range".to_owned(),
            column: Some(field.name().clone()),
            message: format!("the table's type can't hold it: {error}"),
        });
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{TimestampMicrosecondType, UInt64Type};
    use arrow_array::{Int32Array, ListArray, PrimitiveArray, TimestampSecondArray};
    use arrow_schema::Schema;

    use super::super::schema::TableSchema;
    use super::*;

    fn converted(columns: Vec<(&str, ArrayRef)>) -> Converted {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let target = TableSchema::new(&batch.schema(), &[]).unwrap().arrow;
        convert(&batch, &target).unwrap()
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let Converted { records: batch, rejects } = converted(vec![("t", Arc::new(TimestampSecondArray::from(vec![Some(1), None])))]);
        assert!(rejects.is_empty());
        assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), 1_000_000);
        assert!(batch.column(0).is_null(1));
    }

    #[test]
    fn a_value_beyond_the_tables_range_costs_its_row_only() {
        let times = TimestampSecondArray::from(vec![Some(1), Some(i64::MAX), None, Some(i64::MIN), Some(2)]);
        let Converted { records: batch, rejects } =
            converted(vec![("n", Arc::new(Int32Array::from(vec![0, 1, 2, 3, 4]))), ("t", Arc::new(times))]);
        assert_eq!(batch.column(0).as_ref(), &Int32Array::from(vec![0, 2, 4]) as &dyn Array);
        let reported: Vec<(u32, &str, Option<&str>)> = rejects.iter().map(|r| (r.row, r.code.as_str(), r.column.as_deref())).collect();
        assert_eq!(reported, [(1, "value-out-of-range", Some("t")), (3, "value-out-of-range", Some("t"))]);
    }

    #[test]
    fn large_unsigned_numbers_keep_their_value() {
        let Converted { records: batch, .. } = converted(vec![("n", Arc::new(PrimitiveArray::<UInt64Type>::from(vec![u64::MAX])))]);
        assert_eq!(batch.column(0).as_primitive::<arrow_array::types::Decimal128Type>().value(0), i128::from(u64::MAX));
    }

    #[test]
    fn the_inside_of_lists_gets_the_tables_names() {
        let list = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>([Some([Some(1)])]);
        let Converted { records: batch, .. } = converted(vec![("l", Arc::new(list))]);
        assert!(format!("{:?}", batch.schema()).contains("element"));
        assert_eq!(Schema::new(batch.schema().fields().clone()).fields().len(), 1);
    }
}
