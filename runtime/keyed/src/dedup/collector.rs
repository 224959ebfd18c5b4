//! Collects the rows of an epoch.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_select::take::take_record_batch;

use super::DedupStage;
use crate::groups::Panes as RowPanes;
use crate::operator::{Collected, Limits, Panes, Sorted};
use crate::rows::RowCollector;
use crate::run::{Run, RunStore, RunWriter};
use crate::windows::{BEGINNING, event_times};
use crate::{Error, Result};

/// Where the rows of a batch come from: their order where event times are equal.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The source and its partition: equal texts for rows whose positions compare.
    pub partition: &'a str,
    /// The position of each row.
    pub positions: &'a [u64],
}

/// Collects the rows of one lane.
pub struct DedupCollector {
    stage: Arc<DedupStage>,
    limits: Limits,
    store: Arc<dyn RunStore>,
    rows: RowCollector,
    panes: Panes,
    watermark: i64,
    spilled: Vec<Arc<Run>>,
    times: Vec<i64>,
    sorted: Sorted,
}

impl DedupCollector {
    /// A collector of a lane, which spills into `store`.
    pub fn new(stage: Arc<DedupStage>, limits: Limits, store: Arc<dyn RunStore>) -> Self {
        let rows = RowCollector::new(stage.codec.clone());
        let panes = Panes::new(stage.windows, BEGINNING);
        Self { stage, limits, store, rows, panes, watermark: BEGINNING, spilled: Vec::new(), times: Vec::new(), sorted: Sorted::default() }
    }

    /// Begins an epoch: rows are late by this watermark until the next one.
    pub fn begin(&mut self, watermark: i64) {
        self.watermark = watermark;
        self.panes = Panes::new(self.stage.windows, watermark);
    }

    /// The bytes that it holds, without runs.
    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.panes.memory_bytes()
    }

    /// Takes a batch of the stage's input. A row without event time is refused.
    ///
    /// # Errors
    /// A run can't be spilled.
    pub fn collect(&mut self, records: &RecordBatch, origin: Origin<'_>) -> Result<Collected> {
        let mut collected = Collected::default();
        if records.num_rows() != origin.positions.len() {
            return Err(Error::bug(format!("{} positions for {} rows", origin.positions.len(), records.num_rows())));
        }
        match self.stage.spec.event_time {
            None => {
                self.times.clear();
                self.times.resize(records.num_rows(), 0);
                self.panes.sort(&self.times, None, &mut self.sorted);
            }
            Some(column) => {
                let nulls = event_times(records.column(column), &mut self.times)?;
                self.panes.sort(&self.times, nulls.as_ref(), &mut self.sorted);
                let within = self.stage.spec.within;
                self.sorted.also_late(|row| within.is_some_and(|within| self.times[row as usize].saturating_add(within) <= self.watermark));
                let name = records.schema_ref().field(column).name();
                collected.rejects = self.sorted.rejects(name);
                let counted = self.sorted.taken.iter().chain(&self.sorted.late);
                collected.greatest_time = counted.map(|&row| self.times[row as usize]).max();
            }
        }
        collected.late = self.sorted.late.clone();
        self.add(records, origin)?;
        if self.memory_bytes() > self.limits.memory_bytes {
            let writer = RunWriter::in_file(Arc::clone(&self.stage.row_schema), &*self.store)?;
            self.write(writer)?;
        }
        Ok(collected)
    }

    fn add(&mut self, records: &RecordBatch, origin: Origin<'_>) -> Result<()> {
        let Sorted { taken, panes, .. } = &self.sorted;
        if taken.is_empty() {
            return Ok(());
        }
        let rows = match taken.len() == records.num_rows() {
            true => records.clone(),
            false => take_record_batch(records, &UInt32Array::from(taken.clone()))
                .map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?,
        };
        let times: Int64Array = taken.iter().map(|&row| Some(self.times[row as usize])).collect();
        let partitions = StringArray::from_iter_values(taken.iter().map(|_| origin.partition));
        let positions: UInt64Array = taken.iter().map(|&row| Some(origin.positions[row as usize])).collect();
        let keys: Vec<ArrayRef> = self.stage.spec.keys.iter().map(|&column| Arc::clone(rows.column(column))).collect();
        let more: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(partitions), Arc::new(positions)];
        let rows = crate::rows::with_columns(&rows, &self.stage.row_schema, more)?;
        self.rows.add(rows, &keys, RowPanes::Each(panes))
    }

    /// Ends the epoch: everything that was collected, as runs of [rows](DedupStage::row_schema).
    ///
    /// # Errors
    /// A run can't be written.
    pub fn seal(&mut self) -> Result<Vec<Arc<Run>>> {
        let schema = Arc::clone(&self.stage.row_schema);
        self.write(RunWriter::in_memory_up_to(self.limits.run_memory_bytes, schema, Arc::clone(&self.store)))?;
        self.begin(self.watermark);
        Ok(std::mem::take(&mut self.spilled))
    }

    fn write(&mut self, writer: RunWriter) -> Result<()> {
        if !self.rows.is_empty() {
            let run = self.rows.write(self.panes.ends(), by_time, writer)?;
            self.spilled.push(Arc::new(run));
        }
        Ok(())
    }
}

/// The order of rows of a key: by time, partition, position.
pub(super) fn by_time(one: &RecordBatch, a: u32, other: &RecordBatch, b: u32) -> Ordering {
    let first = one.num_columns() - 3;
    let time = |of: &RecordBatch, row: u32| of.column(first).as_primitive::<Int64Type>().value(row as usize);
    let position = |of: &RecordBatch, row: u32| of.column(first + 2).as_primitive::<UInt64Type>().value(row as usize);
    let partitions = || {
        let (one, other) = (one.column(first + 1).as_string::<i32>(), other.column(first + 1).as_string::<i32>());
        one.value(a as usize).cmp(other.value(b as usize))
    };
    time(one, a).cmp(&time(other, b)).then_with(partitions).then_with(|| position(one, a).cmp(&position(other, b)))
}
