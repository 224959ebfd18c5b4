//! Gathers rows of many batches into one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave;

use crate::{Error, Result};

/// A row of a batch that a [`Gather`] knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowRef {
    pub batch: u32,
    pub row: u32,
}

/// Collects references to rows, and copies all of them at once.
pub(crate) struct Gather {
    /// The columns that are gathered: the first ones of the batches.
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// Batches by the address of their rows' owner.
    known: HashMap<usize, u32>,
    /// `None`: a row of nulls.
    rows: Vec<Option<RowRef>>,
}

impl Gather {
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), known: HashMap::new(), rows: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// A batch whose rows can be referred to until [`take`](Self::take).
    pub fn add(&mut self, batch: &RecordBatch) -> u32 {
        self.batches.push(batch.clone());
        self.batches.len() as u32 - 1
    }

    /// Like [`add`](Self::add), of a batch that has an owner with a stable address, which is added once.
    pub fn add_of<T>(&mut self, owner: &Arc<T>, batch: &RecordBatch) -> u32 {
        let address = Arc::as_ptr(owner) as usize;
        if let Some(&known) = self.known.get(&address) {
            return known;
        }
        let number = self.add(batch);
        self.known.insert(address, number);
        number
    }

    pub fn push(&mut self, row: Option<RowRef>) {
        self.rows.push(row);
    }

    /// The rows, and forgets them and their batches.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let (batches, rows) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.rows));
        self.known.clear();
        let indices: Vec<(usize, usize)> =
            rows.iter().map(|row| row.map_or((0, 0), |row| (row.batch as usize + 1, row.row as usize))).collect();
        let has_nulls = rows.iter().any(Option::is_none);
        let columns = self.schema.fields().iter().enumerate().map(|(number, field)| {
            let nulls: ArrayRef = new_null_array(field.data_type(), usize::from(has_nulls));
            let mut arrays: Vec<&dyn arrow_array::Array> = vec![&nulls];
            arrays.extend(batches.iter().map(|batch| batch.column(number).as_ref() as &dyn arrow_array::Array));
            interleave(&arrays, &indices)
        });
        let wrong = |error: arrow_schema::ArrowError| Error::bug(format!("rows can't be gathered: {error}"));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(wrong)
    }
}
