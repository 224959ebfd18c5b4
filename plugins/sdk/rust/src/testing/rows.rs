//! Rows as JSON objects, to and from Arrow.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_data::ArrayData;
use arrow_json::reader::ReaderBuilder;
use arrow_json::writer::{JsonArray, WriterBuilder};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use serde_json::{Map, Value};

use super::driver::batch_of;

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
    let mut decoder = ReaderBuilder::new(Arc::new(with_offsets(schema)))
        .with_batch_size(rows.len())
        .with_coerce_primitive(true)
        .build_decoder()
        .map_err(|error| error.to_string())?;
    decoder.serialize(rows).map_err(|error| format!("the rows do not fit: {error}"))?;
    let batch = decoder.flush().map_err(|error| error.to_string())?.ok_or("the rows could not be read")?;
    relabelled(&batch, Arc::clone(schema))
}

/// Writes rows with every null spelled out, keys in the order of the schema.
pub(super) fn to_json(batch: &RecordBatch) -> Result<Vec<Value>, String> {
    if batch.num_columns() == 0 {
        return Ok(vec![Value::Object(Map::new()); batch.num_rows()]);
    }
    let batch = relabelled(batch, Arc::new(with_offsets(batch.schema_ref())))?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(&batch).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    let text = writer.into_inner();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// The schema with `UTC` written as an offset: Arrow's JSON reader and writer know zones by name only with a time zone database.
fn with_offsets(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(with_offset).collect::<Fields>())
}

fn with_offset(field: &FieldRef) -> Field {
    let data_type = match field.data_type() {
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(item) => DataType::List(Arc::new(with_offset(item))),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(with_offset(entries)), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(with_offset).collect()),
        other => other.clone(),
    };
    field.as_ref().clone().with_data_type(data_type)
}

/// The same values under another schema, whose types differ in the names of zones only.
fn relabelled(batch: &RecordBatch, schema: Arc<Schema>) -> Result<RecordBatch, String> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let data = relabelled_data(column.to_data(), field.data_type())?;
        Ok(make_array(data))
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, String>>()?;
    batch_of(schema, columns, batch.num_rows())
}

fn relabelled_data(data: ArrayData, data_type: &DataType) -> Result<ArrayData, String> {
    if data.data_type() == data_type {
        return Ok(data);
    }
    let fields: Vec<&FieldRef> = match data_type {
        DataType::List(item) | DataType::Map(item, _) => vec![item],
        DataType::Struct(fields) => fields.iter().collect(),
        _ => Vec::new(),
    };
    let children = data.child_data().iter().zip(fields).map(|(child, field)| relabelled_data(child.clone(), field.data_type()));
    let children = children.collect::<Result<Vec<_>, _>>()?;
    data.into_builder().data_type(data_type.clone()).child_data(children).build().map_err(|error| error.to_string())
}
