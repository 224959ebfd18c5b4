//! The state: times of rows that passed.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::{Accumulator, Aggregate, Error, Grouped, Result, RowReject};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("time", DataType::Int64, false)])));

/// The state of a stage that drops duplicates as an aggregate, for [`compact`](crate::compact): one time per window and key.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmittedTimes;

impl Aggregate for EmittedTimes {
    fn state_schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Times(Vec::new())))
    }
}

/// The time of each group. There is one per window and key; the least, if a state holds more.
struct Times(Vec<i64>);

impl Accumulator for Times {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        self.merge(rows, groups, count)?;
        Ok(Vec::new())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.0.resize(count as usize, i64::MAX);
        for (&time, &group) in states.column(0).as_primitive::<Int64Type>().values().iter().zip(groups) {
            let least = &mut self.0[group as usize];
            *least = time.min(*least);
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        Ok(Grouped { records: times(std::mem::take(&mut self.0))?, groups: None })
    }

    fn finish(&mut self) -> Result<Grouped> {
        self.take_state()
    }

    fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }
}

/// State rows of these times.
pub(super) fn times(of: Vec<i64>) -> Result<RecordBatch> {
    let column: ArrayRef = Arc::new(Int64Array::from(of));
    RecordBatch::try_new(Arc::clone(&SCHEMA), vec![column]).map_err(|error| Error::bug(format!("times can't be kept: {error}")))
}
