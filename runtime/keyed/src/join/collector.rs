//! Collects the rows of one side.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;

use super::{JoinStage, Side};
use crate::groups::Panes as RowPanes;
use crate::operator::{Collected, Limits, Panes, Sorted};
use crate::rows::{RowCollector, with_columns};
use crate::run::{Run, RunStore, RunWriter};
use crate::windows::{BEGINNING, event_times};
use crate::{Error, Result};

/// Collects the rows of one lane and one side.
pub struct JoinCollector {
    stage: Arc<JoinStage>,
    side: Side,
    limits: Limits,
    store: Arc<dyn RunStore>,
    rows: RowCollector,
    panes: Panes,
    watermark: i64,
    spilled: Vec<Arc<Run>>,
    times: Vec<i64>,
    sorted: Sorted,
}

impl JoinCollector {
    /// A collector of a lane and a side, which spills into `store`.
    pub fn new(stage: Arc<JoinStage>, side: Side, limits: Limits, store: Arc<dyn RunStore>) -> Self {
        let rows = RowCollector::new(stage.side(side).codec.clone());
        let panes = Panes::new(stage.windows, BEGINNING);
        let (times, sorted) = (Vec::new(), Sorted::default());
        Self { stage, side, limits, store, rows, panes, watermark: BEGINNING, spilled: Vec::new(), times, sorted }
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

    /// Takes a batch of this side. Rows with a null in their key are kept only where they are emitted alone; rows without an event time are
    /// refused where there is a column of it.
    ///
    /// # Errors
    /// A run can't be spilled.
    pub fn collect(&mut self, records: &RecordBatch) -> Result<Collected> {
        let mut collected = Collected::default();
        let plan = self.stage.side(self.side);
        match plan.spec.event_time {
            None => {
                self.times.clear();
                self.times.resize(records.num_rows(), 0);
                self.panes.sort(&self.times, None, &mut self.sorted);
            }
            Some(column) => {
                let nulls = event_times(records.column(column), &mut self.times)?;
                self.panes.sort(&self.times, nulls.as_ref(), &mut self.sorted);
                let is_bounded = self.stage.within.is_some();
                self.sorted.also_late(|row| is_bounded && self.times[row as usize] < self.watermark);
                collected.rejects = self.sorted.rejects(records.schema_ref().field(column).name());
                let counted = self.sorted.taken.iter().chain(&self.sorted.late);
                collected.greatest_time = counted.map(|&row| self.times[row as usize]).max();
            }
        }
        collected.late = self.sorted.late.clone();
        if !plan.keeps_unmatched {
            let has_null = |row: u32| plan.spec.keys.iter().any(|&column| records.column(column).is_null(row as usize));
            collected.filtered = self.sorted.drop_rows(has_null) as u64;
        }
        self.add(records)?;
        if self.memory_bytes() > self.limits.memory_bytes {
            let writer = RunWriter::in_file(Arc::clone(self.stage.row_schema(self.side)), &*self.store)?;
            self.write(writer)?;
        }
        Ok(collected)
    }

    fn add(&mut self, records: &RecordBatch) -> Result<()> {
        let Sorted { taken, panes, .. } = &self.sorted;
        if taken.is_empty() {
            return Ok(());
        }
        let rows = match taken.len() == records.num_rows() {
            true => records.clone(),
            false => take_record_batch(records, &UInt32Array::from(taken.clone()))
                .map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?,
        };
        let plan = self.stage.side(self.side);
        let times: ArrayRef = Arc::new(taken.iter().map(|&row| Some(self.times[row as usize])).collect::<Int64Array>());
        let keys: Vec<ArrayRef> = plan.spec.keys.iter().map(|&column| Arc::clone(rows.column(column))).collect();
        let rows = with_columns(&rows, &plan.row_schema, vec![times])?;
        self.rows.add(rows, &keys, RowPanes::Each(panes))
    }

    /// Ends the epoch: everything that was collected, as runs of [rows](JoinStage::row_schema).
    ///
    /// # Errors
    /// A run can't be written.
    pub fn seal(&mut self) -> Result<Vec<Arc<Run>>> {
        let schema = Arc::clone(self.stage.row_schema(self.side));
        self.write(RunWriter::in_memory_up_to(self.limits.run_memory_bytes, schema, Arc::clone(&self.store)))?;
        self.begin(self.watermark);
        Ok(std::mem::take(&mut self.spilled))
    }

    fn write(&mut self, writer: RunWriter) -> Result<()> {
        if !self.rows.is_empty() {
            let run = self.rows.write(self.panes.ends(), |_, _, _, _| Ordering::Equal, writer)?;
            self.spilled.push(Arc::new(run));
        }
        Ok(())
    }
}
