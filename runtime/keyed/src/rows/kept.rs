//! Whole rows as an aggregate, so that runs of rows can be compacted.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;

use crate::{Accumulator, Aggregate, Error, Grouped, Result, RowReject};

/// The rows of a key, as many as there are: for [`compact`](crate::compact) of runs of rows.
#[derive(Debug, Clone)]
pub struct KeptRows {
    schema: SchemaRef,
}

impl KeptRows {
    /// Rows of a schema.
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }
}

impl Aggregate for KeptRows {
    fn state_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Rows { schema: SchemaRef::clone(&self.schema), batches: Vec::new(), rows: Vec::new() }))
    }
}

struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// Group, batch and row there.
    rows: Vec<(u32, usize, usize)>,
}

impl Accumulator for Rows {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        self.merge(rows, groups, count)?;
        Ok(Vec::new())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], _count: u32) -> Result<()> {
        let batch = self.batches.len();
        self.rows.extend(groups.iter().enumerate().map(|(row, &group)| (group, batch, row)));
        self.batches.push(states.clone());
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        let (batches, mut rows) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.rows));
        // Batches and rows come in the order of their runs, which is kept.
        rows.sort_unstable();
        let groups = rows.iter().map(|row| row.0).collect();
        let records = match rows.is_empty() {
            true => RecordBatch::new_empty(SchemaRef::clone(&self.schema)),
            false => {
                let indices: Vec<(usize, usize)> = rows.iter().map(|row| (row.1, row.2)).collect();
                let references: Vec<&RecordBatch> = batches.iter().collect();
                interleave_record_batch(&references, &indices).map_err(|error| Error::bug(format!("rows can't be gathered: {error}")))?
            }
        };
        Ok(Grouped { records, groups: Some(groups) })
    }

    fn finish(&mut self) -> Result<Grouped> {
        self.take_state()
    }

    fn memory_bytes(&self) -> usize {
        let batches: usize = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        batches + self.rows.capacity() * size_of::<(u32, usize, usize)>()
    }
}
