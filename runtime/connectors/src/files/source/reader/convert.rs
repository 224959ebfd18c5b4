//! Columns that were read become the columns that are wanted; rows with values that do not convert are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use wasmill_engine::{Error, Result};

use crate::formats::BadRecord;

fn failed(path: &str, error: ArrowError) -> Error {
    Error::environment(format!("cannot convert the rows of {path}: {error}")).caused_by(error)
}

/// The rows with the columns and types that are wanted, and those rows that have a value which does not convert.
pub(crate) fn convert(rows: &RecordBatch, wanted: &SchemaRef, path: &str) -> Result<Converted> {
    let mut bad: BTreeMap<u32, BadRecord> = BTreeMap::new();
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let Some(found) = rows.column_by_name(field.name()) else {
            columns.push(new_null_array(field.data_type(), rows.num_rows()));
            continue;
        };
        let column = match found.data_type() == field.data_type() {
            true => found.clone(),
            // What does not convert becomes null.
            false => {
                arrow_cast::cast(found, field.data_type()).map_err(|error| failed(path, error).at(format!("column {}", field.name())))?
            }
        };
        if column.null_count() > found.null_count() || (!field.is_nullable() && column.null_count() > 0) {
            for row in (0..rows.num_rows()).filter(|&row| column.is_null(row)) {
                let (code, what) = match found.is_null(row) {
                    true if field.is_nullable() => continue,
                    true => ("null-value", "a null where"),
                    false => ("bad-value", "a value that does not convert where"),
                };
                let message = format!("{what} {} is needed", field.data_type());
                bad.entry(row as u32).or_insert(BadRecord { code, column: Some(field.name().clone()), message });
            }
        }
        columns.push(column);
    }
    let keep = (!bad.is_empty()).then(|| (0..rows.num_rows() as u32).filter(|row| !bad.contains_key(row)).collect::<Vec<_>>());
    if let Some(keep) = &keep {
        let indices = UInt32Array::from(keep.clone());
        let taken = columns.iter().map(|column| arrow_select::take::take(column, &indices, None));
        columns = taken.collect::<std::result::Result<_, _>>().map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?;
    }
    let count = keep.as_ref().map_or(rows.num_rows(), Vec::len);
    let records = RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &RecordBatchOptions::new().with_row_count(Some(count)))
        .map_err(|error| Error::bug(format!("converted columns do not make a batch: {error}")))?;
    Ok(Converted { records, keep, bad })
}

/// Rows in the wanted types.
pub(crate) struct Converted {
    /// Those that convert.
    pub(crate) records: RecordBatch,
    /// Which ones they are; `None`: all.
    pub(crate) keep: Option<Vec<u32>>,
    /// The others.
    pub(crate) bad: BTreeMap<u32, BadRecord>,
}

/// Before anything is read: every column is there or may be null, and converts.
pub(crate) fn check_columns(wanted: &Schema, there: &Schema) -> Result<()> {
    for field in wanted.fields() {
        let Ok(found) = there.field_with_name(field.name()) else {
            if field.is_nullable() && wanted.fields().iter().any(|field| there.index_of(field.name()).is_ok()) {
                continue;
            }
            let names: Vec<&str> = there.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(Error::configuration(format!("there is no column {:?}; there are {}", field.name(), names.join(", "))));
        };
        if found.data_type() != field.data_type() && !arrow_cast::can_cast_types(found.data_type(), field.data_type()) {
            return Err(Error::configuration(format!(
                "column {} is {} and can't become {}",
                field.name(),
                found.data_type(),
                field.data_type()
            )));
        }
    }
    Ok(())
}
