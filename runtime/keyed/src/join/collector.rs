//! Collects the rows of one side.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};

use super::{JoinStage, Side};
use crate::Result;
use crate::operator::{Collected, Limits};
use crate::rows::{RowCollector, RowPlan};
use crate::run::{Run, RunStore};

/// Collects the rows of one lane and one side.
pub struct JoinCollector {
    stage: Arc<JoinStage>,
    side: Side,
    rows: RowCollector,
}

impl JoinCollector {
    /// A collector of a lane and a side, which spills into `store`.
    pub fn new(stage: Arc<JoinStage>, side: Side, limits: Limits, store: Arc<dyn RunStore>) -> Self {
        let (codec, schema) = (stage.side(side).codec.clone(), Arc::clone(stage.row_schema(side)));
        let rows = RowCollector::new(RowPlan { codec, schema, windows: stage.windows, limits, store });
        Self { stage, side, rows }
    }

    /// Begins an epoch: rows are late by this watermark until the next one.
    pub fn begin(&mut self, watermark: i64) {
        self.rows.begin(watermark);
    }

    /// The bytes that it holds, without runs.
    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes()
    }

    /// Takes a batch of this side. Rows with a null in their key are kept only where they are emitted alone; rows without an event time are
    /// refused where there is a column of it.
    ///
    /// # Errors
    /// A run can't be spilled.
    pub fn collect(&mut self, records: &RecordBatch) -> Result<Collected> {
        let plan = self.stage.side(self.side);
        let is_bounded = self.stage.within.is_some();
        let mut collected = self.rows.sort(records, plan.spec.event_time, |time, watermark| is_bounded && time < watermark)?;
        if !plan.keeps_unmatched {
            let has_null = |row: u32| plan.spec.keys.iter().any(|&column| records.column(column).is_null(row as usize));
            collected.filtered = self.rows.sorted.drop_rows(has_null) as u64;
        }
        let rows = self.rows.taken(records)?;
        let keys: Vec<ArrayRef> = plan.spec.keys.iter().map(|&column| Arc::clone(rows.column(column))).collect();
        self.rows.add(&keys, rows.columns().iter().cloned().chain([self.rows.times()]).collect())?;
        Ok(collected)
    }

    /// Ends the epoch: everything that was collected, as runs of [rows](JoinStage::row_schema).
    ///
    /// # Errors
    /// A run can't be written.
    pub fn seal(&mut self) -> Result<Vec<Arc<Run>>> {
        self.rows.seal()
    }
}
