//! What a lane has collected in an epoch, as all lanes get it.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::rows::RowsInOrder;
use crate::run::Run;

/// What a lane has collected in an epoch.
pub struct CollectedRows {
    /// The runs that say where the rows of each key are: none of them is state.
    pub(super) places: Vec<Arc<Run>>,
    /// The number of its collector, by which places name it.
    pub(super) collector: u32,
    pub(super) rows: RowsInOrder,
    pub(super) partitions: PartitionStarts,
}

/// From which row on rows come from which partition.
#[derive(Debug, Default)]
pub(super) struct PartitionStarts(Vec<(u64, Arc<str>)>);

impl PartitionStarts {
    /// Rows from `first` on come from this partition.
    pub fn begin(&mut self, first: u64, partition: &str) {
        if self.0.last().is_none_or(|(_, last)| **last != *partition) {
            self.0.push((first, partition.into()));
        }
    }

    /// The partition of a row.
    pub fn of(&self, row: u64) -> &str {
        let behind = self.0.partition_point(|(first, _)| *first <= row);
        behind.checked_sub(1).and_then(|at| self.0.get(at)).map_or("", |(_, partition)| partition)
    }

    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u64, Arc<str>)>() + self.0.iter().map(|(_, partition)| partition.len()).sum::<usize>()
    }
}

/// The columns of runs of places: event time, position in the partition, collector, number of the row there.
pub(super) fn place_schema() -> SchemaRef {
    let columns = [("time", DataType::Int64), ("position", DataType::UInt64), ("collector", DataType::UInt32), ("row", DataType::UInt64)];
    Arc::new(Schema::new(columns.map(|(name, of)| Field::new(name, of, false)).to_vec()))
}

/// The columns of a batch of places.
pub(super) struct Places<'a> {
    pub times: &'a [i64],
    pub positions: &'a [u64],
    pub collectors: &'a [u32],
    pub rows: &'a [u64],
}

impl<'a> Places<'a> {
    pub fn of(batch: &'a RecordBatch) -> Self {
        Self {
            times: batch.column(0).as_primitive::<Int64Type>().values(),
            positions: batch.column(1).as_primitive::<UInt64Type>().values(),
            collectors: batch.column(2).as_primitive::<UInt32Type>().values(),
            rows: batch.column(3).as_primitive::<UInt64Type>().values(),
        }
    }
}
