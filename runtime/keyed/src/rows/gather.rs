//! Gathers rows of many batches into one.

use std::any::Any;
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
    /// Batches by the address of their owner.
    known: HashMap<usize, u32>,
    /// The one that was asked for last: most rows are of the same batch as the one before.
    last: Option<(usize, u32)>,
    /// Kept, so that an address stays that of one owner.
    owners: Vec<Arc<dyn Any + Send + Sync>>,
    /// `None`: a row of nulls.
    rows: Vec<Option<RowRef>>,
}

impl Gather {
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), known: HashMap::new(), last: None, owners: Vec::new(), rows: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of an owner's batch until [`take`](Self::take).
    pub fn batch_of<T: Any + Send + Sync>(&mut self, owner: &Arc<T>, batch: &RecordBatch) -> u32 {
        let Self { batches, known, owners, last, .. } = self;
        let address = Arc::as_ptr(owner) as usize;
        if let Some((_, number)) = last.filter(|(known, _)| *known == address) {
            return number;
        }
        let number = *known.entry(address).or_insert_with(|| {
            owners.push(Arc::clone(owner) as Arc<dyn Any + Send + Sync>);
            batches.push(batch.clone());
            batches.len() as u32 - 1
        });
        *last = Some((address, number));
        number
    }

    pub fn push(&mut self, row: Option<RowRef>) {
        self.rows.push(row);
    }

    /// The rows in the order in which they were pushed, and forgets them and their batches.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let (batches, rows) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.rows));
        self.known.clear();
        self.last = None;
        self.owners.clear();
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
