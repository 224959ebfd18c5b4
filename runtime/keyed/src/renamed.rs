//! An aggregate whose results have other names, another order, and one row per group where later results replace earlier ones.

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
    is_replaced: bool,
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
        let columns = columns.iter().map(|column| column.index).collect();
        Ok(Self { aggregate, columns, output, is_replaced: false })
    }

    /// The same, for results that later ones of the same key replace: a key has to have one row then, and anything else stops the run.
    #[must_use]
    pub fn replaced_by_key(self, is_replaced: bool) -> Self {
        Self { is_replaced, ..self }
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
        Ok(Box::new(RenamedAccumulator { inner: self.aggregate.open(lane)?, columns, output, is_replaced: self.is_replaced, count: 0 }))
    }
}

struct RenamedAccumulator {
    inner: Box<dyn Accumulator>,
    columns: Vec<usize>,
    output: SchemaRef,
    is_replaced: bool,
    /// How many groups there are.
    count: u32,
}

impl Accumulator for RenamedAccumulator {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        self.count = count;
        self.inner.update(rows, groups, count)
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.count = count;
        self.inner.merge(states, groups, count)
    }

    fn take_state(&mut self) -> Result<Grouped> {
        self.count = 0;
        self.inner.take_state()
    }

    fn finish(&mut self) -> Result<Grouped> {
        let count = std::mem::take(&mut self.count);
        let finished = self.inner.finish()?;
        if self.is_replaced && !finished.has_row_per_group(count as usize) {
            let message =
                "a computation gives several rows for a key, or none, and later results have to replace earlier ones by their key";
            return Err(Error::configuration(message)
                .code(crate::codes::ROWS_PER_KEY)
                .hint("emit each result once: `emit: at_close` without `allowed_lateness`"));
        }
        let Grouped { records, groups } = finished;
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

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::accumulators::{CountSumMean, Of, Values};

    fn finish(aggregate: impl Aggregate + 'static, column: &str, values: &[i64]) -> Result<Grouped> {
        let columns = [ResultColumn { index: 0, name: column.to_owned() }];
        let renamed = Renamed::new(Arc::new(aggregate), &columns).unwrap().replaced_by_key(true);
        let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true)]));
        let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let mut accumulator = renamed.open(0).unwrap();
        let groups = vec![0; values.len()];
        accumulator.update(&RecordBatch::try_new(schema, vec![values]).unwrap(), &groups, 1).unwrap();
        accumulator.finish()
    }

    #[test]
    fn results_that_are_replaced_have_one_row_per_key() {
        let one = finish(CountSumMean::default(), "rows", &[1, 2]).unwrap();
        assert_eq!((one.records.schema().field(0).name().as_str(), one.records.num_columns()), ("rows", 1));
        assert!(finish(Values::new(Of::Distinct), "value", &[1, 1]).is_ok(), "one row, told by its group");
        let several = finish(Values::new(Of::Distinct), "value", &[1, 2]).unwrap_err();
        assert_eq!(several.kind(), Some(crate::codes::ROWS_PER_KEY));
        let none = finish(Values::new(Of::Distinct), "value", &[]);
        assert!(none.is_err(), "an earlier row of the key would stay");
    }
}
