//! The groups of one lane: rows become values, values go to the accumulators of all calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::filter::filter;
use wasmill_engine::{Error, Result};
use wasmill_keyed::{Accumulator, Grouped, RowReject};

use super::accumulate::CallAccumulator;
use super::layout::combine;
use super::{Output, Plan};
use crate::codes::{NO_RESULT, RESULT_TOO_LARGE};

pub(super) struct GroupAccumulator {
    plan: Arc<Plan>,
    calls: Vec<Box<dyn CallAccumulator>>,
    count: usize,
}

impl GroupAccumulator {
    pub fn new(plan: Arc<Plan>) -> Result<Self> {
        let calls = plan.calls.iter().map(|call| call.planned.open()).collect::<Result<_>>()?;
        Ok(Self { plan, calls, count: 0 })
    }

    fn resize(&mut self, count: u32) {
        self.count = self.count.max(count as usize);
        self.calls.iter_mut().for_each(|call| call.resize(self.count));
    }

    /// What is computed of each row, and the rows of which something can't be.
    fn values(&self, rows: &RecordBatch) -> Result<(Vec<ArrayRef>, BTreeMap<usize, RowReject>)> {
        let mut rejects = BTreeMap::new();
        let mut values = Vec::with_capacity(self.plan.values.len());
        for value in &self.plan.values {
            let evaluated = value.expression.evaluate(rows)?;
            for (row, failure) in evaluated.failed {
                // The first expression that fails is the reason.
                rejects.entry(row).or_insert_with(|| RowReject {
                    row: u32::try_from(row).unwrap_or(u32::MAX),
                    code: failure.code.to_owned(),
                    column: Some(value.column.clone()),
                    message: format!("`{}`: {}", value.expression.text(), failure.message),
                });
            }
            values.push(evaluated.values);
        }
        Ok((values, rejects))
    }

    fn add(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        for (call, accumulator) in self.plan.calls.iter().zip(&mut self.calls) {
            let arguments = call.values.iter().zip(&call.planned.inputs).map(|(&index, input)| cast(&values[index], input));
            accumulator.update(&arguments.collect::<Result<Vec<_>>>()?, groups).map_err(|error| at(error, &call.column))?;
        }
        Ok(())
    }

    /// The values of all calls.
    fn finished(&mut self) -> Result<RecordBatch> {
        let finish = |(call, accumulator): (&super::PlannedCall, &mut Box<dyn CallAccumulator>)| {
            let values = accumulator.finish().map_err(|error| at(error, &call.column))?;
            match values.data_type() == &call.planned.output {
                true => Ok(values),
                false => cast_with_options(&values, &call.planned.output, &strict()).map_err(|error| {
                    let error = Error::environment(format!("the results of `{}` pass 2 GiB: {error}", call.text));
                    at(error.code(RESULT_TOO_LARGE).hint("aggregate less at once: shorter windows, or more keys"), &call.column)
                }),
            }
        };
        let columns = self.plan.calls.iter().zip(&mut self.calls).map(finish).collect::<Result<_>>();
        records(&self.plan.finished, columns?, std::mem::take(&mut self.count))
    }

    /// The columns of the output, of the values of all calls.
    fn outputs(&self, finished: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.plan.outputs.len());
        for (output, field) in self.plan.outputs.iter().zip(self.plan.output.fields()) {
            let expression = match output {
                Output::Call(index) => {
                    columns.push(Arc::clone(finished.column(*index)));
                    continue;
                }
                Output::Around(expression) => expression,
            };
            let evaluated = expression.evaluate(finished)?;
            if let Some((_, failure)) = evaluated.failed.first() {
                let message = format!("`{}` has no value for a group: {}", expression.text(), failure.message);
                let hint = "divide by `nullif(…, 0)`; or compute it in a `select` behind the aggregate, which rejects single rows";
                return Err(at(Error::environment(message).code(NO_RESULT).hint(hint), field.name()));
            }
            columns.push(evaluated.values);
        }
        records(&self.plan.output, columns, finished.num_rows())
    }
}

impl Accumulator for GroupAccumulator {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        self.resize(count);
        let (mut values, rejects) = self.values(rows)?;
        if rejects.is_empty() {
            self.add(&values, groups)?;
            return Ok(Vec::new());
        }
        let kept: BooleanArray = (0..rows.num_rows()).map(|row| Some(!rejects.contains_key(&row))).collect();
        for values in &mut values {
            *values = filter(values, &kept).map_err(|error| Error::bug(format!("rows can't be gathered: {error}")))?;
        }
        let groups: Vec<u32> = groups.iter().zip(kept.values()).filter(|(_, kept)| *kept).map(|(group, _)| *group).collect();
        self.add(&values, &groups)?;
        Ok(rejects.into_values().collect())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.resize(count);
        let mut columns = states.columns();
        for (call, accumulator) in self.plan.calls.iter().zip(&mut self.calls) {
            let (of_call, rest) = columns
                .split_at_checked(call.planned.state()?.len())
                .ok_or_else(|| Error::bug("a state has fewer columns than its aggregate"))?;
            accumulator.merge(of_call, groups).map_err(|error| at(error, &call.column))?;
            columns = rest;
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        let states = self.calls.iter_mut().map(|call| call.take_state()).collect::<Result<Vec<_>>>()?;
        let count = std::mem::take(&mut self.count);
        let combined = combine(states, count)?;
        let rows = combined.groups.as_ref().map_or(count, Vec::len);
        Ok(Grouped { records: records(&self.plan.state, combined.columns, rows)?, groups: combined.groups })
    }

    fn finish(&mut self) -> Result<Grouped> {
        let finished = self.finished()?;
        Ok(Grouped { records: self.outputs(&finished)?, groups: None })
    }

    fn memory_bytes(&self) -> usize {
        self.calls.iter().map(|call| call.memory_bytes()).sum()
    }
}

fn at(error: Error, column: &str) -> Error {
    error.at(format!("the column `{column}`"))
}

fn strict() -> CastOptions<'static> {
    CastOptions { safe: false, ..Default::default() }
}

/// Values in the type that an accumulator takes, which holds all of them.
fn cast(values: &ArrayRef, input: &DataType) -> Result<ArrayRef> {
    if values.data_type() == input {
        return Ok(Arc::clone(values));
    }
    cast_with_options(values, input, &strict()).map_err(|error| Error::bug(format!("values can't be aggregated: {error}")))
}

fn records(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::bug(format!("the columns of an aggregate are not those that it has: {error}")))
}
