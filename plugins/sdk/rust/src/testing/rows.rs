//! Rows as JSON objects, to and from Arrow, in the contract's form.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use serde_json::{Map, Value};
use wasmill_plugin_cases as cases;

/// Reads rows with the types of a schema; keys that are missing are null, keys that no field has are an error.
pub(super) fn to_batch(rows: &[Value], schema: &Arc<Schema>) -> Result<RecordBatch, String> {
    let object = |(number, row): (usize, &Value)| row.as_object().cloned().ok_or_else(|| format!("row {number} is not an object: {row}"));
    cases::to_batch(&rows.iter().enumerate().map(object).collect::<Result<Vec<_>, _>>()?, schema)
}

/// Writes rows with every null spelled out, keys in the order of the schema.
pub(super) fn to_json(batch: &RecordBatch) -> Result<Vec<Value>, String> {
    let schema = batch.schema();
    let object = |texts: cases::TextRow| {
        let columns = schema.fields().iter().map(|field| field.name()).zip(texts);
        let value = |(name, text): (&String, String)| serde_json::from_str(&text).map(|value: Value| (name.clone(), value));
        columns.map(value).collect::<Result<Map<_, _>, _>>().map(Value::Object).map_err(|error| error.to_string())
    };
    cases::to_text(batch)?.into_iter().map(object).collect()
}
