//! Puts decoded columns, source columns and lineage together.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use wasmill_engine::{Batch, Error, Lineage, OriginalRecord, Payload, Reject, Result, SourceChunk};

use crate::files::source::{PATH_COLUMN, POSITION_COLUMN};
use crate::formats::BadRecord;

/// Makes batches of a source's schema for one file.
pub struct Assembler {
    source: Arc<str>,
    partition: Arc<str>,
    schema: SchemaRef,
    columns: Vec<From>,
}

/// Where a column of the batch comes from.
enum From {
    /// Column `i` of what is decoded.
    Decoded(usize),
    Path,
    Position,
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
        Self { source, partition, schema, columns }
    }

    /// The columns that are decoded: all but the reserved ones.
    pub fn decoded_schema(&self) -> SchemaRef {
        let fields: Vec<_> = self
            .schema
            .fields()
            .iter()
            .zip(&self.columns)
            .filter(|(_, from)| matches!(from, From::Decoded(_)))
            .map(|(field, _)| field.clone())
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// The batch of rows decoded from the records of `payload`: one for one, or from those that `keep` names.
    pub fn batch(&self, decoded: &RecordBatch, payload: Payload, keep: Option<&[u32]>) -> Result<Batch> {
        let rows = decoded.num_rows();
        let records = keep.map_or(payload.len(), <[u32]>::len);
        if records != rows {
            return Err(Error::bug(format!("{rows} rows were decoded from {records} records")));
        }
        let position = |row: usize| payload.position(keep.map_or(row, |keep| keep[row] as usize)).cast_signed();
        let columns = self.columns.iter().map(|from| -> ArrayRef {
            match from {
                From::Decoded(index) => decoded.column(*index).clone(),
                From::Path => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&*self.partition, rows))),
                From::Position => Arc::new(Int64Array::from_iter_values((0..rows).map(position))),
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let records = RecordBatch::try_new_with_options(self.schema.clone(), columns.collect(), &options)
            .map_err(|error| Error::bug(format!("decoded columns do not make a batch: {error}")).caused_by(error))?;
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
