//! The stage `select`: columns computed from those of the input.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use arrow_select::filter::filter;
use wasmill_engine::{Error, PortOutput, Result, RowReject, Stage, StageInstance, StageOutput};

use crate::expression::Expression;
use crate::problem::SqlProblem;
use crate::syntax::Parsed;

/// Gives the named columns and no others. A column that is passed as it is is not copied.
#[derive(Debug, Clone)]
pub struct Select {
    columns: Arc<[Selected]>,
    schema: SchemaRef,
}

#[derive(Debug)]
enum Selected {
    /// A column of the input.
    Passed(usize),
    Computed(Expression),
}

impl Select {
    /// The stage on these columns: names and expressions, in the order of its output.
    ///
    /// # Errors
    /// What is wrong with the expressions, each with the name of its column.
    pub fn new(columns: &[(String, Parsed)], input: &Schema) -> Result<Self, Vec<(String, SqlProblem)>> {
        let mut selected = Vec::with_capacity(columns.len());
        let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
        let mut problems = Vec::new();
        for (name, parsed) in columns {
            if let Some((index, field)) = parsed.plain_column().and_then(|column| input.column_with_name(column)) {
                selected.push(Selected::Passed(index));
                fields.push(Arc::new(field.clone().with_name(name)));
                continue;
            }
            match Expression::new(parsed, input) {
                Ok(expression) => {
                    fields.push(Arc::new(Field::new(name, expression.data_type().clone(), expression.is_nullable())));
                    selected.push(Selected::Computed(expression));
                }
                Err(found) => problems.extend(found.into_iter().map(|problem| (name.clone(), problem))),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()));
        Ok(Self { columns: selected.into(), schema })
    }

    /// The columns that it gives.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of all rows, and why some rows have none.
    fn compute(&self, records: &RecordBatch) -> Result<(Vec<ArrayRef>, BTreeMap<usize, RowReject>)> {
        let mut values = Vec::with_capacity(self.columns.len());
        let mut rejects = BTreeMap::new();
        for (selected, field) in self.columns.iter().zip(self.schema.fields()) {
            let expression = match selected {
                Selected::Passed(index) => {
                    let column = records.columns().get(*index).cloned();
                    values.push(column.ok_or_else(|| Error::bug("a batch has fewer columns than its stage was opened on"))?);
                    continue;
                }
                Selected::Computed(expression) => expression,
            };
            let evaluated = expression.evaluate(records)?;
            for (row, failure) in evaluated.failed {
                let message = format!("`{}`: {}", expression.text(), failure.message);
                // The first expression that fails is the reason.
                rejects.entry(row).or_insert_with(|| RowReject {
                    row: u32::try_from(row).unwrap_or(u32::MAX),
                    code: failure.code.to_owned(),
                    column: Some(field.name().clone()),
                    message,
                });
            }
            values.push(evaluated.values);
        }
        Ok((values, rejects))
    }
}

impl Stage for Select {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        vec![("out".into(), Arc::clone(&self.schema))]
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn StageInstance>> {
        Ok(Box::new(self.clone()))
    }
}

impl StageInstance for Select {
    fn process(&mut self, records: &RecordBatch) -> Result<StageOutput> {
        let (mut values, rejects) = self.compute(records)?;
        let mut rows = records.num_rows();
        if !rejects.is_empty() {
            let kept: BooleanArray = (0..rows).map(|row| Some(!rejects.contains_key(&row))).collect();
            let gathered = values.iter().map(|column| filter(column, &kept)).collect::<Result<_, _>>();
            values = gathered.map_err(|error| Error::bug(format!("the rows of a stage can't be gathered: {error}")))?;
            rows -= rejects.len();
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), values, &options)
            .map_err(|error| Error::bug(format!("the columns of a stage are not those that it has: {error}")))?;
        Ok(StageOutput { outputs: vec![PortOutput { port: 0, records, origins: None }], rejects: rejects.into_values().collect() })
    }
}
