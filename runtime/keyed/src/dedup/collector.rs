//! Collects the rows of an epoch.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{RecordBatch, StringArray, UInt64Array};

use super::{DedupSpec, DedupStage};
use crate::operator::{Collected, Limits};
use crate::rows::{RowCollector, RowPlan};
use crate::run::{Run, RunStore};
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
    rows: RowCollector,
}

impl DedupCollector {
    /// A collector of a lane, which spills into `store`.
    pub fn new(stage: Arc<DedupStage>, limits: Limits, store: Arc<dyn RunStore>) -> Self {
        let (codec, schema, windows) = (stage.codec.clone(), Arc::clone(&stage.row_schema), stage.windows);
        let rows = RowCollector::new(RowPlan { codec, schema, windows, order: by_time, limits, store });
        Self { stage, rows }
    }

    /// Begins an epoch: rows are late by this watermark until the next one.
    pub fn begin(&mut self, watermark: i64) {
        self.rows.begin(watermark);
    }

    /// The bytes that it holds, without runs.
    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes()
    }

    /// Takes a batch of the stage's input. A row without event time is refused.
    ///
    /// # Errors
    /// A run can't be spilled.
    pub fn collect(&mut self, records: &RecordBatch, origin: Origin<'_>) -> Result<Collected> {
        let Origin { partition, positions } = origin;
        if records.num_rows() != positions.len() {
            return Err(Error::bug(format!("{} positions for {} rows", positions.len(), records.num_rows())));
        }
        let DedupSpec { keys, event_time, within } = &self.stage.spec;
        let is_late = |time: i64, watermark: i64| within.is_some_and(|within| time.saturating_add(within) <= watermark);
        let collected = self.rows.sort(records, *event_time, is_late)?;
        self.rows.add(records, keys, |taken| {
            let partitions = StringArray::from_iter_values(taken.iter().map(|_| partition));
            let positions: UInt64Array = taken.iter().map(|&row| Some(positions[row as usize])).collect();
            vec![Arc::new(partitions), Arc::new(positions)]
        })?;
        Ok(collected)
    }

    /// Ends the epoch: everything that was collected, as runs of [rows](DedupStage::row_schema).
    ///
    /// # Errors
    /// A run can't be written.
    pub fn seal(&mut self) -> Result<Vec<Arc<Run>>> {
        self.rows.seal()
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
