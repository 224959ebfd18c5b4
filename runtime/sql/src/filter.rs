//! The stage `filter`: the rows for which an expression is true.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use wasmill_engine::{Error, PortOutput, Result, RowReject, Stage, StageInstance, StageOutput};

use crate::expression::Expression;
use crate::problem::{ProblemKind, SqlProblem};
use crate::syntax::Parsed;
use crate::types::named;

/// Passes the rows for which its expression is true. Those for which it is false or null are filtered out.
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Expression,
    /// For each column of the output, that of the input.
    columns: Arc<[usize]>,
    schema: SchemaRef,
}

impl Filter {
    /// The stage on these columns, of which it does not pass those that are `hidden`.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn new(condition: &Parsed, input: &Schema, hidden: &[String]) -> Result<Self, Vec<SqlProblem>> {
        let condition = Expression::new(condition, input)?;
        if *condition.data_type() != DataType::Boolean {
            let message = format!("a filter has to be true or false, and this is {}", named(condition.data_type()));
            return Err(vec![SqlProblem::new(ProblemKind::Type, message, 0..0).help("compare it: `age >= 18`, `name <> ''`")]);
        }
        let passed = input.fields().iter().enumerate().filter(|(_, field)| !hidden.contains(field.name()));
        let (columns, fields): (Vec<usize>, Vec<_>) = passed.map(|(index, field)| (index, Arc::clone(field))).unzip();
        let schema = Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()));
        Ok(Self { condition, columns: columns.into(), schema })
    }

    /// The columns that it gives: those of its input.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn passed(&self, records: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|&index| records.columns().get(index).cloned()).collect::<Option<Vec<_>>>();
        let columns = columns.ok_or_else(|| Error::bug("a batch has fewer columns than its stage was opened on"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::bug(format!("a batch has other columns than its stage was opened on: {error}")))
    }
}

impl Stage for Filter {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        vec![("out".into(), Arc::clone(&self.schema))]
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn StageInstance>> {
        Ok(Box::new(self.clone()))
    }
}

impl StageInstance for Filter {
    fn process(&mut self, records: &RecordBatch) -> Result<StageOutput> {
        let evaluated = self.condition.evaluate(records)?;
        let reject = |(row, failure): (usize, crate::failure::Failure)| RowReject {
            row: u32::try_from(row).unwrap_or(u32::MAX),
            code: failure.code.to_owned(),
            column: None,
            message: format!("`{}`: {}", self.condition.text(), failure.message),
        };
        let rejects = evaluated.failed.into_iter().map(reject).collect();
        let values = evaluated.values.as_boolean();
        let records = self.passed(records)?;
        if values.null_count() == 0 && values.true_count() == values.len() {
            return Ok(StageOutput { outputs: vec![PortOutput { port: 0, records, origins: None }], rejects });
        }
        let kept: Vec<u32> = (0_u32..).zip(values.iter()).filter(|(_, value)| *value == Some(true)).map(|(row, _)| row).collect();
        let mask: BooleanArray = values.iter().map(|value| Some(value == Some(true))).collect();
        let records =
            filter_record_batch(&records, &mask).map_err(|error| Error::bug(format!("the rows of a stage can't be gathered: {error}")))?;
        Ok(StageOutput { outputs: vec![PortOutput { port: 0, records, origins: Some(kept) }], rejects })
    }
}
