//! A stage that passes columns on as they are, some of them under other names, some not at all.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use wasmill_engine::{Error, PortOutput, Result, Stage, StageInstance, StageOutput};

/// Passes columns on by reference: no value is touched, every row passes, and nothing is rejected.
#[derive(Debug, Clone)]
pub struct Projection {
    /// For each column of the output, that of the input.
    columns: Arc<[usize]>,
    schema: SchemaRef,
}

impl Projection {
    pub(crate) fn new(columns: Vec<usize>, schema: Schema) -> Self {
        Self { columns: columns.into(), schema: Arc::new(schema) }
    }

    /// The columns of the output: names are new, types, nullability and metadata those of the input.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of a batch that are passed on.
    pub(crate) fn project(&self, records: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|&index| records.columns().get(index).cloned()).collect::<Option<Vec<_>>>();
        let columns = columns.ok_or_else(|| Error::bug("a batch has fewer columns than its stage was opened on"))?;
        // Rows without any column are rows, too.
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::bug(format!("a batch has other columns than its stage was opened on: {error}")))
    }
}

impl Stage for Projection {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        vec![("out".into(), Arc::clone(&self.schema))]
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn StageInstance>> {
        Ok(Box::new(self.clone()))
    }
}

impl StageInstance for Projection {
    fn process(&mut self, records: &RecordBatch) -> Result<StageOutput> {
        let output = PortOutput { port: 0, records: self.project(records)?, origins: None };
        Ok(StageOutput { outputs: vec![output], rejects: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::ColumnChange;

    fn batch() -> RecordBatch {
        let metadata = HashMap::from([("unit".to_owned(), "posts".to_owned())]);
        let fields = vec![
            Field::new("a", DataType::Int64, false).with_metadata(metadata),
            Field::new("b", DataType::Utf8, true),
            Field::new("c", DataType::Int64, true),
        ];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1, 2])),
            Arc::new(StringArray::from(vec![Some("x"), None])),
            Arc::new(Int64Array::from(vec![None, Some(4)])),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn process(change: &ColumnChange) -> RecordBatch {
        let batch = batch();
        let mut instance = change.stage(&batch.schema()).open(0).unwrap();
        let mut answer = instance.process(&batch).unwrap();
        assert!(answer.rejects.is_empty() && answer.outputs.len() == 1 && answer.outputs[0].origins.is_none());
        answer.outputs.remove(0).records
    }

    #[test]
    fn a_renamed_column_is_the_same_array_with_the_same_field() {
        let names = BTreeMap::from([("a".to_owned(), "b".to_owned()), ("b".to_owned(), "a".to_owned())]);
        let records = process(&ColumnChange::Rename(names));
        let schema = records.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
        assert_eq!(*schema.field(0), batch().schema().field(0).clone().with_name("b"), "type, nullability and metadata stay");
        assert_eq!(records.columns(), batch().columns());
    }

    #[test]
    fn columns_are_passed_on_without_a_copy() {
        let batch = batch();
        let stage = ColumnChange::Drop(vec!["a".into()]).stage(&batch.schema());
        let records = stage.open(0).unwrap().process(&batch).unwrap().outputs.remove(0).records;
        assert!(Arc::ptr_eq(records.column(0), batch.column(1)) && Arc::ptr_eq(records.column(1), batch.column(2)));
    }

    #[test]
    fn rows_stay_where_the_columns_that_are_left_are_none_that_the_source_gives() {
        let records = process(&ColumnChange::Drop(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!((records.num_columns(), records.num_rows()), (0, 2));
    }

    #[test]
    fn a_batch_of_another_schema_is_a_bug_and_no_panic() {
        let batch = batch();
        let mut instance = ColumnChange::Drop(vec!["a".into()]).stage(&batch.schema()).open(0).unwrap();
        assert!(instance.process(&batch.project(&[0]).unwrap()).is_err());
        assert!(instance.process(&batch.project(&[1, 0, 2]).unwrap()).is_err());
    }
}
