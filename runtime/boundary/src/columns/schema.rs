//! A schema field by field, with types as texts: `Int64`, `Timestamp(µs, "UTC")`.

use std::str::FromStr;

use arrow_schema::{DataType, Field, Schema};

use crate::text::shown;
use crate::types::MAX_TYPE_DEPTH;
use crate::{DecodeError, check_columns, guarded};

/// The longest text of a type. Structs spell out their fields in it.
const MAX_TYPE_BYTES: usize = 64 << 10;

/// A column of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldText {
    /// Its name.
    pub name: String,
    /// Its type as arrow-rs prints it.
    pub data_type: String,
    /// Whether there may be nulls.
    pub nullable: bool,
    /// What a plugin says of a column that it needs. The host never writes any.
    pub metadata: Vec<(String, String)>,
}

/// Writes a schema.
pub fn write_schema(schema: &Schema) -> Vec<FieldText> {
    let field = |field: &Field| FieldText {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
        metadata: Vec::new(),
    };
    schema.fields().iter().map(|of| field(of)).collect()
}

/// The schema that a plugin wrote: of boundary types only, with unique names.
///
/// # Errors
/// The field that is none, and why.
pub fn read_schema(fields: &[FieldText]) -> Result<Schema, DecodeError> {
    let schema = guarded(|| {
        let fields = fields.iter().map(|field| {
            let data_type =
                read_type(&field.data_type).map_err(|error| DecodeError(format!("column `{}`: {error}", shown(&field.name))))?;
            Ok(Field::new(&field.name, data_type, field.nullable).with_metadata(field.metadata.iter().cloned().collect()))
        });
        Ok(Schema::new(fields.collect::<Result<Vec<_>, DecodeError>>()?))
    })?;
    check_columns(&schema)?;
    check_spelling(&schema).map_err(DecodeError)?;
    Ok(schema)
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

/// JSON objects have keys that are strings, so maps need such keys too; and a type has to be spelt in a way that reads back.
pub(crate) fn check_spelling(schema: &Schema) -> Result<(), String> {
    for field in schema.fields() {
        let name = shown(field.name());
        if !writable(field.data_type()) {
            return Err(format!("column `{name}` holds a map whose keys are no strings, which the encoding `columns` can't carry"));
        }
        let text = field.data_type().to_string();
        if read_type(&text).as_ref() != Ok(field.data_type()) {
            return Err(format!(
                "column `{name}` has the type {}, whose names or zone can't be spelt in the encoding `columns`",
                shown(&text)
            ));
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
