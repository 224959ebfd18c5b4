//! An aggregate whose results have other names, and another order.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

use crate::{Accumulator, Aggregate, Error, Grouped, Result, RowReject};

/// A column of the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its index among the results of the aggregate.
    pub index: usize,
    /// Its name.
    pub name: String,
}

/// An aggregate, with columns of its results picked and named.
pub struct Renamed {
    aggregate: Arc<dyn Aggregate>,
    columns: Vec<usize>,
    output: SchemaRef,
}

impl Renamed {
    /// Picks and names results.
    ///
    /// # Errors
    /// A bug: there is no such column.
    pub fn new(aggregate: Arc<dyn Aggregate>, columns: &[ResultColumn]) -> Result<Self> {
        let given = aggregate.output_schema();
        let field = |column: &ResultColumn| {
            let field = given.fields().get(column.index).ok_or_else(|| Error::bug("an aggregate has fewer results than were planned"))?;
            Ok(Arc::new(field.as_ref().clone().with_name(column.name.clone())))
        };
        let output = Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>>>()?));
        Ok(Self { aggregate, columns: columns.iter().map(|column| column.index).collect(), output })
    }
}

impl Aggregate for Renamed {
    fn state_schema(&self) -> SchemaRef {
        self.aggregate.state_schema()
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn may_refuse(&self) -> bool {
        self.aggregate.may_refuse()
    }

    fn open(&self, lane: usize) -> Result<Box<dyn Accumulator>> {
        let (columns, output) = (self.columns.clone(), Arc::clone(&self.output));
        Ok(Box::new(RenamedAccumulator { inner: self.aggregate.open(lane)?, columns, output }))
    }
}

struct RenamedAccumulator {
    inner: Box<dyn Accumulator>,
    columns: Vec<usize>,
    output: SchemaRef,
}

impl Accumulator for RenamedAccumulator {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        self.inner.update(rows, groups, count)
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.inner.merge(states, groups, count)
    }

    fn take_state(&mut self) -> Result<Grouped> {
        self.inner.take_state()
    }

    fn finish(&mut self) -> Result<Grouped> {
        let Grouped { records, groups } = self.inner.finish()?;
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        let picked = records
            .project(&self.columns)
            .and_then(|picked| RecordBatch::try_new_with_options(Arc::clone(&self.output), picked.columns().to_vec(), &options));
        let records = picked.map_err(|error| Error::bug(format!("results are not what was planned: {error}")))?;
        Ok(Grouped { records, groups })
    }

    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }
}
