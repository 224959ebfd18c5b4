//! Whole rows: the columns that are wanted out of those that there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::take;
use arrow_select::zip::zip;
use wasmill_error::{Error, Result};

use super::{Conversion, Misfits};
use crate::codes::{MISFIT, MISSING};
use crate::columns::BadRecord;
use crate::reading::without_reading;

/// How the rows of one file or table become those that are wanted: planned once, applied to each batch.
pub struct RowConversion {
    /// What comes out, without choices of reading.
    wanted: SchemaRef,
    columns: Vec<Planned>,
}

enum Planned {
    /// The file has no such column.
    Missing,
    Found(Conversion),
    /// The column holds times that were read twice: in microseconds, of which all years have some, and in nanoseconds.
    Twice {
        micros: Conversion,
        nanos: Conversion,
        beyond: Conversion,
    },
}

/// Rows in the wanted types.
pub struct Converted {
    /// Those that convert.
    pub records: RecordBatch,
    /// Which rows; `None` means all.
    pub keep: Option<Vec<u32>>,
    /// The others.
    pub bad: BTreeMap<u32, BadRecord>,
}

impl RowConversion {
    /// Plans the way from the columns that there are to those that are wanted; a column that is missing is null.
    ///
    /// # Errors
    /// Configuration: a type is not supported, a column is missing that may not be null, or all of them are.
    pub fn new(there: &Schema, wanted: &SchemaRef) -> Result<Self> {
        Self::reading_twice(there, wanted, &Schema::empty())
    }

    /// The same where the columns of `nanos` are read a second time, with their times in nanoseconds.
    pub fn reading_twice(there: &Schema, wanted: &SchemaRef, nanos: &Schema) -> Result<Self> {
        check_columns(wanted, there)?;
        let plan = |field: &Arc<Field>| -> Result<Planned> {
            let Ok(found) = there.field_with_name(field.name()) else { return Ok(Planned::Missing) };
            let conversion = Conversion::new(found.data_type(), field)?;
            let Ok(again) = nanos.field_with_name(field.name()) else { return Ok(Planned::Found(conversion)) };
            let beyond = Conversion::new(found.data_type(), &again.clone().with_nullable(true))?;
            Ok(Planned::Twice { micros: conversion, nanos: Conversion::new(again.data_type(), field)?, beyond })
        };
        let columns = wanted.fields().iter().map(plan).collect::<Result<_>>()?;
        Ok(Self { wanted: without_reading(wanted), columns })
    }

    /// Converts rows, and reports those that do not convert.
    pub fn convert(&self, rows: &RecordBatch) -> Result<Converted> {
        self.convert_twice(rows, None)
    }

    /// The same with what was read a second time.
    pub fn convert_twice(&self, rows: &RecordBatch, again: Option<&RecordBatch>) -> Result<Converted> {
        let mut bad: BTreeMap<u32, BadRecord> = BTreeMap::new();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (planned, field) in self.columns.iter().zip(self.wanted.fields()) {
            let (column, misfits) = match planned {
                Planned::Missing => (new_null_array(field.data_type(), rows.num_rows()), Vec::new()),
                Planned::Found(conversion) => conversion.apply(named(rows, field)?, None)?,
                Planned::Twice { micros, nanos, beyond } => {
                    let again = again.ok_or_else(|| Error::bug("times were to be read twice"))?;
                    let micros = Times { conversion: micros, column: named(rows, field)? };
                    one_of_both(micros, Times { conversion: nanos, column: named(again, field)? }, beyond)?
                }
            };
            for (row, misfit) in misfits {
                bad.entry(row as u32).or_insert_with(|| *misfit.within(field.name()));
            }
            columns.push(column);
        }
        let keep = (!bad.is_empty()).then(|| (0..rows.num_rows() as u32).filter(|row| !bad.contains_key(row)).collect::<Vec<_>>());
        if let Some(keep) = &keep {
            let indices = UInt32Array::from(keep.clone());
            let taken = columns.iter().map(|column| take(column, &indices, None));
            columns = taken.collect::<std::result::Result<_, _>>().map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?;
        }
        let count = keep.as_ref().map_or(rows.num_rows(), Vec::len);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.wanted), columns, &options)
            .map_err(|error| Error::bug(format!("converted columns do not fit into a batch: {error}")))?;
        Ok(Converted { records, keep, bad })
    }
}

fn named<'a>(rows: &'a RecordBatch, field: &Field) -> Result<&'a ArrayRef> {
    rows.column_by_name(field.name()).ok_or_else(|| Error::bug(format!("the column {} was not read", field.name())))
}

/// Times that were read in one unit, and how the wanted ones are built from them.
#[derive(Clone, Copy)]
struct Times<'a> {
    conversion: &'a Conversion,
    column: &'a ArrayRef,
}

impl Times<'_> {
    fn convert(self) -> Result<(ArrayRef, Misfits)> {
        self.conversion.apply(self.column, None)
    }
}

/// Rows with a time that nanoseconds can't hold come from the microseconds, all others keep their nanoseconds.
fn one_of_both(micros: Times<'_>, nanos: Times<'_>, beyond: &Conversion) -> Result<(ArrayRef, Misfits)> {
    let (_, outside) = beyond.apply(micros.column, None)?;
    let (exact, misfits) = nanos.convert()?;
    if outside.is_empty() {
        return Ok((exact, misfits));
    }
    let (wide, wide_misfits) = micros.convert()?;
    let mut is_outside = vec![false; wide.len()];
    outside.iter().for_each(|(row, _)| is_outside[*row] = true);
    let mut all: Misfits = misfits.into_iter().filter(|(row, _)| !is_outside[*row]).collect();
    all.extend(wide_misfits.into_iter().filter(|(row, _)| is_outside[*row]));
    all.sort_by_key(|(row, _)| *row);
    let both = zip(&BooleanArray::from(is_outside), &wide, &exact);
    Ok((both.map_err(|error| Error::bug(format!("times of both units do not fit together: {error}")))?, all))
}

/// Rows whose columns are those of a schema, in its order, but for the names and the nullability inside of nested types.
///
/// # Errors
/// Environment: a value does not fit after all.
pub fn with_types(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let typed = |(column, field): (&ArrayRef, &Arc<Field>)| -> Result<ArrayRef> {
        let (typed, misfits) = Conversion::new(column.data_type(), field)?.apply(column, None)?;
        match misfits.into_iter().next() {
            None => Ok(typed),
            Some((row, bad)) => Err(Error::environment(format!("row {row} of column {}: {}", field.name(), bad.message)).code(MISFIT)),
        }
    };
    let columns = rows.columns().iter().zip(schema.fields()).map(typed).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::environment(format!("its columns are others: {error}")).code(MISFIT).caused_by(error))
}

/// Before anything is read: every column is there or may be null, and not all are missing.
pub fn check_columns(wanted: &Schema, there: &Schema) -> Result<()> {
    for field in wanted.fields() {
        let is_there = |field: &Field| there.index_of(field.name()).is_ok();
        if is_there(field) || (field.is_nullable() && wanted.fields().iter().any(|field| is_there(field))) {
            continue;
        }
        let names: Vec<&str> = there.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::configuration(format!("there is no column {:?}; there are {}", field.name(), names.join(", "))).code(MISSING));
    }
    Ok(())
}
