//! Collects the rows of an epoch.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};

use super::sealed::{CollectedRows, PartitionStarts};
use super::{DedupSpec, DedupStage};
use crate::operator::{Collected, Limits};
use crate::rows::{RowCollector, RowPlan, RowsWriter};
use crate::run::RunStore;
use crate::{Error, Result};

/// Where the rows of a batch come from: their order where event times are equal.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The source and its partition: equal texts for rows whose positions compare.
    pub partition: &'a str,
    /// The position of each row.
    pub positions: &'a [u64],
}

/// Collects the rows of one lane: the rows themselves as they come, and their places sorted by key.
pub struct DedupCollector {
    stage: Arc<DedupStage>,
    /// Tells its rows from those of other collectors.
    number: u32,
    places: RowCollector,
    rows: RowsWriter,
    partitions: PartitionStarts,
    limits: Limits,
    store: Arc<dyn RunStore>,
}

impl DedupCollector {
    /// A collector of a lane, which spills into `store`.
    pub fn new(stage: Arc<DedupStage>, limits: Limits, store: Arc<dyn RunStore>) -> Self {
        let (codec, schema, windows) = (stage.codec.clone(), Arc::clone(&stage.place_schema), stage.windows);
        let places = RowCollector::new(RowPlan { codec, schema, windows, limits, store: Arc::clone(&store) });
        let rows = RowsWriter::new(Arc::clone(&stage.input));
        Self { number: stage.number_of_collector(), stage, places, rows, partitions: PartitionStarts::default(), limits, store }
    }

    /// Begins an epoch: rows are late by this watermark until the next one.
    pub fn begin(&mut self, watermark: i64) {
        self.places.begin(watermark);
    }

    /// The bytes that it holds, without what lies in files.
    pub fn memory_bytes(&self) -> usize {
        self.places.memory_bytes() + self.rows.memory_bytes() + self.partitions.memory_bytes()
    }

    /// Takes a batch of the stage's input. A row without event time is refused.
    ///
    /// # Errors
    /// Rows can't be spilled.
    pub fn collect(&mut self, records: &RecordBatch, origin: Origin<'_>) -> Result<Collected> {
        let Origin { partition, positions } = origin;
        if records.num_rows() != positions.len() {
            return Err(Error::bug(format!("{} positions for {} rows", positions.len(), records.num_rows())));
        }
        let DedupSpec { keys, event_time, within } = &self.stage.spec;
        let is_late = |time: i64, watermark: i64| within.is_some_and(|within| time.saturating_add(within) <= watermark);
        let collected = self.places.sort(records, *event_time, is_late)?;
        let taken = self.places.taken(records)?;
        let rows = RecordBatch::try_new(Arc::clone(&self.stage.input), taken.columns().to_vec())
            .map_err(|error| Error::bug(format!("rows are not those of the stage: {error}")))?;
        let keys: Vec<ArrayRef> = keys.iter().map(|&column| Arc::clone(rows.column(column))).collect();
        let count = rows.num_rows();
        let first = self.rows.push(rows)?;
        if count > 0 {
            self.partitions.begin(first, partition);
        }
        let positions: UInt64Array = self.places.sorted.taken.iter().map(|&row| Some(positions[row as usize])).collect();
        let numbers = UInt64Array::from_iter_values(first..first + count as u64);
        let collectors = UInt32Array::from_value(self.number, count);
        let columns = vec![self.places.times(), Arc::new(positions), Arc::new(collectors), Arc::new(numbers)];
        self.places.add(&keys, columns)?;
        if self.memory_bytes() > self.limits.memory_bytes {
            self.places.spill_to_file()?;
            self.rows.move_to_file(&*self.store)?;
        }
        Ok(collected)
    }

    /// Ends the epoch: everything that was collected.
    ///
    /// # Errors
    /// A run can't be written.
    pub fn seal(&mut self) -> Result<CollectedRows> {
        if self.rows.memory_bytes() > self.limits.run_memory_bytes {
            self.rows.move_to_file(&*self.store)?;
        }
        let partitions = std::mem::take(&mut self.partitions);
        Ok(CollectedRows { places: self.places.seal()?, collector: self.number, rows: self.rows.finish()?, partitions })
    }
}
