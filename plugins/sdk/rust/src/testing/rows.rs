//! Rows as JSON objects, to and from Arrow.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_json::reader::ReaderBuilder;
use arrow_json::writer::{JsonArray, WriterBuilder};
use arrow_schema::Schema;
use serde_json::{Map, Value};

/// Reads rows with the types of a schema; keys that are missing are null, keys that no field has are an error.
pub(super) fn to_batch(rows: &[Value], schema: &Arc<Schema>) -> Result<RecordBatch, String> {
    for (number, row) in rows.iter().enumerate() {
        let object = row.as_object().ok_or_else(|| format!("row {number} is not an object: {row}"))?;
        if let Some(unknown) = object.keys().find(|key| schema.field_with_name(key).is_err()) {
            let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(format!("row {number} has the column {unknown}, which is none of {}", names.join(", ")));
        }
    }
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let mut decoder = ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(rows.len())
        .with_coerce_primitive(true)
        .build_decoder()
        .map_err(|error| error.to_string())?;
    decoder.serialize(rows).map_err(|error| format!("the rows do not fit {schema:?}: {error}"))?;
    decoder.flush().map_err(|error| error.to_string())?.ok_or_else(|| "the rows could not be read".to_owned())
}

/// Writes rows with every null spelled out, keys in the order of the schema.
pub(super) fn to_json(batch: &RecordBatch) -> Result<Vec<Value>, String> {
    if batch.num_columns() == 0 {
        return Ok(vec![Value::Object(Map::new()); batch.num_rows()]);
    }
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(batch).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    let text = writer.into_inner();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}
