//! A schema as JSON text: `{"fields":[{"name":"age","type":"Int64","nullable":true}]}`.

use std::collections::HashMap;
use std::str::FromStr;

use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::DecodeError;
use crate::text::shown;
use crate::types::MAX_TYPE_DEPTH;

/// The longest text of a type. Structs spell out their fields in it.
const MAX_TYPE_BYTES: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaText {
    fields: Vec<FieldText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldText {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default = "yes")]
    nullable: bool,
    /// A plugin's flag on a column that it needs. The host never writes any.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    metadata: HashMap<String, String>,
}

fn yes() -> bool {
    true
}

pub(super) fn write(schema: &Schema) -> Vec<u8> {
    let fields = schema.fields().iter().map(|field| FieldText {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
        metadata: HashMap::new(),
    });
    // Strings and booleans always serialise.
    serde_json::to_vec(&SchemaText { fields: fields.collect() }).unwrap_or_default()
}

pub(super) fn read(bytes: &[u8]) -> Result<Schema, DecodeError> {
    let text: SchemaText = serde_json::from_slice(bytes)
        .map_err(|error| DecodeError(format!("the schema is no JSON of the agreed form: {}", shown(&error.to_string()))))?;
    let fields = text.fields.into_iter().map(|field| {
        let data_type = read_type(&field.data_type).map_err(|error| DecodeError(format!("column `{}`: {error}", shown(&field.name))))?;
        Ok(Field::new(field.name, data_type, field.nullable).with_metadata(field.metadata))
    });
    Ok(Schema::new(fields.collect::<Result<Vec<_>, DecodeError>>()?))
}

/// arrow's parser of types recurses, so the depth of the text is bounded before it sees it.
fn read_type(text: &str) -> Result<DataType, DecodeError> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // A level of a struct or map spells itself with up to two brackets.
        if depth > 2 * MAX_TYPE_DEPTH {
            return Err(DecodeError(format!("types nest more than {MAX_TYPE_DEPTH} deep")));
        }
    }
    if text.len() > MAX_TYPE_BYTES {
        return Err(DecodeError(format!("a type is spelled in {} bytes; {MAX_TYPE_BYTES} are allowed", text.len())));
    }
    DataType::from_str(text).map_err(|_| DecodeError(format!("`{}` is no type", shown(text))))
}

/// JSON objects have string keys, so maps need such keys too. A type must be spelt in a way that
/// can be read back.
pub(super) fn check(schema: &Schema) -> Result<(), String> {
    for field in schema.fields() {
        let name = shown(field.name());
        if !writable(field.data_type()) {
            return Err(format!("column `{name}` holds a map whose keys are no strings, which JSON lines can't carry"));
        }
        let text = field.data_type().to_string();
        if read_type(&text).as_ref() != Ok(field.data_type()) {
            return Err(format!("column `{name}` has the type {}, whose names or zone can't be spelt in JSON lines", shown(&text)));
        }
    }
    Ok(())
}

fn writable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => writable(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| writable(field.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => *fields[0].data_type() == DataType::Utf8 && writable(fields[1].data_type()),
            _ => false,
        },
        _ => true,
    }
}
