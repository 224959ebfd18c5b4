//! Puts decoded columns, source columns and lineage together.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, Scalar, StringArray, UInt32Array};
use arrow_schema::{ArrowError, FieldRef, Schema, SchemaRef};
use arrow_select::take::take;
use arrow_select::zip::zip;
use bytes::Bytes;
use wasmill_engine::{Batch, Error, Lineage, OriginalRecord, Payload, Reject, Result, SourceChunk};

use crate::{PATH_COLUMN, POSITION_COLUMN, folders};
use wasmill_formats::BadRecord;
use wasmill_formats::reading::without_reading;

/// Builds batches of a source's schema for one file.
pub struct Assembler {
    source: Arc<str>,
    partition: Arc<str>,
    schema: SchemaRef,
    /// The same as it comes out: without choices of reading.
    given: SchemaRef,
    columns: Vec<From>,
}

/// The column with a value in place of nulls.
fn filled(column: &ArrayRef, value: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Ok(Arc::clone(column)),
        Some(nulls) => zip(&BooleanArray::new(nulls.inner().clone(), None), column, &Scalar::new(Arc::clone(value))),
    }
}

/// Where a column of the batch comes from.
enum From {
    /// Column `i` of what is decoded.
    Decoded(usize),
    Path,
    Position,
    /// The value in the name of a folder.
    Folder(ArrayRef),
    /// Column `i` of the decoded columns, with the value in the name of a folder where a record has
    /// none.
    DecodedOr(usize, ArrayRef),
}

impl Assembler {
    /// For batches of `schema` from the file named `partition`.
    pub fn new(source: Arc<str>, partition: Arc<str>, schema: SchemaRef) -> Self {
        let mut decoded = 0;
        let columns = schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                PATH_COLUMN => From::Path,
                POSITION_COLUMN => From::Position,
                _ => {
                    decoded += 1;
                    From::Decoded(decoded - 1)
                }
            })
            .collect();
        Self { source, partition, given: without_reading(&schema), schema, columns }
    }

    /// With the columns in the names of the file's folders, as far as the file has none of that
    /// name. Where only its records decide (`has` is `None`), as far as a record has none.
    ///
    /// # Errors
    /// Environment: a value in a folder's name does not fit its column.
    pub fn with_folders(mut self, path: &Path, has: Option<&dyn Fn(&str) -> bool>) -> Result<Self> {
        let mut decoded = 0;
        for (field, from) in self.schema.fields().iter().zip(&mut self.columns) {
            if !matches!(from, From::Decoded(_)) {
                continue;
            }
            let value = match has {
                Some(has) if has(field.name()) => None,
                _ => folders::value_of(path, field)?,
            };
            *from = match (value, has) {
                (Some(value), Some(_)) => From::Folder(value),
                (Some(value), None) => From::DecodedOr(decoded, value),
                (None, _) => From::Decoded(decoded),
            };
            decoded += usize::from(!matches!(from, From::Folder(_)));
        }
        Ok(self)
    }

    /// The columns that are decoded, with how they are read: neither the reserved ones nor those of folders.
    pub fn decoded_schema(&self) -> SchemaRef {
        let of = |(field, from): (&FieldRef, &From)| match from {
            From::Decoded(_) => Some(Arc::clone(field)),
            From::DecodedOr(..) => Some(Arc::new(field.as_ref().clone().with_nullable(true))),
            From::Path | From::Position | From::Folder(_) => None,
        };
        Arc::new(Schema::new(self.schema.fields().iter().zip(&self.columns).filter_map(of).collect::<Vec<_>>()))
    }

    /// The batch of rows decoded from the records of `payload`: one for one, or from those that `keep` names.
    pub fn batch(&self, decoded: &RecordBatch, payload: Payload, keep: Option<&[u32]>) -> Result<Batch> {
        let rows = decoded.num_rows();
        let records = keep.map_or(payload.len(), <[u32]>::len);
        if records != rows {
            return Err(Error::bug(format!("{rows} rows were decoded from {records} records")));
        }
        let position = |row: usize| payload.position(keep.map_or(row, |keep| keep[row] as usize)).cast_signed();
        let unfit = |error| Error::bug(format!("the column of a folder can't be built: {error}"));
        let column = |from: &From| -> Result<ArrayRef> {
            Ok(match from {
                From::Decoded(index) => decoded.column(*index).clone(),
                From::Path => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&*self.partition, rows))),
                From::Position => Arc::new(Int64Array::from_iter_values((0..rows).map(position))),
                From::Folder(value) => take(value, &UInt32Array::from(vec![0; rows]), None).map_err(unfit)?,
                From::DecodedOr(index, value) => filled(decoded.column(*index), value).map_err(unfit)?,
            })
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let records = RecordBatch::try_new_with_options(self.given.clone(), columns, &options)
            .map_err(|error| Error::bug(format!("decoded columns do not fit into a batch: {error}")).caused_by(error))?;
        let chunk = SourceChunk { source: self.source.clone(), partition: self.partition.clone(), payload };
        Ok(Batch { records, lineage: Lineage::of_source(Arc::new(chunk)).through(keep) })
    }

    /// A record that could not be decoded.
    pub fn reject(&self, bad: BadRecord, position: u64, record: OriginalRecord) -> Reject {
        Reject {
            source: self.source.clone(),
            partition: self.partition.clone(),
            position,
            record,
            stage: None,
            plugin: None,
            code: bad.code.to_owned(),
            column: bad.column,
            message: bad.message,
        }
    }

    /// A record of a window that could not be decoded; its bytes are shared.
    pub fn reject_bytes(&self, bad: BadRecord, base: u64, data: &Bytes, range: Range<usize>) -> Reject {
        self.reject(bad, base + range.start as u64, OriginalRecord::Bytes(data.slice(range)))
    }
}
